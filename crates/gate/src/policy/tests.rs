//! Cases of cases.

use cli::Format;

use super::*;

const PLAN: &str = r##"
providers:
  openai: { api_key: k }
models:
  gpt-5: openai/gpt-5
  gpt-4o: openai/gpt-4o
keys:
  - { id: web, secret: tg-0123456789abcdef0123, tenant: acme, app: web }
policy:
  contact: "Ask in #ai."
  rules:
    - { name: approved, models: { allow: ["gpt-*"] } }
    - { name: seen, approval: { tools: ["send_*"], approvers: 2 } }
    - { name: no-rm, tools: { deny: ["rm"] } }
  tenants:
    acme:
      rules:
        - { name: no-old, mode: warn, models: { deny: ["gpt-4*"] } }
"##;

fn call(key: &str, model: &str) -> Case {
    Case::of(&CallFacts {
        key: key.to_owned(),
        model: model.to_owned(),
        use_case: None,
        data_class: None,
        stream: false,
        tools: Vec::new(),
        input_tokens: 100,
        output_tokens: None,
    })
}

/// What a key of the document comes to.
fn decided(plan: &Plan, case: &Case) -> Explanation {
    let consumer = of_document(plan, &case.key).expect("a key that exists");
    decide(plan, consumer, case).expect("sound facts")
}

fn text(case: &Case, told: &Explanation) -> String {
    let told = print::explanation(None, case, told);
    let mut out = Vec::new();
    cli::print_explanation(&told, Format::Text, &mut out).expect("printed");
    String::from_utf8(out).expect("UTF-8")
}

fn plan() -> Plan {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tollgate.yaml");
    std::fs::write(&path, PLAN).expect("written");
    load(Some(&path)).expect("a good configuration")
}

#[test]
fn cases_tell_how_a_decision_differs() {
    let cases = cases::read(
        "cases:\n\
         - { name: good, key: web, model: gpt-5, warns: [], provider: openai }\n\
         - { name: old, key: web, model: gpt-4o, warns: [no-old] }\n\
         - { name: other, key: web, model: claude-5, expect: deny, rule: approved }\n\
         - { name: wrong, key: web, model: claude-5 }\n\
         - { name: wrong too, key: web, model: gpt-5, expect: deny }\n",
    )
    .expect("good cases");
    let plan = plan();
    let differs: Vec<Option<String>> = cases
        .iter()
        .map(|case| case.differs(&decided(&plan, case)))
        .collect();
    assert_eq!(differs[..3], [None, None, None]);
    assert!(
        differs[3]
            .as_ref()
            .is_some_and(|why| why.contains("rule `approved`")),
        "{differs:?}"
    );
    assert!(
        differs[4]
            .as_ref()
            .is_some_and(|why| why.contains("it is allowed")),
        "{differs:?}"
    );
}

#[test]
fn a_case_may_expect_an_approval() {
    let cases = cases::read(
        "cases:\n\
         - { key: web, model: gpt-5, calls: [send_mail], expect: approval, rule: seen }\n\
         - { key: web, model: gpt-5, calls: [send_mail, rm], expect: deny, rule: no-rm }\n\
         - { key: web, model: gpt-5, calls: [rm, send_mail], expect: deny, rule: no-rm }\n\
         - { key: web, model: gpt-5, calls: [send_mail], expect: deny }\n\
         - { key: web, model: gpt-5, calls: [send_mail] }\n\
         - { key: web, model: gpt-5, expect: approval }\n\
         - { key: web, model: gpt-5, calls: [rm], expect: approval }\n",
    )
    .expect("good cases");
    let plan = plan();
    let told = |case| decided(&plan, case);
    for (nth, case) in cases.iter().enumerate() {
        let differs = case.differs(&told(case));
        assert_eq!(differs.is_some(), nth > 2, "case {nth}: {differs:?}");
    }
    let first = told(&cases[0]);
    assert_eq!(first.approvers, Some(2));
    let text = text(&cases[0], &first);
    assert!(text.contains("APPROVAL  Two people must approve"), "{text}");
}

#[test]
fn files_that_make_no_sense_are_refused() {
    for (text, words) in [
        ("cases: []", "no case"),
        ("cases:\n- { key: web, model: m, modle: x }", "modle"),
        ("x: 1", "x"),
    ] {
        let why = cases::read(text).expect_err(text);
        assert!(why.contains(words), "{text}: {why}");
    }
    let plan = plan();
    let why = of_document(&plan, "nobody").expect_err("no such key");
    assert!(why.contains("`nobody`") && why.contains("web"), "{why}");
}

#[test]
fn an_explanation_names_each_layer() {
    let (plan, case) = (plan(), call("web", "gpt-4o"));
    let text = text(&case, &decided(&plan, &case));
    for words in [
        "organisation",
        "tenant acme",
        "x no-old",
        "warn",
        "ALLOWED   openai/gpt-4o",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}

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
        .map(|case| case.differs(&decide(&plan, case).expect("a key that exists")))
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
    let told = |case| decide(&plan, case).expect("a key that exists");
    for (nth, case) in cases.iter().enumerate() {
        let differs = case.differs(&told(case));
        assert_eq!(differs.is_some(), nth > 2, "case {nth}: {differs:?}");
    }
    let mut out = Vec::new();
    let first = told(&cases[0]);
    assert_eq!(first.approvers, Some(2));
    print::explanation(&cases[0], &first, Format::Text, &mut out).expect("printed");
    let text = String::from_utf8(out).expect("UTF-8");
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
    let unknown = Case::of("nobody", "gpt-5");
    let why = decide(&plan(), &unknown).expect_err("no such key");
    assert!(why.contains("`nobody`") && why.contains("web"), "{why}");
}

#[test]
fn an_explanation_names_each_layer() {
    let told = decide(&plan(), &Case::of("web", "gpt-4o")).expect("a key that exists");
    let mut out = Vec::new();
    print::explanation(&Case::of("web", "gpt-4o"), &told, Format::Text, &mut out).expect("printed");
    let text = String::from_utf8(out).expect("UTF-8");
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

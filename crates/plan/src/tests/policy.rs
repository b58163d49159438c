//! Policy in the document: what becomes of it, and what is said of mistakes.

use access::Mode;

use super::{Fake, good, try_with};
use crate::*;

const LAYERS: &str = r#"
providers:
  openai: { api_key: k }
policy:
  contact: Ask Ann.
  rules:
    - { name: approved, models: { allow: ["gpt-*"] } }
    - { name: later, mode: off, models: { deny: ["*"] } }
  use_cases:
    chatbot:
      rules: [{ name: bot, models: { deny: ["*-pro"] } }]
  tenants:
    acme:
      mode: warn
      contact: Ask Bob.
      rules: [{ name: ours, models: { deny: ["gpt-4*"] } }]
      apps:
        web:
          rules: [{ name: web, mode: shadow, contact: Ask Cem., models: { deny: ["x"] } }]
          use_cases:
            chatbot:
              rules: [{ name: web-bot, models: { deny: ["y"] } }]
keys:
  - id: k
    secret: tg-0123456789abcdef0123
    tenant: acme
    app: web
    rules: [{ name: own, models: { allow: ["gpt-5*"] } }]
"#;

/// The rules of a call, with their layers, modes and contacts.
fn rules(plan: &Plan, use_case: Option<&str>) -> Vec<(String, String, Mode, String)> {
    let consumer = plan.keys.consumers().next().expect("a key");
    let layer = consumer.rules.as_ref();
    let chain = plan
        .policy
        .chain(&consumer.tenant, &consumer.app, use_case, layer);
    chain
        .rules()
        .map(|(layer, named)| {
            let contact = named.contact.as_deref().unwrap_or_default();
            (
                layer.to_string(),
                named.name.to_string(),
                named.mode,
                contact.to_owned(),
            )
        })
        .collect()
}

#[test]
fn layers_are_merged_from_the_widest_to_the_key() {
    let (draft, compiled) = good(LAYERS);
    let plan = &compiled.plan;
    let line = |layer: &str, rule: &str, mode, contact: &str| {
        (layer.to_owned(), rule.to_owned(), mode, contact.to_owned())
    };
    let plain = [
        line("organisation", "approved", Mode::Enforce, "Ask Ann."),
        line("tenant acme", "ours", Mode::Warn, "Ask Bob."),
        line("tenant acme, app web", "web", Mode::Shadow, "Ask Cem."),
        line("key k", "own", Mode::Enforce, ""),
    ];
    assert_eq!(rules(plan, None), plain);
    let names: Vec<String> = rules(plan, Some("chatbot"))
        .into_iter()
        .map(|(_, rule, _, _)| rule)
        .collect();
    assert_eq!(names, ["approved", "ours", "web", "bot", "web-bot", "own"]);
    // What is shown can be read again, and says the same.
    let shown = show(&draft.document).replace("***", "tg-0123456789abcdef0123");
    let (_, again) = good(&shown);
    assert_eq!(
        rules(&again.plan, Some("chatbot")),
        rules(plan, Some("chatbot"))
    );
}

/// The findings: path, what.
fn said(text: &str) -> Vec<(String, String)> {
    let Err(found) = try_with(text, &Fake::default()) else {
        panic!("accepted:\n{text}");
    };
    for one in &found {
        assert!(one.line.is_some() && !one.instead.is_empty(), "{one:?}");
    }
    let found = found.into_iter();
    found.map(|one| (one.path, one.what)).collect()
}

#[test]
fn mistakes_are_named_where_they_stand() {
    let cases = [
        ("{ name: a }", "policy.rules[0]", "the rule `a` has no kind"),
        (
            "{ name: a, models: { allow: [x] }, streaming: { allowed: false } }",
            "policy.rules[0]",
            "this rule is of two kinds",
        ),
        (
            "{ name: a, models: {} }",
            "policy.rules[0].models",
            "this rule restricts nothing",
        ),
        (
            "{ name: a, models: { alow: [x] } }",
            "policy.rules[0].models.alow",
            "there is no field",
        ),
        (
            "{ name: a, modles: { allow: [x] } }",
            "policy.rules[0].modles",
            "there is no field",
        ),
        (
            "{ name: '', models: { allow: [x] } }",
            "policy.rules[0].name",
            "this name is empty",
        ),
        (
            "{ name: a, mode: on, models: { allow: [x] } }",
            "policy.rules[0].mode",
            "",
        ),
        ("{ models: { allow: [x] } }", "policy.rules[0]", ""),
    ];
    for (rule, path, what) in cases {
        let text = format!("policy:\n  rules:\n    - {rule}\n");
        let found = said(&text);
        let hit = found
            .iter()
            .any(|(at, told)| at.starts_with(path) && told.contains(what));
        assert!(hit, "{rule}: {found:?}");
    }
    let twice = "policy:\n  rules:\n    - { name: a, models: { allow: [x] } }\n    - { name: a, models: { deny: [x] } }\n";
    let found = said(twice);
    assert_eq!(found[0].0, "policy.rules[1].name", "{found:?}");
}

#[test]
fn a_policy_that_empties_itself_is_explained() {
    let text = r#"
providers:
  openai: { api_key: k }
models:
  gpt-5: openai/gpt-5
  gpt-4o: openai/gpt-4o
policy:
  rules: [{ name: new-ones, models: { allow: ["gpt-5*"] } }]
  tenants:
    acme:
      rules: [{ name: old-ones, models: { allow: ["gpt-4*"] } }]
keys:
  - { id: good, secret: tg-0123456789abcdef0123, tenant: other }
  - { id: empty, secret: tg-0123456789abcdef0124, tenant: acme }
"#;
    let (_, compiled) = good(text);
    let [warning] = &compiled.warnings[..] else {
        panic!("{:?}", compiled.warnings)
    };
    assert_eq!(warning.path, "keys[1]");
    for word in ["`empty`", "new-ones", "old-ones", "tenant acme"] {
        assert!(warning.what.contains(word), "{word} in {}", warning.what);
    }
}

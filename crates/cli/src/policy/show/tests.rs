//! Cases of what is printed.

use serde_json::json;

use super::*;

#[test]
fn an_explanation_is_text_that_a_terminal_does_not_obey() {
    let told = json!({
        "plan": "0123456789abcdef", "side": "candidate", "key": "web", "model": "m\u{1b}[2J",
        "allowed": false, "refusal": "no\u{7} way", "approvers": null,
        "output_tokens_max": 9, "capped_by": "small", "candidates": [],
        "excluded": [{"provider": "up", "model": "m", "rule": "eu"}],
        "rules": [
            {"layer": "tenant acme", "rule": "a", "mode": "warn", "kind": "models",
             "permits": "models x", "broken": "not \u{9b}1m"},
            {"layer": "tenant acme", "rule": "b", "mode": "enforce", "kind": "tools",
             "permits": "all", "broken": null},
        ],
    });
    let said = text(&told);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "Policy of key web for m\\u{1b}[2J",
            "by plan 0123456789abcdef, which is being rolled out",
            "",
            "tenant acme",
            "  x a                        warn     models: models x",
            "      not \\u{9b}1m",
            "    b                        enforce  tools: all",
            "",
            "left out  up/m by rule eu",
            "capped    at 9 output tokens by rule small",
            "DENIED    no\\u{7} way",
        ]
    );
    let mut out = Vec::new();
    print(&told, Format::Json, &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()));
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), told);
}

#[test]
fn what_is_allowed_says_where_it_goes() {
    let told = json!({
        "plan": null, "side": null, "key": "web", "model": "m", "allowed": true,
        "candidates": [{"provider": "a", "model": "x"}, {"provider": "b", "model": "y"}],
    });
    let said = text(&told);
    assert!(
        said.starts_with("Policy of key web for m\n\n"),
        "a configuration has no plan in force: {said}"
    );
    assert!(said.contains("no rules"), "{said}");
    assert!(said.ends_with("ALLOWED   a/x, then b/y\n"), "{said}");
}

//! Cases of what the model gives back.

use serde_json::json;

use super::*;
use crate::rule::Streams;

#[test]
fn tool_calls() {
    let settings = json!({"allow": ["search_*"], "deny": ["search_internal"]});
    let denied = Some("tool_call_not_allowed");
    check_given("tools", &settings, &Given::ToolCall("search_web"), None);
    check_given(
        "tools",
        &settings,
        &Given::ToolCall("search_internal"),
        denied,
    );
    check_given("tools", &settings, &Given::ToolCall("delete"), denied);
    check_given("tools", &settings, &Given::ToolCall(""), denied);
    check_given("tools", &settings, &Given::Text("delete".into()), None);
    assert_eq!(
        chain("tools", &settings, Mode::Enforce).streams(),
        Streams::Incremental
    );
}

#[test]
fn texts_fit_a_schema() {
    let schema = json!({
        "type": "object",
        "required": ["age"],
        "properties": {
            "age": {"type": "integer"},
            "name": {"type": "string", "pattern": "^[a-z]+$"},
        },
        "additionalProperties": false,
    });
    let as_text = json!({"schema": schema.to_string()});
    let settings = json!({"schema": schema});
    let text = |text: &'static str| Given::Text(text.into());
    for (given, expected) in [
        (text(r#"{"age": 5}"#), None),
        (text(" {\"age\": 5, \"name\": \"bo\"}\n"), None),
        (text(r#"{"age": "5"}"#), Some("output_not_in_schema")),
        (text("{}"), Some("output_not_in_schema")),
        (
            text(r#"{"age": 5, "name": "Bo"}"#),
            Some("output_not_in_schema"),
        ),
        (
            text(r#"{"age": 5, "more": 1}"#),
            Some("output_not_in_schema"),
        ),
        (text("[]"), Some("output_not_in_schema")),
        (text(""), Some("output_not_json")),
        (text("```json\n{\"age\": 5}\n```"), Some("output_not_json")),
        (text(r#"{"age": 5} and more"#), Some("output_not_json")),
        (text(r#"{"age": "x", "age": 5}"#), Some("output_not_json")),
        (Given::ToolCall("anything"), None),
    ] {
        check_given("output_schema", &settings, &given, expected);
        check_given("output_schema", &as_text, &given, expected);
    }
}

#[test]
fn an_answer_that_is_too_deep_or_too_long_does_not_fit() {
    let settings = json!({"schema": "{}"});
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    check_given(
        "output_schema",
        &settings,
        &Given::Text(deep.into()),
        Some("output_not_json"),
    );
    let long = format!("\"{}\"", "x".repeat(1024 * 1024));
    check_given(
        "output_schema",
        &settings,
        &Given::Text(long.into()),
        Some("output_not_checkable"),
    );
}

#[test]
fn a_refusal_tells_nothing_of_the_answer() {
    let settings = json!({"schema": r#"{"additionalProperties": {"type": "integer"}}"#});
    let given = Given::Text(r#"{"hidden-name": "hidden-value"}"#.into());
    let call = Call::chat();
    let verdict = chain("output_schema", &settings, Mode::Enforce).given(&call.facts(), &given);
    let said = &verdict.rulings[0].breach.said;
    assert!(!said.contains("hidden"), "{said}");
    assert!(said.contains("additionalProperties"), "{said}");
}

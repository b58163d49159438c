//! Requests: read and written again, and written for the sibling format.

use contract::chat::{
    Chat, Part, PartKind, Reasoning, ReasoningMode, Role, Signature, ToolCall, Turn,
};
use contract::request::Task;
use contract::text::Extras;
use contract::{DialectId, FaultKind};

use super::*;

#[test]
fn what_is_read_is_written_again() {
    for (folder, text) in fixtures("request.openai_responses.json") {
        let request = read(&text).expect("readable");
        let written = write_as(&DIALECT, &request).expect("writable");
        let expected = std::fs::read_to_string(folder.join("expect.openai_responses.json"));
        let mut expected = json(expected.as_deref().unwrap_or(&text));
        // Said explicitly, this is the default.
        expected
            .as_object_mut()
            .expect("object")
            .remove("background");
        assert_eq!(json(&written.body), expected, "{}", folder.display());
        assert_eq!(written.losses, Vec::new(), "{}", folder.display());
    }
}

#[test]
fn the_sibling_format_gets_the_same_conversation() {
    for (folder, text) in fixtures("request.openai_responses.json") {
        let Ok(expected) = std::fs::read_to_string(folder.join("expect.openai_chat.json")) else {
            continue;
        };
        let request = read(&text).expect("readable");
        let written = write_as(&crate::openai_chat::DIALECT, &request).expect("writable");
        assert_eq!(json(&written.body), json(expected), "{}", folder.display());
    }
}

#[test]
fn what_others_ask_becomes_items() {
    let thinking = |dialect, value: &str| Part {
        signature: Some(Signature {
            dialect,
            value: value.to_owned(),
        }),
        ..PartKind::Thinking {
            text: "deep".to_owned(),
        }
        .into()
    };
    let turn = |role, parts| Turn {
        role,
        parts,
        name: None,
    };
    let call = PartKind::ToolCall(ToolCall {
        id: "toolu_1".to_owned(),
        name: "f".to_owned(),
        arguments: String::new(),
        custom: false,
    });
    let mut chat = Chat {
        turns: vec![
            turn(Role::System, vec![Part::text("a"), Part::text("b")]),
            turn(Role::User, vec![Part::text("x")]),
            turn(
                Role::Assistant,
                vec![
                    thinking(DialectId("anthropic"), "proof"),
                    thinking(ID, "rs_7|s|gAAA"),
                    Part::text("one "),
                    Part::text("two"),
                    call.into(),
                ],
            ),
        ],
        reasoning: Some(Reasoning {
            mode: Some(ReasoningMode::Enabled),
            effort: None,
            budget_tokens: Some(2_048),
            summary: None,
        }),
        stop: vec!["END".to_owned()],
        ..Chat::default()
    };
    chat.sampling.seed = Some(1);
    let request = Request {
        dialect: DialectId("anthropic"),
        model: "m".to_owned(),
        task: Task::Chat(Box::new(chat)),
        stream: true,
        extras: Extras::default(),
    };
    let written = write_as(&DIALECT, &request).expect("writable");
    assert_eq!(
        json(&written.body),
        serde_json::json!({
            "model": "m", "instructions": "a\n\nb", "stream": true, "store": false,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "low", "summary": "auto"},
            "input": [
                {"type": "message", "role": "user", "content": "x"},
                {"type": "reasoning", "id": "rs_7", "summary": [{"type": "summary_text", "text": "deep"}], "encrypted_content": "gAAA"},
                {"type": "message", "role": "assistant", "content": "one two"},
                {"type": "function_call", "call_id": "toolu_1", "name": "f", "arguments": "{}"},
            ],
        })
    );
    let losses: Vec<&str> = written.losses.iter().map(|loss| &*loss.what).collect();
    assert_eq!(losses, ["stop_sequences", "seed", "thinking"]);
}

#[test]
fn what_a_provider_stores_is_refused_with_a_reason() {
    let with = |rest: &str| format!(r#"{{"model":"m","input":"x"{rest}}}"#);
    for (body, field) in [
        (
            with(r#","previous_response_id":"resp_1""#),
            "previous_response_id",
        ),
        (with(r#","conversation":{"id":"c"}"#), "conversation"),
        (with(r#","background":true"#), "background"),
        (with(r#","prompt":{"id":"p"}"#), "prompt"),
        (
            r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#.to_owned(),
            "input[0]",
        ),
        (
            r#"{"model":"m","input":[{"id":"msg_1"}]}"#.to_owned(),
            "input[0]",
        ),
    ] {
        let fault = read(&body).expect_err(&body);
        assert_eq!(fault.kind, FaultKind::Unsupported, "{body}");
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
        let doc = doc(&body);
        assert!(DIALECT.survey(&chat_route(), doc.root()).is_ok(), "{body}");
    }
}

#[test]
fn wrong_requests_name_the_field() {
    for (body, field) in [
        (r#"{"model":"m","input":7}"#, "input"),
        (
            r#"{"model":"m","input":[{"role":"boss","content":"x"}]}"#,
            "input[0].role",
        ),
        (
            r#"{"model":"m","input":[{"type":"message","role":"user"}]}"#,
            "input[0].content",
        ),
        (
            r#"{"model":"m","input":[{"type":"function_call","name":"f"}]}"#,
            "input[0].call_id",
        ),
        (
            r#"{"model":"m","input":"x","reasoning":{"effort":"huge"}}"#,
            "reasoning.effort",
        ),
        (
            r#"{"model":"m","input":"x","text":{"format":{"type":"xml"}}}"#,
            "text.format.type",
        ),
        (
            r#"{"model":"m","input":"x","tools":[{"type":"function"}]}"#,
            "tools[0].name",
        ),
        (
            r#"{"model":"m","input":"x","temperature":"hot"}"#,
            "temperature",
        ),
    ] {
        let fault = read(body).expect_err(body);
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

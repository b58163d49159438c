//! Requests of other dialects, written for an upstream of this one.

use contract::chat::{
    CacheMark, CacheTtl, Chat, Citation, CitationTarget, Effort, Media, OutputFormat, Part,
    PartKind, Reasoning, ReasoningMode, Role, Signature, Tool, ToolCall, ToolChoice, ToolKind,
    ToolResult, Turn,
};
use contract::request::Task;
use contract::text::{Extras, RawJson};
use contract::{DialectId, FaultKind};

use super::*;

const FOREIGN: DialectId = DialectId("anthropic");

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

fn request(chat: Chat) -> Request {
    Request {
        dialect: FOREIGN,
        model: "m".to_owned(),
        task: Task::Chat(Box::new(chat)),
        stream: false,
        extras: Extras::default(),
    }
}

fn written(chat: Chat) -> (serde_json::Value, Vec<String>) {
    let written = write(&request(chat)).expect("writable");
    let losses = written.losses.iter().map(|loss| loss.what.to_string());
    (json(&written.body), losses.collect())
}

fn image() -> Part {
    PartKind::Image {
        source: Media::Base64 {
            mime: "image/png".to_owned(),
            data: "iVBORw==".to_owned(),
        },
        detail: None,
    }
    .into()
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    PartKind::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: None,
        parts,
        json: None,
        is_error: false,
        custom: false,
    })
    .into()
}

#[test]
fn images_of_tool_results_follow_in_a_user_message() {
    let (body, losses) = written(Chat {
        turns: vec![turn(
            Role::User,
            vec![
                result("a", vec![Part::text("see"), image()]),
                result("b", vec![image()]),
                Part::text("So?"),
            ],
        )],
        ..Chat::default()
    });
    let picture = serde_json::json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}});
    let of = |id: &str| serde_json::json!({"type": "text", "text": format!("Attachments of the result of tool call {id}:")});
    assert_eq!(
        body["messages"],
        serde_json::json!([
            {"role": "tool", "tool_call_id": "a", "content": "see"},
            {"role": "tool", "tool_call_id": "b", "content": "The result is attached to the next message."},
            {"role": "user", "content": [of("a"), picture, of("b"), picture, {"type": "text", "text": "So?"}]},
        ])
    );
    assert_eq!(losses, Vec::<String>::new());
}

#[test]
fn what_has_no_place_is_declared_once() {
    let cached = |text: &str| Part {
        cache: Some(CacheMark {
            ttl: CacheTtl::Hour1,
        }),
        ..Part::text(text)
    };
    let mut cited = Part::text("said");
    if let PartKind::Text { citations, .. } = &mut cited.kind {
        citations.push(Citation {
            target: CitationTarget::Url {
                url: "https://example.org".to_owned(),
                title: None,
            },
            cited_text: None,
            span: None,
            raw: None,
        });
    }
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
    let mut chat = Chat {
        turns: vec![
            turn(Role::System, vec![cached("a")]),
            turn(Role::User, vec![cached("b"), cached("c")]),
            turn(
                Role::Assistant,
                vec![
                    thinking(FOREIGN, "proof"),
                    thinking(ID, "reasoning_content"),
                    cited,
                ],
            ),
        ],
        tools: vec![Tool {
            name: "web_search_20260209".to_owned(),
            description: None,
            kind: ToolKind::Hosted {
                dialect: FOREIGN,
                json: RawJson::new("{}"),
            },
            strict: None,
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Auto),
        ..Chat::default()
    };
    chat.sampling.top_k = Some(4);
    let (body, losses) = written(chat);
    assert_eq!(
        losses,
        [
            "cache_control",
            "thinking",
            "citations",
            "tools.web_search_20260209",
            "top_k"
        ]
    );
    let replayed = &body["messages"][2];
    assert_eq!(replayed["reasoning_content"], "deep");
    assert_eq!(replayed["content"], "said");
    assert_eq!(body.get("tools"), None);
    assert_eq!(
        body.get("tool_choice"),
        None,
        "the vendor refuses a choice of nothing"
    );
}

#[test]
fn wishes_become_the_vendor_s_words() {
    let (body, losses) = written(Chat {
        turns: vec![turn(Role::User, vec![Part::text("x")])],
        reasoning: Some(Reasoning {
            mode: Some(ReasoningMode::Enabled),
            effort: None,
            budget_tokens: Some(8_192),
            summary: None,
        }),
        format: OutputFormat::JsonSchema {
            name: None,
            description: None,
            schema: RawJson::new(r#"{"type":"object","properties":{}}"#),
            strict: Some(true),
        },
        stop: vec!["END".to_owned()],
        output_tokens_max: Some(9),
        service_tier: Some("standard_only".to_owned()),
        ..Chat::default()
    });
    assert_eq!(losses, Vec::<String>::new());
    assert_eq!(body["reasoning_effort"], Effort::High.word());
    assert_eq!(
        body["response_format"],
        serde_json::json!({"type": "json_schema", "json_schema": {"name": "response", "schema": {"type": "object", "properties": {}, "additionalProperties": false}, "strict": true}})
    );
    assert_eq!(body["stop"], "END");
    assert_eq!(body["max_completion_tokens"], 9);
    assert_eq!(body["service_tier"], "default");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let user = |part: Part| Chat {
        turns: vec![turn(Role::User, vec![part])],
        ..Chat::default()
    };
    let remote: Part = PartKind::File {
        source: Media::Url {
            url: "https://example.org/a.pdf".to_owned(),
            mime: None,
        },
        name: None,
        citations: false,
        context: None,
    }
    .into();
    let fault = write(&request(user(remote))).expect_err("no way");
    assert_eq!(fault.kind, FaultKind::Unsupported);
    let mut card = ModelCard::unknown("blind");
    card.capabilities.vision = false;
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let fault = DIALECT.write_request(&request(user(image())), &target);
    assert_eq!(fault.expect_err("blind").kind, FaultKind::Unsupported);
    let mut chat = user(Part::text("x"));
    chat.sampling.temperature = Some(1.0);
    card.capabilities.sampling = false;
    let lost = DIALECT.write_request(
        &request(chat.clone()),
        &Target {
            card: &card,
            unsupported: Unsupported::Drop,
            quirks: Default::default(),
        },
    );
    assert_eq!(lost.expect("dropped").losses[0].what, "temperature");
    let strict = Target {
        card: &card,
        unsupported: Unsupported::Refuse,
        quirks: Default::default(),
    };
    let fault = DIALECT
        .write_request(&request(chat), &strict)
        .expect_err("refused");
    assert_eq!(fault.field.as_deref(), Some("temperature"));
}

#[test]
fn calls_with_empty_arguments_say_so() {
    let call = PartKind::ToolCall(ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: String::new(),
        custom: false,
    });
    let (body, _) = written(Chat {
        turns: vec![turn(Role::Assistant, vec![call.into()])],
        ..Chat::default()
    });
    let message = &body["messages"][0];
    assert!(message["content"].is_null());
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
}

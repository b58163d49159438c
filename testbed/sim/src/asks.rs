//! What callers ask: requests of every dialect in several shapes.

use bytes::Bytes;
use contract::chat::{
    Chat, Effort, Media, OutputFormat, Part, PartKind, Reasoning, ReasoningMode, Role, Sampling,
    Signature, Tool, ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
};
use contract::text::{Extras, RawJson};
use contract::{ModelCard, Operation, Request, Task};
use dialects::{Call, Dialect, Target, Unsupported};

/// What is in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    Tools,
    Images,
    Thinking,
    Schema,
    Large,
}

/// All shapes.
pub(crate) const SHAPES: [Shape; 6] = [
    Shape::Plain,
    Shape::Tools,
    Shape::Images,
    Shape::Thinking,
    Shape::Schema,
    Shape::Large,
];

/// Length of the text of a large request, bytes.
const LARGE_BYTES: usize = 96 * 1024;
const SCHEMA: &str = r#"{"type":"object","properties":{"q":{"type":"string"}},"required":["q"],"additionalProperties":false}"#;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) path: String,
    pub(crate) headers: Vec<(http::HeaderName, http::HeaderValue)>,
    pub(crate) body: Bytes,
}

/// What is asked for, besides the shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) model: &'a str,
    pub(crate) stream: bool,
    /// Usage in the stream, where the dialect must ask for it.
    pub(crate) usage: bool,
    pub(crate) shape: Shape,
}

/// The request in this dialect. A shape that the dialect has no form for
/// becomes a plain one.
pub(crate) fn ask(dialect: &dyn Dialect, wish: Wish<'_>) -> Ask {
    let card = ModelCard::unknown(wish.model);
    let target = Target {
        card: &card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let request = |shape| Request {
        dialect: dialect.id(),
        model: wish.model.to_owned(),
        task: Task::Chat(Box::new(Chat {
            stream_usage: wish.usage,
            ..chat(dialect, shape)
        })),
        stream: wish.stream,
        extras: Extras::default(),
    };
    let written = dialect
        .write_request(&request(wish.shape), &target)
        .or_else(|_| dialect.write_request(&request(Shape::Plain), &target))
        .expect("every dialect can write a plain request");
    let destination = dialect.destination(&Call {
        operation: Operation::Chat,
        model: wish.model,
        stream: wish.stream,
        variant: 0,
        query: None,
    });
    Ask {
        path: format!("{}{}", base_path(dialect), destination.path),
        headers: destination.headers,
        body: if wish.usage {
            written.body
        } else {
            without_usage(&written.body)
        },
    }
}

/// The writers write for upstreams, and so always ask for usage.
fn without_usage(body: &[u8]) -> Bytes {
    let mut json: serde_json::Value =
        serde_json::from_slice(body).expect("writers write valid JSON");
    if let Some(members) = json.as_object_mut() {
        members.shift_remove("stream_options");
    }
    json.to_string().into()
}

/// Path of the base URL that clients of a dialect are given.
pub(crate) fn base_path(dialect: &dyn Dialect) -> &'static str {
    match dialect.id().0 {
        "openai_chat" | "openai_responses" => "/v1",
        "gemini" => "/v1beta",
        _ => "",
    }
}

fn chat(dialect: &dyn Dialect, shape: Shape) -> Chat {
    let mut chat = Chat {
        turns: vec![
            turn(Role::System, vec![Part::text("Be brief.")]),
            turn(Role::User, vec![Part::text("Say something.")]),
        ],
        output_tokens_max: Some(4_096),
        ..Chat::default()
    };
    match shape {
        Shape::Plain => {
            chat.sampling = Sampling {
                temperature: Some(0.5),
                seed: Some(7),
                ..Sampling::default()
            };
            chat.stop = vec!["END".into()];
        }
        Shape::Tools => with_tools(&mut chat),
        Shape::Images => chat.turns[1].parts.push(
            PartKind::Image {
                source: Media::Base64 {
                    mime: "image/png".into(),
                    data: "iVBORw0KGgo=".into(),
                },
                detail: None,
            }
            .into(),
        ),
        Shape::Thinking => with_thinking(dialect, &mut chat),
        Shape::Schema => {
            chat.format = OutputFormat::JsonSchema {
                name: Some("answer".into()),
                description: None,
                schema: RawJson::new(SCHEMA),
                strict: Some(true),
            };
        }
        Shape::Large => {
            let line = "All work and no play makes a dull text of an even length. ";
            chat.turns[1].parts[0] = Part::text(line.repeat(LARGE_BYTES / line.len()));
        }
    }
    chat
}

fn with_tools(chat: &mut Chat) {
    chat.tools = vec![Tool {
        name: "look".into(),
        description: Some("Looks something up.".into()),
        kind: ToolKind::Function {
            schema: Some(RawJson::new(SCHEMA)),
        },
        strict: None,
        cache: None,
    }];
    chat.tool_choice = Some(ToolChoice::Auto);
    let call = PartKind::ToolCall(ToolCall {
        id: "call_0".into(),
        name: "look".into(),
        arguments: r#"{"q":"x"}"#.into(),
        custom: false,
    });
    let result = PartKind::ToolResult(ToolResult {
        call_id: "call_0".into(),
        name: Some("look".into()),
        parts: vec![Part::text("found")],
        json: None,
        is_error: false,
        custom: false,
    });
    chat.turns.push(turn(Role::Assistant, vec![call.into()]));
    chat.turns.push(turn(Role::User, vec![result.into()]));
}

fn with_thinking(dialect: &dyn Dialect, chat: &mut Chat) {
    let by_budget = !dialect.id().0.starts_with("openai");
    chat.reasoning = Some(Reasoning {
        mode: Some(ReasoningMode::Enabled),
        effort: (!by_budget).then_some(Effort::Low),
        budget_tokens: by_budget.then_some(2_048),
        summary: None,
    });
    let mut thought = Part::from(PartKind::Thinking {
        text: "Earlier thoughts.".into(),
    });
    thought.signature = Some(Signature {
        dialect: dialect.id(),
        value: "c2lnbmF0dXJl".into(),
    });
    let said = Part::text("Earlier words.");
    chat.turns.push(turn(Role::Assistant, vec![thought, said]));
    chat.turns
        .push(turn(Role::User, vec![Part::text("Go on.")]));
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

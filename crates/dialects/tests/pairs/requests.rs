//! Canonical requests, one for each thing a request can say. Each is told to
//! every dialect first and read back, so that it begins as a caller's own.

use contract::chat::{
    Chat, Media, Part, PartKind, Role, Signature, Tool, ToolCall, ToolChoice, ToolKind, ToolResult,
    Turn,
};
use contract::request::{Embed, EmbedInput};
use contract::text::Extras;
use contract::{DialectId, RawJson, Request, Task};

use crate::drive::MODEL;
use crate::settings;

/// One pixel.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
const PDF: &str = "JVBERi0xLjQKJSVFT0YK";
pub(crate) const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"#;

/// The dialect of nobody: what is written from it is foreign everywhere.
pub(crate) const NOBODY: DialectId = DialectId("nobody");

/// Every canonical request, named.
pub(crate) fn all(own: DialectId) -> Vec<(String, Request)> {
    let mut cases: Vec<(String, Chat)> = Vec::new();
    cases.extend(conversations());
    cases.extend(tools());
    cases.extend(media());
    cases.extend(settings::settings());
    cases.extend(settings::reasoning());
    cases.extend(thinking(own));
    let mut all: Vec<(String, Request)> = cases
        .into_iter()
        .flat_map(|(name, chat)| {
            let streams = name == "plain";
            let chat = Task::Chat(Box::new(chat));
            let streamed =
                streams.then(|| (format!("{name}_streamed"), request(chat.clone(), true)));
            [(name, request(chat, false))].into_iter().chain(streamed)
        })
        .collect();
    all.push((
        "count".to_owned(),
        request(
            Task::CountTokens(Box::new(chat(vec![user("How long am I?")]))),
            false,
        ),
    ));
    all.extend(embeddings());
    all
}

fn request(task: Task, stream: bool) -> Request {
    Request {
        dialect: NOBODY,
        model: MODEL.to_owned(),
        task,
        stream,
        extras: Extras::default(),
    }
}

pub(crate) fn chat(turns: Vec<Turn>) -> Chat {
    Chat {
        turns,
        output_tokens_max: Some(20_000),
        ..Chat::default()
    }
}

pub(crate) fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

pub(crate) fn user(text: &str) -> Turn {
    turn(Role::User, vec![Part::text(text)])
}

pub(crate) fn says(role: Role, text: &str) -> Turn {
    turn(role, vec![Part::text(text)])
}

pub(crate) fn named(cases: Vec<(&str, Chat)>) -> Vec<(String, Chat)> {
    let own = |(name, chat): (&str, Chat)| (name.to_owned(), chat);
    cases.into_iter().map(own).collect()
}

fn conversations() -> Vec<(String, Chat)> {
    let mut by_name = user("Who am I?");
    by_name.name = Some("ada".to_owned());
    let odd = "Tabs\tand \"quotes\" \\ and \u{2028} and \u{1F600} and e\u{301}\u{0000}.";
    named(vec![
        ("plain", chat(vec![user("Hello?")])),
        ("odd_text", chat(vec![user(odd)])),
        (
            "multi_turn",
            chat(vec![
                user("First question"),
                says(Role::Assistant, "First answer"),
                user("Second question"),
                says(Role::Assistant, "Second answer"),
                user("Third question"),
            ]),
        ),
        (
            "system_and_developer",
            chat(vec![
                turn(
                    Role::System,
                    vec![Part::text("Rule one."), Part::text("Rule two.")],
                ),
                says(Role::Developer, "Rule three."),
                user("Hello"),
            ]),
        ),
        (
            "system_in_place",
            chat(vec![
                says(Role::System, "Be brief."),
                user("Hello"),
                says(Role::Assistant, "Hi"),
                says(Role::System, "Now be long."),
                user("Again"),
            ]),
        ),
        (
            "assistant_first",
            chat(vec![says(Role::Assistant, "Welcome."), user("Thanks")]),
        ),
        (
            "same_role_twice",
            chat(vec![
                user("One"),
                user("Two"),
                says(Role::Assistant, "Three"),
                user("Four"),
            ]),
        ),
        ("participant", chat(vec![by_name])),
        (
            "refusal_in_history",
            chat(vec![
                user("Do harm"),
                turn(
                    Role::Assistant,
                    vec![
                        PartKind::Refusal {
                            text: "I will not.".to_owned(),
                        }
                        .into(),
                    ],
                ),
                user("Why?"),
            ]),
        ),
    ])
}

pub(crate) fn function(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: Some(format!("Looks up {name}.")),
        kind: ToolKind::Function {
            schema: Some(RawJson::new(SCHEMA)),
        },
        strict: None,
        cache: None,
    }
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Part {
    PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
    })
    .into()
}

pub(crate) fn result(call_id: &str, name: &str, parts: Vec<Part>, is_error: bool) -> Part {
    PartKind::ToolResult(ToolResult {
        call_id: call_id.to_owned(),
        name: Some(name.to_owned()),
        parts,
        json: None,
        is_error,
        custom: false,
    })
    .into()
}

fn tools() -> Vec<(String, Chat)> {
    let with = |choice: Option<ToolChoice>| Chat {
        tools: vec![function("weather"), function("time"), function("news")],
        tool_choice: choice,
        ..chat(vec![user("Weather and time in Rome?")])
    };
    let allowed = |required| {
        Some(ToolChoice::Allowed {
            names: vec!["weather".to_owned(), "time".to_owned()],
            required,
        })
    };
    let tool = ToolChoice::Tool {
        name: "time".to_owned(),
    };
    let mut strict = with(None);
    strict.tools[0].strict = Some(true);
    let mut bare = with(None);
    bare.tools = vec![Tool {
        description: None,
        kind: ToolKind::Function { schema: None },
        ..function("ping")
    }];
    let mut cases = named(vec![
        ("tools", with(None)),
        ("tools_strict", strict),
        ("tool_without_schema", bare),
        ("choice_auto", with(Some(ToolChoice::Auto))),
        ("choice_none", with(Some(ToolChoice::None))),
        ("choice_required", with(Some(ToolChoice::Required))),
        ("choice_tool", with(Some(tool))),
        ("choice_allowed", with(allowed(false))),
        ("choice_allowed_required", with(allowed(true))),
        (
            "parallel_off",
            Chat {
                parallel_tool_calls: Some(false),
                ..with(None)
            },
        ),
        ("custom_tool", custom_tool()),
    ]);
    cases.extend(results());
    cases
}

fn custom_tool() -> Chat {
    let mut called = call("call_c1", "shell", "ls -la \"/tmp\"");
    let mut answered = result("call_c1", "shell", vec![Part::text("total 0")], false);
    if let PartKind::ToolCall(call) = &mut called.kind {
        call.custom = true;
    }
    if let PartKind::ToolResult(result) = &mut answered.kind {
        result.custom = true;
    }
    Chat {
        tools: vec![Tool {
            kind: ToolKind::Custom { format: None },
            ..function("shell")
        }],
        ..chat(vec![
            user("List the files"),
            turn(Role::Assistant, vec![called]),
            turn(Role::User, vec![answered]),
        ])
    }
}

fn results() -> Vec<(String, Chat)> {
    let after = |results: Vec<Part>| Chat {
        tools: vec![function("weather"), function("time")],
        ..chat(vec![
            user("Weather and time in Rome?"),
            turn(
                Role::Assistant,
                vec![
                    Part::text("Let me look."),
                    call("call_1", "weather", r#"{"city":"Rome","n":1.50}"#),
                    call("call_2", "time", "{}"),
                ],
            ),
            turn(Role::User, results),
        ])
    };
    let sunny = || result("call_1", "weather", vec![Part::text("Sunny, 21 C")], false);
    let noon = || result("call_2", "time", vec![Part::text(r#"{"hour":12}"#)], false);
    let failed = result("call_2", "time", vec![Part::text("no clock")], true);
    let shown = result(
        "call_2",
        "time",
        vec![Part::text("A clock:"), image(png())],
        false,
    );
    let mut broken = after(vec![sunny(), noon()]);
    // A model was cut off within its arguments; they are a text then.
    broken.turns[1].parts[1] = call("call_1", "weather", "{\"city\": \"Ro");
    let empty = result("call_2", "time", Vec::new(), false);
    named(vec![
        ("arguments_cut", broken),
        ("parallel_results", after(vec![sunny(), noon()])),
        ("result_error", after(vec![sunny(), failed])),
        ("result_image", after(vec![sunny(), shown])),
        ("result_empty", after(vec![sunny(), empty])),
        (
            "result_and_text",
            after(vec![sunny(), noon(), Part::text("And tomorrow?")]),
        ),
    ])
}

fn png() -> Media {
    Media::Base64 {
        mime: "image/png".to_owned(),
        data: PNG.to_owned(),
    }
}

fn image(source: Media) -> Part {
    PartKind::Image {
        source,
        detail: None,
    }
    .into()
}

fn file(source: Media, name: Option<&str>) -> Part {
    PartKind::File {
        source,
        name: name.map(str::to_owned),
        citations: false,
        context: None,
    }
    .into()
}

fn media() -> Vec<(String, Chat)> {
    let with = |part: Part| {
        chat(vec![turn(
            Role::User,
            vec![Part::text("Before"), part, Part::text("After")],
        )])
    };
    let url = |url: &str, mime: &str| Media::Url {
        url: url.to_owned(),
        mime: Some(mime.to_owned()),
    };
    let base64 = |mime: &str, data: &str| Media::Base64 {
        mime: mime.to_owned(),
        data: data.to_owned(),
    };
    let mut detailed = image(png());
    if let PartKind::Image { detail, .. } = &mut detailed.kind {
        *detail = Some("low".to_owned());
    }
    let sound = PartKind::Audio {
        source: base64("audio/wav", WAV),
        transcript: None,
    };
    let mut cited = file(
        Media::Text {
            text: "Ada was born in 1815.".to_owned(),
        },
        Some("ada.txt"),
    );
    if let PartKind::File {
        citations, context, ..
    } = &mut cited.kind
    {
        (*citations, *context) = (true, Some("A short life.".to_owned()));
    }
    named(vec![
        ("image_base64", with(image(png()))),
        (
            "image_url",
            with(image(url("https://example.com/a.png", "image/png"))),
        ),
        ("image_detail", with(detailed)),
        ("audio_base64", with(sound.into())),
        (
            "file_base64",
            with(file(base64("application/pdf", PDF), Some("paper.pdf"))),
        ),
        (
            "file_nameless",
            with(file(base64("application/pdf", PDF), None)),
        ),
        (
            "file_url",
            with(file(
                url("https://example.com/a.pdf", "application/pdf"),
                None,
            )),
        ),
        (
            "file_text",
            with(file(
                Media::Text {
                    text: "Some notes.".to_owned(),
                },
                Some("notes.txt"),
            )),
        ),
        ("file_cited", with(cited)),
    ])
}

/// Thinking of `own` and of every other vendor in the history.
fn thinking(own: DialectId) -> Vec<(String, Chat)> {
    let signed = |kind: PartKind, value: &str, dialect| Part {
        signature: Some(Signature {
            dialect,
            value: value.to_owned(),
        }),
        ..kind.into()
    };
    let thought = || PartKind::Thinking {
        text: "The user wants the weather.".to_owned(),
    };
    let history = |parts: Vec<Part>| Chat {
        tools: vec![function("weather")],
        ..chat(vec![
            user("Weather in Rome?"),
            turn(Role::Assistant, parts),
            turn(
                Role::User,
                vec![result(
                    "call_1",
                    "weather",
                    vec![Part::text("Sunny")],
                    false,
                )],
            ),
        ])
    };
    let asks = || call("call_1", "weather", r#"{"city":"Rome"}"#);
    vec![
        (
            "thinking_signed".to_owned(),
            history(vec![signed(thought(), "Sig/+w==", own), asks()]),
        ),
        (
            "thinking_redacted".to_owned(),
            history(vec![
                signed(PartKind::RedactedThinking, "UmVkYWN0ZWQ=", own),
                asks(),
            ]),
        ),
    ]
}

fn embeddings() -> Vec<(String, Request)> {
    let text = |text: &str| EmbedInput::Text(text.to_owned());
    let cases = [
        (
            "embed_one",
            Embed {
                inputs: vec![text("one")],
                ..Embed::default()
            },
        ),
        (
            "embed_many",
            Embed {
                inputs: vec![text("one"), text("two")],
                dimensions: Some(256),
                batch: true,
                ..Embed::default()
            },
        ),
        (
            "embed_purpose",
            Embed {
                inputs: vec![text("one")],
                purpose: Some("RETRIEVAL_DOCUMENT".to_owned()),
                title: Some("T".to_owned()),
                ..Embed::default()
            },
        ),
    ];
    cases
        .into_iter()
        .map(|(name, embed)| (name.to_owned(), request(Task::Embed(embed), false)))
        .collect()
}

//! The Messages dialect against fixtures written from the vendor's SDK types
//! and documents.

use std::path::PathBuf;

use bytes::Bytes;
use contract::answer::FinishReason;
use contract::chat::{
    Chat, Effort, OutputFormat, Part, PartKind, Reasoning, Role, Sampling, Signature, Tool,
    ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
};
use contract::event::{Delta, PartHead};
use contract::model::ReasoningStyle;
use contract::request::Task;
use contract::{
    Answer, DialectId, Event, Fault, FaultKind, ModelCard, Operation, Origin, RawJson, Request,
};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DIALECT, ID};
use crate::dialect::{Asked, Dialect, Head, Route, Tally, Target, Unsupported};
use crate::fold;
use crate::framing::{FrameKind, Framing};
use crate::json::Doc;

const OTHER: DialectId = DialectId("other");

fn fixture(path: &str) -> Bytes {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/anthropic");
    std::fs::read(root.join(path)).expect(path).into()
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn read(body: &[u8]) -> Result<Request, Fault> {
    let doc = Doc::request(Bytes::copy_from_slice(body))?;
    DIALECT.read_request(&Route::new(ID, Operation::Chat), doc.root())
}

fn card() -> ModelCard {
    ModelCard::unknown("claude")
}

fn write(request: &Request, card: &ModelCard) -> (Value, Vec<String>) {
    let target = Target {
        card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let written = DIALECT.write_request(request, &target).expect("writable");
    let losses = written.losses.iter().map(|loss| loss.what.to_string());
    (parsed(&written.body), losses.collect())
}

/// A request of another dialect.
fn foreign(chat: Chat) -> Request {
    Request {
        dialect: OTHER,
        model: "m".to_owned(),
        task: Task::Chat(Box::new(chat)),
        stream: false,
        extras: Default::default(),
    }
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

fn hello() -> Chat {
    Chat {
        turns: vec![turn(Role::User, vec![Part::text("hi")])],
        output_tokens_max: Some(50),
        ..Chat::default()
    }
}

fn with_asked<T>(run: impl FnOnce(&Asked<'_>) -> T) -> T {
    let route = Route::new(ID, Operation::Chat);
    run(&Asked {
        route: &route,
        model: "claude-sonnet-4-5",
        request_id: "01234567-89ab-cdef-0123-456789abcdef",
        now_s: 1_760_000_000,
        stream_usage: true,
        request: None,
    })
}

fn read_stream(bytes: &[u8], cut: usize) -> Result<Vec<Event>, Fault> {
    let mut splitter = Framing::Sse.splitter();
    let mut reader = DIALECT.stream_reader();
    let mut events = Vec::new();
    for chunk in bytes.chunks(cut.max(1)) {
        let batch = splitter.push(Bytes::copy_from_slice(chunk))?;
        for span in &batch.frames {
            let frame = batch.frame(span);
            if frame.kind != FrameKind::Silent {
                reader.read(frame, &mut events)?;
            }
        }
    }
    reader.close(&mut events)?;
    Ok(events)
}

fn write_stream(events: &[Event]) -> (Vec<u8>, Vec<String>) {
    with_asked(|asked| {
        let mut writer = DIALECT.stream_writer(asked);
        let mut out = Vec::new();
        for event in events {
            writer.write(event, &mut out);
        }
        let losses = writer.losses().iter().map(|loss| loss.what.to_string());
        (out, losses.collect())
    })
}

fn read_answer(body: &[u8]) -> Result<contract::ChatAnswer, Fault> {
    let doc = Doc::answer(Bytes::copy_from_slice(body))?;
    match DIALECT.read_answer(Operation::Chat, doc.root())? {
        Answer::Chat(answer) => Ok(answer),
        Answer::Count(_) | Answer::Embed(_) => panic!("a chat was asked for"),
    }
}

#[test]
fn requests_survive_reading_and_writing() {
    for case in ["agent", "tools", "thinking"] {
        let body = fixture(&format!("{case}/request.anthropic.json"));
        let request = read(&body).expect(case);
        let (written, losses) = write(&request, &card());
        let mut expected = parsed(&body);
        if case == "agent" {
            // A lone text block may be told as a string; they mean the same.
            expected["messages"][2]["content"] = json!("The user switched to plan mode.");
        }
        assert_eq!(written, expected, "{case}");
        assert_eq!(losses, Vec::<String>::new(), "{case}");
    }
}

#[test]
fn canonical_form_of_the_agent_request() {
    let request = read(&fixture("agent/request.anthropic.json")).expect("valid");
    let Task::Chat(chat) = &request.task else {
        panic!("a chat");
    };
    assert!(request.stream);
    assert_eq!(chat.turns[0].role, Role::System);
    assert_eq!(chat.turns[3].role, Role::System);
    assert_eq!(chat.parallel_tool_calls, Some(false));
    assert_eq!(chat.user.as_deref(), Some("u-1"));
    let reasoning = chat.reasoning.as_ref().expect("asked");
    assert_eq!(reasoning.effort, Some(Effort::XHigh));
    let names: Vec<_> = request
        .extras
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(
        names.contains(&"messages[0].content[3].transformations"),
        "{names:?}"
    );
    assert!(
        names.contains(&"system[0].cache_control.scope"),
        "{names:?}"
    );
    assert!(names.contains(&"tools[0].defer_loading"), "{names:?}");
    assert!(names.contains(&"mcp_servers"), "{names:?}");
}

#[test]
fn wrong_requests_name_the_field() {
    let cases = [
        (
            r#"{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#,
            "model",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#,
            "max_tokens",
        ),
        (r#"{"model":"m","max_tokens":1}"#, "messages"),
        (r#"{"model":"m","max_tokens":1,"messages":[]}"#, "messages"),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"bot","content":"x"}]}"#,
            "messages[0].role",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":7}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
            "messages[0].content[0].type",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"thinking":{"type":"maybe"}}"#,
            "thinking.type",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"t"}]}"#,
            "tools[0].input_schema",
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"output_config":{"effort":"huge"}}"#,
            "output_config.effort",
        ),
    ];
    for (body, field) in cases {
        let fault = read(body.as_bytes()).expect_err(body);
        assert_eq!(fault.kind, FaultKind::BadRequest, "{body}");
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
        assert!(fault.public.contains(field), "{}", fault.public);
    }
}

#[test]
fn survey_reads_the_envelope_and_refuses_what_is_wrong() {
    let survey = |body: &'static str| {
        let doc = Doc::request(Bytes::from_static(body.as_bytes())).expect("JSON");
        let route = Route::new(ID, Operation::Chat);
        DIALECT.survey(&route, doc.root()).map(|survey| {
            let span = survey.model_span.clone().map(|span| body[span].to_owned());
            (
                survey.stream,
                survey.output_tokens_max,
                survey.turns,
                survey.tools,
                span,
            )
        })
    };
    let body = r#"{"messages":[{},{}],"tools":[{}],"stream":true,"max_tokens":9,"model":"m"}"#;
    let found = survey(body).expect("valid");
    assert_eq!(found, (true, Some(9), 2, 1, Some("\"m\"".to_owned())));
    for (body, field) in [
        (r#"{"messages":[{}],"max_tokens":9}"#, "model"),
        (r#"{"messages":[{}],"max_tokens":9,"model":""}"#, "model"),
        (
            r#"{"messages":[{}],"max_tokens":9.5,"model":"m"}"#,
            "max_tokens",
        ),
        (r#"{"messages":[{}],"model":"m"}"#, "max_tokens"),
        (r#"{"messages":{},"max_tokens":9,"model":"m"}"#, "messages"),
        (
            r#"{"messages":[{}],"max_tokens":9,"model":"m","stream":"yes"}"#,
            "stream",
        ),
    ] {
        let fault = survey(body).expect_err(body);
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn routes() {
    let versioned: HeaderMap = [(
        http::HeaderName::from_static("anthropic-version"),
        http::HeaderValue::from_static("2026-10-21"),
    )]
    .into_iter()
    .collect();
    let plain = HeaderMap::new();
    let route = |method: Method, path: &str, headers: &HeaderMap| {
        let head = Head {
            method: &method,
            path,
            query: None,
            headers,
        };
        DIALECT.route(&head).map(|route| {
            (
                route.operation,
                route.model,
                route.refused.map(|fault| fault.kind),
            )
        })
    };
    let post = || Method::POST;
    let served = |operation| Some((operation, None, None));
    assert_eq!(
        route(post(), "/v1/messages", &plain),
        served(Operation::Chat)
    );
    assert_eq!(
        route(post(), "/anthropic/v1/messages", &plain),
        served(Operation::Chat)
    );
    assert_eq!(
        route(post(), "/v1/messages/count_tokens", &plain),
        served(Operation::CountTokens)
    );
    assert_eq!(route(Method::GET, "/v1/models", &plain), None);
    assert_eq!(
        route(Method::GET, "/v1/models", &versioned),
        served(Operation::ListModels)
    );
    assert_eq!(
        route(Method::GET, "/v1/models/a%2Fb", &versioned),
        Some((Operation::GetModel, Some("a/b".to_owned()), None))
    );
    let refused = |found: Option<(Operation, Option<String>, Option<FaultKind>)>| {
        found.and_then(|(_, _, kind)| kind)
    };
    assert_eq!(
        refused(route(Method::GET, "/v1/messages", &plain)),
        Some(FaultKind::MethodNotAllowed)
    );
    assert_eq!(
        refused(route(post(), "/v1/messages/batches", &plain)),
        Some(FaultKind::UnknownPath)
    );
    assert_eq!(route(post(), "/v1/files", &plain), None);
    assert_eq!(
        refused(route(post(), "/v1/files", &versioned)),
        Some(FaultKind::UnknownPath)
    );
}

#[test]
fn translated_request() {
    let schema = RawJson::new(r#"{"properties":{"q":{"type":"string"}}}"#);
    let chat = Chat {
        turns: vec![
            turn(Role::System, vec![Part::text("Sys.")]),
            turn(Role::Developer, vec![Part::text("Dev.")]),
            turn(Role::User, vec![Part::text("One.")]),
            turn(Role::User, vec![Part::text("Two.")]),
            turn(
                Role::Assistant,
                vec![
                    Part::text(""),
                    PartKind::ToolCall(ToolCall {
                        id: "functions.find:0".to_owned(),
                        name: "find".to_owned(),
                        arguments: String::new(),
                        custom: false,
                    })
                    .into(),
                ],
            ),
            turn(Role::User, vec![Part::text("And?")]),
            turn(
                Role::User,
                vec![
                    PartKind::ToolResult(ToolResult {
                        call_id: "functions.find:0".to_owned(),
                        name: None,
                        parts: vec![Part::text("nothing")],
                        json: None,
                        is_error: false,
                        custom: false,
                    })
                    .into(),
                ],
            ),
        ],
        tools: vec![Tool {
            name: "find".to_owned(),
            description: None,
            kind: ToolKind::Function {
                schema: Some(schema),
            },
            strict: Some(true),
            cache: None,
        }],
        parallel_tool_calls: Some(false),
        sampling: Sampling {
            temperature: Some(1.7),
            top_p: Some(1.0),
            seed: Some(4),
            ..Sampling::default()
        },
        n: Some(2),
        ..Chat::default()
    };
    let (written, losses) = write(&foreign(chat), &card());
    let id = "_tgc_id_ZnVuY3Rpb25zLmZpbmQ6MA";
    assert_eq!(
        written,
        json!({
            "model": "m",
            "max_tokens": 4096,
            "system": [{"type": "text", "text": "Sys."}, {"type": "text", "text": "Dev."}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": id, "name": "find", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": id, "content": "nothing"},
                    {"type": "text", "text": "And?"}]},
            ],
            "tools": [{"name": "find", "strict": true, "input_schema":
                {"type": "object", "properties": {"q": {"type": "string"}}}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
            "temperature": 1,
        })
    );
    assert_eq!(losses, ["max_tokens", "temperature", "n", "seed"]);
}

#[test]
fn reasoning_by_style() {
    let asked = |reasoning: Reasoning, style: ReasoningStyle, cap: u32| {
        let mut card = card();
        card.capabilities.reasoning = style;
        let chat = Chat {
            reasoning: Some(reasoning),
            output_tokens_max: Some(cap),
            ..hello()
        };
        let (written, losses) = write(&foreign(chat), &card);
        (
            written["thinking"].clone(),
            written["output_config"].clone(),
            losses.len(),
        )
    };
    let effort = |effort| Reasoning {
        effort: Some(effort),
        ..Reasoning::default()
    };
    let enabled = |budget: u32| json!({"type": "enabled", "budget_tokens": budget});
    let none = Value::Null;
    assert_eq!(
        asked(effort(Effort::High), ReasoningStyle::Effort, 5_000),
        (json!({"type": "adaptive"}), json!({"effort": "high"}), 0)
    );
    assert_eq!(
        asked(effort(Effort::Minimal), ReasoningStyle::Effort, 5_000),
        (json!({"type": "adaptive"}), json!({"effort": "low"}), 1)
    );
    assert_eq!(
        asked(effort(Effort::None), ReasoningStyle::Effort, 5_000),
        (json!({"type": "disabled"}), none.clone(), 0)
    );
    assert_eq!(
        asked(effort(Effort::Low), ReasoningStyle::Budget, 5_000),
        (enabled(2_048), none.clone(), 0)
    );
    assert_eq!(
        asked(effort(Effort::Max), ReasoningStyle::Budget, 5_000),
        (enabled(4_999), none.clone(), 1)
    );
    assert_eq!(
        asked(effort(Effort::Low), ReasoningStyle::Budget, 1_024),
        (none.clone(), none.clone(), 1)
    );
    assert_eq!(
        asked(effort(Effort::Low), ReasoningStyle::None, 5_000),
        (none.clone(), none, 1)
    );
}

#[test]
fn output_format_native_or_by_forced_tool() {
    let chat = Chat {
        format: OutputFormat::JsonSchema {
            name: Some("s".to_owned()),
            description: None,
            schema: RawJson::new(r#"{"type":"object"}"#),
            strict: Some(true),
        },
        ..hello()
    };
    let (native, losses) = write(&foreign(chat.clone()), &card());
    assert_eq!(
        native["output_config"],
        json!({"format": {"type": "json_schema", "schema": {"type": "object"}}})
    );
    assert_eq!(losses, Vec::<String>::new());
    let mut old = card();
    old.capabilities.json_schema = false;
    let (forced, _) = write(&foreign(chat), &old);
    assert_eq!(forced["output_config"], Value::Null);
    assert_eq!(forced["tools"][0]["name"], "tollgate_json_output");
    assert_eq!(
        forced["tool_choice"],
        json!({"type": "tool", "name": "tollgate_json_output"})
    );
    let answer = read_answer(
        br#"{"id":"msg_1","type":"message","role":"assistant","model":"c","stop_reason":"tool_use",
        "content":[{"type":"tool_use","id":"t","name":"tollgate_json_output","input":{"a":1}}],
        "usage":{"input_tokens":1,"output_tokens":1}}"#,
    )
    .expect("valid");
    let choice = &answer.choices[0];
    assert_eq!(choice.parts, [Part::text(r#"{"a":1}"#)]);
    assert_eq!(
        choice.finish.as_ref().map(|finish| finish.reason),
        Some(FinishReason::Stop)
    );
}

#[test]
fn parameters_are_refused_where_configured() {
    let chat = Chat {
        sampling: Sampling {
            seed: Some(1),
            ..Sampling::default()
        },
        ..hello()
    };
    let card = card();
    let target = Target {
        card: &card,
        unsupported: Unsupported::Refuse,
        quirks: Default::default(),
    };
    let fault = DIALECT
        .write_request(&foreign(chat), &target)
        .expect_err("refused");
    assert_eq!(
        (fault.kind, fault.field.as_deref()),
        (FaultKind::Unsupported, Some("seed"))
    );
}

#[test]
fn stream_and_whole_answer_are_the_same() {
    let events = read_stream(&fixture("stream/stream.sse"), 4096).expect("valid");
    let folded = fold::fold(events).expect("whole");
    let whole = read_answer(&fixture("stream/answer.json")).expect("valid");
    assert_eq!(folded, whole);
}

#[test]
fn answers_survive_reading_and_writing() {
    let body = fixture("stream/answer.json");
    let answer = Answer::Chat(read_answer(&body).expect("valid"));
    let written = with_asked(|asked| DIALECT.write_answer(&answer, asked));
    assert_eq!(parsed(&written.body), parsed(&body));
    assert_eq!(written.losses, []);
}

#[test]
fn streams_survive_reading_and_writing() {
    let body = fixture("stream/stream.sse");
    let events = read_stream(&body, 4096).expect("valid");
    let (written, losses) = write_stream(&events);
    let again = read_stream(&written, 4096).expect("valid");
    let fold = |events: Vec<Event>| fold::fold(events).expect("whole");
    assert_eq!(fold(again), fold(events));
    assert_eq!(losses, Vec::<String>::new());
    let text = String::from_utf8(written).expect("UTF-8");
    assert!(text.starts_with("event: message_start\ndata: {\"type\":\"message_start\""));
    assert!(text.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

#[test]
fn whole_answers_unfold_into_streams() {
    let answer = read_answer(&fixture("stream/answer.json")).expect("valid");
    let (written, _) = write_stream(&fold::unfold(answer.clone()));
    let folded = fold::fold(read_stream(&written, 4096).expect("valid")).expect("whole");
    assert_eq!(folded, answer);
}

#[test]
fn foreign_tokens_come_back() {
    let thought = Part {
        signature: Some(Signature {
            dialect: ID,
            value: "x".to_owned(),
        }),
        ..PartKind::Thinking {
            text: "t".to_owned(),
        }
        .into()
    };
    let call = |signature| Part {
        signature,
        ..PartKind::ToolCall(ToolCall {
            id: "a:b".to_owned(),
            name: "n".to_owned(),
            arguments: "{}".to_owned(),
            custom: false,
        })
        .into()
    };
    let token = Signature {
        dialect: ID,
        value: "to+/k==".to_owned(),
    };
    let answer = contract::ChatAnswer {
        choices: vec![contract::Choice {
            parts: vec![thought, call(Some(token.clone())), call(None)],
            finish: Some(FinishReason::Stop.into()),
            logprobs: Vec::new(),
        }],
        ..Default::default()
    };
    let written = with_asked(|asked| DIALECT.write_answer(&Answer::Chat(answer.clone()), asked));
    let content = parsed(&written.body)["content"].clone();
    assert_eq!(parsed(&written.body)["stop_reason"], "tool_use");
    let (streamed, _) = write_stream(&fold::unfold(answer.clone()));
    let folded = fold::fold(read_stream(&streamed, 4096).expect("valid")).expect("whole");
    let PartKind::ToolCall(shown) = &folded.choices[0].parts[1].kind else {
        panic!("a call");
    };
    assert_eq!(
        shown.id, content[1]["id"],
        "stream and whole show the same id"
    );
    let request = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": content}]});
    let request = read(request.to_string().as_bytes()).expect("valid");
    let Task::Chat(chat) = request.task else {
        panic!("a chat");
    };
    assert_eq!(chat.turns[1].parts, answer.choices[0].parts);
}

#[test]
fn interleaved_parts_keep_their_blocks() {
    let text = |part, text: &str| Event::PartDelta {
        choice: 0,
        part,
        delta: Delta::Text(text.to_owned()),
    };
    let call = |part, id: &str| Event::PartOpen {
        choice: 0,
        part,
        head: PartHead::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            custom: false,
        },
    };
    let close = |part| Event::PartClose { choice: 0, part };
    let events = [
        Event::Open {
            id: None,
            model: None,
            created_s: None,
        },
        call(0, "a"),
        call(1, "b"),
        text(0, "{\"x\""),
        text(1, "{}"),
        text(0, ":1}"),
        close(1),
        close(0),
        Event::End,
    ];
    let (written, _) = write_stream(&events);
    let folded = fold::fold(read_stream(&written, 7).expect("valid")).expect("whole");
    let arguments: Vec<_> = folded.choices[0]
        .parts
        .iter()
        .map(|part| match &part.kind {
            PartKind::ToolCall(call) => call.arguments.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(arguments, [r#"{"x":1}"#, "{}"]);
}

#[test]
fn watcher_notes_what_the_evidence_needs() {
    let body = fixture("stream/stream.sse");
    let mut splitter = Framing::Sse.splitter();
    let mut watcher = DIALECT.stream_watcher(false);
    let mut tally = Tally::default();
    let batch = splitter.push(body).expect("frames");
    let mut committed_at = None;
    for (number, span) in batch.frames.iter().enumerate() {
        let frame = batch.frame(span);
        if frame.kind == FrameKind::Event {
            watcher.see(frame, &mut tally).expect("valid");
        }
        if tally.committed && committed_at.is_none() {
            committed_at = Some(number);
        }
    }
    watcher.close(&mut tally).expect("ended");
    assert_eq!(committed_at, Some(3));
    let usage = tally.usage.expect("told");
    assert_eq!((usage.input, usage.cached_read), (472, 7));
    assert_eq!((usage.cached_write, usage.cached_write_1h), (0, 100));
    assert_eq!((usage.output, usage.reasoning), (69, 20));
    assert_eq!(tally.finish, Some(FinishReason::ToolCalls));
    let mut whole = Tally::default();
    let doc = Doc::answer(fixture("stream/answer.json")).expect("JSON");
    DIALECT
        .tally_answer(Operation::Chat, doc.root(), &mut whole)
        .expect("valid");
    assert_eq!(whole.usage, tally.usage);
    assert_eq!(whole.id, tally.id);
}

#[test]
fn broken_streams_are_faults_of_the_provider() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n";
    let cases = [
        start.to_owned(),
        format!(
            "{start}event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"x\"}}}}\n\n"
        ),
        format!("{start}event: x\ndata: <html>\n\n"),
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
    ];
    for case in cases {
        let fault = read_stream(case.as_bytes(), 4096).expect_err(&case);
        assert_eq!(
            (fault.kind, fault.origin),
            (FaultKind::UpstreamBroken, Origin::Provider)
        );
    }
    let overloaded = format!(
        "{start}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}}}\n\n"
    );
    let mut splitter = Framing::Sse.splitter();
    let batch = splitter.push(overloaded.into()).expect("frames");
    let mut events = Vec::new();
    let mut reader = DIALECT.stream_reader();
    for span in &batch.frames {
        reader.read(batch.frame(span), &mut events).expect("valid");
    }
    let Some(Event::Fault(fault)) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(fault.kind, FaultKind::UpstreamBroken);
}

#[test]
fn answers_that_are_none() {
    for body in [
        "{}",
        "[]",
        "7",
        r#"{"content":"x"}"#,
        r#"{"content":[{"type":"text"}]}"#,
    ] {
        assert_eq!(
            read_answer(body.as_bytes()).expect_err(body).kind,
            FaultKind::UpstreamBroken
        );
    }
    let error = br#"{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}"#;
    let fault = read_answer(error).expect_err("an error");
    assert_eq!(
        (fault.kind, fault.status()),
        (FaultKind::UpstreamRefused, 400)
    );
}

#[test]
fn faults_in_the_vendors_words() {
    for kind in FaultKind::ALL {
        let fault = Fault::new(kind, Origin::Gateway, "What happened.");
        let body = parsed(&DIALECT.write_fault(&fault, "req").body);
        assert_eq!(body["type"], "error");
        assert_eq!(body["request_id"], "req");
        assert_eq!(body["error"]["message"], "What happened.");
        let word = body["error"]["type"].as_str().expect("a word");
        assert!(
            word.ends_with("_error") || word == "request_too_large",
            "{word}"
        );
    }
    let status = |kind| {
        let fault = Fault::new(kind, Origin::Gateway, "x");
        parsed(&DIALECT.write_fault(&fault, "r").body)["error"]["type"].clone()
    };
    assert_eq!(status(FaultKind::OverBudget), "billing_error");
    assert_eq!(status(FaultKind::Overloaded), "overloaded_error");
    let error = DIALECT.read_error(
        404,
        &HeaderMap::new(),
        br#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#,
    );
    assert_eq!(error.code.as_deref(), Some("not_found_error"));
    let mut fault = Fault::new(FaultKind::UpstreamRefused, Origin::Provider, "refused");
    fault.upstream = Some(Box::new(error));
    let body = parsed(&DIALECT.write_fault(&fault, "r").body);
    assert_eq!(
        body["error"],
        json!({"type": "not_found_error", "message": "model: x"})
    );
    let html = DIALECT.read_error(502, &HeaderMap::new(), b"<html>Bad gateway</html>");
    assert_eq!(html.message, "<html>Bad gateway</html>");
}

#[test]
fn tool_choice_forced_with_reasoning_drops_the_reasoning() {
    let chat = Chat {
        tools: vec![Tool {
            name: "t".to_owned(),
            description: None,
            kind: ToolKind::Custom { format: None },
            strict: None,
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Required),
        reasoning: Some(Reasoning {
            effort: Some(Effort::High),
            ..Reasoning::default()
        }),
        ..hello()
    };
    let (written, losses) = write(&foreign(chat), &card());
    assert_eq!(written["tool_choice"], json!({"type": "any"}));
    assert_eq!(written["thinking"], Value::Null);
    assert_eq!(
        written["tools"][0]["input_schema"]["required"],
        json!(["input"])
    );
    assert_eq!(losses, ["reasoning"]);
}

/// Every value of a document, replaced in turn by something else.
fn mutate(value: &mut Value, target: &mut usize, with: &Value) {
    if *target == 0 {
        *value = with.clone();
    }
    *target = target.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mutate(item, target, with)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| mutate(member, target, with)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rubbish() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[{}]])),
        Just(json!({"type": "text"})),
        ".*".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(cut in 1_usize..200) {
        let body = fixture("stream/stream.sse");
        let whole = read_stream(&body, body.len()).expect("valid");
        prop_assert_eq!(read_stream(&body, cut).expect("valid"), whole);
    }

    #[test]
    fn nothing_makes_a_request_reader_or_writer_panic(at in 0_usize..140, with in rubbish()) {
        for case in ["agent", "tools", "thinking"] {
            let mut body = parsed(&fixture(&format!("{case}/request.anthropic.json")));
            mutate(&mut body, &mut at.clone(), &with);
            if let Ok(mut request) = read(body.to_string().as_bytes()) {
                let card = card();
                let target = Target { card: &card, unsupported: Unsupported::Drop, quirks: Default::default(), };
                if let Ok(written) = DIALECT.write_request(&request, &target) {
                    parsed(&written.body);
                }
                request.dialect = OTHER;
                if let Ok(written) = DIALECT.write_request(&request, &target) {
                    parsed(&written.body);
                }
            }
        }
    }

    #[test]
    fn nothing_makes_an_answer_reader_panic(at in 0_usize..80, with in rubbish()) {
        let mut body = parsed(&fixture("stream/answer.json"));
        mutate(&mut body, &mut at.clone(), &with);
        if let Ok(answer) = read_answer(body.to_string().as_bytes()) {
            let written = with_asked(|asked| DIALECT.write_answer(&Answer::Chat(answer), asked));
            parsed(&written.body);
        }
    }

    #[test]
    fn nothing_makes_a_stream_reader_panic(frame in 0_usize..30, at in 0_usize..12, with in rubbish()) {
        let body = String::from_utf8(fixture("stream/stream.sse").to_vec()).expect("UTF-8");
        let frames: Vec<String> = body
            .split("\n\n")
            .enumerate()
            .map(|(number, text)| match text.split_once("data: ") {
                Some((head, data)) if number == frame => {
                    let mut data = parsed(data.as_bytes());
                    mutate(&mut data, &mut at.clone(), &with);
                    format!("{head}data: {data}")
                }
                Some(_) | None => text.to_owned(),
            })
            .collect();
        if let Ok(events) = read_stream(frames.join("\n\n").as_bytes(), 4096) {
            write_stream(&events);
        }
    }
}

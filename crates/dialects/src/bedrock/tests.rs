//! The Converse dialect against fixtures written from the service model of
//! `bedrock-runtime`.

use std::path::PathBuf;

use bytes::Bytes;
use contract::answer::FinishReason;
use contract::chat::{
    CacheMark, CacheTtl, Chat, Effort, Media, OutputFormat, Part, PartKind, Reasoning, Role,
    Sampling, Signature, Tool, ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
};
use contract::model::ReasoningStyle;
use contract::request::Task;
use contract::{
    Answer, DialectId, Event, Fault, FaultKind, ModelCard, Operation, Origin, RawJson, Request,
};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DIALECT, ID};
use crate::dialect::{Asked, Call, Dialect, Head, Route, Tally, Target, Unsupported};
use crate::fold;
use crate::framing::{FrameKind, Framing, encode_message};
use crate::json::Doc;

const OTHER: DialectId = DialectId("other");

fn fixture(path: &str) -> Bytes {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bedrock");
    std::fs::read(root.join(path)).expect(path).into()
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn converse() -> Route {
    let mut route = Route::new(ID, Operation::Chat);
    route.model = Some("us.anthropic.claude-sonnet-4-5-v1:0".to_owned());
    route.stream = Some(false);
    route
}

fn read(body: &[u8]) -> Result<Request, Fault> {
    let doc = Doc::request(Bytes::copy_from_slice(body))?;
    DIALECT.read_request(&converse(), doc.root())
}

fn card() -> ModelCard {
    ModelCard::unknown("model")
}

fn write_for(request: &Request, card: &ModelCard) -> Result<(Value, Vec<String>), Fault> {
    let target = Target {
        card,
        unsupported: Unsupported::Drop,
        quirks: Default::default(),
    };
    let written = DIALECT.write_request(request, &target)?;
    let losses = written.losses.iter().map(|loss| loss.what.to_string());
    Ok((parsed(&written.body), losses.collect()))
}

fn write(request: &Request) -> (Value, Vec<String>) {
    write_for(request, &card()).expect("writable")
}

/// A request of another dialect.
fn foreign(chat: Chat) -> Request {
    Request {
        dialect: OTHER,
        model: "anthropic.claude-x".to_owned(),
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
        ..Chat::default()
    }
}

fn call(id: &str, arguments: &str) -> Part {
    PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "find".to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
    })
    .into()
}

fn result(id: &str) -> Part {
    PartKind::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: None,
        parts: vec![Part::text("nothing")],
        json: None,
        is_error: true,
        custom: false,
    })
    .into()
}

fn find() -> Tool {
    Tool {
        name: "find".to_owned(),
        description: Some(String::new()),
        kind: ToolKind::Function { schema: None },
        strict: None,
        cache: None,
    }
}

fn with_asked<T>(run: impl FnOnce(&Asked<'_>) -> T) -> T {
    run(&Asked {
        route: &converse(),
        model: "m",
        request_id: "01234567-89ab-cdef-0123-456789abcdef",
        now_s: 1_760_000_000,
        stream_usage: true,
        request: None,
    })
}

/// The fixture's events as event-stream messages.
fn encoded(events: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events.as_array().expect("a list") {
        let name = event[0].as_str().expect("a name");
        let headers = [
            (":event-type", name),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        out.extend_from_slice(&encode_message(&headers, event[1].to_string().as_bytes()));
    }
    out
}

fn stream() -> Vec<u8> {
    encoded(&parsed(&fixture("stream/events.json")))
}

fn read_stream(bytes: &[u8], cut: usize) -> Result<Vec<Event>, Fault> {
    let mut splitter = Framing::EventStream.splitter();
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

fn write_stream(events: &[Event]) -> Vec<u8> {
    with_asked(|asked| {
        let mut writer = DIALECT.stream_writer(asked);
        let mut out = Vec::new();
        for event in events {
            writer.write(event, &mut out);
        }
        out
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
    let body = fixture("converse/request.bedrock.json");
    let request = read(&body).expect("valid");
    let (written, losses) = write(&request);
    assert_eq!(written, parsed(&body));
    assert_eq!(losses, Vec::<String>::new());
    let Task::Chat(chat) = &request.task else {
        panic!("a chat");
    };
    assert_eq!(chat.sampling.top_k, Some(10));
    assert_eq!(chat.metadata, [("team".to_owned(), "red".to_owned())]);
    let mark = CacheMark {
        ttl: CacheTtl::Hour1,
    };
    assert_eq!(chat.turns[1].parts.last().expect("parts").cache, Some(mark));
    let names: Vec<_> = request
        .extras
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(
        names.contains(&"additionalModelRequestFields.anthropic_beta"),
        "{names:?}"
    );
    assert!(names.contains(&"guardrailConfig"), "{names:?}");
}

#[test]
fn wrong_requests_name_the_field() {
    let cases = [
        ("{}", "messages"),
        (r#"{"messages":[]}"#, "messages"),
        (
            r#"{"messages":[{"role":"bot","content":[]}]}"#,
            "messages[0].role",
        ),
        (
            r#"{"messages":[{"role":"user","content":"x"}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"messages":[{"role":"user","content":[]}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"text":"a","image":{}}]}]}"#,
            "messages[0].content[0]",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"text":7}]}]}"#,
            "messages[0].content[0].text",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"text":"x"}]}],"inferenceConfig":{"maxTokens":0}}"#,
            "inferenceConfig.maxTokens",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"text":"x"}]}],"toolConfig":{"tools":[],"toolChoice":{"none":{}}}}"#,
            "toolConfig.toolChoice",
        ),
    ];
    for (body, field) in cases {
        let fault = read(body.as_bytes()).expect_err(body);
        assert_eq!(fault.kind, FaultKind::BadRequest, "{body}");
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn routes_and_destinations() {
    let headers = HeaderMap::new();
    let route = |method: Method, path: &str| {
        DIALECT.route(&Head {
            method: &method,
            path,
            query: None,
            headers: &headers,
        })
    };
    let found = route(
        Method::POST,
        "/model/us.anthropic.claude-v1%3A0/converse-stream",
    );
    let found = found.expect("ours");
    assert_eq!(found.model.as_deref(), Some("us.anthropic.claude-v1:0"));
    assert_eq!((found.stream, found.refused), (Some(true), None));
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-v1:0";
    for operation in [Operation::Chat, Operation::CountTokens] {
        let path = DIALECT
            .destination(&Call {
                operation,
                model: arn,
                stream: false,
                variant: 0,
                query: None,
            })
            .path;
        assert!(!path.contains("profile/"), "{path}");
        let back = route(Method::POST, &path).expect("ours");
        assert_eq!(back.model.as_deref(), Some(arn));
        assert_eq!(back.operation, operation);
    }
    let twice = route(Method::POST, "/model/a%253A0/converse").expect("ours");
    assert_eq!(twice.model.as_deref(), Some("a:0"));
    for (method, path, kind) in [
        (Method::POST, "/model/a/invoke", FaultKind::UnknownPath),
        (
            Method::GET,
            "/model/a/converse",
            FaultKind::MethodNotAllowed,
        ),
    ] {
        let refused = route(method, path).expect("ours").refused;
        assert_eq!(refused.map(|fault| fault.kind), Some(kind), "{path}");
    }
    assert!(route(Method::POST, "/v1/messages").is_none());
}

#[test]
fn survey_reads_the_envelope() {
    let body = fixture("converse/request.bedrock.json");
    let doc = Doc::request(body).expect("JSON");
    let route = converse();
    let survey = DIALECT.survey(&route, doc.root()).expect("valid");
    assert_eq!(survey.model, "us.anthropic.claude-sonnet-4-5-v1:0");
    assert_eq!(
        (survey.output_tokens_max, survey.turns, survey.tools),
        (Some(512), 3, 3)
    );
    assert!(!survey.stream);
}

#[test]
fn translated_request() {
    let mark = |mut part: Part| {
        part.cache = Some(CacheMark {
            ttl: CacheTtl::Default,
        });
        part
    };
    let file = |name: &str| -> Part {
        PartKind::File {
            source: Media::Base64 {
                mime: "application/pdf".to_owned(),
                data: "JVBERi0=".to_owned(),
            },
            name: Some(name.to_owned()),
            citations: false,
            context: None,
        }
        .into()
    };
    let long = "x".repeat(65);
    let chat = Chat {
        turns: vec![
            turn(Role::System, vec![mark(Part::text("Sys."))]),
            turn(Role::User, vec![file("a_b.pdf"), file("a_b.pdf")]),
            turn(
                Role::Assistant,
                vec![Part::text(" "), call(&long, ""), call("c|2", "{\"q\":1}")],
            ),
            turn(Role::User, vec![result(&long)]),
            turn(Role::User, vec![Part::text("And?"), result("c|2")]),
        ],
        tools: vec![find()],
        parallel_tool_calls: Some(false),
        tool_choice: Some(ToolChoice::Required),
        output_tokens_max: Some(99),
        stop: vec!["END".to_owned()],
        sampling: Sampling {
            temperature: Some(0.5),
            top_k: Some(3),
            seed: Some(1),
            ..Sampling::default()
        },
        metadata: vec![
            ("a".to_owned(), "b".to_owned()),
            ("c".to_owned(), "ü".to_owned()),
        ],
        user: Some("u".to_owned()),
        service_tier: Some("auto".to_owned()),
        ..Chat::default()
    };
    let (written, losses) = write(&foreign(chat));
    let document = |name: &str| {
        json!({"document":
        {"format": "pdf", "name": name, "source": {"bytes": "JVBERi0="}}})
    };
    let answered = |id: &str| {
        json!({"toolResult":
        {"toolUseId": id, "content": [{"text": "nothing"}], "status": "error"}})
    };
    assert_eq!(
        written,
        json!({
            "system": [{"text": "Sys."}, {"cachePoint": {"type": "default"}}],
            "messages": [
                {"role": "user", "content": [
                    document("a-b-pdf"), document("a-b-pdf (2)"),
                    {"text": "See the attached document."}]},
                {"role": "assistant", "content": [
                    {"toolUse": {"toolUseId": "tollgate_call_1", "name": "find", "input": {}}},
                    {"toolUse": {"toolUseId": "tollgate_call_2", "name": "find", "input": {"q": 1}}}]},
                {"role": "user", "content": [
                    answered("tollgate_call_1"), answered("tollgate_call_2"), {"text": "And?"}]},
            ],
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "find", "inputSchema": {"json":
                    {"type": "object", "properties": {}}}}}],
                "toolChoice": {"any": {}}},
            "inferenceConfig": {"maxTokens": 99, "temperature": 0.5, "stopSequences": ["END"]},
            "additionalModelRequestFields": {"top_k": 3},
            "requestMetadata": {"a": "b"},
        })
    );
    assert_eq!(
        losses,
        [
            "parallel_tool_calls",
            "messages",
            "metadata.c",
            "seed",
            "user"
        ]
    );
}

#[test]
fn no_tool_choice_none() {
    let chat = |turns| Chat {
        turns,
        tools: vec![find()],
        tool_choice: Some(ToolChoice::None),
        ..Chat::default()
    };
    let (plain, losses) = write(&foreign(chat(hello().turns)));
    assert_eq!((&plain["toolConfig"], losses.len()), (&Value::Null, 0));
    let used = vec![
        turn(Role::User, vec![Part::text("x")]),
        turn(Role::Assistant, vec![call("a", "{}")]),
        turn(Role::User, vec![result("a")]),
    ];
    let (with_tools, losses) = write(&foreign(chat(used.clone())));
    assert_eq!(
        with_tools["toolConfig"]["tools"][0]["toolSpec"]["name"],
        "find"
    );
    assert_eq!(with_tools["toolConfig"]["toolChoice"], Value::Null);
    assert_eq!(losses, ["tool_choice"]);
    let without = Chat {
        turns: used,
        ..Chat::default()
    };
    let (stand_in, losses) = write(&foreign(without));
    assert_eq!(
        stand_in["toolConfig"]["tools"][0]["toolSpec"]["name"],
        "find"
    );
    assert_eq!(losses, ["tools"]);
}

#[test]
fn reasoning_by_model_and_style() {
    let asked = |model: &str, style, effort| {
        let mut card = card();
        card.capabilities.reasoning = style;
        let chat = Chat {
            reasoning: Some(Reasoning {
                effort: Some(effort),
                ..Reasoning::default()
            }),
            ..hello()
        };
        let mut request = foreign(chat);
        request.model = model.to_owned();
        let (written, losses) = write_for(&request, &card).expect("writable");
        (
            written["additionalModelRequestFields"].clone(),
            written["outputConfig"].clone(),
            losses.len(),
        )
    };
    let (claude, other) = ("us.anthropic.claude-x", "openai.gpt-oss-120b");
    assert_eq!(
        asked(claude, ReasoningStyle::Budget, Effort::Low),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
            Value::Null,
            0
        )
    );
    assert_eq!(
        asked(claude, ReasoningStyle::Effort, Effort::High),
        (
            json!({"thinking": {"type": "adaptive"}}),
            json!({"effort": "high"}),
            0
        )
    );
    assert_eq!(
        asked(other, ReasoningStyle::Effort, Effort::Minimal),
        (Value::Null, json!({"effort": "low"}), 1)
    );
    assert_eq!(
        asked(other, ReasoningStyle::Budget, Effort::High),
        (Value::Null, Value::Null, 1)
    );
}

#[test]
fn thinking_is_replayed_only_with_our_proof() {
    let thought = |dialect| Part {
        signature: Some(Signature {
            dialect,
            value: "sig".to_owned(),
        }),
        ..PartKind::Thinking {
            text: "t".to_owned(),
        }
        .into()
    };
    let chat = Chat {
        turns: vec![
            turn(Role::User, vec![Part::text("x")]),
            turn(
                Role::Assistant,
                vec![thought(ID), thought(OTHER), Part::text("y")],
            ),
            turn(Role::User, vec![Part::text("z")]),
        ],
        ..Chat::default()
    };
    let (written, losses) = write(&foreign(chat));
    assert_eq!(
        written["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "t", "signature": "sig"}}},
            {"text": "y"}])
    );
    assert_eq!(losses, ["messages[1].content[1].thinking"]);
}

#[test]
fn output_format_native_or_by_forced_tool() {
    let chat = Chat {
        format: OutputFormat::JsonSchema {
            name: Some("s".to_owned()),
            description: None,
            schema: RawJson::new(r#"{"type":"object"}"#),
            strict: None,
        },
        ..hello()
    };
    let (native, _) = write(&foreign(chat.clone()));
    assert_eq!(
        native["outputConfig"]["textFormat"]["structure"]["jsonSchema"],
        json!({"schema": "{\"type\":\"object\"}", "name": "s"})
    );
    let mut old = card();
    old.capabilities.json_schema = false;
    let (forced, _) = write_for(&foreign(chat), &old).expect("writable");
    assert_eq!(
        forced["toolConfig"]["toolChoice"],
        json!({"tool": {"name": "tollgate_json_output"}})
    );
    let answer = read_answer(
        br#"{"output":{"message":{"role":"assistant","content":[{"toolUse":{"toolUseId":"t",
        "name":"tollgate_json_output","input":{"a":1}}}]}},"stopReason":"tool_use",
        "usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}"#,
    )
    .expect("valid");
    assert_eq!(answer.choices[0].parts, [Part::text(r#"{"a":1}"#)]);
    let reason = answer.choices[0]
        .finish
        .as_ref()
        .map(|finish| finish.reason);
    assert_eq!(reason, Some(FinishReason::Stop));
}

#[test]
fn an_address_is_refused_as_one_whatever_its_type() {
    for mime in [
        None,
        Some("image/png".to_owned()),
        Some("image/tiff".to_owned()),
    ] {
        let source = Media::Url {
            url: "https://example.com/cat".to_owned(),
            mime,
        };
        let image = PartKind::Image {
            source,
            detail: None,
        };
        let chat = Chat {
            turns: vec![turn(Role::User, vec![image.into()])],
            ..Chat::default()
        };
        let fault = write_for(&foreign(chat), &card()).expect_err("no URLs");
        assert!(
            fault.public.contains("fetches no URLs") && fault.public.contains("image.source"),
            "{}",
            fault.public
        );
    }
}

#[test]
fn what_cannot_be_carried_is_refused() {
    let part = |source| -> Part {
        PartKind::Image {
            source,
            detail: None,
        }
        .into()
    };
    for source in [
        Media::Url {
            url: "https://example.com/a.png".to_owned(),
            mime: Some("image/png".to_owned()),
        },
        Media::Id {
            dialect: OTHER,
            id: "f".to_owned(),
            mime: Some("image/png".to_owned()),
        },
        Media::Base64 {
            mime: "image/tiff".to_owned(),
            data: String::new(),
        },
    ] {
        let chat = Chat {
            turns: vec![turn(Role::User, vec![part(source)])],
            ..Chat::default()
        };
        let fault = write_for(&foreign(chat), &card()).expect_err("refused");
        assert_eq!(fault.kind, FaultKind::Unsupported);
    }
}

#[test]
fn token_counts() {
    let mut route = converse();
    route.operation = Operation::CountTokens;
    let body = r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"x"}]}]}}}"#;
    let doc = Doc::request(Bytes::from_static(body.as_bytes())).expect("JSON");
    assert_eq!(DIALECT.survey(&route, doc.root()).expect("valid").turns, 1);
    let request = DIALECT.read_request(&route, doc.root()).expect("valid");
    assert_eq!(write(&request).0, parsed(body.as_bytes()));
    let body = r#"{"input":{"invokeModel":{"body":"e30="}}}"#;
    let doc = Doc::request(Bytes::from_static(body.as_bytes())).expect("JSON");
    let fault = DIALECT.survey(&route, doc.root()).expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Unsupported);
    let doc = Doc::answer(Bytes::from_static(br#"{"inputTokens":7}"#)).expect("JSON");
    let Answer::Count(count) = DIALECT
        .read_answer(Operation::CountTokens, doc.root())
        .expect("valid")
    else {
        panic!("a count");
    };
    assert_eq!(count.input_tokens, 7);
}

#[test]
fn stream_and_whole_answer_are_the_same() {
    let whole = read_answer(&fixture("converse/answer.json")).expect("valid");
    let folded = fold::fold(read_stream(&stream(), 4096).expect("valid")).expect("whole");
    assert_eq!(folded, whole);
    let usage = whole.usage.expect("told");
    assert_eq!(
        (usage.input, usage.cached_read, usage.output),
        (9, 1312, 229)
    );
    assert_eq!((usage.cached_write, usage.cached_write_1h), (0, 10));
}

#[test]
fn answers_survive_reading_and_writing() {
    let body = fixture("converse/answer.json");
    let answer = Answer::Chat(read_answer(&body).expect("valid"));
    let written = with_asked(|asked| DIALECT.write_answer(&answer, asked));
    assert_eq!(parsed(&written.body), parsed(&body));
    assert_eq!(written.losses, []);
}

#[test]
fn streams_survive_reading_and_writing() {
    let events = read_stream(&stream(), 4096).expect("valid");
    let again = read_stream(&write_stream(&events), 4096).expect("valid");
    assert_eq!(
        fold::fold(again).expect("whole"),
        fold::fold(events).expect("whole")
    );
    let whole = read_answer(&fixture("converse/answer.json")).expect("valid");
    let unfolded = write_stream(&fold::unfold(whole.clone()));
    let folded = fold::fold(read_stream(&unfolded, 11).expect("valid")).expect("whole");
    assert_eq!(folded, whole);
}

#[test]
fn foreign_tokens_come_back() {
    let anthropic = DialectId("anthropic");
    let token = |value: &str| {
        Some(Signature {
            dialect: anthropic,
            value: value.to_owned(),
        })
    };
    let parts = vec![
        Part {
            signature: token("s+/="),
            ..PartKind::Thinking {
                text: "t".to_owned(),
            }
            .into()
        },
        Part {
            signature: token("Em=="),
            ..PartKind::RedactedThinking.into()
        },
        Part {
            signature: token("k"),
            ..call("a|b", "{}")
        },
    ];
    let answer = contract::ChatAnswer {
        choices: vec![contract::Choice {
            parts: parts.clone(),
            finish: Some(FinishReason::Stop.into()),
            logprobs: Vec::new(),
        }],
        ..Default::default()
    };
    let written = with_asked(|asked| DIALECT.write_answer(&Answer::Chat(answer.clone()), asked));
    let body = parsed(&written.body);
    assert_eq!(body["stopReason"], "tool_use");
    let message = &body["output"]["message"];
    let request = json!({"messages": [message]}).to_string();
    let Task::Chat(chat) = read(request.as_bytes()).expect("valid").task else {
        panic!("a chat");
    };
    assert_eq!(chat.turns[0].parts, parts);
    let streamed = write_stream(&fold::unfold(answer));
    let folded = fold::fold(read_stream(&streamed, 4096).expect("valid")).expect("whole");
    let PartKind::ToolCall(shown) = &folded.choices[0].parts[2].kind else {
        panic!("a call");
    };
    assert_eq!(shown.id, message["content"][2]["toolUse"]["toolUseId"]);
}

#[test]
fn watcher_notes_what_the_evidence_needs() {
    let mut splitter = Framing::EventStream.splitter();
    let batch = splitter.push(stream().into()).expect("frames");
    let mut watcher = DIALECT.stream_watcher(false);
    let mut tally = Tally::default();
    for (number, span) in batch.frames.iter().enumerate() {
        assert_eq!(tally.committed, number > 1, "{number}");
        watcher.see(batch.frame(span), &mut tally).expect("valid");
    }
    watcher.close(&mut tally).expect("ended");
    assert!(tally.ended);
    assert_eq!(tally.finish, Some(FinishReason::ToolCalls));
    let mut whole = Tally::default();
    let doc = Doc::answer(fixture("converse/answer.json")).expect("JSON");
    DIALECT
        .tally_answer(Operation::Chat, doc.root(), &mut whole)
        .expect("valid");
    assert_eq!(whole.usage, tally.usage);
}

#[test]
fn streams_end_with_or_without_metadata() {
    let mut events = parsed(&fixture("stream/events.json"));
    let list = events.as_array_mut().expect("a list");
    list.pop();
    let folded = fold::fold(read_stream(&encoded(&events), 4096).expect("valid")).expect("whole");
    assert_eq!(folded.usage, None);
    let list = events.as_array_mut().expect("a list");
    list.pop();
    let fault = read_stream(&encoded(&events), 4096).expect_err("no end");
    assert_eq!(
        (fault.kind, fault.origin),
        (FaultKind::UpstreamBroken, Origin::Provider)
    );
}

#[test]
fn faults_in_the_vendors_words() {
    for kind in FaultKind::ALL {
        let fault = Fault::new(kind, Origin::Gateway, "What happened.");
        let written = DIALECT.write_fault(&fault, "r");
        assert_eq!(parsed(&written.body), json!({"message": "What happened."}));
        let word = written.headers[0].1.to_str().expect("ASCII");
        assert!(word.ends_with("Exception"), "{word}");
        // What we write as the end of a stream reads back as a fault.
        let mut splitter = Framing::EventStream.splitter();
        let batch = splitter
            .push(DIALECT.write_fault_frame(&fault, "r", 0))
            .expect("a message");
        let mut events = Vec::new();
        let frame = batch.frame(&batch.frames[0]);
        assert_eq!(frame.kind, FrameKind::Exception);
        DIALECT
            .stream_reader()
            .read(frame, &mut events)
            .expect("read");
        assert!(matches!(events[0], Event::Fault(_)));
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-amzn-errortype",
        http::HeaderValue::from_static("ThrottlingException:http://internal.amazon.com/"),
    );
    let error = DIALECT.read_error(429, &headers, br#"{"message":"Too many requests"}"#);
    assert_eq!(error.code.as_deref(), Some("ThrottlingException"));
    assert_eq!(error.message, "Too many requests");
    let fault = read_answer(br#"{"message":"boom"}"#).expect_err("an error");
    assert_eq!(fault.kind, FaultKind::UpstreamBroken);
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
        Just(json!([])),
        Just(json!({})),
        Just(json!([[{}]])),
        Just(json!({"text": "x"})),
        ".*".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(cut in 1_usize..300) {
        let bytes = stream();
        let whole = read_stream(&bytes, bytes.len()).expect("valid");
        prop_assert_eq!(read_stream(&bytes, cut).expect("valid"), whole);
    }

    #[test]
    fn nothing_makes_a_request_reader_or_writer_panic(at in 0_usize..150, with in rubbish()) {
        let mut body = parsed(&fixture("converse/request.bedrock.json"));
        mutate(&mut body, &mut at.clone(), &with);
        if let Ok(mut request) = read(body.to_string().as_bytes()) {
            if let Ok((written, _)) = write_for(&request, &card()) {
                prop_assert!(written.is_object());
            }
            request.dialect = OTHER;
            if let Ok((written, _)) = write_for(&request, &card()) {
                prop_assert!(written.is_object());
            }
        }
    }

    #[test]
    fn nothing_makes_an_answer_reader_panic(at in 0_usize..70, with in rubbish()) {
        let mut body = parsed(&fixture("converse/answer.json"));
        mutate(&mut body, &mut at.clone(), &with);
        if let Ok(answer) = read_answer(body.to_string().as_bytes()) {
            let written = with_asked(|asked| DIALECT.write_answer(&Answer::Chat(answer), asked));
            prop_assert!(parsed(&written.body).is_object());
        }
    }

    #[test]
    fn nothing_makes_a_stream_reader_panic(at in 0_usize..160, with in rubbish()) {
        let mut events = parsed(&fixture("stream/events.json"));
        let bodies = events.as_array_mut().expect("a list");
        let mut target = at;
        for event in bodies {
            mutate(&mut event[1], &mut target, &with);
        }
        if let Ok(events) = read_stream(&encoded(&events), 4096) {
            write_stream(&events);
        }
    }
}

//! Cases of the path: what goes up, what comes back, what is recorded. Every
//! case leaves exactly one record.

mod approvals;
mod factors;
mod faults;
mod idempotency;
mod keys;
mod length;
mod limits;
mod metadata;
mod models;
mod observe;
mod policy;
mod refused;
mod rollout;
mod rules;
mod spending;
mod unwritten;
mod usage;
mod world;

use contract::seams::WireFaultKind;
use evidence::Outcome;
use world::{Script, Step, World};

const CHAT: &str = "/v1/chat/completions";
const ASK: &str =
    r#"{ "model" : "m", "messages":[{"role":"user","content":"hi"}], "x_unknown": 1 }"#;
const ASK_STREAM: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"up-m","extra":{"b":1,"a":2},"choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}}"#;
const FRAMES: [&str; 4] = [
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hel\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n",
];
const DONE: &str = "data: [DONE]\n\n";

fn chat(script: Script) -> World {
    World::new(&[("openai", "openai_chat")], vec![Ok(script)])
}

#[test]
fn same_dialect_passes_the_bytes() {
    let world = chat(Script::json(200, ANSWER));
    let got = world.call(CHAT, ASK);
    assert_eq!((got.status, got.body.as_str()), (200, ANSWER));
    assert_eq!(world.sent(), [ASK.replace("\"m\"", "\"up-m\"")]);
    assert_eq!(got.headers["tollgate-provider"], "openai");
    assert_eq!(got.headers["tollgate-model"], "up-m");
    assert_eq!(got.headers["tollgate-attempts"], "1");
    assert_eq!(got.headers["tollgate-plan"], "0123456789abcdef");
    let [record] = &world.records()[..] else {
        panic!("one record")
    };
    assert_eq!(
        got.headers["tollgate-request-id"],
        record.id.text().as_str()
    );
    assert_eq!(record.outcome, Outcome::Complete);
    assert_eq!(
        (
            record.usage.input,
            record.usage.cached_read,
            record.usage.output
        ),
        (4, 3, 2)
    );
    assert_eq!(record.who.tenant.as_deref(), Some("t"));
    assert_eq!(record.request.model.as_deref(), Some("m"));
    assert_eq!(
        record.attempts[0].upstream_request_id.as_deref(),
        Some("up-1")
    );
}

#[test]
fn the_callers_key_stays_here() {
    let world = chat(Script::json(200, ANSWER));
    world.call_with(
        CHAT,
        ASK,
        &[
            ("authorization", "Bearer tg-test"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
        ],
    );
    let seen = world.wire.seen.lock().expect("unpoisoned");
    let headers = format!("{:?}", seen[0].headers);
    assert_eq!(seen[0].headers["authorization"], "Bearer upstream-key");
    assert!(
        !headers.contains("tg-test") && !headers.contains("a=b") && !headers.contains("1.2.3.4")
    );
    assert_eq!(seen[0].path, "/v1/chat/completions");
}

#[test]
fn a_stream_passes_verbatim_without_the_usage_we_caused() {
    let all = [&FRAMES[..], &[DONE]].concat();
    let world = chat(Script::sse(&all));
    let got = world.call(CHAT, ASK_STREAM);
    assert_eq!(got.body, [FRAMES[0], FRAMES[1], FRAMES[2], DONE].concat());
    assert!(
        world.sent()[0].contains("\"include_usage\":true"),
        "{}",
        world.sent()[0]
    );
    let [record] = &world.records()[..] else {
        panic!("one record")
    };
    assert_eq!(record.outcome, Outcome::Complete);
    assert_eq!((record.usage.input, record.usage.output), (7, 2));
    assert_eq!(record.finish.as_slice(), ["stop"]);
    assert_eq!(record.bytes_out, got.body.len() as u64);
}

#[test]
fn a_caller_who_asks_for_usage_gets_it() {
    let all = [&FRAMES[..], &[DONE]].concat();
    let world = chat(Script::sse(&all));
    let body = ASK_STREAM.replace(
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    );
    let got = world.call(CHAT, &body);
    assert_eq!(got.body, all.concat());
    assert_eq!(world.sent(), [body.replace("\"m\"", "\"up-m\"")]);
}

#[test]
fn any_cut_of_the_stream_passes_the_same_bytes() {
    let whole = [&FRAMES[..3], &[DONE]].concat().concat();
    for size in [1, 2, 3, 7, 64, whole.len()] {
        let chunks: Vec<&str> = (0..whole.len())
            .step_by(size)
            .map(|at| &whole[at..(at + size).min(whole.len())])
            .collect();
        let got = chat(Script::sse(&chunks)).call(CHAT, ASK_STREAM);
        assert_eq!(got.body, whole, "pieces of {size}");
    }
}

#[test]
fn a_broken_stream_never_looks_complete() {
    let begun = || Script::sse(&FRAMES[..2]);
    let cases = [
        ("cut cleanly", begun(), "upstream_error"),
        ("reset", begun().then(Step::Reset), "upstream_error"),
        ("silent", begun().then(Step::Silence), "timeout"),
        (
            "rubbish",
            begun().then(Step::Bytes(b"data: {\"x\n\n".to_vec())),
            "upstream_error",
        ),
        (
            "half a frame",
            begun().then(Step::Bytes(b"data: {\"id\"".to_vec())),
            "upstream_error",
        ),
    ];
    for (name, script, code) in cases {
        let world = chat(script);
        let got = world.call(CHAT, ASK_STREAM);
        assert_eq!(got.status, 200, "{name}");
        assert!(
            got.body.starts_with(&FRAMES[..2].concat()),
            "{name}: {}",
            got.body
        );
        let tail = &got.body[FRAMES[..2].concat().len()..];
        assert!(
            tail.starts_with("data: {\"error\":") && tail.ends_with("\n\n"),
            "{name}: {tail}"
        );
        assert!(tail.contains(code), "{name}: {tail}");
        assert!(!got.body.contains("[DONE]"), "{name}");
        let [record] = &world.records()[..] else {
            panic!("one record for {name}")
        };
        assert_eq!(record.outcome, Outcome::Cut, "{name}");
        assert_eq!(
            record.fault.as_ref().map(|fault| fault.origin.as_ref()),
            Some("provider")
        );
    }
}

/// Where the network cuts a stream must not decide what its caller sees:
/// after the first content there is no other candidate, even if an error
/// stands in the very same read.
#[test]
fn content_and_an_error_in_one_read_are_told_in_band() {
    let content = FRAMES[..2].concat();
    let reported = "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n";
    let rubbish = "data: {\"x\n\n";
    let doors = [
        (CHAT, "\"content\":\"hel\"", "data: {\"error\":"),
        (
            "/v1/messages",
            "\"text\":\"hel\"",
            "event: error\ndata: {\"type\":\"error\"",
        ),
    ];
    for broken in [reported, rubbish] {
        for (path, text, error) in doors {
            let bad = Ok(Script::sse(&[&[content.as_str(), broken].concat()]));
            let good = Ok(Script::sse(&[FRAMES[0], FRAMES[1], FRAMES[2], DONE]));
            let two = [("openai", "openai_chat"), ("mistral", "openai_chat")];
            let world = World::new(&two, vec![bad, good]);
            let body = ASK_STREAM.replace("\"model\"", "\"max_tokens\":9,\"model\"");
            let got = world.call(path, &body);
            assert_eq!(got.status, 200, "{path} {broken}: {}", got.body);
            let at = |what| got.body.find(what);
            assert!(at(text).is_some(), "{path} {broken}: {}", got.body);
            assert!(at(text) < at(error), "{path} {broken}: {}", got.body);
            assert_eq!(got.body.matches("rror\":{").count(), 1, "{}", got.body);
            let [record] = &world.records()[..] else {
                panic!("one record for {path} {broken}")
            };
            assert_eq!((record.outcome, record.attempts.len()), (Outcome::Cut, 1));
        }
    }
}

/// However frames are batched around one that is hidden, none is lost and
/// none changes its place.
#[test]
fn batches_keep_their_order_around_a_hidden_frame() {
    let [role, first, last, usage] = FRAMES;
    let cases: [&[&[&str]]; 4] = [
        &[&[role, first], &[last, usage], &[DONE]],
        &[&[role, first], &[last, usage, DONE]],
        &[&[role], &[first, usage], &[last], &[DONE]],
        &[&[role, first, last], &[usage], &[DONE]],
    ];
    for case in cases {
        let chunks: Vec<String> = case.iter().map(|chunk| chunk.concat()).collect();
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        let got = chat(Script::sse(&chunks)).call(CHAT, ASK_STREAM);
        assert_eq!(got.body, [role, first, last, DONE].concat(), "{case:?}");
    }
}

/// An answer whose end marker was seen is whole, whatever comes behind it.
#[test]
fn what_happens_behind_the_end_takes_nothing_from_an_answer() {
    let good = [&FRAMES[..3], &[DONE]].concat();
    let with = |behind: &str| Script::sse(&[&good[..], &[behind]].concat());
    let cases = [
        ("reset", Script::sse(&good).then(Step::Reset)),
        ("silence", Script::sse(&good).then(Step::Silence)),
        ("rubbish", with("data: {\"x\n\n")),
        ("half a frame", with("data: {\"x")),
        (
            "an error",
            with("data: {\"error\":{\"message\":\"x\"}}\n\n"),
        ),
        ("rubbish in one read", {
            let text = [&good.concat(), "data: {\"x\n\n"].concat();
            Script::sse(&[&text])
        }),
    ];
    for (name, script) in cases {
        for path in [CHAT, "/v1/messages"] {
            let world = chat(script.clone());
            let body = ASK_STREAM.replace("\"model\"", "\"max_tokens\":9,\"model\"");
            let got = world.call(path, &body);
            let end = if path == CHAT {
                DONE
            } else {
                "\"message_stop\"}\n\n"
            };
            assert!(got.body.ends_with(end), "{name} {path}: {}", got.body);
            let [record] = &world.records()[..] else {
                panic!("one record for {name}")
            };
            assert_eq!(record.outcome, Outcome::Complete, "{name} {path}");
        }
    }
}

/// Some vendors send their end marker behind an error as well.
#[test]
fn an_end_marker_never_stands_behind_an_error() {
    let error = "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n";
    let all = [FRAMES[0], FRAMES[1], error, DONE];
    for chunks in [vec![all.concat()], all.map(str::to_owned).to_vec()] {
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        let got = chat(Script::sse(&chunks)).call(CHAT, ASK_STREAM);
        assert_eq!(got.body, all[..3].concat());
    }
}

/// Pictures come in one frame.
#[test]
fn the_first_content_may_be_one_large_frame() {
    let large = FRAMES[1].replace("hel", &"x".repeat(2 * 1024 * 1024));
    let halves = large.split_at(large.len() / 2 + 1_024);
    let chunks = [FRAMES[0], halves.0, halves.1, FRAMES[2], DONE];
    let got = chat(Script::sse(&chunks)).call(CHAT, ASK_STREAM);
    assert_eq!((got.status, got.body), (200, chunks.concat()));
}

#[test]
fn a_failed_attempt_leaves_its_usage() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-m\",\"content\":[],\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n";
    let opened = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    let bad = Ok(Script::sse(&[start, opened]).then(Step::Reset));
    let good = Ok(Script::sse(&[FRAMES[0], FRAMES[1], FRAMES[2], DONE]));
    let two = [("anthropic", "anthropic"), ("openai", "openai_chat")];
    let world = World::new(&two, vec![bad, good]);
    let got = world.call(CHAT, ASK_STREAM);
    assert!(got.body.ends_with(DONE), "{}", got.body);
    let [record] = &world.records()[..] else {
        panic!("one record")
    };
    let usage = record.attempts[0].usage.expect("what it cost");
    assert_eq!((record.attempts.len(), usage.input), (2, 7));
    assert!(record.attempts[1].usage.is_none());
}

#[test]
fn before_the_first_token_another_candidate_is_tried() {
    let failures: Vec<(&str, Result<Script, WireFaultKind>)> = vec![
        ("refused", Err(WireFaultKind::Connect)),
        ("head timeout", Err(WireFaultKind::HeadTimeout)),
        ("500", Ok(Script::json(500, "{}"))),
        ("502 html", Ok(Script::json(502, "<html>"))),
        ("429", Ok(Script::json(429, "{}"))),
        ("dead key", Ok(Script::json(401, "{}"))),
        ("role chunk, then cut", Ok(Script::sse(&FRAMES[..1]))),
        (
            "role chunk, then reset",
            Ok(Script::sse(&FRAMES[..1]).then(Step::Reset)),
        ),
        ("empty stream", Ok(Script::sse(&[]))),
        ("silence", Ok(Script::sse(&[]).then(Step::Silence))),
        (
            "in-band error",
            Ok(Script::sse(&[
                "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n",
            ])),
        ),
        ("whole answer", Ok(Script::json(200, ANSWER))),
    ];
    for (name, failure) in failures {
        let good = Ok(Script::sse(&[FRAMES[0], FRAMES[1], FRAMES[2], DONE]));
        let two = [("openai", "openai_chat"), ("mistral", "openai_chat")];
        let world = World::new(&two, vec![failure, good]);
        let got = world.call(CHAT, ASK_STREAM);
        assert_eq!(got.status, 200, "{name}: {}", got.body);
        assert_eq!(
            got.body,
            [FRAMES[0], FRAMES[1], FRAMES[2], DONE].concat(),
            "{name}"
        );
        assert_eq!(got.headers["tollgate-provider"], "mistral", "{name}");
        assert_eq!(got.headers["tollgate-attempts"], "2", "{name}");
        let [record] = &world.records()[..] else {
            panic!("one record for {name}")
        };
        assert_eq!(record.attempts.len(), 2, "{name}");
        assert!(record.attempts[0].fault.is_some(), "{name}");
    }
}

#[test]
fn the_callers_own_mistake_is_not_tried_elsewhere() {
    let error = r#"{"error":{"message":"bad temperature","type":"invalid_request_error","param":"temperature","code":null}}"#;
    let two = [("openai", "openai_chat"), ("mistral", "openai_chat")];
    let world = World::new(&two, vec![Ok(Script::json(400, error))]);
    let got = world.call(CHAT, ASK);
    assert_eq!(got.status, 400);
    assert!(got.body.contains("bad temperature"), "{}", got.body);
    assert_eq!(got.headers["x-should-retry"], "false");
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn rubbish_in_a_200_is_a_clear_fault() {
    for body in [
        "",
        "<html>",
        "{\"id\":",
        "[]",
        "{}",
        "{\"error\":{\"message\":\"x\"}}",
    ] {
        let world = chat(Script::json(200, body));
        let got = world.call(CHAT, ASK);
        assert!(
            (500..600).contains(&got.status) || got.status == 429,
            "{body}: {}",
            got.status
        );
        assert!(got.body.contains("\"error\""), "{body}: {}", got.body);
        let [record] = &world.records()[..] else {
            panic!("one record for {body}")
        };
        let fault = record.fault.as_ref().expect("a fault");
        assert_eq!(fault.origin, "provider", "{body}");
    }
}

#[test]
fn bad_input_never_reaches_an_upstream() {
    let deep = format!(
        "{{\"model\":\"m\",\"messages\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let cases: &[(&str, &str, u16)] = &[
        ("empty", "", 400),
        ("truncated", "{\"model\":\"m\"", 400),
        ("deep", &deep, 400),
        (
            "duplicate model",
            "{\"model\":\"m\",\"model\":\"n\",\"messages\":[]}",
            400,
        ),
        (
            "lone surrogate",
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}",
            400,
        ),
        ("model is a number", "{\"model\":1,\"messages\":[]}", 400),
        ("no model", "{\"messages\":[]}", 400),
        ("an array", "[]", 400),
        (
            "stream is a string",
            "{\"model\":\"m\",\"stream\":\"yes\",\"messages\":[]}",
            400,
        ),
        ("unknown model", &ASK.replace("\"m\"", "\"nobody\""), 404),
    ];
    for (name, body, status) in cases {
        let world = chat(Script::json(200, ANSWER));
        let got = world.call(CHAT, body);
        assert_eq!(got.status, *status, "{name}: {}", got.body);
        assert!(got.body.starts_with("{\"error\":"), "{name}: {}", got.body);
        assert!(world.sent().is_empty(), "{name} reached the upstream");
        assert_eq!(got.headers["x-should-retry"], "false", "{name}");
        let [record] = &world.records()[..] else {
            panic!("one record for {name}")
        };
        assert_eq!(record.outcome, Outcome::Refused, "{name}");
    }
}

#[test]
fn refusals_before_the_body_leave_a_record_too() {
    let world = chat(Script::json(200, ANSWER));
    for (path, headers, status) in [
        (CHAT, vec![], 401),
        (CHAT, vec![("authorization", "Bearer tg-wrong")], 401),
        ("/nowhere", vec![("authorization", "Bearer tg-test")], 404),
    ] {
        let got = world.call_with(path, ASK, &headers);
        assert_eq!(got.status, status, "{path}");
        assert!(got.headers.contains_key("tollgate-request-id"), "{path}");
    }
    assert_eq!(world.records().len(), 3);
    assert!(world.sent().is_empty());
}

#[test]
fn no_call_is_taken_once_records_wait_for_too_long_and_that_is_recorded() {
    let world = chat(Script::json(200, ANSWER));
    let now_us = world.flow.clock.unix_us();
    world.flow.evidence.close_from(now_us);
    let got = world.call(CHAT, ASK);
    assert_eq!(got.status, 503, "{}", got.body);
    assert!(got.body.contains("bring its records"), "{}", got.body);
    assert!(world.sent().is_empty());
    let [record] = &world.records()[..] else {
        panic!("one record")
    };
    assert_eq!(record.outcome, Outcome::Refused);
    for later in [now_us + 1, u64::MAX] {
        world.flow.evidence.close_from(later);
        assert!(!world.flow.evidence.is_closed(now_us));
    }
    assert_eq!(world.call(CHAT, ASK).status, 200);
}

#[test]
fn a_caller_who_leaves_cancels_and_leaves_a_record() {
    let world = chat(Script::sse(&FRAMES[..2]).then(Step::Silence));
    let (head, ()) = http::Request::post(CHAT)
        .header("authorization", "Bearer tg-test")
        .body(())
        .expect("a request")
        .into_parts();
    let exchange = world
        .flow
        .open(head, crate::Caller::default())
        .ok()
        .expect("admitted");
    let reply = futures_executor::block_on(exchange.run(Ok(ASK_STREAM.into())));
    assert!(!world.wire.dropped.load(std::sync::atomic::Ordering::SeqCst));
    drop(reply);
    assert!(
        world.wire.dropped.load(std::sync::atomic::Ordering::SeqCst),
        "upstream cancelled"
    );
    let [record] = &world.records()[..] else {
        panic!("one record")
    };
    assert_eq!((record.outcome, record.status), (Outcome::Cancelled, 499));
}

#[test]
fn another_dialect_is_translated_and_streams_end_well() {
    let world = World::new(
        &[("anthropic", "anthropic")],
        vec![Ok(Script::json(
            200,
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"up-m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":2}}"#,
        ))],
    );
    let got = world.call(CHAT, &ASK.replace(", \"x_unknown\": 1", ", \"seed\": 5"));
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(got.body.contains("\"content\":\"hello\"") && got.body.contains("\"chat.completion\""));
    assert!(
        got.headers["tollgate-loss"]
            .to_str()
            .expect("ASCII")
            .contains("seed")
    );
    let seen = world.wire.seen.lock().expect("unpoisoned");
    assert_eq!(seen[0].headers["x-api-key"], "upstream-key");
    assert!(seen[0].headers.contains_key("anthropic-version"));
}

#[test]
fn the_sandbox_streams_in_the_callers_dialect() {
    let world = World::new(&[("sandbox", "")], vec![]);
    let got = world.call(CHAT, ASK_STREAM);
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(
        got.body.contains("[sandbox]") && got.body.ends_with(DONE),
        "{}",
        got.body
    );
    let [record] = &world.records()[..] else {
        panic!("one record")
    };
    assert_eq!(record.outcome, Outcome::Complete);
    assert!(record.usage.output > 0);
}

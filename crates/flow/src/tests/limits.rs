//! Bounds of one call: its time, its cost, the cap on its output, on every
//! front door, for streams that pass and streams that are translated.

mod reasoning;

use std::future::poll_fn;
use std::sync::atomic::Ordering;

use access::Mode;
use bytes::Bytes;
use contract::answer::FinishReason;
use contract::event::{Delta, PartHead};
use contract::{Event, Operation, UsageSource};
use dialects::framing::FrameKind;
use dialects::{Asked, DIALECTS, Dialect, Route};
use evidence::{Outcome, Record};
use futures_executor::block_on;
use serde_json::json;

use super::rules::{TOOL_FRAMES, answer, ask, policy};
use super::spending::prices;
use super::world::{Got, Script, Step, World, plan};
use super::{ANSWER, ASK, ASK_STREAM, CHAT, DONE, FRAMES};
use crate::{Caller, ReplyBody};

const HI: &str = r#"{"model":"m","max_tokens":500,"messages":[{"role":"user","content":"hi"}]}"#;
/// Silence reaches it before any deadline of the provider.
const SOON: (&str, &str) = ("tollgate-max-latency-ms", "2000");
const CAP: (&str, &str) = ("tollgate-max-tokens", "20");
const COST: (&str, &str) = ("tollgate-max-cost", "0.0005");

fn kind_of(dialect: &dyn Dialect) -> &'static str {
    match dialect.id().0 {
        "openai_chat" | "openai_responses" => "openai",
        same => same,
    }
}

/// A provider that speaks this dialect.
fn world(upstream: &dyn Dialect, script: Script) -> World {
    let mut plan = plan(&[(kind_of(upstream), upstream.id().0)]);
    plan.prices = prices("in=1 out=10");
    World::of(plan, vec![Ok(script)])
}

/// The upstreams of a front door: its own dialect, and another one.
fn upstreams(door: &'static dyn Dialect) -> [&'static dyn Dialect; 2] {
    let other = match door.id().0 {
        "openai_chat" => "anthropic",
        _ => "openai_chat",
    };
    [door, dialects::by_name(other).expect("it exists")]
}

/// So many words, and then a call whose arguments go on for ever.
fn events(words: usize, calls: bool) -> Vec<Event> {
    let text = |part, text: String| Event::PartDelta {
        choice: 0,
        part,
        delta: Delta::Text(text),
    };
    let open = |part, head| Event::PartOpen {
        choice: 0,
        part,
        head,
    };
    let mut events = vec![
        Event::Open {
            id: None,
            model: Some("up-m".into()),
            created_s: Some(1),
        },
        open(0, PartHead::Text),
    ];
    events.extend((0..words).map(|at| text(0, format!("word{at} "))));
    if calls {
        let head = PartHead::ToolCall {
            id: "call_1".into(),
            name: "get_weather".into(),
            custom: false,
        };
        events.extend([
            Event::PartClose { choice: 0, part: 0 },
            open(1, head),
            text(1, "{\"city\":".into()),
            text(1, "\"Ro".into()),
        ]);
    }
    events
}

/// What a provider sends of these events, one piece for each.
fn pieces(upstream: &dyn Dialect, events: &[Event]) -> Vec<Vec<u8>> {
    let route = Route::new(upstream.id(), Operation::Chat);
    let mut writer = upstream.stream_writer(&Asked {
        route: &route,
        model: "up-m",
        request_id: "01234567-89ab-cdef-0123-456789abcdef",
        now_s: 1,
        stream_usage: true,
        request: None,
    });
    let written = events.iter().map(|event| {
        let mut out = Vec::new();
        writer.write(event, &mut out);
        out
    });
    written.filter(|piece| !piece.is_empty()).collect()
}

/// An upstream that sends these pieces and then says nothing for ever.
fn endless(upstream: &dyn Dialect, pieces: Vec<Vec<u8>>) -> Script {
    let chunks = pieces.into_iter().map(Step::Bytes);
    Script {
        status: 200,
        content_type: upstream.framing().content_type(),
        chunks: chunks.chain([Step::Silence]).collect(),
    }
}

fn call(world: &World, path: &str, body: &str, bound: (&str, &str)) -> Got {
    world.call_with(path, body, &[("authorization", "Bearer tg-test"), bound])
}

fn only(world: &World) -> Record {
    let mut records = world.records();
    assert_eq!(records.len(), 1, "each call leaves one record");
    records.remove(0)
}

fn bytes(body: &str, door: &dyn Dialect) -> Vec<u8> {
    match door.id().0 {
        // Each byte is a character, unless all of them were UTF-8.
        "bedrock" if body.chars().all(|c| u32::from(c) < 256) => {
            body.chars().map(|c| c as u8).collect()
        }
        _ => body.as_bytes().to_vec(),
    }
}

/// What a client reads: its text, and why the answer ended.
fn read(door: &dyn Dialect, body: &str) -> (usize, FinishReason) {
    let mut splitter = door.framing().splitter();
    let batch = splitter.push(Bytes::from(bytes(body, door)));
    let batch = batch.unwrap_or_else(|fault| panic!("{fault:?}: {body}"));
    let mut reader = door.stream_reader();
    let mut events = Vec::new();
    for span in &batch.frames {
        if span.kind != FrameKind::Silent {
            let read = reader.read(batch.frame(span), &mut events);
            read.unwrap_or_else(|fault| panic!("{fault:?}: {body}"));
        }
    }
    let closed = reader.close(&mut events);
    closed.unwrap_or_else(|fault| panic!("{fault:?}: {body}"));
    let deltas = events.iter();
    let deltas = deltas.filter(|event| matches!(event, Event::PartDelta { .. }));
    let deltas = deltas.count();
    let answer = dialects::fold::fold(events).expect("an answer in order");
    let finish = answer.choices[0].finish.as_ref().expect("a reason");
    (deltas, finish.reason)
}

/// Why the limit stage cut the answer.
fn reason(record: &Record) -> &str {
    let mut cut = record.decisions.iter().filter(|it| it.stage == "limit");
    let cut = cut.next().expect("a decision");
    assert_eq!(cut.verdict, "cut");
    &cut.reason
}

fn is_shortened(world: &World, got: &Got, door: &dyn Dialect) -> Record {
    let id = door.id();
    assert_eq!(got.status, 200, "{id}: {}", got.body);
    let (_, finish) = read(door, &got.body);
    assert_eq!(finish, FinishReason::Length, "{id}: {}", got.body);
    assert!(world.wire.dropped.load(Ordering::SeqCst), "{id}");
    let record = only(world);
    assert_eq!(record.outcome, Outcome::Complete, "{id}");
    assert_eq!(record.finish.as_slice(), ["length"], "{id}");
    assert!(record.fault.is_none(), "{id}: {:?}", record.fault);
    assert_eq!(record.bytes_out, bytes(&got.body, door).len() as u64);
    assert!(record.cost_nanos.is_some_and(|cost| cost > 0), "{id}");
    record
}

#[test]
fn a_stream_whose_time_is_over_ends_with_the_length_reason() {
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, HI, true);
        for upstream in upstreams(door) {
            for calls in [false, true] {
                let pieces = pieces(upstream, &events(12, calls));
                let world = world(upstream, endless(upstream, pieces));
                let got = call(&world, &path, &body, SOON);
                let record = is_shortened(&world, &got, door);
                assert_eq!(reason(&record), "max_latency");
                // Twelve words of six or seven bytes, and what was told.
                assert_eq!(record.usage.source, UsageSource::Estimated);
                assert!(record.usage.output >= 12, "{:?}", record.usage);
                let words = ["\"stop\"", "\"end_turn\"", "\"tool_calls\"}", "\"STOP\""];
                for word in words {
                    assert!(!got.body.contains(word), "{word}: {}", got.body);
                }
            }
        }
    }
}

#[test]
fn a_provider_that_goes_on_beyond_the_cap_is_ended() {
    for (bound, why, most) in [(CAP, "max_tokens", 42), (COST, "max_cost", 80)] {
        for door in DIALECTS.iter().copied() {
            let (path, body) = ask(door, HI, true);
            for upstream in upstreams(door) {
                let pieces = pieces(upstream, &events(400, false));
                let sent = pieces.len() as u64;
                let world = world(upstream, endless(upstream, pieces));
                let got = call(&world, &path, &body, bound);
                let record = is_shortened(&world, &got, door);
                assert_eq!(reason(&record), why, "{}", door.id());
                let (deltas, _) = read(door, &got.body);
                assert!((40..=most).contains(&deltas), "{}: {deltas}", door.id());
                let taken = world.wire.taken.load(Ordering::SeqCst);
                assert!(taken < sent / 2, "{taken} of {sent}");
            }
        }
    }
}

#[test]
fn a_provider_that_keeps_to_the_cap_is_not_ended() {
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, HI, true);
        for upstream in upstreams(door) {
            let mut events = events(20, false);
            events.extend([
                Event::PartClose { choice: 0, part: 0 },
                Event::Finish {
                    choice: 0,
                    finish: FinishReason::Stop.into(),
                },
                Event::End,
            ]);
            let mut script = endless(upstream, pieces(upstream, &events));
            script.chunks.pop();
            let open = world(upstream, script.clone()).call(&path, &body);
            for bound in [CAP, COST, ("tollgate-max-latency-ms", "86400000")] {
                let world = world(upstream, script.clone());
                let got = call(&world, &path, &body, bound);
                assert_eq!(
                    read(door, &got.body),
                    read(door, &open.body),
                    "{}",
                    door.id()
                );
                // Some dialects repeat the cap in the answer.
                if !bound.0.ends_with("tokens") && bound != COST {
                    assert_eq!(got.body, open.body, "{}", door.id());
                }
                assert!(only(&world).decisions.iter().all(|it| it.stage != "limit"));
            }
        }
    }
}

/// The bytes of the endings, as clients of each dialect see them.
#[test]
fn the_endings_are_these() {
    let ends = |door: &str, calls: bool| {
        let door = dialects::by_name(door).expect("it exists");
        let (path, body) = ask(door, HI, true);
        let pieces = pieces(door, &events(2, calls));
        let sent = String::from_utf8_lossy(&pieces.concat()).into_owned();
        let world = world(door, endless(door, pieces));
        let got = call(&world, &path, &body, SOON);
        let usage = only(&world).usage;
        let end = got.body.strip_prefix(&sent).map(str::to_owned);
        let end = end.unwrap_or_else(|| got.body.clone());
        (end, usage.input_total(), usage.output_total())
    };
    let (end, input, output) = ends("openai_chat", true);
    let total = input + output;
    let head = r#""id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1,"model":"up-m""#;
    assert_eq!(
        end,
        format!(
            "data: {{{head},\"choices\":[{{\"index\":0,\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"length\"}}]}}\n\ndata: {{{head},\"choices\":[],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output},\"total_tokens\":{total},\"prompt_tokens_details\":{{\"cached_tokens\":0,\"cache_write_tokens\":0,\"audio_tokens\":0}},\"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}}}}}\n\ndata: [DONE]\n\n"
        )
    );
    let (end, input, output) = ends("anthropic", true);
    assert_eq!(
        end,
        format!(
            "event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":1}}\n\nevent: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"max_tokens\",\"stop_sequence\":null}},\"usage\":{{\"input_tokens\":{input},\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation\":{{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0}},\"output_tokens\":{output}}}}}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
        )
    );
    let (end, input, output) = ends("gemini", false);
    let total = input + output;
    assert_eq!(
        end,
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"\"}}],\"role\":\"model\"}},\"finishReason\":\"MAX_TOKENS\",\"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":{input},\"candidatesTokenCount\":{output},\"totalTokenCount\":{total}}},\"modelVersion\":\"up-m\",\"responseId\":\"01234567-89ab-cdef-0123-456789abcdef\"}}\r\n\r\n"
        )
    );
    let (end, ..) = ends("openai_responses", true);
    let kinds: Vec<&str> = end
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(kinds, ["response.output_item.done", "response.incomplete"]);
    assert!(end.contains(r#""arguments":"{\"city\":\"Ro","#), "{end}");
    assert!(end.contains(r#""incomplete_details":{"reason":"max_output_tokens"}"#));
    let (end, ..) = ends("bedrock", true);
    let at = |what: &str| end.rfind(what).unwrap_or_else(|| panic!("{what}: {end}"));
    let order = [
        at("{\"contentBlockIndex\":1}"),
        at("{\"stopReason\":\"max_tokens\"}"),
        at("\"metrics\""),
    ];
    assert!(order.is_sorted(), "{end}");
}

#[test]
fn a_caller_who_asked_for_usage_gets_it_with_the_ending() {
    let chat = dialects::by_name("openai_chat").expect("it exists");
    let world = world(chat, endless(chat, pieces(chat, &events(12, false))));
    let body = ASK_STREAM.replace(
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    );
    let got = call(&world, CHAT, &body, SOON);
    let usage = is_shortened(&world, &got, chat).usage;
    let told = format!("\"completion_tokens\":{}", usage.output_total());
    let chunk = got.body.rfind(&told).expect("the usage chunk");
    assert!(got.body.find("\"length\"").expect("a reason") < chunk);
    assert!(got.body.ends_with(DONE));
}

#[test]
fn the_ending_does_not_hang_on_how_the_stream_came() {
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, HI, true);
        for upstream in upstreams(door) {
            let all = pieces(upstream, &events(12, true)).concat();
            let bodies: Vec<String> = [1, 7, 64, all.len()]
                .into_iter()
                .map(|size| {
                    let pieces = all.chunks(size).map(<[u8]>::to_vec).collect();
                    let world = world(upstream, endless(upstream, pieces));
                    call(&world, &path, &body, SOON).body
                })
                .collect();
            assert!(
                bodies.windows(2).all(|two| two[0] == two[1]),
                "{}",
                door.id()
            );
        }
    }
}

/// Before the caller has taken the end, and long before the connection of the
/// caller goes.
#[test]
fn the_call_to_the_provider_is_dropped_with_the_ending() {
    let chat = dialects::by_name("openai_chat").expect("it exists");
    let world = world(chat, endless(chat, pieces(chat, &events(12, false))));
    let request = http::Request::builder()
        .method("POST")
        .uri(CHAT)
        .header("authorization", "Bearer tg-test")
        .header(SOON.0, SOON.1);
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, Caller::default()) else {
        panic!("accepted")
    };
    let reply = block_on(exchange.run(Ok(ASK_STREAM.into())));
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("a stream")
    };
    let mut all = Vec::new();
    while !all.ends_with(DONE.as_bytes()) {
        let dropped = world.wire.dropped.load(Ordering::SeqCst);
        assert!(!dropped, "the provider is needed");
        let next = block_on(poll_fn(|cx| stream.poll_next(cx)));
        all.extend_from_slice(&next.expect("more").expect("no cut"));
    }
    assert!(world.wire.dropped.load(Ordering::SeqCst));
    assert_eq!(only(&world).outcome, Outcome::Complete);
    assert!(block_on(poll_fn(|cx| stream.poll_next(cx))).is_none());
}

/// What waits for people is not given out, and nobody waits for them longer.
#[test]
fn what_is_held_back_when_the_time_is_over_is_left_out() {
    let settings = json!({"tools": ["get_*"], "wait_ms": 30_000});
    let rules = [("r", "approval", settings, Mode::Enforce)];
    for door in DIALECTS.iter().copied() {
        let (path, body) = ask(door, HI, true);
        let going = Script::sse(&TOOL_FRAMES[..2]).then(Step::Silence);
        for script in [going, answer(true, true)] {
            let mut plan = plan(&[("openai", "openai_chat")]);
            plan.prices = prices("in=1 out=10");
            plan.policy = policy(&rules);
            let world = World::of(plan, vec![Ok(script)]);
            let got = call(&world, &path, &body, SOON);
            is_shortened(&world, &got, door);
            assert!(got.body.contains("look"), "{}", got.body);
            assert!(!got.body.contains("get_weather"), "{}", got.body);
        }
    }
}

/// A frame that came in part is none.
#[test]
fn half_a_frame_is_left_out() {
    let chat = dialects::by_name("openai_chat").expect("it exists");
    let mut pieces = pieces(chat, &events(3, false));
    pieces.push(b"data: {\"id\":\"chat".to_vec());
    let world = world(chat, endless(chat, pieces));
    let got = call(&world, CHAT, ASK_STREAM, SOON);
    is_shortened(&world, &got, chat);
}

/// Only the provider's hanging up was missing.
#[test]
fn an_answer_that_is_whole_when_the_time_is_over_stays_whole() {
    let all = [&FRAMES[..3], &[DONE]].concat();
    let world = World::new(
        &[("openai", "openai_chat")],
        vec![Ok(Script::sse(&all).then(Step::Silence))],
    );
    let got = call(&world, CHAT, ASK_STREAM, SOON);
    assert_eq!(got.body, all.concat());
    let record = only(&world);
    assert_eq!(record.finish.as_slice(), ["stop"]);
    assert_eq!(record.outcome, Outcome::Complete);
}

#[test]
fn an_answer_that_does_not_begin_in_time_is_a_504() {
    let silence = |content_type| Script {
        status: 200,
        content_type,
        chunks: vec![Step::Silence],
    };
    let late = silence("text/event-stream");
    let empty = Script::sse(&FRAMES[..1]).then(Step::Silence);
    let whole = silence("application/json");
    let mut half = Script::json(200, &ANSWER[..40]);
    half.chunks.push(Step::Silence);
    let cases = [
        (ASK_STREAM, late),
        (ASK_STREAM, empty),
        (ASK, whole),
        (ASK, half),
    ];
    for (body, script) in cases {
        // A second candidate could answer, but nobody waits for it.
        let world = World::new(
            &[("openai", "openai_chat"), ("openai", "openai_chat")],
            vec![Ok(script), Ok(Script::json(200, ANSWER))],
        );
        let got = call(&world, CHAT, body, SOON);
        assert_eq!(got.status, 504, "{}", got.body);
        assert!(got.body.contains("`max_latency_ms`"), "{}", got.body);
        assert!(got.body.contains("2000 ms"), "{}", got.body);
        assert_eq!(world.sent().len(), 1);
        assert!(world.wire.dropped.load(Ordering::SeqCst));
        let record = only(&world);
        assert_eq!(record.outcome, Outcome::Failed);
        let fault = record.attempts[0].fault.as_ref().expect("a fault");
        assert_eq!((&*fault.kind, &*fault.origin), ("timeout", "client"));
        // The provider was at work: what it was asked is counted.
        assert_eq!(record.usage.source, UsageSource::Estimated);
        assert!(record.usage.input > 0);
    }
}

#[test]
fn a_call_with_time_left_goes_to_the_next_candidate() {
    let world = World::new(
        &[("openai", "openai_chat"), ("openai", "openai_chat")],
        vec![Ok(Script::json(503, "{}")), Ok(Script::json(200, ANSWER))],
    );
    let got = call(&world, CHAT, ASK, SOON);
    assert_eq!((got.status, got.body.as_str()), (200, ANSWER));
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn a_call_without_time_is_not_made() {
    let world = World::new(&[("openai", "openai_chat")], vec![]);
    let got = call(&world, CHAT, ASK, ("tollgate-max-latency-ms", "1"));
    assert_eq!(got.status, 504, "{}", got.body);
    assert!(world.sent().is_empty());
    assert_eq!(only(&world).outcome, Outcome::Refused);
}

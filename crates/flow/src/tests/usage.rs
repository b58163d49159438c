//! Usage as it is settled: the provider's where it spoke, an estimate where
//! it did not, and never a broken answer because of odd figures.

use contract::{ServiceTier, Usage, UsageSource};
use evidence::{Outcome, Record};
use http::Request;

use super::rules::policy;
use super::world::{Script, Step, World, plan};
use super::{ANSWER, ASK, ASK_STREAM, CHAT, DONE, FRAMES, chat};
use crate::{Caller, ReplyBody};

const MESSAGES: &str = "/v1/messages";
/// Tokens of the requests of these tests, more or less.
const ASKED: std::ops::RangeInclusive<u64> = 5..=40;

fn record(world: &World) -> Record {
    let mut records = world.records();
    assert_eq!(records.len(), 1, "one record");
    records.remove(0)
}

/// The request as each door takes it.
fn asked(path: &str) -> String {
    ASK_STREAM.replace(
        "\"model\"",
        match path {
            CHAT => "\"model\"",
            _ => "\"max_tokens\":9,\"model\"",
        },
    )
}

/// Chunks with twelve pieces of text, as a provider streams them.
fn pieces() -> Vec<String> {
    (0..12)
        .map(|at| FRAMES[1].replace("hel", &format!("word{at} ")))
        .collect()
}

fn is_estimate(usage: &Usage) {
    assert_eq!(usage.source, UsageSource::Estimated, "{usage:?}");
    assert!(ASKED.contains(&usage.input), "{usage:?}");
    // Twelve pieces of six or seven bytes.
    assert!((12..=24).contains(&usage.output), "{usage:?}");
}

#[test]
fn a_stream_without_usage_is_estimated_whichever_way_it_goes() {
    for path in [CHAT, MESSAGES] {
        let pieces = pieces();
        let mut frames = vec![FRAMES[0]];
        frames.extend(pieces.iter().map(String::as_str));
        frames.extend([FRAMES[2], DONE]);
        let world = chat(Script::sse(&frames));
        world.call(path, &asked(path));
        let record = record(&world);
        assert_eq!(record.outcome, Outcome::Complete, "{path}");
        is_estimate(&record.usage);
    }
}

/// However the bytes are cut, what was seen is the same.
#[test]
fn the_estimate_of_a_stream_does_not_hang_on_how_the_network_cut_it() {
    let pieces = pieces();
    let text = [FRAMES[0], &pieces.concat(), FRAMES[2], DONE].concat();
    for path in [CHAT, MESSAGES] {
        let mut found = Vec::new();
        for size in [1, 7, 100, 1_000, text.len()] {
            let chunks = text.as_bytes().chunks(size);
            let chunks: Vec<&str> = chunks
                .map(|chunk| std::str::from_utf8(chunk).expect("ASCII"))
                .collect();
            let world = chat(Script::sse(&chunks));
            world.call(path, &asked(path));
            found.push(record(&world).usage);
        }
        is_estimate(&found[0]);
        assert!(found.iter().all(|usage| *usage == found[0]), "{found:?}");
    }
}

#[test]
fn a_cut_stream_is_settled_by_what_was_seen() {
    for path in [CHAT, MESSAGES] {
        for end in [Step::Reset, Step::Silence] {
            let pieces = pieces();
            let mut frames = vec![FRAMES[0]];
            frames.extend(pieces.iter().map(String::as_str));
            let world = chat(Script::sse(&frames).then(end));
            world.call(path, &asked(path));
            let record = record(&world);
            assert_eq!(record.outcome, Outcome::Cut, "{path}");
            is_estimate(&record.usage);
        }
    }
}

/// Leaves after so many polls of the stream.
fn leave(world: &World, path: &str, polls: usize) {
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("authorization", "Bearer tg-test");
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, Caller::default()) else {
        panic!("accepted")
    };
    let body = asked(path).into_bytes().into();
    let reply = futures_executor::block_on(exchange.run(Ok(body)));
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("a stream")
    };
    for _ in 0..polls {
        let polled = futures_executor::block_on(std::future::poll_fn(|cx| {
            std::task::Poll::Ready(stream.poll_next(cx).is_ready())
        }));
        assert!(polled, "it has come that far");
    }
    drop(stream);
}

#[test]
fn a_caller_who_leaves_in_mid_stream_is_settled_by_what_was_seen() {
    for path in [CHAT, MESSAGES] {
        let pieces = pieces();
        let mut frames = vec![FRAMES[0]];
        frames.extend(pieces.iter().map(String::as_str));
        let world = chat(Script::sse(&frames).then(Step::Silence));
        leave(&world, path, 1);
        let record = record(&world);
        assert_eq!(record.outcome, Outcome::Cancelled, "{path}");
        is_estimate(&record.usage);
    }
}

/// Leaves before the answer began.
fn leave_early(world: &World, path: &str, body: &str) {
    let request = Request::builder().method("POST").uri(path);
    let request = request.header("authorization", "Bearer tg-test");
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, Caller::default()) else {
        panic!("accepted")
    };
    let mut run = Box::pin(exchange.run(Ok(body.to_owned().into())));
    let begun = futures_executor::block_on(std::future::poll_fn(|cx| {
        std::task::Poll::Ready(run.as_mut().poll(cx).is_ready())
    }));
    assert!(!begun, "it waits for content");
    drop(run);
}

/// The request was read by the model, whatever became of the answer.
#[test]
fn a_caller_who_leaves_before_the_answer_is_settled_by_the_request() {
    let world = chat(Script::sse(&FRAMES[..1]).then(Step::Silence));
    leave_early(&world, CHAT, ASK_STREAM);
    let record = record(&world);
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert_eq!(record.usage.source, UsageSource::Estimated);
    assert!(ASKED.contains(&record.usage.input), "{:?}", record.usage);
    assert_eq!(record.usage.output_total(), 0);
}

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":700,\"cache_read_input_tokens\":50,\"output_tokens\":1,\"service_tier\":\"priority\"}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"some words of it \"}}\n\n";

/// The input was told at the start; only the rest is estimated.
#[test]
fn what_the_provider_told_of_a_cut_stream_stands_beside_the_estimate() {
    for path in [MESSAGES, CHAT] {
        let script = Script::sse(&[START, DELTA, DELTA]).then(Step::Reset);
        let world = World::new(&[("anthropic", "anthropic")], vec![Ok(script)]);
        world.call(path, &asked(path));
        let record = record(&world);
        let usage = record.usage;
        assert_eq!(record.outcome, Outcome::Cut, "{path}");
        assert_eq!((usage.input, usage.cached_read), (700, 50), "{path}");
        assert!((8..=10).contains(&usage.output), "{path}: {usage:?}");
        assert_eq!(usage.source, UsageSource::Estimated);
        assert_eq!(usage.tier, Some(ServiceTier::Priority));
    }
}

/// The provider told the input, and the caller left before any content.
#[test]
fn what_was_told_before_a_caller_left_stands() {
    let script = Script::sse(&[START]).then(Step::Silence);
    let world = World::new(&[("anthropic", "anthropic")], vec![Ok(script)]);
    leave_early(&world, MESSAGES, &asked(MESSAGES));
    let record = record(&world);
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert_eq!((record.usage.input, record.usage.cached_read), (700, 50));
    assert_eq!(record.usage.source, UsageSource::Estimated);
    assert!(record.attempts[0].usage.is_none(), "not billed twice");
}

/// An answer that a rule refuses was paid for.
#[test]
fn a_whole_answer_that_a_rule_refuses_leaves_what_it_cost() {
    let call = ANSWER.replace(
        "\"content\":\"hello\"}",
        "\"content\":null,\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"rm\",\"arguments\":\"{}\"}}]}",
    );
    for path in [CHAT, MESSAGES] {
        let rule = ("tools", serde_json::json!({"deny": ["rm"]}));
        let plan = plan::Plan {
            policy: policy(&[("r", rule.0, rule.1, access::Mode::Enforce)]),
            ..plan(&[("openai", "openai_chat")])
        };
        let world = World::of(plan, vec![Ok(Script::json(200, &call))]);
        let body = ASK.replace("\"model\"", "\"max_tokens\":9,\"model\"");
        let got = world.call(path, &body.replace(", \"x_unknown\": 1", ""));
        assert_eq!(got.status, 403, "{}", got.body);
        let record = record(&world);
        let usage = record.attempts[0].usage.expect("what it cost");
        assert_eq!((usage.input_total(), usage.output), (7, 2), "{path}");
        assert_eq!(record.usage, Usage::default(), "{path}");
    }
}

/// Some providers tell figures along the way; the last ones may be old.
#[test]
fn figures_of_a_cut_stream_that_are_old_give_way_to_what_was_seen() {
    let tell = |output: u64| {
        let usage = format!(
            "\"usage\":{{\"prompt_tokens\":700,\"completion_tokens\":{output}}},\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"some \"}}"
        );
        FRAMES[1].replace(
            "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hel\"}",
            &usage,
        )
    };
    for (told, before, after) in [(1, 12, 25), (11, 11, 11)] {
        let pieces = pieces().concat();
        let frames = [FRAMES[0], &tell(told), &pieces];
        let world = chat(Script::sse(&frames).then(Step::Reset));
        world.call(CHAT, ASK_STREAM);
        let usage = record(&world).usage;
        assert_eq!(usage.input, 700, "told {told}");
        assert!((before..=after).contains(&usage.output), "{usage:?}");
    }
}

/// The usage object of [`ANSWER`].
const TOLD: &str = r#"{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}"#;

#[test]
fn odd_usage_never_breaks_an_answer_and_is_estimated_and_noted() {
    let cases = [
        ("null", false),
        ("{}", false),
        (r#"{"prompt_tokens":null,"completion_tokens":null}"#, false),
        (
            r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
            false,
        ),
        (r#"{"prompt_tokens":-7,"completion_tokens":-2}"#, true),
        (r#"{"prompt_tokens":"7","completion_tokens":"2"}"#, true),
        (r#"{"prompt_tokens":7.5,"completion_tokens":2.5}"#, true),
        (
            r#"{"prompt_tokens":1e30,"completion_tokens":99999999999999999999999}"#,
            true,
        ),
        (r#"{"prompt_tokens":[],"completion_tokens":{}}"#, true),
        (r#""a lot""#, true),
        ("-3", true),
    ];
    for (odd, flawed) in cases {
        let answer = ANSWER.replace(TOLD, odd);
        assert_ne!(answer, ANSWER);
        let world = chat(Script::json(200, &answer));
        let got = world.call(CHAT, ASK);
        assert_eq!(
            (got.status, got.body.as_str()),
            (200, answer.as_str()),
            "{odd}"
        );
        let usage = record(&world).usage;
        assert_eq!(usage.source, UsageSource::Estimated, "{odd}");
        assert!(ASKED.contains(&usage.input_total()), "{odd}: {usage:?}");
        assert!((1..=3).contains(&usage.output_total()), "{odd}: {usage:?}");
        assert_eq!(usage.flawed, flawed, "{odd}");

        // Another dialect: the answer stands as well.
        let world = chat(Script::json(200, &answer));
        let body = ASK.replace("\"model\"", "\"max_tokens\":9,\"model\"");
        let got = world.call(MESSAGES, &body.replace(", \"x_unknown\": 1", ""));
        assert_eq!(got.status, 200, "{odd}: {}", got.body);
        assert_eq!(record(&world).usage.source, UsageSource::Estimated, "{odd}");

        // A stream, both ways.
        let last = FRAMES[3].replace(
            r#"{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}"#,
            odd,
        );
        for path in [CHAT, MESSAGES] {
            let world = chat(Script::sse(&[FRAMES[0], FRAMES[1], FRAMES[2], &last, DONE]));
            world.call(path, &asked(path));
            let record = record(&world);
            assert_eq!(record.outcome, Outcome::Complete, "{odd} {path}");
            assert_eq!(record.usage.source, UsageSource::Estimated, "{odd} {path}");
            assert_eq!(record.usage.flawed, flawed, "{odd} {path}");
        }
    }
}

/// Of a report with one good side, that side stands.
#[test]
fn one_good_side_of_a_report_stands() {
    let odd = r#"{"prompt_tokens":700,"completion_tokens":-2}"#;
    let world = chat(Script::json(200, &ANSWER.replace(TOLD, odd)));
    world.call(CHAT, ASK);
    let usage = record(&world).usage;
    assert_eq!((usage.input, usage.source), (700, UsageSource::Estimated));
    assert!((1..=3).contains(&usage.output), "{usage:?}");
}

#[test]
fn a_stranger_to_usage_is_told_none_that_we_made_up() {
    let answer = ANSWER.replace(&format!(",\"usage\":{TOLD}"), "");
    let world = chat(Script::json(200, &answer));
    assert_eq!(world.call(CHAT, ASK).body, answer);
    let frames = [FRAMES[0], FRAMES[1], FRAMES[2], DONE];
    let world = chat(Script::sse(&frames));
    let asks = ASK_STREAM.replace(
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    );
    assert_eq!(world.call(CHAT, &asks).body, frames.concat());
}

#[test]
fn what_was_refused_or_failed_is_not_estimated() {
    for script in [Script::json(400, "{}"), Script::json(500, "{}")] {
        let world = chat(script);
        world.call(CHAT, ASK);
        assert_eq!(record(&world).usage, Usage::default());
    }
    let world = chat(Script::json(200, ANSWER));
    world.call(CHAT, "{\"model\":\"unknown\",\"messages\":[]}");
    assert_eq!(record(&world).usage, Usage::default());
}

#[test]
fn a_count_of_tokens_is_no_usage() {
    let world = World::new(&[("openai", "openai_chat")], Vec::new());
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let got = world.call("/v1/messages/count_tokens", body);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(record(&world).usage, Usage::default());
}

#[test]
fn the_tier_and_what_the_provider_charged_are_in_the_record() {
    let told = TOLD.replace("{\"prompt", "{\"cost\":0.00014535,\"prompt");
    let whole = ANSWER
        .replace(TOLD, &told)
        .replace("\"created\":1", "\"created\":1,\"service_tier\":\"flex\"");
    let stream = FRAMES[3]
        .replace("{\"prompt", "{\"cost\":1.4535e-4,\"prompt")
        .replace("\"created\":1", "\"created\":1,\"service_tier\":\"flex\"");
    let frames = [FRAMES[0], FRAMES[1], FRAMES[2], &stream, DONE];
    for (path, script, body) in [
        (CHAT, Script::json(200, &whole), ASK.to_owned()),
        (CHAT, Script::sse(&frames), asked(CHAT)),
        (MESSAGES, Script::sse(&frames), asked(MESSAGES)),
    ] {
        let world = chat(script);
        world.call(path, &body);
        let usage = record(&world).usage;
        assert_eq!(usage.told_cost_nanos, Some(145_350), "{path}");
        assert_eq!(usage.tier, Some(ServiceTier::Flex), "{path}");
        assert_eq!(usage.source, UsageSource::Provider, "{path}");
    }
}

#[test]
fn an_embedding_without_usage_is_estimated_by_its_input() {
    let answer = r#"{"object":"list","model":"up-m","data":[{"object":"embedding","index":0,"embedding":[0.5]}]}"#;
    let world = chat(Script::json(200, answer));
    let got = world.call(
        "/v1/embeddings",
        r#"{"model":"m","input":"some words to embed"}"#,
    );
    assert_eq!(got.body, answer);
    let usage = record(&world).usage;
    assert_eq!(usage.source, UsageSource::Estimated);
    assert!((4..=10).contains(&usage.input), "{usage:?}");
    assert_eq!(usage.output_total(), 0);

    let told = answer.replace(
        "}]}",
        "}],\"usage\":{\"prompt_tokens\":4,\"total_tokens\":4}}",
    );
    let world = chat(Script::json(200, &told));
    world.call(
        "/v1/embeddings",
        r#"{"model":"m","input":"some words to embed"}"#,
    );
    let usage = record(&world).usage;
    assert_eq!((usage.input, usage.source), (4, UsageSource::Provider));
}

/// The last chunk of a server that tells usage unasked bears content, too.
const UNASKED: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up-m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n";

#[test]
fn a_server_that_refuses_to_be_asked_for_usage_is_not_and_its_usage_passes() {
    let with = |body: &str| {
        body.replace(
            "\"stream\":true",
            "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
        )
    };
    for (path, body) in [
        (CHAT, ASK_STREAM.to_owned()),
        (CHAT, with(ASK_STREAM)),
        (MESSAGES, asked(MESSAGES)),
    ] {
        let script = Script::sse(&[FRAMES[0], FRAMES[1], UNASKED, DONE]);
        let world = World::new(&[("mistral", "openai_chat")], vec![Ok(script)]);
        let got = world.call(path, &body);
        assert_eq!(got.status, 200, "{}", got.body);
        let sent = &world.sent()[0];
        assert!(!sent.contains("stream_options"), "{sent}");
        if path == CHAT {
            let all = [FRAMES[0], FRAMES[1], UNASKED, DONE].concat();
            assert_eq!(got.body, all, "nothing of it is hidden");
        }
        let usage = record(&world).usage;
        assert_eq!((usage.input, usage.output), (7, 2));
        assert_eq!(usage.source, UsageSource::Provider);
    }
}

/// Every kind that speaks this dialect, by its entry in the catalog: asked
/// where it is asked for usage, hidden from a caller who did not ask, shown to
/// one who did.
#[test]
fn every_kind_is_asked_for_usage_and_only_callers_who_asked_see_the_chunk() {
    let all = [&FRAMES[..], &[DONE]].concat();
    let asks = ASK_STREAM.replace(
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    );
    let mut kinds = 0;
    for kind in providers::kinds() {
        let speaks = kind.dialects.contains(&"openai_chat");
        if !speaks || kind.provider.local().is_some() || kind.quirks.usage_unasked {
            continue;
        }
        kinds += 1;
        for (body, shown) in [(ASK_STREAM, false), (asks.as_str(), true)] {
            let script = Script::sse(&all);
            let world = World::new(&[(kind.name, "openai_chat")], vec![Ok(script)]);
            let got = world.call(CHAT, body);
            assert_eq!(got.status, 200, "{}: {}", kind.name, got.body);
            assert_eq!(got.body.contains("\"usage\""), shown, "{}", kind.name);
            let sent = &world.sent()[0];
            assert!(sent.contains("\"include_usage\":true"), "{}", kind.name);
            let usage = record(&world).usage;
            assert_eq!((usage.input, usage.output), (7, 2), "{}", kind.name);
        }
        // A caller of another dialect: asked upstream all the same.
        let world = World::new(&[(kind.name, "openai_chat")], vec![Ok(Script::sse(&all))]);
        world.call(MESSAGES, &asked(MESSAGES));
        assert!(world.sent()[0].contains("\"include_usage\":true"));
        assert_eq!(record(&world).usage.source, UsageSource::Provider);
    }
    assert!(kinds > 12, "{kinds} kinds speak it");
}

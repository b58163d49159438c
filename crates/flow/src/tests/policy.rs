//! Cases of choices by configuration, and of a caller who reads slowly.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use plan::LossPolicy;

use super::world::{Script, Step, World};
use super::{ANSWER, ASK, ASK_STREAM, CHAT, FRAMES};
use crate::{Caller, ReplyBody};

fn with_settings(world: &World, change: impl FnOnce(&mut plan::Settings)) {
    let mut plan = super::world::plan(&[("anthropic", "anthropic")]);
    change(&mut plan.settings);
    world.flow.plan.store(Arc::new(plan.into()));
}

#[test]
fn a_loss_is_refused_where_configured() {
    let world = World::new(&[("anthropic", "anthropic")], vec![]);
    with_settings(&world, |settings| settings.losses = LossPolicy::Refuse);
    let got = world.call(
        CHAT,
        &ASK.replace("\"x_unknown\": 1", "\"seed\": 5, \"max_tokens\": 9"),
    );
    assert_eq!(got.status, 400, "{}", got.body);
    assert!(got.body.contains("`seed`"), "{}", got.body);
    assert!(world.sent().is_empty(), "nothing goes upstream");
    assert_eq!(world.records().len(), 1);
}

#[test]
fn a_body_over_the_limit_of_answers_is_a_fault() {
    let world = World::new(
        &[("anthropic", "anthropic")],
        vec![Ok(Script::json(200, ANSWER))],
    );
    with_settings(&world, |settings| settings.answer_bytes_max = 16);
    let got = world.call(CHAT, &ASK.replace(", \"x_unknown\": 1", ""));
    assert_eq!(got.status, 502, "{}", got.body);
}

/// A caller who does not read does not make us read: what is held is what was
/// taken in before the head went out, and nothing more.
#[test]
fn a_slow_reader_holds_the_upstream_back() {
    let mut script = Script::sse(&FRAMES[..2]);
    let big = FRAMES[1].to_owned();
    for _ in 0..10_000 {
        script = script.then(Step::Bytes(big.clone().into_bytes()));
    }
    let world = World::new(&[("openai", "openai_chat")], vec![Ok(script)]);
    let (head, ()) = http::Request::post(CHAT)
        .header("authorization", "Bearer tg-test")
        .body(())
        .expect("a request")
        .into_parts();
    let exchange = world
        .flow
        .open(head, Caller::default())
        .ok()
        .expect("admitted");
    let reply = futures_executor::block_on(exchange.run(Ok(ASK_STREAM.into())));
    let taken = || world.wire.taken.load(std::sync::atomic::Ordering::SeqCst);
    let before = taken();
    assert!(
        before <= 4,
        "only the first content was taken, not {before} pieces"
    );
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("a stream")
    };
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(piece))) = stream.poll_next(&mut cx) else {
        panic!("a piece")
    };
    let after = taken();
    assert!(
        after < 200,
        "one read takes a bounded piece, not {after} pieces"
    );
    assert!(piece.len() < 64 * 1024, "{} bytes", piece.len());
    assert_eq!(
        taken(),
        after,
        "without a further read nothing more is taken"
    );
}

#[test]
fn an_answer_that_does_not_end_is_a_timeout() {
    let script = Script::json(200, "{\"id\":").then(Step::Silence);
    let world = World::new(&[("openai", "openai_chat")], vec![Ok(script)]);
    let got = world.call(CHAT, ASK);
    assert_eq!(got.status, 504, "{}", got.body);
    assert!(
        world.wire.dropped.load(std::sync::atomic::Ordering::SeqCst),
        "upstream cancelled"
    );
}

#[test]
fn a_candidate_that_is_unfit_hides_no_fault_of_one_that_broke() {
    let audio = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]}"#;
    let three = [
        ("openai", "openai_chat"),
        ("anthropic", "anthropic"),
        ("mistral", "openai_chat"),
    ];
    let scripts = vec![Ok(Script::json(500, "{}")), Ok(Script::json(200, ANSWER))];
    let world = World::new(&three, scripts);
    let got = world.call(CHAT, audio);
    assert_eq!(got.status, 200, "{}", got.body);
    let world = World::new(&three[..2], vec![Ok(Script::json(500, "{}"))]);
    assert_eq!(world.call(CHAT, audio).status, 502);
    let world = World::new(&three[1..], vec![Ok(Script::json(200, ANSWER))]);
    assert_eq!(world.call(CHAT, audio).status, 200, "the fit one is next");
    let world = World::new(&three[1..2], Vec::new());
    let got = world.call(CHAT, audio);
    assert_eq!(got.status, 400, "{}", got.body);
}

/// A vendor that knows only the older name of the cap gets that name, also in
/// a body that is passed on, and of two caps the smaller one.
#[test]
fn the_cap_is_called_what_the_vendor_calls_it() {
    let ask = |caps: &str| {
        format!(
            r#"{{ {caps}"model" : "m", "x": 1, "messages":[{{"role":"user","content":"hi"}}]}}"#
        )
    };
    let cases = [
        (r#""max_completion_tokens" : 9, "#, r#""max_tokens" : 9, "#),
        (r#""max_tokens": 9, "#, r#""max_tokens": 9, "#),
        (
            r#""max_tokens": 9, "max_completion_tokens":5, "#,
            r#""max_tokens": 5, "#,
        ),
        (
            r#""max_completion_tokens":5, "max_tokens": 4, "#,
            r#""max_tokens": 4, "#,
        ),
    ];
    for (caps, expected) in cases {
        let sent = |kind| {
            let world = World::new(
                &[(kind, "openai_chat")],
                vec![Ok(Script::json(200, ANSWER))],
            );
            assert_eq!(world.call(CHAT, &ask(caps)).status, 200);
            world.sent().remove(0)
        };
        let named = |body: String| body.replace("\"m\"", "\"up-m\"");
        assert_eq!(sent("mistral"), named(ask(expected)));
        assert_eq!(sent("openai"), named(ask(caps)), "nothing is renamed there");
    }
    // Translated as well.
    let world = World::new(
        &[("deepseek", "openai_chat")],
        vec![Ok(Script::json(200, ANSWER))],
    );
    let body = r#"{"model":"m","max_tokens":7,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(world.call("/v1/messages", body).status, 200);
    assert!(
        world.sent()[0].contains(r#""max_tokens":7"#),
        "{:?}",
        world.sent()
    );
}

/// A usage chunk tells figures or does not come: zeros would be billed.
#[test]
fn usage_that_nobody_reported_is_not_told() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up-m\",\"content\":[]}}\n\n";
    let rest = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let end = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let told = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}\n\n";
    let ask = ASK_STREAM.replace(
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    );
    for (frames, has_usage) in [
        (vec![start, rest, told, end], true),
        (vec![start, rest, end], false),
    ] {
        let world = World::new(
            &[("anthropic", "anthropic")],
            vec![Ok(Script::sse(&frames))],
        );
        let got = world.call(CHAT, &ask);
        assert!(got.body.ends_with(super::DONE), "{}", got.body);
        assert_eq!(
            got.body.contains("\"prompt_tokens\""),
            has_usage,
            "{}",
            got.body
        );
        assert!(!got.body.contains("\"total_tokens\":0"), "{}", got.body);
    }
}

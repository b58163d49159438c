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
    world.flow.plan.store(Arc::new(plan));
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
        .open(head, Caller { address: None })
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

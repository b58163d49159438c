//! How the first call ended, and what its repeat may do: run, or be told that
//! there is no second call.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use access::Mode;
use bytes::Bytes;
use serde_json::json;
use store::Vote;

use super::super::rules::policy;
use super::super::world::Step;
use super::*;
use crate::{Caller, Exchange, ReplyBody};

/// What a repeat meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It runs.
    Runs,
    /// It is told that nobody knows the outcome.
    Unknown,
}

fn failures() -> Vec<(&'static str, bool, Result<Script, WireFaultKind>, Then)> {
    let begun = || Script::sse(&FRAMES[..2]);
    let error = "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\"}}\n\n";
    vec![
        ("connect", false, Err(WireFaultKind::Connect), Then::Runs),
        ("no way", false, Err(WireFaultKind::Exhausted), Then::Runs),
        ("400", false, Ok(Script::json(400, "{}")), Then::Runs),
        ("401", false, Ok(Script::json(401, "{}")), Then::Runs),
        ("429", false, Ok(Script::json(429, "{}")), Then::Runs),
        ("500", false, Ok(Script::json(500, "{}")), Then::Runs),
        ("529", true, Ok(Script::json(529, "{}")), Then::Runs),
        ("504", false, Ok(Script::json(504, "{}")), Then::Unknown),
        ("408", false, Ok(Script::json(408, "{}")), Then::Unknown),
        (
            "head",
            false,
            Err(WireFaultKind::HeadTimeout),
            Then::Unknown,
        ),
        (
            "reset",
            true,
            Err(WireFaultKind::ResetBeforeHead),
            Then::Unknown,
        ),
        (
            "reset in body",
            false,
            Ok(Script::json(200, "{\"id\"").then(Step::Reset)),
            Then::Unknown,
        ),
        (
            "rubbish",
            false,
            Ok(Script::json(200, "<html>")),
            Then::Unknown,
        ),
        ("no content", true, Ok(Script::sse(&[])), Then::Unknown),
        ("cut stream", true, Ok(begun()), Then::Unknown),
        (
            "reset stream",
            true,
            Ok(begun().then(Step::Reset)),
            Then::Unknown,
        ),
        (
            "error in the stream",
            true,
            Ok(Script::sse(&[FRAMES[0], FRAMES[1], error])),
            Then::Unknown,
        ),
    ]
}

#[test]
fn a_call_that_failed_runs_again_only_if_nothing_can_have_come_of_it() {
    for (name, stream, failure, then) in failures() {
        for retains in [true, false] {
            let settings = Idempotency {
                retains,
                ..Idempotency::default()
            };
            let scripts = vec![failure.clone(), Ok(answer(stream, false))];
            let (world, _) = world_of(settings, scripts);
            let body = if stream { ASK_STREAM } else { BARE };
            let first = keyed(&world, CHAT, body, "k");
            assert!(
                first.status != 200 || first.body.contains("\"error\""),
                "{name}: {}",
                first.body
            );
            let again = keyed(&world, CHAT, body, "k");
            match then {
                Then::Runs => {
                    assert_eq!(again.status, 200, "{name}: {}", again.body);
                    assert_eq!(world.sent().len(), 2, "{name}");
                    assert_eq!(header(&again, "tollgate-idempotent-replay"), "", "{name}");
                }
                Then::Unknown => {
                    refused(&again, "outcome_unknown");
                    assert_eq!(world.sent().len(), 1, "{name}");
                }
            }
        }
    }
}

#[test]
fn where_the_operator_says_so_an_unknown_call_runs_again() {
    for (name, stream, failure, _) in failures() {
        let settings = Idempotency {
            runs_unknown: true,
            ..retaining()
        };
        let scripts = vec![failure, Ok(answer(stream, false))];
        let (world, _) = world_of(settings, scripts);
        let body = if stream { ASK_STREAM } else { BARE };
        keyed(&world, CHAT, body, "k");
        let again = keyed(&world, CHAT, body, "k");
        assert_eq!(again.status, 200, "{name}: {}", again.body);
        let third = keyed(&world, CHAT, body, "k");
        assert_eq!(
            header(&third, "tollgate-idempotent-replay"),
            "true",
            "{name}"
        );
        assert_eq!(third.body, again.body, "{name}");
        assert_eq!(world.sent().len(), 2, "{name}");
    }
}

#[test]
fn one_attempt_that_nobody_heard_of_is_enough() {
    let mut two = plan(retaining());
    let mistral = super::super::world::plan(&[("mistral", "openai_chat")]);
    two.providers.extend(mistral.providers);
    let both = [0, 1].map(|nth| routing::Candidate::new(nth, "up-m", None));
    two.models.name("m", both.to_vec());
    let scripts = vec![Err(WireFaultKind::HeadTimeout), Err(WireFaultKind::Connect)];
    let (world, _) = world_with(two, scripts);
    assert_ne!(keyed(&world, CHAT, BARE, "k").status, 200);
    refused(&keyed(&world, CHAT, BARE, "k"), "outcome_unknown");
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn what_was_refused_before_anything_was_sent_frees_the_key() {
    let (world, _) = world_of(retaining(), vec![Ok(Script::json(200, ANSWER))]);
    let unknown = BARE.replace("\"m\"", "\"nobody\"");
    for _ in 0..2 {
        assert_eq!(keyed(&world, CHAT, &unknown, "k").status, 404);
    }
    // The key is free for another body, too.
    assert_eq!(keyed(&world, CHAT, BARE, "k").status, 200);
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn what_a_rule_refused_of_an_answer_is_refused_again_without_a_second_call() {
    for retains in [true, false] {
        let settings = Idempotency {
            retains,
            ..Idempotency::default()
        };
        let schema = json!({"schema": {"type": "object"}});
        let rules = [("r", "output_schema", schema, Mode::Enforce)];
        let denying = Plan {
            policy: policy(&rules),
            ..plan(settings)
        };
        let (world, _) = world_with(denying, vec![Ok(Script::json(200, ANSWER))]);
        let first = keyed(&world, CHAT, BARE, "k");
        assert_eq!(first.status, 403, "{}", first.body);
        let again = keyed(&world, CHAT, BARE, "k");
        if retains {
            assert_eq!((again.status, &again.body), (403, &first.body));
            assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
            assert_eq!(header(&again, "x-should-retry"), "false");
        } else {
            refused(&again, "completed_not_retained");
            assert!(again.body.contains("403"), "{}", again.body);
        }
        assert_eq!(world.sent().len(), 1);
    }
}

#[test]
fn a_call_comes_back_with_its_approval_and_the_same_key() {
    for settings in [json!({"models": ["m"]}), json!({"tools": ["get_*"]})] {
        let is_tool = settings.get("tools").is_some();
        let rules = [("r", "approval", settings, Mode::Enforce)];
        let plan = Plan {
            policy: policy(&rules),
            ..plan(retaining())
        };
        let scripts = (0..2).map(|_| Ok(answer(false, is_tool)));
        let (world, clock) = world_with(plan, scripts.collect());
        let pending = keyed(&world, CHAT, BARE, "k");
        assert_eq!(pending.status, 403, "{}", pending.body);
        let id = header(&pending, "tollgate-approval").to_owned();
        let vote = Vote {
            by: "bob".into(),
            at_us: clock.unix_us(),
            approves: true,
            note: None,
        };
        let lane = world.flow.approvals.as_ref().expect("a lane");
        lane.store().vote(&id, &vote).expect("a vote");
        let headers = [AUTH, ("idempotency-key", "k"), ("tollgate-approval", &id)];
        let given = world.call_with(CHAT, BARE, &headers);
        assert_eq!(given.status, 200, "{}", given.body);
        let again = world.call_with(CHAT, BARE, &headers);
        assert_eq!((again.status, &again.body), (200, &given.body));
        assert_eq!(world.sent().len(), if is_tool { 2 } else { 1 });
    }
}

fn opened(world: &World, body: &str) -> Box<Exchange> {
    let request = http::Request::post(CHAT)
        .header(AUTH.0, AUTH.1)
        .header("idempotency-key", "k");
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let Ok(exchange) = world.flow.open(head, Caller::default()) else {
        panic!("refused: {body}");
    };
    exchange
}

/// Polls a call until the upstream was asked, and drops it.
fn left_while_it_is_answered(world: &World) {
    let body = Bytes::from_static(BARE.as_bytes());
    let mut run = Box::pin(opened(world, BARE).run(Ok(body)));
    futures_executor::block_on(poll_fn(|cx| {
        assert!(run.as_mut().poll(cx).is_pending());
        match world.sent().is_empty() {
            true => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            false => Poll::Ready(()),
        }
    }));
}

#[test]
fn a_caller_who_leaves_before_anything_is_sent_frees_the_key() {
    let (mut world, clock) = world_of(retaining(), vec![Ok(Script::json(200, ANSWER))]);
    let store = Arc::new(super::stores::Gated::default());
    let lane = ReplyLane::new(store.clone(), clock, "p1".into()).expect("a thread");
    let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
    flow.replies = Some(lane.clone());
    drop(opened(&world, BARE));
    // It leaves while the key is claimed: nobody takes the claim.
    let body = Bytes::from_static(BARE.as_bytes());
    let mut run = Box::pin(opened(&world, BARE).run(Ok(body)));
    let waker = std::task::Waker::noop();
    assert!(
        run.as_mut()
            .poll(&mut Context::from_waker(waker))
            .is_pending()
    );
    drop(run);
    store.open.store(true, SeqCst);
    // The claim, and then its end.
    lane.flush();
    lane.flush();
    assert_eq!(lane.store().held().expect("readable").keys, 0);
    assert_eq!(keyed(&world, CHAT, BARE, "k").status, 200);
    let [left, waited, done] = &world.records()[..] else {
        panic!("three records")
    };
    let ends = [left, waited, done].map(|it| it.outcome);
    assert_eq!(
        ends,
        [Outcome::Cancelled, Outcome::Cancelled, Outcome::Complete]
    );
    assert_eq!(noted(waited).verdict, "open");
}

#[test]
fn a_caller_who_leaves_in_the_middle_leaves_an_unknown_outcome() {
    let gate = Arc::new(AtomicBool::new(false));
    let held = Script::json(200, ANSWER);
    let held = Script {
        chunks: vec![Step::Gate(gate)],
        ..held
    };
    let (world, _) = world_of(retaining(), vec![Ok(held)]);
    left_while_it_is_answered(&world);
    assert!(world.wire.dropped.load(SeqCst), "upstream cancelled");
    refused(&keyed(&world, CHAT, BARE, "k"), "outcome_unknown");
    // The same of a stream that has begun.
    let begun = Script::sse(&FRAMES[..2]).then(Step::Silence);
    let (world, _) = world_of(retaining(), vec![Ok(begun)]);
    let exchange = opened(&world, ASK_STREAM);
    let reply = futures_executor::block_on(exchange.run(Ok(ASK_STREAM.into())));
    assert_eq!(reply.status, 200);
    drop(reply);
    refused(&keyed(&world, CHAT, ASK_STREAM, "k"), "outcome_unknown");
    let records = world.records();
    assert_eq!(records[0].outcome, Outcome::Cancelled);
    assert_eq!(world.sent().len(), 1);
}

/// A caller may leave at any moment, also between two of the store's answers.
#[test]
fn whenever_a_caller_leaves_there_is_no_second_call() {
    for polls in 0..60 {
        for (body, stream) in [(BARE, false), (ASK_STREAM, true)] {
            let (world, _) = world_of(retaining(), vec![Ok(answer(stream, false))]);
            let mut run =
                Box::pin(opened(&world, body).run(Ok(Bytes::from_static(body.as_bytes()))));
            let mut taken = None;
            futures_executor::block_on(poll_fn(|cx| {
                for _ in 0..polls {
                    if let Poll::Ready(reply) = run.as_mut().poll(cx) {
                        taken = Some(reply.body);
                        break;
                    }
                    std::thread::yield_now();
                }
                Poll::Ready(())
            }));
            drop(run);
            // Of a stream it takes as many pieces as it had patience.
            let pieces = polls % 7;
            if let Some(ReplyBody::Stream(stream)) = &mut taken {
                for _ in 0..pieces {
                    drop(futures_executor::block_on(poll_fn(|cx| {
                        stream.poll_next(cx)
                    })));
                }
            }
            drop(taken);
            let lane = world.flow.replies.clone().expect("a lane");
            lane.flush();
            lane.flush();
            let was_sent = !world.sent().is_empty();
            if was_sent {
                let again = keyed(&world, CHAT, body, "k");
                let is_replay = header(&again, "tollgate-idempotent-replay") == "true";
                assert!(is_replay || again.status == 422, "{polls}: {}", again.body);
            } else {
                assert_eq!(lane.store().held().expect("readable").keys, 0, "{polls}");
                assert_eq!(keyed(&world, CHAT, body, "k").status, 200, "{polls}");
            }
            assert_eq!(world.sent().len(), 1, "{polls}");
            assert_eq!(world.records().len(), 2, "{polls}");
        }
    }
}

/// Who took the whole answer has it kept, even if the end was not awaited.
#[test]
fn a_stream_that_was_taken_whole_is_kept() {
    let all = Script::sse(&[FRAMES[0], FRAMES[1], FRAMES[2], DONE]);
    let (world, _) = world_of(retaining(), vec![Ok(all)]);
    let exchange = opened(&world, ASK_STREAM);
    let reply = futures_executor::block_on(exchange.run(Ok(ASK_STREAM.into())));
    let ReplyBody::Stream(mut stream) = reply.body else {
        panic!("a stream")
    };
    let mut taken = Vec::new();
    while !taken.ends_with(DONE.as_bytes()) {
        let next = futures_executor::block_on(poll_fn(|cx| stream.poll_next(cx)));
        taken.extend_from_slice(&next.expect("more").expect("no cut"));
    }
    drop(stream);
    let again = keyed(&world, CHAT, ASK_STREAM, "k");
    assert_eq!((again.status, again.body.as_bytes()), (200, &taken[..]));
    assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
}

#[test]
fn an_answer_that_is_too_large_to_be_kept_is_given_whole_and_not_again() {
    for (body, script) in [
        (BARE, answer(false, false)),
        (ASK_STREAM, answer(true, false)),
    ] {
        for (body_bytes, total_bytes, result) in
            [(64, 1_000, "too_large"), (100_000, 64, "replies_full")]
        {
            let settings = Idempotency {
                body_bytes,
                total_bytes,
                ..retaining()
            };
            let (world, _) = world_of(settings, vec![Ok(script.clone())]);
            let first = keyed(&world, CHAT, body, "k");
            assert_eq!(first.status, 200);
            assert!(
                first.body.len() > 64 && first.body.contains("lo"),
                "{}",
                first.body
            );
            refused(&keyed(&world, CHAT, body, "k"), "completed_not_retained");
            assert_eq!(counted(&world, result), 1, "{result}");
        }
    }
}

#[test]
fn what_the_caller_wants_not_kept_is_not_kept() {
    for (told, is_kept) in [
        (("tollgate-retention", "none"), false),
        (("tollgate-retention", "digest"), false),
        (("tollgate-retention", "full"), true),
        (("cache-control", "max-age=0, No-Store"), false),
        (("cache-control", "no-cache"), true),
    ] {
        let (world, _) = world_of(retaining(), vec![Ok(answer(false, false))]);
        let headers = [AUTH, ("idempotency-key", "k"), told];
        assert_eq!(
            world.call_with(CHAT, BARE, &headers).status,
            200,
            "{told:?}"
        );
        let again = world.call_with(CHAT, BARE, &headers);
        match is_kept {
            true => assert_eq!(
                header(&again, "tollgate-idempotent-replay"),
                "true",
                "{told:?}"
            ),
            false => refused(&again, "completed_not_retained"),
        }
    }
}

#[test]
fn the_sandbox_keeps_the_promise_as_well() {
    let sandbox = Plan {
        idempotency: retaining(),
        ..super::super::world::plan(&[("sandbox", "")])
    };
    let (world, _) = world_with(sandbox, Vec::new());
    for body in [BARE, ASK_STREAM] {
        let first = keyed(&world, CHAT, body, body.len().to_string().as_str());
        assert_eq!(first.status, 200, "{}", first.body);
        let again = keyed(&world, CHAT, body, body.len().to_string().as_str());
        assert_eq!(again.body, first.body);
        assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
    }
}

//! Repeats that come while the first call runs.

use std::sync::atomic::AtomicBool;

use access::{KeyLife, LiveKey, LiveKeys};

use super::super::keys::KEY;
use super::super::world::Step;
use super::*;

/// As long as it takes.
const PATIENT: u64 = 1 << 40;

/// An answer that comes once the gate is open.
fn gated(stream: bool) -> (Script, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let mut script = answer(stream, false);
    // A stream has begun by then.
    let at = if stream { 2 } else { 0 };
    script.chunks.insert(at, Step::Gate(gate.clone()));
    (script, gate)
}

fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

fn waiting(world: &World) -> usize {
    world.flow.replies.as_ref().expect("a lane").waiting()
}

fn patient() -> Idempotency {
    Idempotency {
        wait_ms: PATIENT,
        ..retaining()
    }
}

#[test]
fn concurrent_repeats_wait_and_get_the_one_answer() {
    for (body, stream) in [(BARE, false), (ASK_STREAM, true)] {
        let (script, gate) = gated(stream);
        let (world, _) = world_of(patient(), vec![Ok(script)]);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| keyed(&world, CHAT, body, "k"));
            until(|| !world.sent().is_empty());
            let repeats: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| keyed(&world, CHAT, body, "k")))
                .collect();
            until(|| waiting(&world) == 3);
            // Another body need not wait to be told.
            refused(&keyed(&world, CHAT, ASK, "k"), "idempotency_conflict");
            gate.store(true, SeqCst);
            let first = first.join().expect("no panic");
            assert_eq!(first.status, 200, "{}", first.body);
            for repeat in repeats {
                let got = repeat.join().expect("no panic");
                assert_eq!((got.status, &got.body), (200, &first.body));
                assert_eq!(header(&got, "tollgate-idempotent-replay"), "true");
            }
        });
        assert_eq!(world.sent().len(), 1);
        assert_eq!((waiting(&world), counted(&world, "waited")), (0, 3));
        assert_eq!(world.records().len(), 5);
    }
}

#[test]
fn without_retained_answers_a_repeat_waits_for_the_outcome() {
    let (script, gate) = gated(false);
    let settings = Idempotency {
        retains: false,
        ..patient()
    };
    let (world, _) = world_of(settings, vec![Ok(script)]);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| keyed(&world, CHAT, BARE, "k"));
        until(|| !world.sent().is_empty());
        let repeat = scope.spawn(|| keyed(&world, CHAT, BARE, "k"));
        until(|| waiting(&world) == 1);
        gate.store(true, SeqCst);
        assert_eq!(first.join().expect("no panic").status, 200);
        refused(&repeat.join().expect("no panic"), "completed_not_retained");
    });
}

#[test]
fn of_those_that_wait_one_runs_where_the_first_call_could_not() {
    let gate = Arc::new(AtomicBool::new(false));
    let mut failure = Script::json(500, "{}");
    failure.chunks.insert(0, Step::Gate(gate.clone()));
    let scripts = vec![Ok(failure), Ok(answer(false, false))];
    let (world, _) = world_of(patient(), scripts);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| keyed(&world, CHAT, BARE, "k"));
        until(|| !world.sent().is_empty());
        let repeats: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| keyed(&world, CHAT, BARE, "k")))
            .collect();
        until(|| waiting(&world) == 3);
        gate.store(true, SeqCst);
        assert_eq!(first.join().expect("no panic").status, 502);
        let repeats = repeats.into_iter();
        let got: Vec<_> = repeats.map(|it| it.join().expect("no panic")).collect();
        assert!(got.iter().all(|it| it.status == 200));
        let ran = got
            .iter()
            .filter(|it| header(it, "tollgate-attempts") == "1");
        assert_eq!(ran.count(), 1);
    });
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn a_repeat_waits_no_longer_than_it_may() {
    for wait_ms in [0, 3_000] {
        let (script, gate) = gated(false);
        let settings = Idempotency {
            wait_ms,
            ..retaining()
        };
        let (world, _) = world_of(settings, vec![Ok(script)]);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| keyed(&world, CHAT, BARE, "k"));
            until(|| !world.sent().is_empty());
            let got = keyed(&world, CHAT, BARE, "k");
            gate.store(true, SeqCst);
            assert_eq!(got.status, 504, "{}", got.body);
            assert!(got.body.contains("still_running"), "{}", got.body);
            assert_eq!(header(&got, "retry-after"), "2");
            assert_eq!(first.join().expect("no panic").status, 200);
        });
        let again = keyed(&world, CHAT, BARE, "k");
        assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
        assert_eq!(world.sent().len(), 1);
        assert_eq!(counted(&world, "still_running"), 1);
    }
}

#[test]
fn only_so_many_repeats_of_a_call_wait() {
    let (script, gate) = gated(false);
    let (world, _) = world_of(patient(), vec![Ok(script)]);
    let lane = world.flow.replies.clone().expect("a lane");
    let key = store::ReplyKey {
        tenant: "t".into(),
        app: "a".into(),
        digest: *blake3::hash(b"k").as_bytes(),
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| keyed(&world, CHAT, BARE, "k"));
        until(|| !world.sent().is_empty());
        let seats: Vec<_> = std::iter::from_fn(|| lane.seat(&key).ok()).collect();
        let got = keyed(&world, CHAT, BARE, "k");
        assert_eq!(got.status, 429, "{}", got.body);
        assert!(got.body.contains("one at a time"), "{}", got.body);
        drop(seats);
        gate.store(true, SeqCst);
        assert_eq!(first.join().expect("no panic").status, 200);
    });
    let records = world.records();
    assert!(
        records
            .iter()
            .any(|it| noted(it).reason == "too_many_repeats")
    );
}

/// The first call of a process that is gone is not waited for.
#[test]
fn a_call_of_a_dead_process_is_unknown_once_its_lease_is_over() {
    let (world, clock) = world_of(patient(), Vec::new());
    let lane = world.flow.replies.clone().expect("a lane");
    let mut claim = store::replies::conformance::claim("k");
    claim.key.tenant = "t".into();
    claim.key.app = "a".into();
    claim.now_us = clock.unix_us();
    claim.lease_us = 60_000_000;
    claim.request = {
        let mut hasher = blake3::Hasher::new();
        for part in ["POST", "openai_chat", CHAT, ""] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        *hasher.update(BARE.as_bytes()).finalize().as_bytes()
    };
    lane.store().claim(&claim).expect("writable");
    std::thread::scope(|scope| {
        let repeat = scope.spawn(|| keyed(&world, CHAT, BARE, "k"));
        until(|| waiting(&world) == 1);
        clock.wall_us.store(60_000_000, SeqCst);
        refused(&repeat.join().expect("no panic"), "outcome_unknown");
    });
    assert!(world.sent().is_empty());
}

#[test]
fn a_repeat_whose_key_was_revoked_meanwhile_gets_nothing() {
    let (script, gate) = gated(false);
    let (world, _) = world_of(patient(), vec![Ok(script)]);
    let life = Arc::new(KeyLife::new(false));
    let empty = LiveKeys::new(Secret::new([9; 32]));
    let key = LiveKey {
        consumer: Arc::new(Consumer::new("k7m2p9qa", "t", "a")),
        life: life.clone(),
        until_us: None,
    };
    let digest = empty.digest(&Secret::new(KEY.to_owned()));
    let table = empty.with(std::collections::HashMap::from([(digest, key)]));
    world.flow.keys.store(Arc::new(table));
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
    std::thread::scope(|scope| {
        let first = scope.spawn(|| keyed(&world, CHAT, BARE, "k"));
        until(|| !world.sent().is_empty());
        let repeat = scope.spawn(|| world.call_with(CHAT, BARE, &headers));
        until(|| waiting(&world) == 1);
        life.revoke();
        let got = repeat.join().expect("no panic");
        assert_eq!(got.status, 401, "{}", got.body);
        gate.store(true, SeqCst);
        assert_eq!(first.join().expect("no panic").status, 200);
    });
}

//! Approvals of calls whose key is revoked while they wait, and approvals that
//! are withdrawn: nothing goes on, and the approval stays unused.

use super::super::keys::{KEY, live};
use super::*;

/// A call with a live key that is revoked at the look at which people say yes.
fn revoked(settings: Value, script: (bool, bool), looks: u64) -> (Got, World) {
    let (stream, tool) = script;
    let world = world(&rule(settings), answer(stream, tool));
    let slow = Slow {
        inner: MemoryApprovals::default(),
        looks: looks.into(),
        approves: true,
        revokes: Some(live(&world, false)),
        withdraws: false,
    };
    let world = with_store(world, slow);
    let bearer = format!("Bearer {KEY}");
    let body = BARE.replacen('{', &format!("{{\"stream\":{stream},"), 1);
    let auth = ("authorization", &*bearer);
    let mut got = world.call_with(CHAT, &body, &[auth]);
    if looks > 0 {
        let id = pending(&got);
        got = world.call_with(CHAT, &body, &[auth, ("tollgate-approval", &id)]);
    }
    (got, world)
}

fn is_left_unused(world: &World) {
    let row = &open(world, None)[0];
    assert_eq!(row.used_us, None);
    let records = world.records();
    let last = records.last().expect("a record");
    let noted = |it: &evidence::Decision| it.stage == "approval" && it.reason == "key_revoked";
    assert!(last.decisions.iter().any(noted), "{:?}", last.decisions);
}

#[test]
fn a_call_that_waits_is_not_sent_once_its_key_is_revoked() {
    let waits = json!({"models": ["m"], "wait_ms": 30_000});
    for (settings, looks) in [(waits, 0), (json!({"models": ["m"]}), 2)] {
        let (got, world) = revoked(settings, (false, false), looks);
        assert_eq!(got.status, 401, "{}", got.body);
        assert!(got.body.contains("was revoked"), "{}", got.body);
        assert!(!got.headers.contains_key("tollgate-approval"));
        assert!(world.sent().is_empty());
        is_left_unused(&world);
    }
}

#[test]
fn an_answer_that_waits_is_not_given_out_once_the_key_is_revoked() {
    let waits = json!({"tools": ["get_*"], "wait_ms": 30_000});
    for stream in [false, true] {
        let (got, world) = revoked(waits.clone(), (stream, true), 0);
        assert_eq!(got.status, if stream { 200 } else { 401 }, "{}", got.body);
        assert!(got.body.contains("was revoked"), "{}", got.body);
        assert!(!got.body.contains("get_weather"), "{}", got.body);
        is_left_unused(&world);
    }
}

#[test]
fn an_approval_that_is_withdrawn_at_the_last_moment_lets_nothing_on() {
    let waits = json!({"models": ["m"], "wait_ms": 30_000});
    for (settings, looks) in [(waits, 0), (json!({"models": ["m"]}), 2)] {
        let slow = Slow {
            inner: MemoryApprovals::default(),
            looks: looks.into(),
            approves: true,
            revokes: None,
            withdraws: true,
        };
        let world = with_store(world(&rule(settings), answer(false, false)), slow);
        let mut got = world.call(CHAT, BARE);
        if looks > 0 {
            let id = pending(&got);
            got = again(&world, CHAT, BARE, &id);
        }
        assert_eq!(got.status, 403, "{}", got.body);
        assert!(got.body.contains("was denied"), "{}", got.body);
        assert!(world.sent().is_empty());
        assert_eq!(open(&world, None)[0].used_us, None);
    }
}

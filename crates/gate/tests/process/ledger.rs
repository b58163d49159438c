//! Budgets over the death and the replacement of a process: what was spent or
//! reserved counts, once.

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, Home, KEY, post};
use crate::until;
use crate::upstream::{Event, Upstream, gated};

const DOOR: &str = "/v1/chat/completions";
/// What a call comes to that is not a stream.
const TOKENS: i64 = 5;
/// What it may say at most. A call that says more does not fit any more once
/// one of these was lost.
const MOST: u32 = 300;

fn home(up: &Upstream) -> Home {
    Home::with(&up.config(
        "budgets: [{name: all, measure: tokens, limit: '500', window: forever}]\n\
         evidence: {index: false}",
    ))
}

fn body(most: u32, stream: bool) -> String {
    format!(
        "{{\"model\":\"m\",\"stream\":{stream},\"max_tokens\":{most},\
         \"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}"
    )
}

fn call(gateway: &Gateway, most: u32) -> Answer {
    gateway.post(DOOR, &body(most, false))
}

/// The row of the ledger that a call has left.
fn row(gateway: &Gateway, home: &Home, id: &str) -> Value {
    let mut row = Value::Null;
    until("its record is there", || {
        let lines = gateway.logs(home, &["--request-id", id]);
        row = lines
            .first()
            .map_or(Value::Null, |it| it["reservations"][0].clone());
        !row.is_null()
    });
    row
}

/// What is settled and reserved of the budget, as a small call finds it.
fn level(gateway: &Gateway, home: &Home) -> i64 {
    let answer = call(gateway, 1);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let row = row(gateway, home, answer.header("tollgate-request-id"));
    assert_eq!(row["settled"], TOKENS, "{row}");
    row["level"].as_i64().unwrap()
}

/// A stream that has begun, and its request id.
fn open_stream(gateway: &Gateway) -> (Client, String) {
    let mut client = gateway.connect();
    post(&mut client, KEY, DOOR, &body(MOST, true)).unwrap();
    let head = client.head().unwrap();
    client.chunks_until("first");
    (client, head.header("tollgate-request-id").to_owned())
}

/// Waits until the counters were compared with the ledger once more.
fn is_true(gateway: &Gateway) {
    let sample = "tollgate_ledger_comparisons ";
    let before = gateway.metric(sample);
    assert_eq!(call(gateway, 1).status, 200);
    until("they are compared", || gateway.metric(sample) > before);
    assert_eq!(gateway.metric("tollgate_ledger_drift "), 0.0);
    assert_eq!(gateway.metric("tollgate_ledger_lag "), 0.0);
}

#[test]
fn a_kill_forgets_nothing_that_was_spent_or_reserved() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = home(&up);
    let gateway = home.start();
    for _ in 0..3 {
        assert_eq!(call(&gateway, MOST).status, 200);
    }
    let (_stream, lost) = open_stream(&gateway);
    gateway.kill();

    let gateway = home.start();
    let row = row(&gateway, &home, &lost);
    let reserved = row["reserved"].as_i64().unwrap();
    assert!(reserved > i64::from(MOST), "{row}");
    assert!(row["settled"].is_null(), "nobody knows");
    let mut spent = 3 * TOKENS + reserved;
    assert_eq!(level(&gateway, &home), spent);
    let answer = call(&gateway, MOST);
    assert_eq!(answer.status, 402, "{}", answer.text());
    is_true(&gateway);
    spent += 2 * TOKENS;
    gateway.stop();

    // With a checkpoint, without one, and with one that is worth nothing.
    let checkpoint = home.path("data/ledger.checkpoint");
    let good = std::fs::read(&checkpoint).unwrap();
    for kept in [Some(&good[..]), None, Some(&good[..good.len() - 1])] {
        match kept {
            Some(bytes) => std::fs::write(&checkpoint, bytes).unwrap(),
            None => std::fs::remove_file(&checkpoint).unwrap(),
        }
        let gateway = home.start();
        assert_eq!(level(&gateway, &home), spent);
        is_true(&gateway);
        spent += 2 * TOKENS;
        let is_said = gateway
            .complaints()
            .contains("the checkpoint of the ledger");
        assert_eq!(is_said, kept.is_some_and(|it| it.len() < good.len()));
        gateway.kill();
        let gateway = home.start();
        assert_eq!(level(&gateway, &home), spent);
        spent += TOKENS;
        gateway.stop();
    }
    gate.happen();
}

#[test]
fn a_budget_keeps_its_level_when_a_new_process_takes_over() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = home(&up);
    let mut old = home.start();
    assert_eq!(call(&old, 1).status, 200);
    let (mut stream, id) = open_stream(&old);
    let new = home.start();
    assert_eq!(new.metric("tollgate_ledger_leases "), 1.0);
    let answer = call(&new, MOST);
    assert_eq!(answer.status, 402, "{}", answer.text());
    let held = level(&new, &home) - TOKENS;
    assert!(held > i64::from(MOST), "{held} of the open stream");
    assert!(old.is_running(), "its stream is open");
    gate.happen();
    stream.chunks_until("[DONE]");
    assert!(old.wait().success());
    // Its record is in the main journal, and that of the new process too.
    let row = row(&new, &home, &id);
    assert_eq!(row["reserved"], held, "{row}");
    let came_to = row["settled"].as_i64().unwrap();
    until("it is settled", || {
        new.metric("tollgate_ledger_leases ") == 0.0
    });
    assert_eq!(level(&new, &home), 2 * TOKENS + came_to);
    is_true(&new);
    new.stop();
    let next = home.start();
    assert_eq!(level(&next, &home), 4 * TOKENS + came_to);
    next.stop();
}

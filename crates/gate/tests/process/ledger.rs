//! Budgets over the death and the replacement of a process: what was spent or
//! reserved counts, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, Home, KEY, ask, post};
use crate::until;
use crate::upstream::{Event, Upstream, gated};

const DOOR: &str = "/v1/chat/completions";
/// What a call comes to that is not a stream.
const TOKENS: i64 = 5;
/// What it may say at most. A call that says more does not fit any more once
/// one of these was lost.
const MOST: u32 = 300;

fn home(up: &Upstream) -> Home {
    home_of(up, 500)
}

fn home_of(up: &Upstream, limit: u32) -> Home {
    Home::with(&up.config(&format!(
        "budgets: [{{name: all, measure: tokens, limit: '{limit}', window: forever}}]\n\
         evidence: {{index: false}}",
    )))
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
        let admin = format!("http://{}", gateway.admin());
        let arguments = ["logs", "--json", "--request-id", id, "--admin", &admin];
        let (_, out, _) = home.run(&arguments);
        let record: Value = serde_json::from_str(&out).unwrap_or_default();
        row = record["reservations"][0].clone();
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
        let (code, out, err) = home.run(&["ledger", "verify", "--json"]);
        let verified: Value = serde_json::from_str(&out).unwrap_or_default();
        let state = match kept {
            Some(bytes) if bytes.len() == good.len() => (0, "agrees"),
            Some(_) => (1, "unusable"),
            None => (0, "absent"),
        };
        let found = verified["checkpoint"]["state"].as_str();
        assert_eq!((code, found.unwrap_or_default()), state, "{out}{err}");
        assert!(verified["windows"][0]["settled"].is_i64(), "{out}");
        let gateway = home.start();
        assert_eq!(level(&gateway, &home), spent);
        spent += TOKENS;
        gateway.stop();
    }
    gate.happen();
    let (code, out, err) = home.run(&["ledger", "verify"]);
    assert_eq!(code, 0, "{err}");
    let line = format!("  all (all calls): {spent} tokens");
    assert!(out.contains(&line) && out.contains("agrees"), "{out}");
}

#[test]
fn what_another_ledger_says_is_found_and_no_journal_is_told_apart() {
    let up = Upstream::good();
    let homes = [home(&up), home(&up)];
    for (home, calls) in homes.iter().zip(1..) {
        let gateway = home.start();
        for _ in 0..calls {
            assert_eq!(call(&gateway, 1).status, 200);
        }
        gateway.stop();
    }
    let checkpoint = "data/ledger.checkpoint";
    std::fs::copy(homes[1].path(checkpoint), homes[0].path(checkpoint)).unwrap();
    let (code, out, _) = homes[0].run(&["ledger", "verify"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("CANNOT BE USED"), "{out}");
    // Of this journal, and yet it says something else.
    let from = std::fs::read(homes[1].path(checkpoint)).unwrap();
    let real = evidence::Ledger::decode(&from).unwrap();
    let mut other = evidence::Ledger::default();
    let dir = homes[1].path("data/journal");
    let mut reader = store::Reader::open(&dir, 2, store::Check::Checksum).unwrap();
    let entry = store::Cursor::next_entry(&mut reader).unwrap().unwrap();
    other.take(&entry, 0);
    assert_eq!(other.head(), real.head());
    std::fs::write(homes[1].path(checkpoint), other.encode()).unwrap();
    let (code, out, _) = homes[1].run(&["ledger", "verify", "--json"]);
    let verified: Value = serde_json::from_str(&out).unwrap_or_default();
    assert_eq!(
        (code, &verified["checkpoint"]["differing"]),
        (1, &Value::from(1)),
        "{out}"
    );
    std::fs::remove_dir_all(dir).unwrap();
    let (code, _, err) = homes[1].run(&["ledger", "verify"]);
    assert!(code == 2 && err.contains("cannot be read"), "{err}");
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

/// Two processes one after the other under load, and one that is killed: each
/// call counts once.
#[test]
fn under_load_every_call_counts_once_over_a_hand_over_and_a_kill() {
    let up = Upstream::good();
    let home = home_of(&up, 1_000_000_000);
    let mut old = home.start();
    old.await_ready();
    let (address, stop) = (old.data(), Arc::<AtomicBool>::default());
    let made = Arc::<AtomicI64>::default();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (stop, made) = (stop.clone(), made.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(address, KEY, DOOR, &body(9, false)).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    made.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let more = |count: i64| {
        let enough = made.load(Ordering::Relaxed) + count;
        until("the load goes on", || {
            made.load(Ordering::Relaxed) >= enough
        });
    };
    more(50);
    let new = home.start();
    assert!(old.wait().success());
    more(50);
    stop.store(true, Ordering::Relaxed);
    callers
        .into_iter()
        .for_each(|caller| caller.join().unwrap());
    is_true(&new);
    let made = made.load(Ordering::Relaxed) + 1;
    assert_eq!(level(&new, &home), made * TOKENS);
    new.kill();
    let next = home.start();
    assert_eq!(level(&next, &home), (made + 1) * TOKENS);
    is_true(&next);
    next.stop();
}

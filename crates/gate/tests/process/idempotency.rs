//! Calls with an idempotency key, over kills and from one process to the next:
//! repeated, they are never made twice.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, Home, KEY, chat};
use crate::until;
use crate::upstream::{COMPLETION, Event, Upstream, json, last_piece, piece, sse_head};

const DOOR: &str = "/v1/chat/completions";

/// An upstream that answers, with streams in two pieces between which it waits
/// for the gate; and how often it was asked.
fn upstream(gate: &Event) -> (Upstream, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, gate) = (Arc::clone(&asked), gate.clone());
    let upstream = Upstream::start(move |asked, socket| {
        count.fetch_add(1, Ordering::SeqCst);
        if !asked.is_stream() {
            return socket.write_all(json(200, COMPLETION).as_bytes()).is_ok();
        }
        let _ = socket.write_all((sse_head() + &piece("first")).as_bytes());
        gate.wait();
        let _ = socket.write_all((piece("second") + &last_piece()).as_bytes());
        false
    });
    (upstream, asked)
}

fn frames() -> String {
    piece("first") + &piece("second") + &last_piece()
}

fn home(upstream: &Upstream, retain: &str) -> Home {
    Home::with(&upstream.config(&format!(
        "models: {{m: up/m}}\nidempotency: {{retain: {retain}}}"
    )))
}

fn send(gateway: &Gateway, key: &str, stream: bool) -> Client {
    let mut client = gateway.connect();
    let bearer = format!("Bearer {KEY}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let body = chat("m", stream);
    client
        .send("POST", DOOR, &headers, body.as_bytes())
        .unwrap();
    client
}

fn call(gateway: &Gateway, key: &str, stream: bool) -> Answer {
    send(gateway, key, stream).answer().unwrap()
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains(code), "{}", answer.text());
    assert_eq!(answer.header("x-should-retry"), "false");
}

#[test]
fn kept_answers_outlive_a_kill() {
    let gate = Event::default();
    gate.happen();
    let (up, asked) = upstream(&gate);
    let home = home(&up, "full");
    let gateway = home.start();
    let first = [
        call(&gateway, "whole", false),
        call(&gateway, "stream", true),
    ];
    assert_eq!(
        (first[0].text(), first[1].text()),
        (COMPLETION.to_owned(), frames())
    );
    assert_eq!(gateway.metric("tollgate_idempotency_keys"), 2.0);
    gateway.kill();
    let mode = std::fs::metadata(home.path("data/replies.sqlite")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let gateway = home.start();
    for (key, stream, first) in [("whole", false, &first[0]), ("stream", true, &first[1])] {
        let again = call(&gateway, key, stream);
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.header("content-type"), first.header("content-type"));
        assert_eq!(again.header("tollgate-idempotent-replay"), "true");
        assert_eq!(
            again.header("tollgate-original-request-id"),
            first.header("tollgate-request-id")
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let sample = "tollgate_idempotency_total{result=\"replay\"}";
    assert_eq!(gateway.metric(sample), 2.0);
    assert!(gateway.metric("tollgate_idempotency_bytes") > 100.0);
    gateway.stop();
}

#[test]
fn an_outcome_outlives_a_kill_without_the_answer() {
    let (up, asked) = upstream(&Event::default());
    let home = home(&up, "none");
    let gateway = home.start();
    assert_eq!(call(&gateway, "k", false).status, 200);
    gateway.kill();
    let gateway = home.start();
    refused(&call(&gateway, "k", false), "completed_not_retained");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    gateway.stop();
    let file = std::fs::read(home.path("data/replies.sqlite")).unwrap();
    assert!(
        !file.windows(5).any(|it| it == b"Hello"),
        "no content is kept"
    );
}

#[test]
fn a_call_that_a_kill_cut_off_is_never_made_again() {
    let gate = Event::default();
    let (up, asked) = upstream(&gate);
    let home = home(&up, "full");
    let gateway = home.start();
    let mut cut = send(&gateway, "k", true);
    assert_eq!(cut.head().unwrap().status, 200);
    cut.chunks_until("first");
    gateway.kill();
    let gateway = home.start();
    // It waits until the first call counts as dead.
    refused(&call(&gateway, "k", true), "outcome_unknown");
    refused(&call(&gateway, "k", true), "outcome_unknown");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    gate.happen();
    gateway.stop();
}

#[test]
fn a_repeat_waits_for_a_call_of_the_process_before() {
    let gate = Event::default();
    let (up, asked) = upstream(&gate);
    let home = home(&up, "full");
    let mut old = home.start();
    let mut first = send(&old, "k", true);
    assert_eq!(first.head().unwrap().status, 200);
    first.chunks_until("first");
    let new = home.start();
    let mut again = send(&new, "k", true);
    until("it waits", || {
        new.metric("tollgate_idempotency_waiting") > 0.0
    });
    assert!(old.is_running());
    gate.happen();
    let rest = first.chunks_until("[DONE]");
    assert!(rest.contains("second"), "{rest}");
    let again = again.answer().unwrap();
    assert_eq!((again.status, again.text()), (200, frames()));
    assert_eq!(again.header("tollgate-idempotent-replay"), "true");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(old.wait().success());
    new.stop();
}

#[test]
fn callers_at_once_make_one_call() {
    let gate = Event::default();
    let (up, asked) = upstream(&gate);
    let home = home(&up, "full");
    let gateway = home.start();
    let mut clients: Vec<_> = (0..8).map(|_| send(&gateway, "k", true)).collect();
    until("the others wait", || {
        gateway.metric("tollgate_idempotency_waiting") == 7.0
    });
    gate.happen();
    let answers: Vec<_> = clients.iter_mut().map(|it| it.answer().unwrap()).collect();
    assert!(answers.iter().all(|it| it.text() == frames()));
    let replays = answers
        .iter()
        .filter(|it| it.header("tollgate-idempotent-replay") == "true");
    assert_eq!(replays.count(), 7);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    gateway.stop();
}

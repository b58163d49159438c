//! Two gateways with data folders of their own and one database: a call with a
//! key is made once, whichever of them gets its repeats, and whatever dies.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, Home, KEY, chat};
use crate::postgres::Server;
use crate::until;
use crate::upstream::{COMPLETION, Event, Upstream, json, last_piece, piece, sse_head};

/// An upstream that counts its calls, and whose streams wait for the gate in
/// their middle.
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

fn replica(upstream: &Upstream, server: &Server) -> (Home, Gateway) {
    let home = Home::with(&upstream.config(&format!(
        "models: {{m: up/m}}\n\
         idempotency: {{retain: full}}\n\
         budgets: [{{name: calls, measure: requests, limit: '100', window: forever}}]\n\
         database: {{url: '{}', deadline: 1s}}\n",
        server.url()
    )));
    let gateway = home.start();
    until("its database is there", || {
        gateway.metric("tollgate_database_up") > 0.5
    });
    (home, gateway)
}

fn send(gateway: &Gateway, key: &str, body: &str) -> Client {
    let mut client = gateway.connect();
    let bearer = format!("Bearer {KEY}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let door = "/v1/chat/completions";
    client
        .send("POST", door, &headers, body.as_bytes())
        .unwrap();
    client
}

fn call(gateway: &Gateway, key: &str, stream: bool) -> Answer {
    send(gateway, key, &chat("m", stream)).answer().unwrap()
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains(code), "{}", answer.text());
}

/// Calls that a gateway has charged or holds.
fn charged(gateway: &Gateway, home: &Home) -> String {
    let server = format!("http://{}", gateway.admin());
    let words = ["budgets", "--format", "json", "--admin", &server];
    let (code, told, error) = home.run(&words);
    assert_eq!(code, 0, "{error}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    told["rows"][0]["settled"]
        .to_string()
        .trim_matches('"')
        .to_owned()
}

#[test]
fn a_repeat_on_another_replica_gets_the_answer_and_no_charge() {
    let Some(server) = Server::start() else {
        return;
    };
    let gate = Event::default();
    let (up, asked) = upstream(&gate);
    let (home, first) = replica(&up, &server);
    let (other_home, other) = replica(&up, &server);
    let answer = call(&first, "whole", false);
    assert_eq!((answer.status, answer.text()), (200, COMPLETION.to_owned()));
    let again = call(&other, "whole", false);
    assert_eq!((again.status, &again.body), (200, &answer.body));
    assert_eq!(again.header("content-type"), answer.header("content-type"));
    assert_eq!(again.header("tollgate-idempotent-replay"), "true");
    assert_eq!(
        again.header("tollgate-original-request-id"),
        answer.header("tollgate-request-id")
    );
    let changed = chat("m", false).replace("\"m\"", "\"up/m\"");
    refused(
        &send(&other, "whole", &changed).answer().unwrap(),
        "idempotency_conflict",
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    until("the first is charged", || charged(&first, &home) == "1");
    assert_ne!(charged(&other, &other_home), "1", "the repeat is not");

    // Repeats that come while it runs wait for it, on both of them.
    let mut running = send(&first, "stream", &chat("m", true));
    assert_eq!(running.head().unwrap().status, 200);
    running.chunks_until("first");
    let mut waiting = [&first, &other].map(|it| send(it, "stream", &chat("m", true)));
    for gateway in [&first, &other] {
        until("it waits", || {
            gateway.metric("tollgate_idempotency_waiting") > 0.5
        });
    }
    gate.happen();
    running.chunks_until("[DONE]");
    for client in &mut waiting {
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.text()), (200, frames()));
        assert_eq!(answer.header("tollgate-idempotent-replay"), "true");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    first.stop();
    other.stop();
}

#[test]
fn a_call_whose_replica_was_killed_is_not_made_again_by_another() {
    let Some(server) = Server::start() else {
        return;
    };
    let gate = Event::default();
    let (up, asked) = upstream(&gate);
    let (_home, first) = replica(&up, &server);
    let (_other_home, other) = replica(&up, &server);
    let mut cut = send(&first, "k", &chat("m", true));
    assert_eq!(cut.head().unwrap().status, 200);
    cut.chunks_until("first");
    first.kill();
    // It waits until the first call counts as dead.
    refused(&call(&other, "k", true), "outcome_unknown");
    refused(&call(&other, "k", true), "outcome_unknown");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    gate.happen();
    other.stop();
}

#[test]
fn a_database_that_dies_refuses_calls_with_a_key_and_loses_no_answer() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let gate = Event::default();
    let (up, asked) = upstream(&gate);
    let (_home, first) = replica(&up, &server);
    let (_other_home, other) = replica(&up, &server);
    assert_eq!(call(&first, "before", false).status, 200);
    let mut running = send(&first, "under way", &chat("m", true));
    assert_eq!(running.head().unwrap().status, 200);
    running.chunks_until("first");

    server.kill();
    let without = call(&other, "meanwhile", false);
    assert_eq!(without.status, 503, "{}", without.text());
    assert_eq!(other.chat("up/m").status, 200, "others do not notice");
    // The call ends while nobody can be told.
    gate.happen();
    running.chunks_until("second");
    let made = asked.load(Ordering::SeqCst);

    server.start_again();
    until("the end is written", || {
        let again = call(&other, "under way", true);
        assert!(
            [200, 422, 503, 504].contains(&again.status),
            "{}",
            again.text()
        );
        again.status == 200 && again.text() == frames()
    });
    let again = call(&other, "before", false);
    assert_eq!(again.header("tollgate-idempotent-replay"), "true");
    assert_eq!(asked.load(Ordering::SeqCst), made, "nothing was made twice");
    assert_eq!(call(&other, "meanwhile", false).status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), made + 1);
    first.stop();
    other.stop();
}

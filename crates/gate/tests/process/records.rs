//! One record for every exchange, and what a killed process leaves.

use std::collections::HashSet;

use serde_json::Value;

use crate::gateway::{Gateway, Home, KEY, ask, chat, post};
use crate::upstream::{Event, Upstream, gated, json};
use crate::{client::Client, until};

fn ids(lines: &[Value]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line["request_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Makes a call that is recorded after all that were recorded before it, and
/// gives every record up to it.
pub(crate) fn all_records(gateway: &Gateway, home: &Home) -> Vec<Value> {
    let last = gateway.get("/v1/nothing-here");
    let id = last.header("tollgate-request-id").to_owned();
    let mut lines = Vec::new();
    until("the last record is there", || {
        lines = gateway.logs(home, &[]);
        ids(&lines).contains(&id)
    });
    lines.retain(|line| line["request_id"] != id.as_str());
    lines
}

/// Calls of every kind, with the status that each one's record must have.
fn mixed_calls(gateway: &Gateway) -> Vec<(String, u16)> {
    let door = "/v1/chat/completions";
    let mut made = Vec::new();
    let mut note = |answer: crate::client::Answer, status: u16| {
        assert_eq!(answer.status, status, "{}", answer.text());
        made.push((answer.header("tollgate-request-id").to_owned(), status));
    };
    note(gateway.chat("up/good"), 200);
    note(gateway.post(door, &chat("up/good", true)), 200);
    note(gateway.chat("sandbox/echo"), 200);
    note(gateway.chat("nobody/knows"), 404);
    note(gateway.chat("broken/x"), 502);
    note(gateway.post(door, "{\"model\":"), 400);
    note(gateway.post("/v1/chat/nothing", "{}"), 404);
    note(gateway.get(door), 405);
    note(gateway.get("/v1/models"), 200);
    note(
        ask(gateway.data(), "tg-wrong", door, &chat("up/good", false)).unwrap(),
        401,
    );
    let large = " ".repeat(5_000);
    note(gateway.post(door, &large), 413);
    let mut client = gateway.connect();
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    client.send("GET", "/v1/responses", &upgrade, b"").unwrap();
    note(client.answer().unwrap(), 426);
    let mut client = gateway.connect();
    client
        .raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n")
        .unwrap();
    note(client.answer().unwrap(), 400);
    made
}

#[test]
fn every_exchange_leaves_exactly_one_record() {
    let (up, broken) = (
        Upstream::good(),
        Upstream::start(|_, socket| {
            std::io::Write::write_all(socket, json(500, "oops").as_bytes()).is_ok()
        }),
    );
    let config = format!(
        "workers: 2\nproviders:\n  \
         up: {{kind: compatible, base_url: '{}/v1', dialects: [openai_chat], models: [good]}}\n  \
         broken: {{kind: compatible, base_url: '{}/v1', dialects: [openai_chat], models: []}}\n  \
         sandbox: {{kind: sandbox}}\nlimits: {{body_bytes: 4KiB}}",
        up.url(),
        broken.url()
    );
    let home = Home::with(&config);
    let gateway = home.start();
    let made = mixed_calls(&gateway);
    let lines = all_records(&gateway, &home);
    let mut seen: Vec<(String, u64)> = lines
        .iter()
        .map(|line| {
            let id = line["request_id"].as_str().unwrap().to_owned();
            (id, line["status"].as_u64().unwrap())
        })
        .collect();
    let mut made: Vec<(String, u64)> = made
        .into_iter()
        .map(|(id, status)| (id, status.into()))
        .collect();
    seen.sort();
    made.sort();
    assert_eq!(seen, made);
    let refused = gateway.logs(&home, &["--fault", "unauthenticated"]);
    assert_eq!(refused.len(), 1);
    let failed = gateway.logs(&home, &["--status", "5xx"]);
    assert_eq!(
        (&failed[0]["outcome"], &failed[0]["origin"]),
        (&Value::from("failed"), &Value::from("provider"))
    );
    gateway.stop();
}

#[test]
fn what_was_answered_is_recorded_even_if_the_process_is_killed_at_once() {
    let up = Upstream::good();
    let home = Home::with(&up.config("evidence: {durability: written, flush_ms: 50}"));
    let gateway = home.start();
    let mut answered = Vec::new();
    let bodies = [chat("good", false), chat("good", true), chat("good", false)];
    for body in bodies {
        let answer = gateway.post("/v1/chat/completions", &body);
        assert_eq!(answer.status, 200);
        answered.push(answer.header("tollgate-request-id").to_owned());
    }
    gateway.kill();
    let gateway = home.start();
    assert_eq!(ids(&all_records(&gateway, &home)), answered);
    gateway.stop();
}

#[test]
fn a_kill_takes_no_more_than_the_last_moments_and_the_chain_holds() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let call = |gateway: &Gateway| {
        let answer = gateway.chat("good");
        answer.header("tollgate-request-id").to_owned()
    };
    let mut answered: Vec<String> = (0..20).map(|_| call(&gateway)).collect();
    // What can be read was written, and what was written stays.
    let safe = ids(&gateway.logs(&home, &[]));
    answered.extend((0..20).map(|_| call(&gateway)));
    gateway.kill();
    let gateway = home.start();
    let kept = ids(&all_records(&gateway, &home));
    assert!(kept.len() >= safe.len());
    assert_eq!(
        kept[..],
        answered[..kept.len()],
        "nothing in the middle is missing"
    );
    gateway.stop();
    let report = store::verify(&home.path("data/journal"), None).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.entries > kept.len() as u64);
}

#[test]
fn a_caller_that_leaves_before_its_answer_is_recorded_too() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let mut client = gateway.connect();
    let body = chat("m", true);
    post(&mut client, KEY, "/v1/chat/completions", &body).unwrap();
    client.head().unwrap();
    client.chunks_until("first");
    drop(client);
    until("it is recorded", || {
        gateway.logs(&home, &["--outcome", "cancelled"]).len() == 1
    });
    let unique: HashSet<String> = ids(&all_records(&gateway, &home)).into_iter().collect();
    assert_eq!(unique.len(), 1);
    gate.happen();
    gateway.stop();
}

#[test]
fn the_metrics_count_what_the_records_tell() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    for _ in 0..3 {
        gateway.chat("good");
    }
    gateway.post("/v1/chat/completions", "{");
    all_records(&gateway, &home);
    assert_eq!(
        gateway.metric("tollgate_outcomes_total{outcome=\"complete\"}"),
        3.0
    );
    assert_eq!(
        gateway.metric("tollgate_outcomes_total{outcome=\"refused\"}"),
        2.0
    );
    assert_eq!(gateway.metric("tollgate_in_flight"), 0.0);
    assert_eq!(gateway.metric("tollgate_journal_abandoned_total"), 0.0);
    let open = Client::connect(gateway.admin()).map(|mut client| {
        client.send("GET", "/v1/records", &[], b"").unwrap();
        client.answer().unwrap().status
    });
    assert_eq!(open.unwrap(), 401, "records need the admin key");
    gateway.stop();
}

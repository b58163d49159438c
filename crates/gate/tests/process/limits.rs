//! Limits at the edge, each told in the dialect of the path.

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, Home, KEY, chat, post};
use crate::records::all_records;
use crate::upstream::Upstream;

/// A path of every dialect, in the order of [`is_fault_of`].
pub(crate) const DOORS: [&str; 5] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/m:generateContent",
    "/model/m/converse",
];

/// Checks that an answer is an error as the SDKs of that path know it.
pub(crate) fn is_fault_of(door: &str, answer: &Answer) {
    let json = answer.json();
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let is_so = match door {
        "/v1/messages" => {
            json["type"] == "error"
                && text(&json["error"]["type"])
                && text(&json["error"]["message"])
        }
        "/model/m/converse" => {
            text(&json["message"]) && !answer.header("x-amzn-errortype").is_empty()
        }
        door if door.starts_with("/v1beta/") => {
            json["error"]["code"] == answer.status
                && text(&json["error"]["status"])
                && text(&json["error"]["message"])
        }
        _ => text(&json["error"]["message"]) && text(&json["error"]["type"]),
    };
    assert!(is_so, "{door}: {}", answer.text());
    assert!(
        !answer.header("x-should-retry").is_empty(),
        "{door}: {answer:?}"
    );
    assert!(
        !answer.header("tollgate-request-id").is_empty(),
        "{door}: {answer:?}"
    );
}

fn expect(door: &str, answer: Answer, status: u16) {
    assert_eq!(answer.status, status, "{door}: {}", answer.text());
    is_fault_of(door, &answer);
}

fn gateway(more: &str) -> (Home, Gateway) {
    let up = Upstream::good();
    let home = Home::with(&up.config(more));
    let gateway = home.start();
    (home, gateway)
}

#[test]
fn a_body_over_the_limit_is_refused_in_the_dialect_of_the_path() {
    let (home, gateway) = gateway(
        "limits: {body_bytes: 4KiB, body_bytes_by_operation: {embeddings: 1KiB, chat: 2KiB}}",
    );
    let body = |bytes: usize| format!("{:1$}", "{", bytes);
    for door in DOORS {
        expect(door, gateway.post(door, &body(2_049)), 413);
        // Within the limit it is read, and found to be no JSON.
        expect(door, gateway.post(door, &body(2_048)), 400);
    }
    let door = "/v1/embeddings";
    expect(door, gateway.post(door, &body(1_025)), 413);
    expect(door, gateway.post(door, &body(1_024)), 400);
    let door = "/v1/messages/count_tokens";
    expect("/v1/messages", gateway.post(door, &body(4_097)), 413);
    // Without a declared length it is counted as it comes.
    let mut client = gateway.connect();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         transfer-encoding: chunked\r\n\r\n",
        DOORS[0]
    );
    client.raw(head.as_bytes()).unwrap();
    let chunk = format!("800\r\n{}\r\n", body(0x800));
    client.raw(chunk.as_bytes()).unwrap();
    client.raw(b"1\r\nx\r\n").unwrap();
    expect(DOORS[0], client.answer().unwrap(), 413);
    let records = all_records(&gateway, &home);
    assert_eq!(records.len(), 14);
    assert!(records.iter().all(|record| record["outcome"] == "refused"));
    gateway.stop();
}

#[test]
fn a_head_over_the_limit_is_431() {
    let (_home, gateway) = gateway("limits: {head_bytes: 4KiB}");
    for door in DOORS {
        let mut client = gateway.connect();
        let long = "x".repeat(5_000);
        // It may be refused before it is sent whole.
        let _ = client.send("POST", door, &[("x-long", &long)], b"{}");
        expect(door, client.answer().unwrap(), 431);
    }
    gateway.stop();
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_408() {
    let (_home, gateway) = gateway("limits: {head_timeout: 50ms}");
    let mut client = gateway.connect();
    client
        .raw(b"POST /v1/messages HTTP/1.1\r\nhost: a\r\n")
        .unwrap();
    expect(DOORS[2], client.answer().unwrap(), 408);
    assert!(client.is_ended());
    gateway.stop();
}

#[test]
fn connections_over_the_limit_are_told_so() {
    let (_home, gateway) = gateway("limits: {connections: 2}");
    let mut kept: Vec<Client> = (0..2).map(|_| gateway.connect()).collect();
    for client in &mut kept {
        post(client, KEY, DOORS[0], &chat("m", false)).unwrap();
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let mut third = gateway.connect();
    let _ = post(&mut third, KEY, DOORS[0], &chat("m", false));
    let answer = third.answer().unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.json()["error"]["message"].is_string());
    drop(kept);
    crate::until("there is room again", || {
        let mut client = gateway.connect();
        let _ = post(&mut client, KEY, DOORS[0], &chat("m", false));
        client.answer().is_ok_and(|answer| answer.status == 200)
    });
    gateway.stop();
}

#[test]
fn unknown_paths_and_methods_are_told_in_the_dialect_they_look_like() {
    let (_home, gateway) = gateway("");
    for (door, wrong) in [
        (DOORS[0], "/v1/chat/nothing"),
        (DOORS[0], "/"),
        (DOORS[0], "/v1/v1/chat/completions"),
    ] {
        expect(door, gateway.post(wrong, "{}"), 404);
    }
    for door in DOORS {
        expect(door, gateway.get(door), 405);
    }
    // An SDK shows itself by its headers, wherever it goes by mistake.
    let mut client = gateway.connect();
    let headers = [("x-api-key", KEY), ("anthropic-version", "2023-06-01")];
    client.send("POST", "/messages", &headers, b"{}").unwrap();
    expect(DOORS[2], client.answer().unwrap(), 404);
    gateway.stop();
}

#[test]
fn a_websocket_is_refused_at_once_and_the_connection_goes_on() {
    let (_home, gateway) = gateway("");
    let mut client = gateway.connect();
    let bearer = format!("Bearer {KEY}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    client.send("GET", "/v1/responses", &headers, b"").unwrap();
    expect(DOORS[1], client.answer().unwrap(), 426);
    let mut client = gateway.connect();
    post(
        &mut client,
        KEY,
        "/v1/responses",
        "{\"model\":\"m\",\"input\":\"Hi\"}",
    )
    .unwrap();
    assert_eq!(client.answer().unwrap().status, 200, "the fall-back works");
    gateway.stop();
}

#[test]
fn a_caller_that_waits_for_100_continue_is_told_or_refused_first() {
    let (_home, gateway) = gateway("limits: {body_bytes: 4KiB}");
    let body = chat("m", false);
    let head = |length: usize, key: &str| {
        format!(
            "POST {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\n\r\n",
            DOORS[0]
        )
    };
    let mut client = gateway.connect();
    client.raw(head(body.len(), KEY).as_bytes()).unwrap();
    assert_eq!(client.head().unwrap().status, 100);
    client.raw(body.as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    for (length, key, status) in [(5_000, KEY, 413), (10, "tg-wrong", 401)] {
        let mut client = gateway.connect();
        client.raw(head(length, key).as_bytes()).unwrap();
        expect(DOORS[0], client.answer().unwrap(), status);
    }
    gateway.stop();
}

#[test]
fn bodies_that_are_no_request_are_refused_in_the_dialect_of_the_path() {
    let (home, gateway) = gateway("");
    let deep = "[".repeat(100_000);
    let deep_field = format!("{{\"model\":\"m\",\"messages\":{}", "[".repeat(100_000));
    let bodies = [
        "",
        "null",
        "[]",
        "{\"model\":",
        &deep,
        &deep_field,
        "{\"messages\":1,\"input\":1,\"contents\":1,\"model\":2}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}],\"input\":\"\\ud800\",\"model\":\"m\",\
         \"contents\":[{\"parts\":[{\"text\":\"\\ud800\"}]}]}",
    ];
    for door in DOORS {
        for body in bodies {
            expect(door, gateway.post(door, body), 400);
        }
        for (headers, body, status) in [
            (("content-encoding", "gzip"), &b"\x1f\x8b"[..], 415),
            (
                ("content-type", "application/json"),
                b"{\"model\":\"\xff\"}",
                400,
            ),
        ] {
            let mut client = gateway.connect();
            let bearer = format!("Bearer {KEY}");
            let headers = [headers, ("authorization", &bearer)];
            client.send("POST", door, &headers, body).unwrap();
            expect(door, client.answer().unwrap(), status);
        }
        let mut client = gateway.connect();
        let both = format!(
            "POST {door} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\
             transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        );
        client.raw(both.as_bytes()).unwrap();
        expect(door, client.answer().unwrap(), 400);
    }
    let twice = "{\"model\":\"m\",\"model\":\"n\",\"messages\":[]}";
    expect(DOORS[0], gateway.post(DOORS[0], twice), 400);
    let records = all_records(&gateway, &home);
    assert!(records.iter().all(|record| record["outcome"] == "refused"));
    gateway.stop();
}

//! A listener that only watches, and an upstream that demands the caller's
//! own key: it gets it there and nowhere else, and nothing of it is kept.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::client::{Answer, Client};
use crate::gateway::{Home, KEY, chat, read};
use crate::upstream::{COMPLETION, Upstream, json as answer, last_piece, piece, sse_head};

const DOOR: &str = "/v1/chat/completions";
const THEIRS: &str = "sk-theirs-0123456789abcdef";
const REFUSAL: &str = r#"{"error":{"message":"no such key","odd":true}}"#;

/// Calls the listener that watches.
fn call(to: SocketAddr, path: &str, key: &str, body: &str) -> Answer {
    let mut client = Client::connect(to).unwrap();
    let bearer = format!("Bearer {key}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &bearer),
    ];
    let sent = client.send("POST", path, &headers, body.as_bytes());
    sent.and_then(|()| client.answer()).unwrap()
}

/// Whether a file below a folder holds this text.
fn holds(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => holds(&path, text),
            false => read(&path).is_some_and(|bytes| {
                let mut parts = bytes.windows(text.len());
                parts.any(|part| part == text.as_bytes())
            }),
        }
    })
}

#[test]
fn the_callers_key_reaches_its_provider_only_where_that_is_said() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let upstream = Upstream::start(move |asked, socket| {
        let key = asked.header("authorization").to_owned();
        let is_theirs = key == format!("Bearer {THEIRS}");
        seen.lock().unwrap().push(key);
        if !is_theirs {
            return socket.write_all(answer(401, REFUSAL).as_bytes()).is_ok();
        }
        if asked.is_stream() {
            let rest = [sse_head(), piece("Hel"), piece("lo"), last_piece()].concat();
            let _ = socket.write_all(rest.as_bytes());
            return false;
        }
        socket.write_all(answer(200, COMPLETION).as_bytes()).is_ok()
    });
    let home = Home::with(&upstream.config(
        "log: {requests: full}\nmodels: {m: up/m}\nlisten:\n  data:\n    - address: 127.0.0.1:0\n      \
         observe: {tenant: acme, app: legacy, intake: true}\n  \
         admin: {address: '127.0.0.1:0'}\npolicy:\n  rules:\n    - {name: none, models: {deny: ['*']}}",
    ));
    let gateway = home.start();
    let to = gateway.data();
    let whole = call(to, DOOR, THEIRS, &chat("gpt-x", false));
    assert_eq!((whole.status, whole.text().as_str()), (200, COMPLETION));
    let stream = call(to, DOOR, THEIRS, &chat("gpt-x", true));
    let expected = [piece("Hel"), piece("lo"), last_piece()].concat();
    assert_eq!((stream.status, stream.text()), (200, expected));
    let wrong = call(to, DOOR, "sk-wrong", &chat("gpt-x", false));
    assert_eq!((wrong.status, wrong.text().as_str()), (401, REFUSAL));
    let ours = call(to, DOOR, KEY, &chat("gpt-x", false));
    assert_eq!(ours.status, 401);
    assert!(ours.text().contains("never passed on"), "{}", ours.text());
    let pair = json!({
        "dialect": "openai_chat", "status": 200, "started_at": 1_700_000_000_000_u64,
        "duration_ms": 5, "request": chat("gpt-x", false), "response": COMPLETION,
    });
    let taken = call(to, "/v1/observe/exchanges", THEIRS, &pair.to_string());
    assert_eq!(taken.status, 202, "{}", taken.text());
    let theirs = format!("Bearer {THEIRS}");
    let expected = [theirs.as_str(), &theirs, "Bearer sk-wrong"];
    assert_eq!(*keys.lock().unwrap(), expected);
    let lines = gateway.logs(&home, &[]);
    assert_eq!(lines.len(), 5, "{lines:?}");
    let ids: Vec<&str> = lines
        .iter()
        .map(|it| it["key_id"].as_str().unwrap())
        .collect();
    assert!(
        ids.iter().filter(|id| id.starts_with("observe:")).count() == 4,
        "{ids:?}"
    );
    let figure =
        "tollgate_policy_breaches_total{mode=\"shadow\",verdict=\"would_deny\",rule=\"none\"}";
    assert!(gateway.metric(figure) >= 4.0);
    let (told, complaints) = (gateway.banner(), gateway.complaints());
    gateway.stop();
    for key in [THEIRS, "sk-wrong"] {
        assert!(!told.contains(key) && !complaints.contains(key));
        assert!(!holds(&home.path("data"), key));
    }
    // A listener for calls: their key is nobody's, and stays here.
    let plain = Home::with(&upstream.config("models: {m: up/m}"));
    let gateway = plain.start();
    let refused = call(gateway.data(), DOOR, THEIRS, &chat("m", false));
    assert_eq!(refused.status, 401);
    assert_eq!(keys.lock().unwrap().len(), 3, "nothing went up");
    gateway.stop();
}

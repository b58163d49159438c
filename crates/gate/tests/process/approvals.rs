//! Approvals, as callers and operators meet them: asked for by calls, given
//! and denied by the command line, over kills and in streams.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::gateway::{Gateway, Home, KEY, chat, post};
use crate::until;
use crate::upstream::{COMPLETION, Upstream, json, last_piece, piece, sse_head};

const DOOR: &str = "/v1/chat/completions";
const TOOL: &str = "data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"send_mail\",\"arguments\":\"{}\"}}]},\"finish_reason\":null}]}\n\n";

/// An upstream whose streams call a tool, and how often it was asked.
fn upstream() -> (Upstream, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let upstream = Upstream::start(move |asked, socket| {
        count.fetch_add(1, Ordering::SeqCst);
        if !asked.is_stream() {
            return socket.write_all(json(200, COMPLETION).as_bytes()).is_ok();
        }
        let _ = socket.write_all(stream().as_bytes());
        false
    });
    (upstream, asked)
}

/// What the upstream streams, head included.
fn stream() -> String {
    sse_head() + &frames()
}

fn frames() -> String {
    [
        &piece("look"),
        TOOL,
        &last_piece().replace("stop", "tool_calls"),
    ]
    .concat()
}

fn secret(who: &str) -> String {
    format!("tg-op-{who}-0123456789abcdef01234567")
}

/// A home with a rule of this kind, and three operators of whom one has the
/// name of the callers' key.
fn home(upstream: &Upstream, rule: &str) -> Home {
    let credentials = ["alice", "bob", "test"].map(|who| {
        let secret = secret(who);
        format!("{{id: {who}, secret: {secret}, role: operator}}")
    });
    let credentials = credentials.join(", ");
    Home::with(&upstream.config(&format!(
        "models: {{m: up/m}}\npolicy:\n  rules:\n    - {{name: seen, approval: {rule}}}\n\
         admin: {{credentials: [{credentials}]}}"
    )))
}

fn call(gateway: &Gateway, stream: bool, approval: Option<&str>) -> Answer {
    let mut client = send(gateway, stream, approval);
    client.answer().unwrap()
}

fn send(gateway: &Gateway, stream: bool, approval: Option<&str>) -> Client {
    let mut client = gateway.connect();
    let bearer = format!("Bearer {KEY}");
    let mut headers = vec![
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    headers.extend(approval.map(|id| ("tollgate-approval", id)));
    let body = chat("m", stream);
    client
        .send("POST", DOOR, &headers, body.as_bytes())
        .unwrap();
    client
}

/// The id of a pending answer.
fn pending(answer: &Answer) -> String {
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(answer.header("x-should-retry"), "false");
    let id = answer.header("tollgate-approval").to_owned();
    assert!(id.starts_with("apr-"), "{}", answer.text());
    assert!(answer.text().contains(&id));
    id
}

/// Runs `tollgate approvals ..` as somebody: exit code, output, error.
fn typed(home: &Home, gateway: &Gateway, who: &str, words: &[&str]) -> (i32, String, String) {
    let (admin, secret) = (format!("http://{}", gateway.admin()), secret(who));
    let at = ["--admin", &admin, "--admin-key", &secret];
    home.run(&[&["approvals"], words, &at].concat())
}

/// The same with `--json`, which must work.
fn asked(home: &Home, gateway: &Gateway, who: &str, words: &[&str]) -> Value {
    let (code, out, err) = typed(home, gateway, who, &[words, &["--json"]].concat());
    assert_eq!(code, 0, "{words:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn state(home: &Home, gateway: &Gateway, id: &str) -> String {
    let shown = asked(home, gateway, "bob", &["show", id]);
    shown["approval"]["state"].as_str().unwrap().to_owned()
}

/// Ids of open approvals, once there is one.
fn await_open(home: &Home, gateway: &Gateway) -> String {
    let mut id = String::new();
    until("it is asked", || {
        let words = ["list", "--state", "pending", "--json"];
        let (code, out, err) = typed(home, gateway, "bob", &words);
        assert_eq!(code, 0, "{err}");
        let row = out.lines().next().map(serde_json::from_str::<Value>);
        let found = row.and_then(|row| Some(row.unwrap()["id"].as_str()?.to_owned()));
        id = found.unwrap_or_default();
        !id.is_empty()
    });
    id
}

#[test]
fn a_call_is_asked_for_approved_and_goes_through_once() {
    let (up, sent) = upstream();
    let home = home(&up, "{models: [m]}");
    let gateway = home.start();
    let first = call(&gateway, false, None);
    let id = pending(&first);
    assert_eq!(pending(&call(&gateway, false, None)), id, "asked once");
    assert_eq!(gateway.metric("tollgate_approvals_pending"), 1.0);
    let listed = asked(&home, &gateway, "bob", &["list", "--state", "pending"]);
    assert_eq!(
        (&listed["id"], &listed["key"]),
        (&id.as_str().into(), &"test".into())
    );
    assert_eq!(listed["needs"][0]["what"], "model m");
    assert_eq!(listed["request_id"], first.header("tollgate-request-id"));
    // Whoever asked can do neither.
    for what in ["approve", "deny"] {
        let (code, _, err) = typed(&home, &gateway, "test", &[what, &id]);
        assert_eq!(code, 1);
        assert!(
            err.contains("whoever asked") || err.contains("Whoever asked"),
            "{err}"
        );
    }
    assert_eq!(state(&home, &gateway, &id), "pending");
    let note = ["approve", &id, "--note", "seen with legal"];
    let (code, out, err) = typed(&home, &gateway, "bob", &note);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("approved  by bob") && out.contains("seen with legal"),
        "{out}"
    );
    assert_eq!(sent.load(Ordering::SeqCst), 0, "nothing went up so far");
    let through = call(&gateway, false, Some(&id));
    assert_eq!((through.status, through.text().as_str()), (200, COMPLETION));
    assert_eq!(through.header("tollgate-approval"), id);
    let twice = call(&gateway, false, Some(&id));
    assert_eq!(twice.status, 403);
    assert!(twice.text().contains("works once"), "{}", twice.text());
    assert_eq!(sent.load(Ordering::SeqCst), 1);
    // It asks anew, and this time it is denied.
    let next = pending(&call(&gateway, false, None));
    assert_ne!(next, id);
    asked(
        &home,
        &gateway,
        "alice",
        &["deny", &next, "--note", "not today"],
    );
    let denied = call(&gateway, false, Some(&next));
    assert!(
        denied.status == 403 && denied.text().contains("was denied"),
        "{}",
        denied.text()
    );
    let (code, _, err) = typed(&home, &gateway, "bob", &["approve", &next]);
    assert!(code == 1 && err.contains("denied"), "{err}");
    assert_eq!(sent.load(Ordering::SeqCst), 1);
    // All of it is written down.
    let audit = gateway.admin_call(&home, "GET", &format!("/v1/audit?object=approval/{next}"));
    let entry = &audit.json()["entries"][0];
    assert_eq!(
        (&entry["action"], &entry["actor"]),
        (&"approval.deny".into(), &"alice".into())
    );
    let record = through.header("tollgate-request-id").to_owned();
    until("it is recorded", || {
        gateway
            .admin_call(&home, "GET", &format!("/v1/records/{record}"))
            .status
            == 200
    });
    let record = gateway
        .admin_call(&home, "GET", &format!("/v1/records/{record}"))
        .text();
    assert!(
        record.contains("approval_given") && record.contains(&id),
        "{record}"
    );
    gateway.stop();
}

#[test]
fn two_approvers_are_two_credentials() {
    let (up, _) = upstream();
    let home = home(&up, "{models: [m], approvers: 2}");
    let gateway = home.start();
    let id = pending(&call(&gateway, false, None));
    let one = asked(&home, &gateway, "bob", &["approve", &id]);
    assert_eq!(one["approval"]["state"], "pending");
    let (code, _, err) = typed(&home, &gateway, "bob", &["approve", &id]);
    assert!(code == 1 && err.contains("another one must"), "{err}");
    let early = call(&gateway, false, Some(&id));
    assert!(early.text().contains("still pending"), "{}", early.text());
    let both = asked(&home, &gateway, "alice", &["approve", &id]);
    assert_eq!(both["approval"]["state"], "approved");
    assert_eq!(call(&gateway, false, Some(&id)).status, 200);
    gateway.stop();
}

#[test]
fn approvals_outlive_a_kill() {
    let (up, sent) = upstream();
    let home = home(&up, "{models: [m]}");
    let gateway = home.start();
    let id = pending(&call(&gateway, false, None));
    gateway.kill();
    let gateway = home.start();
    assert_eq!(
        pending(&call(&gateway, false, None)),
        id,
        "it is still asked"
    );
    asked(&home, &gateway, "bob", &["approve", &id]);
    gateway.kill();
    let gateway = home.start();
    assert_eq!(state(&home, &gateway, &id), "approved");
    assert_eq!(call(&gateway, false, Some(&id)).status, 200);
    gateway.kill();
    let gateway = home.start();
    assert_eq!(call(&gateway, false, Some(&id)).status, 403, "it is used");
    assert_eq!(state(&home, &gateway, &id), "used");
    assert_eq!(sent.load(Ordering::SeqCst), 1);
    gateway.stop();
}

#[test]
fn a_tool_call_in_a_stream_ends_in_a_fault_until_it_is_approved() {
    let (up, _) = upstream();
    let home = home(&up, "{tools: ['send_*']}");
    let gateway = home.start();
    let got = call(&gateway, true, None);
    assert_eq!(got.status, 200);
    let text = got.text();
    assert!(text.starts_with(&piece("look")), "{text}");
    assert!(
        !text.contains("\"send_mail\"") && !text.contains("\"tool_calls\""),
        "{text}"
    );
    assert!(
        text.contains("\"error\"") && !text.contains("[DONE]"),
        "{text}"
    );
    let id = await_open(&home, &gateway);
    assert!(text.contains(&id), "{text}");
    asked(&home, &gateway, "bob", &["approve", &id]);
    let got = call(&gateway, true, Some(&id));
    assert_eq!((got.status, got.text()), (200, frames()));
    gateway.stop();
}

#[test]
fn a_stream_waits_with_its_tool_call_held_back() {
    let (up, _) = upstream();
    let home = home(&up, "{tools: ['send_*'], wait_ms: 30000}");
    let gateway = home.start();
    for (vote, rest) in [("approve", frames()), ("deny", String::new())] {
        let mut client = send(&gateway, true, None);
        assert_eq!(client.head().unwrap().status, 200);
        let first = client.chunks_until("look");
        assert_eq!(first, piece("look"), "and nothing of the tool call");
        let id = await_open(&home, &gateway);
        asked(&home, &gateway, "bob", &[vote, &id]);
        let mut text = first;
        while let Some(chunk) = client.chunk().unwrap() {
            text += &String::from_utf8(chunk).unwrap();
        }
        if vote == "approve" {
            assert_eq!(text, rest);
        } else {
            assert!(text.contains("was denied"), "{text}");
            assert!(
                !text.contains("send_mail") && !text.contains("[DONE]"),
                "{text}"
            );
            assert!(!text.contains("\"tool_calls\""), "{text}");
        }
        assert_eq!(gateway.metric("tollgate_approvals_pending"), 0.0);
    }
    gateway.stop();
}

#[test]
fn a_key_that_is_revoked_while_its_tool_call_waits_gets_nothing_of_it() {
    let (up, _) = upstream();
    let home = home(&up, "{tools: ['send_*'], wait_ms: 30000}");
    let gateway = home.start();
    let admin = format!("http://{}", gateway.admin());
    let secret = secret("bob");
    let keys = |words: &[&str]| {
        let at = ["--json", "--admin", &admin, "--admin-key", &secret];
        let (code, out, err) = home.run(&[&["keys"], words, &at].concat());
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let made = keys(&["create", "--on-revoke", "cut"]);
    let key = made["secret"].as_str().unwrap();
    let mut client = gateway.connect();
    post(&mut client, key, DOOR, &chat("m", true)).unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    client.chunks_until("look");
    let id = await_open(&home, &gateway);
    keys(&["revoke", made["key"]["id"].as_str().unwrap()]);
    let told = client.chunks_until("revoked");
    assert!(
        !told.contains("send_mail") && !told.contains("[DONE]"),
        "{told}"
    );
    assert!(matches!(client.chunk(), Ok(None)), "a proper end behind it");
    assert_eq!(state(&home, &gateway, &id), "pending");
    gateway.stop();
}

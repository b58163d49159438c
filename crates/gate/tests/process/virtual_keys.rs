//! Virtual keys, as an operator and an application meet them: made by the
//! command line, called with, rotated, revoked, over restarts and kills.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use serde_json::Value;

use crate::gateway::{Gateway, Home, KEY, ask, chat, post};
use crate::until;
use crate::upstream::{Event, Upstream, gated};

const DOOR: &str = "/v1/chat/completions";

/// Runs `tollgate keys ..` with `--json` against a gateway.
fn keys(home: &Home, gateway: &Gateway, words: &[&str]) -> Value {
    let (code, out, err) = typed(home, gateway, &[words, &["--json"]].concat());
    assert_eq!(code, 0, "{words:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn typed(home: &Home, gateway: &Gateway, words: &[&str]) -> (i32, String, String) {
    let admin = format!("http://{}", gateway.admin());
    home.run(&[&["keys"], words, &["--admin", &admin]].concat())
}

/// Makes a key; its id and its secret.
fn make(home: &Home, gateway: &Gateway, words: &[&str]) -> (String, String) {
    let made = keys(home, gateway, &[&["create"], words].concat());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["key"]["id"]), text(&made["secret"]))
}

fn status(gateway: &Gateway, secret: &str) -> u16 {
    status_for(gateway, secret, "m")
}

fn status_for(gateway: &Gateway, secret: &str, model: &str) -> u16 {
    let answer = ask(gateway.data(), secret, DOOR, &chat(model, false)).unwrap();
    answer.status
}

#[test]
fn a_key_is_made_called_with_and_revoked() {
    let up = Upstream::good();
    let home = Home::with(&up.config("models: {m: up/m, other: up/m}"));
    let gateway = home.start();
    let words = [
        "--tenant",
        "acme",
        "--app",
        "batch",
        "--model",
        "m",
        "--expires",
        "30d",
    ];
    let (id, secret) = make(&home, &gateway, &words);
    assert!(secret.starts_with(&format!("tg-{id}-")), "{secret}");
    assert_eq!(status(&gateway, &secret), 200);
    assert_eq!(status_for(&gateway, &secret, "other"), 404);
    assert_eq!(status(&gateway, &secret[..secret.len() - 1]), 401);
    assert_eq!(status(&gateway, &id), 401);
    assert_eq!(
        gateway.metric("tollgate_virtual_keys{state=\"active\"}"),
        1.0
    );
    // An application's key opens nothing of the admin API.
    let (code, _, err) = typed(&home, &gateway, &["list", "--admin-key", &secret]);
    assert_eq!(code, 1);
    assert!(err.contains("not"), "{err}");
    keys(&home, &gateway, &["revoke", &id]);
    assert_eq!(status(&gateway, &secret), 401, "at once");
    assert_eq!(status(&gateway, KEY), 200);
    let listed = keys(&home, &gateway, &["list", "--state", "revoked"]);
    assert_eq!(listed["id"], id.as_str());
    // Records name the key, its tenant and its app.
    let logs = gateway.logs(&home, &["--key", &id]);
    assert_eq!(logs.len(), 2);
    assert!(
        logs.iter()
            .all(|line| line["tenant"] == "acme" && line["app"] == "batch")
    );
    gateway.stop();
}

#[test]
fn secrets_are_shown_once_and_written_nowhere() {
    let up = Upstream::good();
    let home = Home::with(&up.config("log: {requests: full}"));
    let gateway = home.start();
    let evil = "'; DROP TABLE keys; --";
    let (code, out, _) = typed(
        &home,
        &gateway,
        &["create", "--name", evil, "--tenant", evil],
    );
    assert_eq!(code, 0);
    let first = out.lines().next().unwrap().to_owned();
    assert!(out.contains("shown once"), "{out}");
    assert_eq!(status(&gateway, &first), 200);
    let listed = keys(&home, &gateway, &["list"]);
    let id = listed["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&listed["name"], &listed["tenant"]),
        (&evil.into(), &evil.into())
    );
    let (_, shown, _) = typed(&home, &gateway, &["show", &id]);
    let rotated = keys(&home, &gateway, &["rotate", &id, "--overlap", "1h"]);
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert_eq!(status(&gateway, &second), 200);
    let told = gateway.banner() + &gateway.complaints();
    gateway.stop();
    // The part behind the public id is the secret.
    let hidden = [&first, &second].map(|secret| secret.rsplit('-').next().unwrap().to_owned());
    let mut places = vec![("what is printed".to_owned(), (shown + &told).into_bytes())];
    files(&home.path("data"), &mut places);
    assert!(places.len() > 5, "the data folder holds files");
    for (place, bytes) in places {
        for secret in &hidden {
            let found = memchr::memmem::find(&bytes, secret.as_bytes());
            assert_eq!(found, None, "a secret is in {place}");
        }
    }
    for file in ["keys.key", "keys.sqlite"] {
        let found = std::fs::metadata(home.path("data").join(file)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions());
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

fn files(folder: &std::path::Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn a_rotation_overlaps() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let (id, first) = make(&home, &gateway, &[]);
    let rotated = |overlap: &str| {
        let answer = keys(&home, &gateway, &["rotate", &id, "--overlap", overlap]);
        answer["secret"].as_str().unwrap().to_owned()
    };
    let second = rotated("1h");
    assert_eq!(
        (status(&gateway, &first), status(&gateway, &second)),
        (200, 200)
    );
    assert_eq!(
        gateway.metric("tollgate_virtual_keys{state=\"rotating\"}"),
        1.0
    );
    let third = rotated("0s");
    let now = [&first, &second, &third].map(|secret| status(&gateway, secret));
    assert_eq!(now, [401, 401, 200]);
    // An overlap ends by itself.
    let fourth = rotated("1s");
    assert_eq!(status(&gateway, &fourth), 200);
    until("the overlap is over", || status(&gateway, &third) == 401);
    assert_eq!(status(&gateway, &fourth), 200);
    let logs = gateway.logs(&home, &["--key", &id]);
    assert!(
        logs.len() > 4,
        "every secret is the same key in the records"
    );
    gateway.stop();
}

#[test]
fn a_key_expires() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let (id, secret) = make(&home, &gateway, &["--expires", "2s"]);
    until("it is over", || status(&gateway, &secret) == 401);
    let shown = keys(&home, &gateway, &["show", &id]);
    assert_eq!(shown["key"]["state"], "expired");
    let (code, _, err) = typed(&home, &gateway, &["rotate", &id]);
    assert_eq!(code, 1);
    assert!(err.contains("expired"), "{err}");
    gateway.stop();
}

#[test]
fn keys_outlive_a_restart_and_a_kill_right_after_the_answer() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let (_, first) = make(&home, &gateway, &[]);
    let (revoked, gone) = make(&home, &gateway, &[]);
    keys(&home, &gateway, &["revoke", &revoked]);
    gateway.kill();
    let gateway = home.start();
    assert_eq!(
        (status(&gateway, &first), status(&gateway, &gone)),
        (200, 401)
    );
    let (_, second) = make(&home, &gateway, &[]);
    gateway.kill();
    let gateway = home.start();
    let now = [&first, &second, &gone].map(|secret| status(&gateway, secret));
    assert_eq!(now, [200, 200, 401]);
    gateway.stop();
    let gateway = home.start();
    assert_eq!(status(&gateway, &second), 200);
    let used = keys(&home, &gateway, &["list", "--state", "active", "-n", "1"]);
    assert!(used["last_used_at"].is_string(), "the end wrote it: {used}");
    gateway.stop();
}

#[test]
fn a_revoked_key_is_refused_on_an_open_http2_connection() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let (id, secret) = make(&home, &gateway, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (address, revoke) = (gateway.data(), || keys(&home, &gateway, &["revoke", &id]));
    let statuses = runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                .await
                .unwrap();
        let connection = tokio::spawn(connection);
        let mut statuses = Vec::new();
        for is_revoked in [false, true] {
            if is_revoked {
                revoke();
            }
            let request = http::Request::post(format!("http://localhost{DOOR}"))
                .header("authorization", format!("Bearer {secret}"))
                .body(Full::new(Bytes::from(chat("m", false))))
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            statuses.push(answer.status().as_u16());
            drop(answer.into_body().collect().await.unwrap());
        }
        connection.abort();
        statuses
    });
    // It holds the connection, and the gateway would wait for that.
    drop(runtime);
    assert_eq!(statuses, [200, 401]);
    gateway.stop();
}

#[test]
fn open_streams_finish_unless_the_key_is_cut() {
    let gate = Event::default();
    let up = gated(&gate);
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let open = |words: &[&str]| {
        let (id, secret) = make(&home, &gateway, words);
        let mut client = gateway.connect();
        post(&mut client, &secret, DOOR, &chat("m", true)).unwrap();
        assert_eq!(client.head().unwrap().status, 200);
        client.chunks_until("first");
        (id, client)
    };
    let (finishes, mut whole) = open(&[]);
    let (cut, mut short) = open(&["--on-revoke", "cut"]);
    let (late, mut warned) = open(&[]);
    keys(&home, &gateway, &["revoke", &finishes]);
    keys(&home, &gateway, &["revoke", &cut]);
    keys(&home, &gateway, &["revoke", &late, "--on-revoke", "cut"]);
    // This one ends while the upstream is silent.
    let told = short.chunks_until("revoked");
    assert!(
        told.contains("\"error\"") && !told.contains("[DONE]"),
        "{told}"
    );
    assert!(matches!(short.chunk(), Ok(None)), "a proper end behind it");
    gate.happen();
    let told = whole.chunks_until("[DONE]");
    assert!(told.contains("second"), "{told}");
    // A key that was not made for it ends with the next frame.
    let told = warned.chunks_until("revoked");
    assert!(!told.contains("[DONE]"), "{told}");
    until("all are recorded", || {
        gateway.logs(&home, &["--outcome", "cut"]).len() == 2
    });
    let logs = gateway.logs(&home, &["--key", &cut]);
    assert_eq!(logs[0]["fault"], "unauthenticated");
    assert_eq!(
        gateway.logs(&home, &["--key", &finishes])[0]["outcome"],
        "complete"
    );
    gateway.stop();
}

#[test]
fn the_document_says_whether_keys_are_made_at_run_time() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let (id, secret) = make(&home, &gateway, &[]);
    assert_eq!(status(&gateway, &secret), 200);
    home.configure(&up.config("keys_from: [document]"));
    gateway.signal(Signal::HUP);
    until("keys of the API count no more", || {
        status(&gateway, &secret) == 401
    });
    let (code, _, err) = typed(&home, &gateway, &["create"]);
    assert_eq!(code, 1);
    assert!(err.contains("keys_from"), "{err}");
    home.configure(&up.config("keys_from: [api]\nkeys: []"));
    gateway.signal(Signal::HUP);
    until("they count again", || status(&gateway, &secret) == 200);
    assert_eq!(
        status(&gateway, KEY),
        401,
        "and those of the document do not"
    );
    // A key of the document with the same id wins.
    home.configure(&up.config(&format!("keys: [{{id: {id}, secret: {KEY}}}]")));
    gateway.signal(Signal::HUP);
    until("it is in force", || status(&gateway, KEY) == 200);
    assert_eq!(status(&gateway, &secret), 401);
    assert_eq!(
        keys(&home, &gateway, &["show", &id])["key"]["shadowed"],
        true
    );
    gateway.stop();
}

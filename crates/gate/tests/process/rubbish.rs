//! Upstreams that send rubbish, through the door of every dialect: always a
//! clear fault of the provider, and the gateway lives.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use crate::gateway::{Gateway, Home, KEY, post, read};
use crate::limits::{DOORS, is_fault_of};
use crate::upstream::{COMPLETION, Upstream, json, piece};

/// Most memory that all of this may take, KiB.
const RESIDENT_KIB_MAX: u64 = 256 * 1024;
/// Bytes of an event that is too long.
const LONG_EVENT_BYTES: usize = 5 * 1024 * 1024;

/// What an upstream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rubbish {
    Html502,
    ErrorIn200,
    NoJson,
    WrongJson,
    Truncated,
    WrongLength,
    Empty,
    Gzip,
    EndlessBody,
    EndlessComments,
    LongEvent,
    MalformedEvent,
    EmptyStream,
    NotHttp,
    Silent,
    EndlessHead,
    TwoLengths,
    BadChunk,
    Redirect,
}

impl Rubbish {
    const ALL: [Self; 19] = [
        Self::Html502,
        Self::ErrorIn200,
        Self::NoJson,
        Self::WrongJson,
        Self::Truncated,
        Self::WrongLength,
        Self::Empty,
        Self::Gzip,
        Self::EndlessBody,
        Self::EndlessComments,
        Self::LongEvent,
        Self::MalformedEvent,
        Self::EmptyStream,
        Self::NotHttp,
        Self::Silent,
        Self::EndlessHead,
        Self::TwoLengths,
        Self::BadChunk,
        Self::Redirect,
    ];

    /// Sends it. What cannot be sent because the gateway has had enough is
    /// what is wanted.
    fn send(self, to: &mut TcpStream, stream_type: &str) {
        let head = |rest: &str| format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{rest}\r\n\r\n");
        let stream = head(&format!("content-type: {stream_type}"));
        let whole = "content-type: application/json";
        let text = match self {
            Self::Html502 => "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\
                              content-length: 22\r\n\r\n<html>Bad gateway</html>"
                .to_owned(),
            Self::ErrorIn200 => json(200, r#"{"error":{"message":"boom","type":"server_error"}}"#),
            Self::NoJson => json(200, "<html>hello</html>"),
            Self::WrongJson => json(200, "[1,2,3]"),
            Self::Truncated => json(200, &COMPLETION[..100]),
            Self::WrongLength => head(&format!("{whole}\r\ncontent-length: 5000")) + COMPLETION,
            Self::Empty => json(200, ""),
            Self::Gzip => head(&format!("{whole}\r\ncontent-encoding: gzip")) + "\u{1f}rubbish",
            Self::EndlessBody => return endless(to, &(head(whole) + "{\"id\":\""), "xxxxxxxx"),
            Self::EndlessComments => return endless(to, &stream, ": still here\n\n"),
            Self::LongEvent => stream + "data: " + &"x".repeat(LONG_EVENT_BYTES),
            Self::MalformedEvent => stream + "data: {\"choices\":[{\n\nrubbish\n\n",
            Self::EmptyStream => stream,
            Self::NotHttp => "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
            Self::Silent => String::new(),
            Self::EndlessHead => return endless(to, "HTTP/1.1 200 OK\r\n", "x-more: and more\r\n"),
            Self::TwoLengths => head("content-length: 2\r\ncontent-length: 3") + "{}",
            Self::BadChunk => head(&format!("{whole}\r\ntransfer-encoding: chunked")) + "zz\r\n{}",
            Self::Redirect => "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\n\
                               content-length: 0\r\n\r\n"
                .to_owned(),
        };
        let _ = to.write_all(text.as_bytes());
    }
}

/// Sends until nobody reads any more.
fn endless(to: &mut TcpStream, first: &str, more: &str) {
    let more = more.repeat(512);
    let mut sent = to.write_all(first.as_bytes());
    while sent.is_ok() {
        sent = to.write_all(more.as_bytes());
    }
}

/// The gateway between every door and an upstream of each dialect.
struct World {
    home: Home,
    gateway: Gateway,
    now: Arc<Mutex<Rubbish>>,
}

impl World {
    fn new() -> Self {
        let now = Arc::new(Mutex::new(Rubbish::Html502));
        let told = now.clone();
        let up = Upstream::start(move |asked, socket| {
            let rubbish = *told.lock().unwrap();
            let stream_type = match asked.path.contains("/converse") {
                true => "application/vnd.amazon.eventstream",
                false => "text/event-stream",
            };
            rubbish.send(socket, stream_type);
            false
        });
        let url = up.url();
        let home = Home::with(&format!(
            "workers: 1\nproviders:\n  \
             chat: {{kind: compatible, base_url: '{url}/v1', dialects: [openai_chat]}}\n  \
             responses: {{kind: openai, api_key: sk-x, base_url: '{url}/v1'}}\n  \
             anthropic: {{api_key: sk-x, base_url: '{url}'}}\n  \
             gemini: {{api_key: sk-x, base_url: '{url}/v1beta'}}\n  \
             bedrock: {{region: us-east-1, api_key: sk-x, base_url: '{url}'}}\n"
        ));
        let gateway = home.start();
        Self { home, gateway, now }
    }

    /// One call that gets this rubbish; checks what the caller sees.
    fn check(&self, door: &str, provider: &str, stream: bool, rubbish: Rubbish) {
        *self.now.lock().unwrap() = rubbish;
        let (path, body) = request(door, provider, stream);
        let case = format!("{rubbish:?} from {provider} at {path}, stream {stream}");
        let mut client = self.gateway.connect();
        post(&mut client, KEY, &path, &body).unwrap();
        let answer = client
            .answer()
            .unwrap_or_else(|why| panic!("{case}: {why}"));
        assert!(
            matches!(answer.status, 500..=504 | 529),
            "{case}: {} {}",
            answer.status,
            answer.text()
        );
        is_fault_of(door, &answer);
        let id = answer.header("tollgate-request-id");
        let records = self
            .gateway
            .admin_call(&self.home, "GET", &format!("/v1/records/{id}"));
        let record = records.json();
        assert_eq!(record["fault"]["origin"], "provider", "{case}: {record}");
    }
}

/// A request at a door for a model of a provider.
fn request(door: &str, provider: &str, stream: bool) -> (String, String) {
    let model = format!("{provider}/m");
    let messages = r#"[{"role":"user","content":"Hi"}]"#;
    let body = match door {
        "/v1/chat/completions" => {
            format!(r#"{{"model":"{model}","stream":{stream},"messages":{messages}}}"#)
        }
        "/v1/responses" => format!(r#"{{"model":"{model}","stream":{stream},"input":"Hi"}}"#),
        "/v1/messages" => format!(
            r#"{{"model":"{model}","stream":{stream},"max_tokens":9,"messages":{messages}}}"#
        ),
        "/model/m/converse" => r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#.into(),
        _ => r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#.into(),
    };
    let path = match (door, stream) {
        ("/model/m/converse", false) => format!("/model/{provider}%2Fm/converse"),
        ("/model/m/converse", true) => format!("/model/{provider}%2Fm/converse-stream"),
        ("/v1beta/models/m:generateContent", false) => {
            format!("/v1beta/models/{model}:generateContent")
        }
        ("/v1beta/models/m:generateContent", true) => {
            format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
        }
        (door, _) => door.to_owned(),
    };
    (path, body)
}

/// The most memory that a process had, KiB.
fn peak_resident_kib(gateway: &Gateway) -> Option<u64> {
    let status = read(format!("/proc/{}/status", gateway.pid()).as_ref())?;
    let status = String::from_utf8(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn whatever_an_upstream_sends_the_caller_gets_a_clear_fault() {
    let mut world = World::new();
    let own = ["chat", "responses", "anthropic", "gemini", "bedrock"];
    for (door, own) in DOORS.into_iter().zip(own) {
        for rubbish in Rubbish::ALL {
            for stream in [false, true] {
                world.check(door, own, stream, rubbish);
                if own != "chat" {
                    world.check(door, "chat", stream, rubbish);
                }
            }
        }
    }
    assert!(world.gateway.is_running());
    assert!(!world.gateway.complaints().contains("panicked"));
    assert_eq!(world.gateway.metric("tollgate_in_flight"), 0.0);
    assert_eq!(
        world.gateway.metric("tollgate_journal_abandoned_total"),
        0.0
    );
    if let Some(peak) = peak_resident_kib(&world.gateway) {
        assert!(peak < RESIDENT_KIB_MAX, "{peak} KiB at the peak");
    }
    world.gateway.stop();
}

/// A stream that breaks after its first content has its fault in band.
#[test]
fn a_stream_that_breaks_is_ended_by_a_fault_in_band() {
    for broken in [
        "",
        "data: {\"choices\":[{\n\n",
        "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n",
    ] {
        let up = Upstream::start(move |_, socket| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            let first = piece("first") + broken;
            let chunk = format!("{head}{:x}\r\n{first}\r\n", first.len());
            let _ = socket.write_all(chunk.as_bytes());
            false
        });
        let home = Home::with(&up.config(""));
        let gateway = home.start();
        for (door, sign) in [
            (DOORS[0], "data: {\"error\":"),
            (DOORS[1], "\"type\":\"error\""),
            (DOORS[2], "event: error\n"),
            (DOORS[3], "data: {\"error\":"),
            (DOORS[4], ":exception-type"),
        ] {
            let (path, body) = request(door, "up", true);
            let mut client = gateway.connect();
            post(&mut client, KEY, &path, &body).unwrap();
            assert_eq!(client.head().unwrap().status, 200);
            let mut stream = Vec::new();
            while let Ok(Some(chunk)) = client.chunk() {
                stream.extend(chunk);
            }
            let stream = String::from_utf8_lossy(&stream);
            assert!(stream.contains("first"), "{door}: {stream}");
            assert!(stream.contains(sign), "{door} {broken:?}: {stream}");
            for end in [
                "[DONE]",
                "message_stop",
                "response.completed",
                "messageStop",
            ] {
                assert!(!stream.contains(end), "{door} {broken:?}: {stream}");
            }
        }
        let cut = gateway.logs(&home, &["--outcome", "cut"]);
        assert_eq!(cut.len(), DOORS.len());
        assert!(
            cut.iter().all(|line| line["origin"] == "provider"),
            "{cut:?}"
        );
        gateway.stop();
    }
}

//! Cases of the door to calls: the real flow behind the real edge, over
//! loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use evidence::Record;

use crate::edge::listen::{Address, Inherited};
use crate::edge::workers::start;
use crate::records::Records;
use crate::serve::{data_door, edge_plan, open, standings};

/// Ends a test that hangs.
const HANG: Duration = Duration::from_secs(60);
/// The patience with a body that never comes.
const PATIENCE: Duration = Duration::from_millis(20);
const KEY: &str = "tg-0123456789abcdef01234567";

struct NoSources;

impl plan::Sources for NoSources {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

/// A gateway with the patience of a test, and its records.
struct World {
    address: SocketAddr,
    running: crate::edge::workers::Running,
    records: Records,
    _home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let text = format!(
            "providers: {{sandbox: {{}}}}\nkeys: [{{id: test, secret: {KEY}}}]\n\
             listen: {{data: {{address: '127.0.0.1:0'}}}}\n"
        );
        let draft = plan::read(&text, &NoSources).unwrap();
        let given = plan::Given {
            sources: &NoSources,
            ring_key: [1; 32],
            digest_key: [2; 32],
        };
        let compiled = plan::compile(&draft, &given).unwrap();
        let home = tempfile::tempdir().unwrap();
        let records = Records::open(&compiled.evidence, &compiled.log, home.path()).unwrap();
        let house = records.house(compiled.plan);
        let listeners = open(&compiled.data, &mut Inherited::default()).unwrap();
        let edge = edge_plan(1, &compiled.edge, compiled.drain);
        let standing = standings(&compiled.data);
        let running = start(edge, listeners, move |_| {
            let mut door = data_door(&house, &standing);
            door.bodies.idle_max = PATIENCE;
            door
        });
        let running = running.unwrap();
        let Address::Tcp(address) = running.addresses()[0].1 else {
            panic!("no TCP")
        };
        Self {
            address,
            running,
            records,
            _home: home,
        }
    }

    /// The whole answer to a request whose body stops after its first bytes;
    /// the end of the connection is waited for.
    fn begin(&self, path: &str, headers: &str) -> (String, serde_json::Value) {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             {headers}\r\ncontent-length: 100\r\n\r\n{{\"model\":"
        );
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let body = serde_json::from_str(body).expect("JSON");
        (head.to_ascii_lowercase(), body)
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_the_callers_408_in_its_dialect() {
    let world = World::new();
    let bearer = format!("authorization: Bearer {KEY}");
    let anthropic = format!("x-api-key: {KEY}\r\nanthropic-version: 2023-06-01");
    let google = format!("x-goog-api-key: {KEY}");
    let cases = [
        ("/v1/chat/completions", &bearer, "/error/code", "timeout"),
        ("/v1/responses", &bearer, "/error/code", "timeout"),
        ("/v1/embeddings", &bearer, "/error/code", "timeout"),
        ("/v1/messages", &anthropic, "/error/type", "timeout_error"),
        (
            "/v1beta/models/m:generateContent",
            &google,
            "/error/status",
            "DEADLINE_EXCEEDED",
        ),
        ("/model/m/converse", &bearer, "/message", ""),
    ];
    for (path, headers, pointer, word) in &cases {
        let (head, body) = world.begin(path, headers);
        assert!(head.starts_with("http/1.1 408 "), "{path}: {head}");
        assert!(head.contains("\r\nconnection: close"), "{path}: {head}");
        let told = body.pointer(pointer).and_then(|told| told.as_str());
        assert!(
            told.is_some_and(|told| told.contains(word)),
            "{path}: {body}"
        );
        assert!(body.to_string().contains("too slowly"), "{path}: {body}");
    }
    let journal = world.records.evidence.journal().clone();
    assert!(journal.flush(HANG));
    let mut cursor = journal.cursor(1, None).unwrap();
    let mut count = 0;
    while let Some(entry) = cursor.next_entry().unwrap() {
        let record = Record::decode(&entry.payload).unwrap();
        let fault = record.fault.as_ref().expect("a fault");
        assert_eq!(
            (record.status, &*fault.kind, &*fault.origin),
            (408, "timeout", "client")
        );
        count += 1;
    }
    assert_eq!(count, cases.len());
    world.running.control().cut();
    world.running.join();
    world.records.close();
}

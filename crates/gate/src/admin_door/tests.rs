//! The admin listener over loopback, spoken to by raw sockets. The long
//! timeouts of the client only end a test that hangs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use admin::{AdminKey, Applied, Audit, Figures, Hands, Plans, Versions};
use arc_swap::ArcSwap;
use contract::Secret;
use evidence::{Evidence, LogLine, Meter, Record, RequestId, RouteKey};
use plan::InForce;
use store::MemoryJournal;
use transport::RealClock;

use super::*;
use crate::edge::control::Plan as EdgePlan;
use crate::edge::listen::{Address, Inherited, Listener, ListenerSpec};
use crate::edge::serve::Settings;
use crate::edge::workers::{Running, start};

/// Ends a test that hangs.
const HANG: Duration = Duration::from_secs(60);
const KEY: &str = "tg-admin-0123456789abcdef";

struct NoSources;

impl plan::Sources for NoSources {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

struct World {
    running: Running,
    evidence: Evidence,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let journal = Arc::new(MemoryJournal::new(100, 1_000));
        let evidence = Evidence::new(journal, Arc::new(Meter::new()), LogLine::Off, None);
        let draft = plan::read("providers:\n  box: {kind: sandbox}\n", &NoSources).unwrap();
        let given = plan::Given {
            sources: &NoSources,
            ring_key: [1; 32],
            digest_key: [2; 32],
        };
        let plan = InForce::from(plan::compile(&draft, &given).unwrap().plan);
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::new(&dir.path().join("audit"), [1; 16]);
        let plans = Plans::new(
            Versions::open(&dir.path().join("plans")).unwrap(),
            audit.clone(),
            plan::Owner::Api,
            Hands {
                compile: Arc::new(|_| panic!("no document is sent")),
                put: Arc::new(|_, _| panic!("nothing is put in force")),
            },
            (plan.plan.clone(), plan::keep(&draft.document)),
        );
        let state = AdminState {
            evidence: evidence.clone(),
            index: Arc::default(),
            plan: Arc::new(ArcSwap::from_pointee(plan)),
            reload: Arc::new(|_| {
                Ok(Applied {
                    plan: "0123456789abcdef".to_owned(),
                    before: "0123456789abcdef".to_owned(),
                    number: None,
                    restart_needed: Vec::new(),
                    diff: String::new(),
                })
            }),
            figures: Arc::new(Figures::default),
            key: AdminKey::new(&Secret::new(KEY.to_owned())),
            audit,
            keys: crate::virtual_keys::VirtualKeys::default().admin(),
            find_key: Arc::new(|_, _| None),
            counted: Arc::new(insight::budgets::Counted::default),
            spent_by_all: None,
            approvals: Arc::new(store::MemoryApprovals::default()),
            plans: Arc::new(plans),
            started_us: 0,
            workers: 1,
        };
        let health = Health::default();
        let door = AdminDoor::new(state, health.clone(), Arc::new(RealClock::new()));
        let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let spec = ListenerSpec {
            name: "admin".to_owned(),
            address,
            tls: None,
        };
        let listener = Listener::open(&spec, &mut Inherited::default()).unwrap();
        let plan = EdgePlan {
            workers: 1,
            settings: Settings::default(),
            unready_before_drain: Duration::ZERO,
            drain_max: HANG,
            notices: Arc::new(|notice| panic!("{notice:?}")),
        };
        let running = start(plan, vec![listener], move |_| door.clone()).unwrap();
        running.control().set_ready(true);
        health.follow(running.control().clone());
        let Address::Tcp(address) = running.addresses()[0].1 else {
            panic!("no TCP")
        };
        Self {
            running,
            evidence,
            address,
            _dir: dir,
        }
    }

    fn connect(&self, head: &str) -> BufReader<TcpStream> {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(HANG)).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        BufReader::new(socket)
    }

    /// Head and body of the answer.
    fn ask(&self, line: &str) -> (String, String) {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\
             connection: close\r\n\r\n"
        );
        let mut answer = String::new();
        self.connect(&head).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn write(&self, n: u64) {
        let mut record = Record::begin(RequestId::mint(n * 1_000, n), n * 1_000);
        record.status = 200;
        let route = self.evidence.meter().route(&RouteKey::default());
        drop(self.evidence.admit().unwrap().write(&mut record, &route));
    }
}

#[test]
fn answers_come_with_the_right_heads() {
    let world = World::new();
    world.write(1);
    for (line, status, says) in [
        ("GET /livez", "200", "ok"),
        ("GET /readyz", "200", "ready"),
        ("GET /healthz", "200", "ready"),
        ("GET /metrics", "200", "tollgate_requests"),
        ("GET /v1/records", "200", "\"sequence\":1"),
        ("GET /v1/records/1", "200", "\"request_id\""),
        ("GET /v1/plan", "200", "\"box\""),
        ("GET /v1/status", "200", "\"uptime_ms\""),
        ("POST /v1/reload", "200", "0123456789abcdef"),
        ("GET /openapi.json", "200", "\"openapi\""),
        ("PUT /v1/plan", "405", "method_not_allowed"),
        ("GET /v2", "404", "unknown_path"),
    ] {
        let (head, body) = world.ask(line);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {head}"
        );
        assert!(body.contains(says), "{line}: {body}");
    }
    let (head, _) = world.ask("PUT /v1/plan");
    assert!(
        head.contains("allow: GET, HEAD") && head.contains("cache-control: no-store"),
        "{head}"
    );
}

#[test]
fn framing_is_strict_here_too() {
    let world = World::new();
    let head = "POST /v1/reload HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: \
                chunked\r\n\r\n";
    let mut answer = String::new();
    world.connect(head).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(
        answer.contains("{\"error\":{\"code\":\"bad_request\""),
        "{answer}"
    );
}

#[test]
fn a_follower_sees_what_comes_and_does_not_hold_up_the_drain() {
    let world = World::new();
    world.write(1);
    let head = format!(
        "GET /v1/records?follow=1&after=0 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer \
         {KEY}\r\n\r\n"
    );
    let mut lines = world.connect(&head).lines();
    let mut next = |wanted: &str| {
        let found = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(wanted));
        assert!(found.is_some(), "the stream ended before {wanted}");
    };
    next("application/x-ndjson");
    next("\"sequence\":1,");
    world.write(2);
    next("\"sequence\":2,");
    world.running.control().leave();
    let report = world.running.join();
    assert_eq!(report.cut, 0);
}

//! The real server over loopback, spoken to by raw sockets. No test asserts a
//! duration: the long timeouts of the clients only end a test that hangs.

mod exchanges;
mod leaving;
mod refusals;
mod secure;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::watch;

use super::body::{BodyLimits, Cut, ReplyBody, ReplyStream, collect};
use super::conn::ConnFacts;
use super::control::Plan;
use super::framing::Violation;
use super::listen::{Address, Inherited, Listener, ListenerSpec};
use super::serve::{Door, Settings, wants_upgrade};
use super::workers::{DrainReport, Running, start};

/// Ends a test that hangs.
const HANG: Duration = Duration::from_secs(60);

/// What the door saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// A request with this path.
    Call(String),
    /// The work for this path was dropped before its end.
    Dropped(&'static str),
}

/// A door for tests: `/echo` gives the body back, `/stream` gives one piece
/// and waits for ever, `/cut` gives one piece and cuts, `/hang` never answers,
/// `/wait` answers once the gate is open.
#[derive(Clone)]
struct TestDoor {
    seen: Sender<Seen>,
    gate: watch::Receiver<bool>,
    limits: BodyLimits,
}

impl Door for TestDoor {
    type Answer = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

    fn knock(&self, head: Parts, body: Incoming, conn: &Arc<ConnFacts>) -> Self::Answer {
        let (mut this, conn) = (self.clone(), Arc::clone(conn));
        let _ = this.seen.send(Seen::Call(head.uri.to_string()));
        Box::pin(async move {
            match head.uri.path() {
                "/echo" => match collect(body, &head.headers, &this.limits).await {
                    Ok(bytes) => Response::new(ReplyBody::from(bytes)),
                    Err(fault) => {
                        let fault = fault.fault();
                        text(fault.status(), fault.public.into_owned())
                    }
                },
                "/facts" => text(200, format!("{} {}", conn.listener, conn.is_local())),
                "/stream" => {
                    let tell = Tell(this.seen.clone(), "/stream");
                    let stream = OnePiece {
                        given: false,
                        cut: false,
                        _tell: Some(tell),
                    };
                    Response::new(ReplyBody::stream(Box::new(stream)))
                }
                "/cut" => {
                    let stream = OnePiece {
                        given: false,
                        cut: true,
                        _tell: None,
                    };
                    Response::new(ReplyBody::stream(Box::new(stream)))
                }
                "/hang" => {
                    let _tell = Tell(this.seen.clone(), "/hang");
                    std::future::pending().await
                }
                "/wait" => {
                    let _ = this.gate.wait_for(|open| *open).await;
                    text(200, "waited".to_owned())
                }
                _ if wants_upgrade(&head) => text(400, "no upgrade here".to_owned()),
                path => text(404, format!("nothing at {path}")),
            }
        })
    }

    fn refuse(&self, violation: &Violation, path: &str, _: &Arc<ConnFacts>) -> Response<ReplyBody> {
        text(
            violation.status(),
            format!("{} at {path}", violation.rule.name()),
        )
    }
}

fn text(status: u16, text: String) -> Response<ReplyBody> {
    let mut reply = Response::new(ReplyBody::from(Bytes::from(text)));
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
    reply
}

/// Tells of its end.
struct Tell(Sender<Seen>, &'static str);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send(Seen::Dropped(self.1));
    }
}

struct OnePiece {
    given: bool,
    cut: bool,
    _tell: Option<Tell>,
}

impl ReplyStream for OnePiece {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if !std::mem::replace(&mut self.given, true) {
            return Poll::Ready(Some(Ok(Bytes::from_static(b"piece"))));
        }
        if self.cut {
            Poll::Ready(Some(Err(Cut)))
        } else {
            Poll::Pending
        }
    }
}

/// A running edge with a test door.
struct TestEdge {
    running: Running,
    seen: Receiver<Seen>,
    gate: watch::Sender<bool>,
}

fn plan() -> Plan {
    Plan {
        workers: 2,
        settings: Settings::default(),
        unready_before_drain: Duration::ZERO,
        drain_max: HANG,
        notices: Arc::new(|notice| panic!("{notice:?}")),
    }
}

fn tcp_spec() -> ListenerSpec {
    let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
    ListenerSpec {
        name: "data".to_owned(),
        address,
        tls: None,
    }
}

impl TestEdge {
    fn start() -> Self {
        Self::with(plan(), BodyLimits::default())
    }

    fn with(plan: Plan, limits: BodyLimits) -> Self {
        let listener = Listener::open(&tcp_spec(), &mut Inherited::default()).unwrap();
        Self::on(vec![listener], plan, limits)
    }

    fn on(listeners: Vec<Listener>, plan: Plan, limits: BodyLimits) -> Self {
        let (sender, seen) = channel();
        let gate = watch::Sender::new(false);
        let door = TestDoor {
            seen: sender,
            gate: gate.subscribe(),
            limits,
        };
        let running = start(plan, listeners, move |_| door.clone()).unwrap();
        Self {
            running,
            seen,
            gate,
        }
    }

    fn address(&self) -> SocketAddr {
        match &self.running.addresses()[0].1 {
            Address::Tcp(address) => *address,
            Address::Unix { path, .. } => panic!("{path:?} is a unix socket"),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads to its end.
    fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_to_end(stream)
    }

    fn next_seen(&self) -> Seen {
        self.seen
            .recv_timeout(HANG)
            .expect("the door sees something")
    }

    fn saw_nothing(&self) -> bool {
        self.seen.try_recv().is_err()
    }

    fn stop(self) -> DrainReport {
        self.running.control().leave();
        self.running.join()
    }
}

fn read_to_end(mut stream: impl Read) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads until the text ends like this.
fn read_until(stream: &mut impl Read, end: &str) -> String {
    let mut answer = Vec::new();
    let mut byte = [0u8; 1];
    while !answer.ends_with(end.as_bytes()) {
        let count = stream.read(&mut byte).unwrap();
        assert!(
            count > 0,
            "the connection ended after {:?}",
            String::from_utf8_lossy(&answer)
        );
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

const CLOSE: &str = "connection: close\r\n";

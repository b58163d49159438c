//! What a request costs on the client's side of the wire: CPU for each request
//! against a canned server in a process of its own, and memory for each open,
//! silent stream. The wire is set against hyper's HTTP/1.1 client, once with
//! its connections as tasks and once polled by the request itself.
//!
//! Run with `cargo run --release -p tollgate-transport --example wire_cost`.
//! Not here: pass marks; figures depend on the machine and are compared by eye.

#![expect(clippy::print_stdout, reason = "a measurement that prints")]
#![expect(clippy::unwrap_used, reason = "a measurement stops at the first fault")]
#![expect(clippy::disallowed_methods, reason = "tasks end with the measurement")]

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use contract::seams::{Endpoint, HttpVersion, Outbound, Wire};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tollgate_transport::{HttpWire, WireOptions};

const REQUESTS: usize = 40_000;
const AT_ONCE: usize = 64;
const ROUNDS: usize = 7;
const STREAMS: usize = 1000;
const CHUNKS: usize = 50;
const REQUEST_HEADERS: [(&str, &str); 5] = [
    (
        "authorization",
        "Bearer sk-0123456789abcdef0123456789abcdef",
    ),
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("user-agent", "tollgate"),
    ("x-request-id", "0192f1d2-7a6e-7c3b-9d7e-2b8f5f3a1c44"),
];

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => return runtime().block_on(serve()),
        Some("memory-wire") => return print_memory(Kind::Wire),
        Some("memory-hyper") => return print_memory(Kind::HyperTask),
        // For instruction counts, under a tool that counts them.
        Some("fetch-wire") => return fetch(Kind::Wire),
        Some("fetch-hyper-inline") => return fetch(Kind::HyperInline),
        Some("fetch-hyper-task") => return fetch(Kind::HyperTask),
        Some(_) | None => {}
    }
    for (tasks, requests, path, per) in [
        (1, REQUESTS / 4, "/whole", 1),
        (AT_ONCE, REQUESTS / AT_ONCE, "/whole", 1),
        (AT_ONCE, 20, "/stream", CHUNKS),
    ] {
        // Interleaved, and the least of several: neighbours only ever add.
        let mut least = KINDS.map(|_| f64::INFINITY);
        for _ in 0..ROUNDS {
            for (kind, least) in KINDS.into_iter().zip(&mut least) {
                *least = least.min(cost(kind, tasks, requests, path, per));
            }
        }
        for (kind, us) in KINDS.into_iter().zip(least) {
            println!("{kind:?}: {path}, {tasks} at once, {per} parts: {us:.2} us of CPU a part");
        }
    }
    // Each in a process of its own, whose heap nothing has stretched before.
    for what in ["memory-wire", "memory-hyper"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        assert!(command.arg(what).status().unwrap().success());
    }
}

/// As many requests, 16 at once, as the second argument says, in sixteens.
fn fetch(kind: Kind) {
    let requests = std::env::args().nth(2).unwrap().parse().unwrap();
    cost(kind, 16, requests, "/whole", 1);
}

fn print_memory(kind: Kind) {
    let bytes = memory(kind);
    println!(
        "{kind:?}: {:.1} KiB resident for each open stream",
        bytes / 1024.0
    );
}

const KINDS: [Kind; 3] = [Kind::Wire, Kind::HyperInline, Kind::HyperTask];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Wire,
    HyperInline,
    HyperTask,
}

/// CPU time of this thread for each of `per` parts of each request, in
/// microseconds, after a warm-up.
fn cost(kind: Kind, tasks: usize, requests: usize, path: &'static str, per: usize) -> f64 {
    let (mut server, port) = start_server();
    let used = runtime().block_on(LocalSet::new().run_until(async move {
        let client = Rc::new(Client::new(kind, port));
        run(&client, tasks, requests / 10 + 1, path).await;
        let before = cpu_ns();
        run(&client, tasks, requests, path).await;
        cpu_ns() - before
    }));
    server.kill().unwrap();
    server.wait().unwrap();
    used as f64 / 1000.0 / (tasks * requests * per) as f64
}

async fn run(client: &Rc<Client>, tasks: usize, requests: usize, path: &'static str) {
    let work = (0..tasks).map(|_| {
        let client = Rc::clone(client);
        tokio::task::spawn_local(async move {
            for _ in 0..requests {
                assert!(client.fetch(path).await > 0);
            }
        })
    });
    for task in work.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Resident bytes for each stream that was opened and fell silent.
fn memory(kind: Kind) -> f64 {
    let (mut server, port) = start_server();
    let bytes = runtime().block_on(LocalSet::new().run_until(async move {
        let client = Client::new(kind, port);
        let mut held = vec![client.open("/silent").await];
        let before = resident_bytes();
        for _ in 0..STREAMS {
            held.push(client.open("/silent").await);
        }
        (resident_bytes() - before) as f64 / STREAMS as f64
    }));
    server.kill().unwrap();
    server.wait().unwrap();
    bytes
}

enum Client {
    Wire(HttpWire, Arc<Endpoint>),
    HyperInline(u16, RefCell<Vec<Inline>>),
    HyperTask(u16, RefCell<Vec<SendRequest<Full<Bytes>>>>),
}

type Inline = (
    SendRequest<Full<Bytes>>,
    Connection<TokioIo<TcpStream>, Full<Bytes>>,
);

/// An answer that is held open.
#[expect(dead_code, reason = "held for its memory only")]
enum Held {
    Wire(contract::seams::Inbound),
    Hyper(SendRequest<Full<Bytes>>, http::Response<Incoming>),
}

impl Client {
    fn new(kind: Kind, port: u16) -> Self {
        match kind {
            Kind::Wire => Self::Wire(HttpWire::new(WireOptions::default()), endpoint(port)),
            Kind::HyperInline => Self::HyperInline(port, RefCell::default()),
            Kind::HyperTask => Self::HyperTask(port, RefCell::default()),
        }
    }

    /// One request; the bytes of its answer.
    async fn fetch(&self, path: &'static str) -> usize {
        match self {
            Self::Wire(wire, endpoint) => {
                let mut inbound = wire.send(outbound(endpoint, path)).await.unwrap();
                let mut bytes = 0;
                while let Some(chunk) = poll_fn(|cx| inbound.body.poll_chunk(cx)).await {
                    bytes += chunk.unwrap().len();
                }
                bytes
            }
            Self::HyperTask(port, idle) => {
                let found = idle.borrow_mut().pop();
                let mut send = match found {
                    Some(send) => send,
                    None => hyper_task(*port).await,
                };
                let response = send.send_request(request(*port, path)).await.unwrap();
                let mut body = response.into_body();
                let mut bytes = 0;
                while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    bytes += frame.unwrap().into_data().unwrap().len();
                }
                send.ready().await.unwrap();
                idle.borrow_mut().push(send);
                bytes
            }
            Self::HyperInline(port, idle) => {
                let found = idle.borrow_mut().pop();
                let mut pair = match found {
                    Some(pair) => pair,
                    None => handshake(*port).await,
                };
                let bytes = inline(&mut pair, request(*port, path)).await;
                idle.borrow_mut().push(pair);
                bytes
            }
        }
    }

    /// One request whose answer is read to its first chunk and held.
    async fn open(&self, path: &'static str) -> Held {
        match self {
            Self::Wire(wire, endpoint) => {
                let mut inbound = wire.send(outbound(endpoint, path)).await.unwrap();
                let chunk = poll_fn(|cx| inbound.body.poll_chunk(cx)).await;
                assert!(chunk.unwrap().is_ok());
                Held::Wire(inbound)
            }
            Self::HyperTask(port, _) | Self::HyperInline(port, _) => {
                let mut send = hyper_task(*port).await;
                let mut response = send.send_request(request(*port, path)).await.unwrap();
                let body = response.body_mut();
                let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
                assert!(frame.unwrap().is_ok());
                Held::Hyper(send, response)
            }
        }
    }
}

/// Drives hyper's connection from the request: every event passes through the
/// connection, so what it feeds needs no waker of its own.
async fn inline(pair: &mut Inline, request: Request<Full<Bytes>>) -> usize {
    let (send, connection) = pair;
    let mut quiet = Context::from_waker(Waker::noop());
    let mut response = pin!(send.send_request(request));
    let response = poll_fn(|cx| {
        assert!(Pin::new(&mut *connection).poll(cx).is_pending());
        response.as_mut().poll(&mut quiet)
    })
    .await;
    let mut body = response.unwrap().into_body();
    let mut bytes = 0;
    loop {
        let frame = poll_fn(|cx| match Pin::new(&mut body).poll_frame(&mut quiet) {
            Poll::Pending => {
                assert!(Pin::new(&mut *connection).poll(cx).is_pending());
                Pin::new(&mut body).poll_frame(&mut quiet)
            }
            ready @ Poll::Ready(_) => ready,
        })
        .await;
        match frame {
            Some(frame) => bytes += frame.unwrap().into_data().unwrap().len(),
            None => break,
        }
    }
    poll_fn(|cx| {
        assert!(Pin::new(&mut *connection).poll(cx).is_pending());
        send.poll_ready(&mut quiet)
    })
    .await
    .unwrap();
    bytes
}

async fn hyper_task(port: u16) -> SendRequest<Full<Bytes>> {
    let (send, connection) = handshake(port).await;
    tokio::spawn(connection);
    send
}

async fn handshake(port: u16) -> Inline {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    Builder::new().handshake(TokioIo::new(tcp)).await.unwrap()
}

fn endpoint(port: u16) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        id: "bench".into(),
        tls: false,
        host: "127.0.0.1".into(),
        port,
        authority: HeaderValue::from_static("127.0.0.1"),
        ca_pem: None,
        proxy: None,
        version: HttpVersion::Auto,
        connections_max: 4096,
        connect_ms: 10_000,
    })
}

fn headers() -> HeaderMap {
    REQUEST_HEADERS
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

fn outbound(endpoint: &Arc<Endpoint>, path: &str) -> Outbound {
    Outbound {
        endpoint: Arc::clone(endpoint),
        method: Method::POST,
        path: path.into(),
        headers: headers(),
        body: [Bytes::from_static(&[b'x'; 1024])].into_iter().collect(),
        head_ms: 10_000,
    }
}

fn request(_port: u16, path: &'static str) -> Request<Full<Bytes>> {
    let mut request = Request::post(path)
        .body(Full::new(Bytes::from_static(&[b'x'; 1024])))
        .unwrap();
    *request.headers_mut() = headers();
    let host = HeaderValue::from_static("127.0.0.1");
    request.headers_mut().insert("host", host);
    request
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// CPU time of this thread so far, by the kernel's scheduler.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

fn start_server() -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

/// The canned server: looks only at the path and the end of each request.
async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tokio::spawn(answer(tcp));
    }
}

async fn answer(mut tcp: TcpStream) -> Option<()> {
    let head = "date: Sat, 21 Nov 2026 03:29:00 GMT\r\nserver: uvicorn\r\n\
        content-type: application/json\r\nx-request-id: req_0123456789abcdef\r\n\
        openai-processing-ms: 12\r\nx-ratelimit-remaining-requests: 9999\r\n\
        x-ratelimit-remaining-tokens: 99999\r\nvia: 1.1 edge\r\n";
    let body = "y".repeat(600);
    let whole = format!("HTTP/1.1 200 OK\r\n{head}content-length: 600\r\n\r\n{body}");
    let stream = format!("HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n");
    let chunk = format!("c8\r\n{}\r\n", "z".repeat(200));
    let mut bytes = Vec::with_capacity(8192);
    loop {
        bytes.clear();
        while !bytes.ends_with(b"xxxx") {
            if tcp.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        if bytes.starts_with(b"POST /whole") {
            tcp.write_all(whole.as_bytes()).await.ok()?;
            continue;
        }
        tcp.write_all(stream.as_bytes()).await.ok()?;
        if bytes.starts_with(b"POST /silent") {
            tcp.write_all(chunk.as_bytes()).await.ok()?;
            tcp.read_u8().await.ok()?;
            return None;
        }
        for _ in 0..CHUNKS {
            tokio::task::yield_now().await;
            tcp.write_all(chunk.as_bytes()).await.ok()?;
        }
        tcp.write_all(b"0\r\n\r\n").await.ok()?;
    }
}

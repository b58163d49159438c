//! Serving: the listener, HTTP/1.1 and h2c by prior knowledge, and the control API.
//!
//! Not here: what is answered (`routes`).

use super::Options;
use super::answer::{Answer, Script};
use super::fast;
use super::faults::{self, Fault};
use super::journal::Journal;
use super::routes::{self, House, Scripted};
use super::wire::{Mischief, Wire};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Largest request body that is read.
const BODY_MAX: usize = 64 * 1024 * 1024;
/// Backlog of the listener: benches open thousands of connections at once.
const BACKLOG: i32 = 8192;

/// A running fake upstream; dropping it ends it.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    journal: Arc<Journal>,
    house: Arc<House>,
    serving: tokio::task::JoinHandle<()>,
}

impl Upstream {
    /// Binds and serves in the background of the current runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let addr: SocketAddr = tokio::net::lookup_host(&options.listen)
            .await?
            .next()
            .ok_or_else(|| std::io::Error::other(format!("{} names no address", options.listen)))?;
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(addr),
            socket2::Type::STREAM,
            None,
        )?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let addr = listener.local_addr()?;
        let journal = Journal::new(options.keep);
        let house = Arc::new(House::new(options));
        let serving = tokio::spawn(accept(listener, house.clone(), journal.clone()));
        Ok(Self {
            addr,
            journal,
            house,
            serving,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://host:port`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The remembered requests, oldest first, as `GET /__requests` shows them.
    pub fn requests(&self) -> Value {
        self.journal.list(usize::MAX)
    }

    /// Counters as `GET /__stats` shows them.
    pub fn stats(&self) -> Value {
        self.journal.stats()
    }

    /// Forgets requests, counters and scripts.
    pub fn clear(&self) {
        self.journal.clear();
        self.house
            .scripts
            .lock()
            .expect("no holder of this lock panics")
            .clear();
    }

    /// Queues faults: one object or a list, as `POST /__script` takes.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the script.
    pub fn script(&self, script: &Value) -> Result<(), String> {
        queue(&self.house, script)
    }

    /// Serves until the task ends, which it does not by itself.
    pub async fn run(mut self) {
        // An error would mean that the task was cancelled or panicked; either way it is over.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, house: Arc<House>, journal: Arc<Journal>) {
    let mut connections = JoinSet::new();
    let fast = house.options.fast.then(|| Arc::new(house.options.clone()));
    loop {
        tokio::select! {
            // The set owns the connections, so that they end with the listener.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                journal.connected();
                if let Some(options) = &fast {
                    connections.spawn(canned(stream, options.clone()));
                } else {
                    connections.spawn(connection(stream, house.clone(), journal.clone()));
                }
            }
        }
    }
}

async fn canned(stream: TcpStream, options: Arc<Options>) {
    // A peer that breaks off ends its connection, and that is all there is to it.
    let _ = fast::connection(stream, options).await;
}

async fn connection(stream: TcpStream, house: Arc<House>, journal: Arc<Journal>) {
    // Small frames must leave at once; a socket that refuses the option is already dead.
    let _ = stream.set_nodelay(true);
    let mischief = Arc::new(Mischief::default());
    let wire = TokioIo::new(Wire::new(stream, mischief.clone()));
    let service =
        service_fn(move |request| serve(request, house.clone(), journal.clone(), mischief.clone()));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(10_000);
    // Broken connections are this server's trade; the journal has what matters.
    let _ = builder.serve_connection(wire, service).await;
}

async fn serve(
    request: Request<Incoming>,
    house: Arc<House>,
    journal: Arc<Journal>,
    mischief: Arc<Mischief>,
) -> Result<Response<Script>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_MAX).collect().await {
        Ok(whole) => whole.to_bytes(),
        // The client broke off; nobody reads this answer.
        Err(_) => {
            return Ok(respond(
                Answer::json(StatusCode::BAD_REQUEST, &json!({"error": "body"})),
                mischief,
                None,
            ));
        }
    };
    if head.uri.path().starts_with("/__") {
        return Ok(respond(
            control(&house, &journal, &head, &body),
            mischief,
            None,
        ));
    }
    let witness = journal.open(&head, body.clone());
    let (answer, fault) = routes::handle(&house, &head, &body);
    witness.answering(answer.status.as_u16(), fault);
    if !answer.head_delay.is_zero() {
        tokio::time::sleep(answer.head_delay).await;
    }
    if answer.hang {
        std::future::pending::<()>().await;
    }
    if let Some(raw) = &answer.raw {
        mischief.arm(raw.bytes.clone(), raw.reset);
        witness.finished();
        return Ok(respond(answer, mischief, None));
    }
    Ok(respond(answer, mischief, Some(witness)))
}

fn respond(
    answer: Answer,
    mischief: Arc<Mischief>,
    witness: Option<super::journal::Witness>,
) -> Response<Script> {
    let (status, headers) = (answer.status, answer.headers.clone());
    let mut response = Response::new(Script::new(answer, mischief, witness));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn control(
    house: &House,
    journal: &Arc<Journal>,
    head: &http::request::Parts,
    body: &Bytes,
) -> Answer {
    let done = || Answer::json(StatusCode::OK, &json!({"ok": true}));
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/__health") => done(),
        (&Method::GET, "/__stats") => Answer::json(StatusCode::OK, &journal.stats()),
        (&Method::GET, "/__requests") => {
            let last = head
                .uri
                .query()
                .and_then(|q| q.strip_prefix("last="))
                .and_then(|n| n.parse().ok());
            Answer::json(StatusCode::OK, &journal.list(last.unwrap_or(usize::MAX)))
        }
        (&Method::DELETE, "/__requests") => {
            journal.clear();
            done()
        }
        (&Method::GET, "/__faults") => {
            let all = faults::NAMES.iter().chain(faults::SSE_NAMES.iter());
            let listed: Vec<Value> = all
                .map(|(name, what)| json!({"name": name, "what": what}))
                .collect();
            Answer::json(StatusCode::OK, &json!(listed))
        }
        (&Method::POST, "/__script") => {
            let parsed = serde_json::from_slice(body).map_err(|e| e.to_string());
            match parsed.and_then(|v| queue(house, &v)) {
                Ok(()) => done(),
                Err(why) => Answer::json(StatusCode::BAD_REQUEST, &json!({"error": why})),
            }
        }
        (&Method::DELETE, "/__script") => {
            house
                .scripts
                .lock()
                .expect("no holder of this lock panics")
                .clear();
            done()
        }
        _ => Answer::json(
            StatusCode::NOT_FOUND,
            &json!({"error": "no such control path; see UPSTREAM.md"}),
        ),
    }
}

fn queue(house: &House, script: &Value) -> Result<(), String> {
    let list = match script {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let mut parsed = Vec::new();
    for item in &list {
        let name = item["fault"]
            .as_str()
            .ok_or("each script needs \"fault\": a name from GET /__faults")?;
        let fault = Fault::named(name, item["ms"].as_u64())
            .ok_or_else(|| format!("no fault is called '{name}'; GET /__faults lists them"))?;
        parsed.push(Scripted {
            fault,
            times: item["times"].as_u64().unwrap_or(1).max(1),
            path_contains: item["path_contains"].as_str().map(str::to_owned),
            model: item["model"].as_str().map(str::to_owned),
        });
    }
    house
        .scripts
        .lock()
        .expect("no holder of this lock panics")
        .extend(parsed);
    Ok(())
}

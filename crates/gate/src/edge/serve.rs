//! One connection from its first byte to its last: which protocol it speaks,
//! hyper with our limits around it, and the door that answers.
//!
//! The server is generic over its [`Door`], so an exchange costs no box here.
//! Deliberately not here: accepting (`workers`), TLS (`tls`), timeouts
//! (`warden`).

#![expect(
    clippy::disallowed_methods,
    reason = "HTTP/2 streams are tasks of the worker's runtime, which ends them"
)]

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::body::ReplyBody;
use super::conn::{ConnCell, ConnFacts, Exchange, Order};
use super::framing::{Limits, Violation, check_parts};
use super::strict_io::StrictIo;
use super::warden::{Roster, Timeouts};

/// What a client with prior knowledge of HTTP/2 sends first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The one seam of the edge: who answers.
pub(crate) trait Door: Send + Sync + 'static {
    /// The answer in the making. It is dropped at once when the client goes
    /// away, and so is the body of the reply; both must then cancel their work.
    type Answer: Future<Output = Response<ReplyBody>> + Send + 'static;

    /// A request. Its target is always in origin-form. An upgrade that is not
    /// served is answered like any other request; see [`wants_upgrade`].
    fn knock(&self, head: Parts, body: Incoming, conn: &Arc<ConnFacts>) -> Self::Answer;

    /// The answer to a request that broke a rule of the framing. `path` is what
    /// could be understood of its path, possibly nothing; it serves to choose
    /// the dialect. The status should be [`Violation::status`].
    fn refuse(
        &self,
        violation: &Violation,
        path: &str,
        conn: &Arc<ConnFacts>,
    ) -> Response<ReplyBody>;
}

/// Whether the client asks to leave HTTP, for a WebSocket for example.
pub(crate) fn wants_upgrade(head: &Parts) -> bool {
    head.headers.contains_key(UPGRADE) || head.extensions.get::<hyper::ext::Protocol>().is_some()
}

/// Limits and timeouts of connections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Limits of heads.
    pub(crate) limits: Limits,
    /// Timeouts.
    pub(crate) timeouts: Timeouts,
    /// Open connections over all workers; more are told 503. Default 16,384.
    pub(crate) connections_max: usize,
    /// Longest buffer of an HTTP/1 connection in bytes. It bounds one read of
    /// a large body. Default 262,144; never below the head limit.
    pub(crate) h1_buffer_bytes_max: usize,
    /// Requests at once on one HTTP/2 connection. Default 128.
    pub(crate) h2_streams_max: u32,
    /// Bytes of one request body on the way before the client must wait.
    /// Default 262,144.
    pub(crate) h2_stream_window_bytes: u32,
    /// The same for all requests of a connection. Default 1,048,576.
    pub(crate) h2_connection_window_bytes: u32,
    /// Bytes of an answer that wait for an HTTP/2 client. Default 65,536.
    pub(crate) h2_send_buffer_bytes_max: usize,
    /// Streams that a client may reset before we have looked at them; more
    /// end the connection (rapid reset). Default 20.
    pub(crate) h2_pending_resets_max: usize,
    /// Streams that we reset for a client's mistakes before we end the
    /// connection. Default 256.
    pub(crate) h2_local_resets_max: usize,
    /// Time between two pings to an HTTP/2 client. Default 20 s.
    pub(crate) h2_ping_every: Duration,
    /// Longest wait for the answer to a ping. Default 20 s.
    pub(crate) h2_ping_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            connections_max: 16_384,
            h1_buffer_bytes_max: 256 * 1024,
            h2_streams_max: 128,
            h2_stream_window_bytes: 256 * 1024,
            h2_connection_window_bytes: 1024 * 1024,
            h2_send_buffer_bytes_max: 64 * 1024,
            h2_pending_resets_max: 20,
            h2_local_resets_max: 256,
            h2_ping_every: Duration::from_secs(20),
            h2_ping_max: Duration::from_secs(20),
        }
    }
}

/// What all connections of a worker share.
pub(crate) struct Host<D> {
    pub(crate) door: Arc<D>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) settings: Arc<Settings>,
}

/// Serves a plain-text connection: HTTP/2 if it begins with the preface, else
/// HTTP/1.
pub(crate) async fn serve_plain<D: Door, S>(host: &Host<D>, mut io: S, facts: ConnFacts)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = host.settings.timeouts.head;
    // No byte, no answer: there is nothing to refuse yet.
    let Ok(Ok(Some(opening))) = tokio::time::timeout(patience, sniff(&mut io)).await else {
        return;
    };
    if opening.is_h2 {
        let io = Rewound {
            io,
            opening,
            given: 0,
        };
        // Boxed, or each HTTP/1 connection would hold its room, too.
        Box::pin(serve_h2(host, io, facts)).await;
    } else {
        serve_h1(host, io, &opening.bytes[..opening.length], facts).await;
    }
}

/// Serves HTTP/1 on a connection from which `first` was read already.
pub(crate) async fn serve_h1<D: Door, S>(host: &Host<D>, io: S, first: &[u8], facts: ConnFacts)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = &host.settings;
    let cell = Arc::new(ConnCell::default());
    let strict = StrictIo::new(io, settings.limits.clone(), Arc::clone(&cell), first);
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The warden keeps the time of heads; hyper's own timer would be set and
    // freed for each request.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(
            settings
                .h1_buffer_bytes_max
                .max(2 * settings.limits.head_bytes_max),
        );
    if settings.limits.headers_max > Limits::default().headers_max {
        builder.max_headers(settings.limits.headers_max);
    }
    let desk = Desk::new(host, &cell, facts, false);
    let connection = builder
        .serve_connection(TokioIo::new(strict), desk)
        .with_upgrades();
    drive(
        Box::pin(connection),
        |connection| connection.graceful_shutdown(),
        &cell,
        &host.roster,
    )
    .await;
}

/// Serves HTTP/2.
pub(crate) async fn serve_h2<D: Door, S>(host: &Host<D>, io: S, facts: ConnFacts)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = &host.settings;
    let cell = Arc::new(ConnCell::default());
    let mut builder = hyper::server::conn::http2::Builder::new(Streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.h2_streams_max)
        .initial_stream_window_size(settings.h2_stream_window_bytes)
        .initial_connection_window_size(settings.h2_connection_window_bytes)
        .max_send_buf_size(settings.h2_send_buffer_bytes_max)
        .max_pending_accept_reset_streams(settings.h2_pending_resets_max)
        .max_local_error_reset_streams(settings.h2_local_resets_max)
        .max_header_list_size(u32::try_from(settings.limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(settings.h2_ping_every)
        .keep_alive_timeout(settings.h2_ping_max);
    let desk = Desk::new(host, &cell, facts, true);
    let connection = builder.serve_connection(TokioIo::new(io), desk);
    let told = Arc::clone(&cell);
    // GOAWAY does not race with requests on the way, so a drain is told at once.
    let connection = Announcing {
        connection,
        cell: told,
        told: false,
    };
    drive(Box::pin(connection), Announcing::end, &cell, &host.roster).await;
}

/// Polls a connection and carries out the warden's orders. The connection is
/// boxed, so that it stands once in the task and not once for each function
/// that hands it on.
async fn drive<C>(
    mut connection: Pin<Box<C>>,
    end: impl Fn(Pin<&mut C>),
    cell: &Arc<ConnCell>,
    roster: &Arc<Roster>,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut ticket = None;
    std::future::poll_fn(|cx| {
        // The waker of a task stays the same, so it is told once.
        ticket.get_or_insert_with(|| roster.enter(cell, cx.waker().clone()));
        match cell.order() {
            Order::Cut => return Poll::Ready(()),
            Order::Close => {
                cell.give(Order::None);
                end(connection.as_mut());
            }
            Order::None | Order::RefuseHead | Order::StopLingering => {}
        }
        // How a connection ended is no news: each exchange has its own record.
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}

pin_project! {
    /// An HTTP/2 connection that announces the end once the server drains.
    struct Announcing<C> {
        #[pin]
        connection: C,
        cell: Arc<ConnCell>,
        told: bool,
    }
}

type H2<S, D> = hyper::server::conn::http2::Connection<TokioIo<S>, Desk<D>, Streams>;

impl<S, D: Door> Announcing<H2<S, D>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn end(self: Pin<&mut Self>) {
        let this = self.project();
        if !std::mem::replace(this.told, true) {
            this.connection.graceful_shutdown();
        }
    }
}

impl<S, D: Door> Future for Announcing<H2<S, D>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.cell.is_closing() {
            self.as_mut().end();
        }
        self.project().connection.poll(cx)
    }
}

/// Runs HTTP/2 streams as tasks of the worker.
#[derive(Clone, Copy, Debug)]
struct Streams;

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(stream);
    }
}

/// The service that hyper calls: it sorts out refused requests and asks the
/// door for the rest.
struct Desk<D> {
    door: Arc<D>,
    cell: Arc<ConnCell>,
    facts: Arc<ConnFacts>,
    limits: Limits,
    is_h2: bool,
}

impl<D: Door> Desk<D> {
    fn new(host: &Host<D>, cell: &Arc<ConnCell>, facts: ConnFacts, is_h2: bool) -> Self {
        Self {
            door: Arc::clone(&host.door),
            cell: Arc::clone(cell),
            facts: Arc::new(facts),
            limits: host.settings.limits.clone(),
            is_h2,
        }
    }

    /// The refusal of this request, if it broke a rule.
    fn refusal(&self, head: &Parts, call: u64) -> Option<Response<ReplyBody>> {
        if self.is_h2 {
            let violation = check_parts(head, &self.limits).err()?;
            return Some(self.door.refuse(&violation, head.uri.path(), &self.facts));
        }
        let refusal = self.cell.refusal_of(call)?;
        let mut reply = self
            .door
            .refuse(&refusal.violation, &refusal.path, &self.facts);
        reply
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        Some(reply)
    }
}

impl<D: Door> Service<Request<Incoming>> for Desk<D> {
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Answering<D::Answer>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let exchange = self.cell.open_exchange();
        let (mut head, body) = request.into_parts();
        let work = match self.refusal(&head, self.cell.calls()) {
            Some(reply) => Work::Refused { reply: Some(reply) },
            None => {
                make_origin_form(&mut head.uri);
                Work::Asked {
                    answer: self.door.knock(head, body, &self.facts),
                }
            }
        };
        Answering {
            work,
            exchange: Some(exchange),
            cell: Arc::clone(&self.cell),
            is_h2: self.is_h2,
        }
    }
}

/// Leaves only path and query of a target. The authority was compared with
/// Host before.
fn make_origin_form(uri: &mut Uri) {
    if uri.scheme().is_none() && uri.authority().is_none() {
        return;
    }
    *uri = match uri.path_and_query() {
        Some(target) => Uri::from(target.clone()),
        None => Uri::from_static("/"),
    };
}

pin_project! {
    /// An exchange in the making, as hyper polls it.
    struct Answering<A> {
        #[pin]
        work: Work<A>,
        exchange: Option<Exchange>,
        cell: Arc<ConnCell>,
        is_h2: bool,
    }
}

pin_project! {
    #[project = WorkProjection]
    enum Work<A> {
        Asked { #[pin] answer: A },
        Refused { reply: Option<Response<ReplyBody>> },
    }
}

impl<A: Future<Output = Response<ReplyBody>>> Future for Answering<A> {
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut reply = match this.work.project() {
            WorkProjection::Asked { answer } => ready!(answer.poll(cx)),
            WorkProjection::Refused { reply } => reply.take().expect("polled to its end once"),
        };
        if let Some(exchange) = this.exchange.take() {
            reply.body_mut().hold(exchange);
        }
        if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
            this.cell.become_tunnel();
        } else if !*this.is_h2 && this.cell.is_closing() {
            reply
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // The protocol below decides; a door must not have to know it.
        *reply.version_mut() = if *this.is_h2 {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        Poll::Ready(Ok(reply))
    }
}

/// The first bytes of a plain-text connection.
struct Opening {
    bytes: [u8; PREFACE.len()],
    length: usize,
    is_h2: bool,
}

/// Reads until it is clear which protocol is spoken; none at the end.
async fn sniff<S: AsyncRead + Unpin>(io: &mut S) -> io::Result<Option<Opening>> {
    let mut bytes = [0u8; PREFACE.len()];
    let mut length = 0usize;
    loop {
        let count = io.read(&mut bytes[length..]).await?;
        if count == 0 {
            return Ok(None);
        }
        length += count;
        if bytes[..length] != PREFACE[..length] {
            return Ok(Some(Opening {
                bytes,
                length,
                is_h2: false,
            }));
        }
        if length == PREFACE.len() {
            return Ok(Some(Opening {
                bytes,
                length,
                is_h2: true,
            }));
        }
    }
}

/// A socket that gives the bytes read by [`sniff`] once more.
struct Rewound<S> {
    io: S,
    opening: Opening,
    given: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let rest = &this.opening.bytes[this.given..this.opening.length];
        if rest.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

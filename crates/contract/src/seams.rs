//! The seams through which pure rooms meet the world: time, chance and the
//! wire. Only `transport`, `store` and `gate` implement them for real; the
//! simulation implements them with a seed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use smallvec::SmallVec;

/// Monotonic time in nanoseconds since an arbitrary start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

impl Ticks {
    /// This moment and `ms` milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// Nanoseconds since `earlier`; zero if `earlier` is later.
    pub fn since_ns(self, earlier: Ticks) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Time.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time.
    fn now(&self) -> Ticks;
    /// Wall time in microseconds since the Unix epoch.
    fn unix_us(&self) -> u64;
    /// An alarm that rings at `at`.
    fn alarm(&self, at: Ticks) -> Box<dyn Alarm>;
}

/// An alarm that can be set again without a new allocation.
pub trait Alarm: Send {
    /// Sets it to ring at `at` instead.
    fn set(&mut self, at: Ticks);
    /// Ready once the time has come; registers the waker until then.
    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Chance.
pub trait Dice: Send + Sync + 'static {
    /// 64 uniformly random bits. Not for secrets.
    fn roll(&self) -> u64;
}

/// One piece of a body, or several that are written one after another
/// without being copied together.
pub type Pieces = SmallVec<[Bytes; 3]>;

/// Where a request goes: one origin with its connection settings. Connections
/// are pooled by [`Endpoint::id`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Stable identity of origin and settings; the key of its pool.
    pub id: String,
    /// `true` for `https`.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Value of the `Host` header (`:authority`), precomputed.
    pub authority: http::HeaderValue,
    /// PEM of extra certificate authorities, besides the platform's.
    pub ca_pem: Option<Arc<str>>,
    /// Proxy to go through.
    pub proxy: Option<Proxy>,
    /// Which HTTP versions to speak.
    pub version: HttpVersion,
    /// Limit on open connections to it from one worker.
    pub connections_max: u32,
    /// Longest time for name resolution, TCP, TLS and proxy handshake together.
    pub connect_ms: u64,
}

/// Which HTTP versions to speak to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 where ALPN offers it, else HTTP/1.1; plain text is HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; over plain text by prior knowledge.
    Http2,
}

/// A forward proxy: HTTP `CONNECT` for TLS origins, absolute-form for plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `Proxy-Authorization` value.
    pub authorization: Option<crate::Secret<String>>,
}

/// A prepared request to an upstream.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Where to.
    pub endpoint: Arc<Endpoint>,
    /// Method.
    pub method: Method,
    /// Path and query, already percent-encoded, beginning with `/`.
    pub path: String,
    /// Headers, without `host` and `content-length`, which the wire sets.
    pub headers: HeaderMap,
    /// Body; sent with a length.
    pub body: Pieces,
    /// Longest time from the request sent to the response head, milliseconds.
    pub head_ms: u64,
}

/// The head of an upstream's answer, and its body to be pulled.
pub struct Inbound {
    /// Status.
    pub status: StatusCode,
    /// Headers as the upstream sent them.
    pub headers: HeaderMap,
    /// Body. Dropping it cancels the call at once.
    pub body: Box<dyn InboundBody>,
}

/// A body that is pulled; dropping it cancels the call at once.
pub trait InboundBody: Send {
    /// The next bytes as they arrived; `None` at a clean end, at which the
    /// declared length was met.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireFault>>>;
}

/// A future that may move between threads.
pub type Going<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The way to upstreams.
pub trait Wire: Send + Sync + 'static {
    /// Sends a request and waits for the head of the answer. Dropping the
    /// future cancels the call.
    fn send(&self, outbound: Outbound) -> Going<'_, Result<Inbound, WireFault>>;
}

/// What happened on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFaultKind {
    /// The name did not resolve.
    Dns,
    /// The connection was refused or unreachable.
    Connect,
    /// TLS failed.
    Tls,
    /// The proxy refused.
    Proxy,
    /// Connecting took too long.
    ConnectTimeout,
    /// The head of the answer took too long.
    HeadTimeout,
    /// The connection broke before the head of the answer.
    ResetBeforeHead,
    /// The connection broke within the body, or the body is shorter than
    /// its declared length.
    ResetInBody,
    /// The answer breaks HTTP framing.
    Protocol,
    /// Too many connections are open or waiting.
    Exhausted,
}

impl WireFaultKind {
    /// The name in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::ConnectTimeout => "connect_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::ResetBeforeHead => "reset_before_head",
            Self::ResetInBody => "reset_in_body",
            Self::Protocol => "protocol",
            Self::Exhausted => "exhausted",
        }
    }
}

/// A fault of the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", kind.name())]
pub struct WireFault {
    /// What happened.
    pub kind: WireFaultKind,
    /// Details for operators only.
    pub detail: String,
    /// Whether the upstream may have seen any part of the request.
    pub sent: bool,
}

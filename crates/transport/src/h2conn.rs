//! HTTP/2: the task that drives a connection, and one exchange over a stream
//! of it, polled by the request's own future. Dropping an exchange or its body
//! resets the stream. Not here: the choice of connection (`pool`).

mod upload;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use contract::seams::{Inbound, InboundBody, Outbound, WireFault, WireFaultKind};
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Request, Uri, Version};
use tokio::time::{Instant, Sleep, sleep};

use crate::fault::{Failed, sent, unsent};
use crate::h1::expects_body;
use crate::options::WireOptions;
use crate::pool::{Lease2, Origin};
use crate::stream::Stream;
use upload::Upload;

/// Headers that belong to one HTTP/1.1 connection and are malformed in HTTP/2
/// (RFC 9113, 8.2.2).
const CONNECTION_HEADERS: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A handshaken connection, to be driven.
pub(crate) type Connected = Connection<Stream, Bytes>;

/// Speaks the preface. The peer's settings come later, to the task.
pub(crate) async fn handshake(
    stream: Stream,
    options: &WireOptions,
) -> Result<(SendRequest<Bytes>, Connected), WireFault> {
    let headers_max = u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX);
    Builder::new()
        .enable_push(false)
        .initial_max_send_streams(1)
        .initial_window_size(options.h2_stream_window)
        .initial_connection_window_size(options.h2_connection_window)
        .max_header_list_size(headers_max)
        .handshake(stream)
        .await
        .map_err(|error| {
            let detail = format_args!("the HTTP/2 handshake failed: {error}");
            unsent(WireFaultKind::Connect, detail)
        })
}

/// Drives a connection until it ends, tells the pool what its peer allows,
/// and gives it up when its peer stops answering.
pub(crate) async fn drive(mut connection: Connected, origin: Arc<Origin>, id: u64) {
    let every = origin.options.h2_ping;
    let mut pulse = connection.ping_pong().map(|pings| Pulse {
        pings,
        awaited: false,
    });
    let mut timer = pin!(sleep(every));
    let mut streams_max = 1;
    poll_fn(|cx| {
        // How it ended is told to its streams; nobody else needs to know.
        if Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let allowed = connection.max_concurrent_send_streams();
        if allowed != streams_max {
            streams_max = allowed;
            origin.set_streams_max(id, allowed);
        }
        let busy = || origin.is_in_use(id);
        match &mut pulse {
            Some(pulse) => pulse.poll(cx, timer.as_mut(), every, busy),
            None => Poll::Pending,
        }
    })
    .await;
    // Dropped first, so that the pool never counts fewer than are open.
    drop(connection);
    origin.closed_http2(id);
}

/// The pings that tell a silent peer from a dead one.
struct Pulse {
    pings: PingPong,
    awaited: bool,
}

impl Pulse {
    /// Ready once the peer is given up.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
        every: Duration,
        busy: impl Fn() -> bool,
    ) -> Poll<()> {
        if self.awaited && self.pings.poll_pong(cx).is_ready() {
            self.awaited = false;
        }
        while timer.as_mut().poll(cx).is_ready() {
            if self.awaited {
                return Poll::Ready(());
            }
            if busy() && self.pings.send_ping(Ping::opaque()).is_ok() {
                self.awaited = true;
                // Registers for the answer.
                if self.pings.poll_pong(cx).is_ready() {
                    self.awaited = false;
                }
            }
            timer.as_mut().reset(Instant::now() + every);
        }
        Poll::Pending
    }
}

/// Sends `outbound` and waits for the head of its answer.
pub(crate) async fn exchange(mut lease: Lease2, outbound: &Outbound) -> Result<Inbound, Failed> {
    let request = request(outbound).map_err(|detail| Failed {
        fault: unsent(WireFaultKind::Protocol, detail),
        again: false,
    })?;
    let refused = |lease: &Lease2, error: &h2::Error| {
        // A connection that takes no stream is closing; nothing was sent.
        lease.retire();
        let detail = format_args!("the HTTP/2 connection takes no new request: {error}");
        Failed {
            fault: unsent(WireFaultKind::ResetBeforeHead, detail),
            again: true,
        }
    };
    if let Err(error) = poll_fn(|cx| lease.send().poll_ready(cx)).await {
        return Err(refused(&lease, &error));
    }
    let empty = outbound.body.iter().all(Bytes::is_empty);
    let (response, stream) = match lease.send().send_request(request, empty) {
        Ok(opened) => opened,
        Err(error) => return Err(refused(&lease, &error)),
    };
    let upload = (!empty).then(|| Upload::new(stream, &outbound.body));
    let patience = Duration::from_millis(outbound.head_ms);
    let mut waiting = Waiting {
        response,
        upload,
        patience,
        stalled: false,
    };
    let mut timer = pin!(sleep(patience));
    match poll_fn(|cx| waiting.poll(cx, timer.as_mut())).await {
        Ok(answer) => Ok(inbound(answer, waiting.upload, lease)),
        Err(Lost::TimedOut) => {
            let ms = outbound.head_ms;
            let detail = format_args!("no head of an answer within {ms} ms of the request");
            Err(Failed {
                fault: sent(WireFaultKind::HeadTimeout, detail),
                again: false,
            })
        }
        Err(Lost::Broken(error)) => Err(before_head(&lease, &error)),
    }
}

enum Lost {
    TimedOut,
    Broken(h2::Error),
}

struct Waiting {
    response: ResponseFuture,
    /// `None` once the body is out.
    upload: Option<Upload>,
    patience: Duration,
    /// The body did not go out at once.
    stalled: bool,
}

impl Waiting {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<Result<http::Response<RecvStream>, Lost>> {
        if let Some(upload) = &mut self.upload {
            if upload.poll(cx).is_ready() {
                self.upload = None;
                if self.stalled {
                    // The time for the head runs from the request sent.
                    timer.as_mut().reset(Instant::now() + self.patience);
                }
            } else {
                self.stalled = true;
            }
        }
        if let Poll::Ready(outcome) = Pin::new(&mut self.response).poll(cx) {
            return Poll::Ready(outcome.map_err(Lost::Broken));
        }
        ready!(timer.poll(cx));
        Poll::Ready(Err(Lost::TimedOut))
    }
}

fn request(outbound: &Outbound) -> Result<Request<()>, &'static str> {
    let endpoint = &*outbound.endpoint;
    let scheme = if endpoint.tls { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(endpoint.authority.as_bytes())
        .path_and_query(outbound.path.as_str())
        .build()
        .map_err(|_| "the path or the authority is malformed")?;
    let mut request = Request::new(());
    *request.method_mut() = outbound.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.clone_from(&outbound.headers);
    for name in &CONNECTION_HEADERS {
        headers.remove(name);
    }
    let length: usize = outbound.body.iter().map(Bytes::len).sum();
    if length > 0 || expects_body(&outbound.method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    } else {
        headers.remove(CONTENT_LENGTH);
    }
    Ok(request)
}

/// What an error before the head means. Unprocessed for certain is a stream
/// that was refused, or one above the last that a farewell names (RFC 9113,
/// 8.7); the peer of the latter takes no more streams.
fn before_head(lease: &Lease2, error: &h2::Error) -> Failed {
    let reason = error.reason();
    let refused = error.is_reset() && error.is_remote() && reason == Some(Reason::REFUSED_STREAM);
    let farewell = error.is_go_away() && error.is_remote() && reason == Some(Reason::NO_ERROR);
    if farewell {
        lease.retire();
    }
    let again = refused || farewell;
    let kind = if error.is_library() {
        WireFaultKind::Protocol
    } else {
        WireFaultKind::ResetBeforeHead
    };
    let detail = format!("HTTP/2 failed before the answer: {error}");
    let fault = if again {
        unsent(kind, detail)
    } else {
        sent(kind, detail)
    };
    Failed { fault, again }
}

fn inbound(answer: http::Response<RecvStream>, upload: Option<Upload>, lease: Lease2) -> Inbound {
    let (head, stream) = answer.into_parts();
    let mut left = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    if stream.is_end_stream() {
        // Also the answer to HEAD, which declares a length it does not have.
        left = Some(0);
    }
    Inbound {
        status: head.status,
        headers: head.headers,
        body: Box::new(Body {
            open: Some(Open {
                stream,
                upload,
                _lease: lease,
            }),
            left,
        }),
    }
}

/// The body of an answer.
struct Body {
    /// `None` once the body ended or broke.
    open: Option<Open>,
    /// Bytes of the declared length that are still to come.
    left: Option<u64>,
}

/// A stream at work; dropping it resets the stream unless both ends finished.
struct Open {
    stream: RecvStream,
    /// The rest of the request, if the answer came before its end.
    upload: Option<Upload>,
    _lease: Lease2,
}

impl InboundBody for Body {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireFault>>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        if open
            .upload
            .as_mut()
            .is_some_and(|upload| upload.poll(cx).is_ready())
        {
            open.upload = None;
        }
        loop {
            match ready!(open.stream.poll_data(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    // The window is given back as the caller takes chunks, so
                    // a slow caller slows the upstream.
                    let released = open.stream.flow_control().release_capacity(chunk.len());
                    released.expect("what was received may be released once");
                    self.left = self
                        .left
                        .map(|left| left.saturating_sub(chunk.len() as u64));
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Some(Err(error)) => {
                    self.open = None;
                    return Poll::Ready(Some(Err(in_body(&error, self.left))));
                }
                None => {
                    self.open = None;
                    if let Some(left) = self.left.filter(|left| *left > 0) {
                        return Poll::Ready(Some(Err(short(left))));
                    }
                    return Poll::Ready(None);
                }
            }
        }
    }
}

fn short(left: u64) -> WireFault {
    let detail = format_args!("the answer ended {left} bytes before its declared length");
    sent(WireFaultKind::ResetInBody, detail)
}

/// What an error within the body means. The library reports a body shorter
/// than declared as a violation of the protocol; a reset without error before
/// the end of the stream is still an answer cut off.
fn in_body(error: &h2::Error, left: Option<u64>) -> WireFault {
    let violation = error.is_library() || error.reason() == Some(Reason::PROTOCOL_ERROR);
    match left {
        Some(left) if violation && !error.is_remote() && left > 0 => short(left),
        _ if violation && !error.is_remote() => sent(
            WireFaultKind::Protocol,
            format_args!("the answer breaks HTTP/2: {error}"),
        ),
        _ => sent(
            WireFaultKind::ResetInBody,
            format_args!("the HTTP/2 stream broke within the answer: {error}"),
        ),
    }
}

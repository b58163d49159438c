//! Bodies at the edge: a request's body collected into one `Bytes`, and the
//! body of a reply as hyper pulls it.
//!
//! Deliberately not here: what a body means; framing of HTTP/1 bodies
//! (`framing`).

#![expect(
    clippy::disallowed_methods,
    reason = "the patience with a slow body is the edge's own and no decision depends on it"
)]

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use contract::seams::Pieces;
use contract::{Fault, FaultKind, Origin};
pub(crate) use flow::{Cut, ReplyStream};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::conn::Exchange;
use super::framing::Violation;

/// Limits of a request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodyLimits {
    /// Bytes. Default 32 MiB.
    pub(crate) bytes_max: u64,
    /// Longest wait for the next piece. Default 30 s.
    pub(crate) idle_max: Duration,
    /// Fewest bytes in a second over the whole body, once `rate_grace` has
    /// passed. Default 1,024.
    pub(crate) rate_min: u64,
    /// Time before the rate counts. Default 20 s.
    pub(crate) rate_grace: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            bytes_max: 32 * 1024 * 1024,
            idle_max: Duration::from_secs(30),
            rate_min: 1024,
            rate_grace: Duration::from_secs(20),
        }
    }
}

/// Why there is no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// More bytes than the limit, declared or arrived.
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// A content-encoding other than identity.
    Encoded(String),
    /// It came too slowly.
    TooSlow {
        /// Bytes that had arrived.
        arrived: u64,
    },
    /// It broke a rule of the framing.
    Malformed(Violation),
    /// The client went away, or broke HTTP/2.
    Lost(String),
}

impl BodyFault {
    /// The same as a fault of the taxonomy.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::TooLarge { bytes_max } => Fault::new(
                FaultKind::TooLarge,
                Origin::Client,
                format!(
                    "The request body is larger than the {bytes_max} bytes allowed on this route. \
                     Send less, or upload large inputs as files."
                ),
            ),
            Self::Encoded(coding) => Fault::new(
                FaultKind::UnsupportedMedia,
                Origin::Client,
                format!(
                    "The request body is encoded as `{coding}`, which is not accepted. \
                     Send it without content-encoding."
                ),
            ),
            Self::TooSlow { arrived } => Fault::new(
                FaultKind::Timeout,
                Origin::Client,
                format!(
                    "The request body arrived too slowly and was given up after {arrived} bytes. \
                     Check the network between you and the gateway, then try again."
                ),
            )
            // RFC 9110, 15.5.9: the caller was slow, not somebody behind us.
            .with_status(408),
            Self::Malformed(violation) => violation.fault(),
            Self::Lost(why) => Fault::new(
                FaultKind::Cancelled,
                Origin::Client,
                "The connection ended before the request body was complete.",
            )
            .because(why.clone()),
        }
    }
}

/// Collects a body. A body of one piece is not copied; one of known length is
/// allocated once; one that declares too much is refused before it is read.
pub(crate) async fn collect<B>(
    mut body: B,
    headers: &HeaderMap,
    limits: &BodyLimits,
) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Error + 'static,
{
    let too_large = BodyFault::TooLarge {
        bytes_max: limits.bytes_max,
    };
    if let Some(coding) = headers.get(CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
        return Err(BodyFault::Encoded(coding));
    }
    let declared = declared(&body, headers);
    if declared.is_some_and(|length| length > limits.bytes_max) {
        return Err(too_large);
    }
    let mut pace = Pace {
        limits,
        wait: None,
        began: None,
    };
    let Some(first) = next_piece(&mut body, &mut pace, 0).await? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 > limits.bytes_max {
        return Err(too_large);
    }
    if declared == Some(first.len() as u64) || body.is_end_stream() {
        return Ok(first);
    }
    let expected = declared.and_then(|length| usize::try_from(length).ok());
    let mut whole = BytesMut::with_capacity(expected.unwrap_or(first.len() * 4));
    whole.extend_from_slice(&first);
    drop(first);
    while let Some(piece) = next_piece(&mut body, &mut pace, whole.len()).await? {
        if (whole.len() + piece.len()) as u64 > limits.bytes_max {
            return Err(too_large);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The length of the body as its framing says.
fn declared<B: Body>(body: &B, headers: &HeaderMap) -> Option<u64> {
    body.size_hint().exact().or_else(|| {
        let value = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
        value.parse().ok()
    })
}

/// The next piece that is not empty.
async fn next_piece<B>(
    body: &mut B,
    pace: &mut Pace<'_>,
    arrived: usize,
) -> Result<Option<Bytes>, BodyFault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Error + 'static,
{
    let mut is_waiting = false;
    std::future::poll_fn(|cx| {
        loop {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(lost(&error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Poll::Ready(Ok(Some(piece))),
                    // Trailers of HTTP/2: nothing reads them.
                    Ok(_) | Err(_) => {}
                },
                Poll::Pending => {
                    let fresh = !std::mem::replace(&mut is_waiting, true);
                    if pace.poll_over(cx, arrived as u64, fresh).is_ready() {
                        return Poll::Ready(Err(BodyFault::TooSlow {
                            arrived: arrived as u64,
                        }));
                    }
                    return Poll::Pending;
                }
            }
        }
    })
    .await
}

/// What an error of hyper's body means: the framing hides in its sources.
fn lost<E: Error + 'static>(error: &E) -> BodyFault {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(here) = cause {
        let inner = here
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(violation) = inner.and_then(|inner| inner.downcast_ref::<Violation>()) {
            return BodyFault::Malformed(violation.clone());
        }
        cause = here.source();
    }
    BodyFault::Lost(error.to_string())
}

/// The patience with a body. It reads the clock only when there is something
/// to wait for, so a body that is already there costs no timer.
struct Pace<'a> {
    limits: &'a BodyLimits,
    wait: Option<Pin<Box<Sleep>>>,
    began: Option<Instant>,
}

impl Pace<'_> {
    /// Ready when the patience is over; `fresh` at the start of each wait.
    fn poll_over(&mut self, cx: &mut Context<'_>, arrived: u64, fresh: bool) -> Poll<()> {
        if fresh {
            let now = Instant::now();
            let began = *self.began.get_or_insert(now);
            let elapsed = now.duration_since(began);
            let too_slow = arrived < elapsed.as_secs().saturating_mul(self.limits.rate_min);
            if elapsed > self.limits.rate_grace && too_slow {
                return Poll::Ready(());
            }
            let until = now + self.limits.idle_max;
            match &mut self.wait {
                Some(wait) => wait.as_mut().reset(until),
                None => self.wait = Some(Box::pin(tokio::time::sleep_until(until))),
            }
        }
        let wait = self.wait.as_mut().expect("a fresh wait has set it");
        wait.as_mut().poll(cx)
    }
}

/// The body of an answer.
pub(crate) struct ReplyBody {
    content: Content,
    exchange: Option<Exchange>,
}

enum Content {
    /// Pieces from `next` on, `left` bytes together.
    Whole {
        pieces: Pieces,
        next: usize,
        left: u64,
    },
    Stream(Box<dyn ReplyStream>),
}

impl ReplyBody {
    /// A whole body. Its length is told, and hyper writes it with the head.
    pub(crate) fn whole(pieces: Pieces) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self {
            content: Content::Whole {
                pieces,
                next: 0,
                left,
            },
            exchange: None,
        }
    }

    /// A stream.
    pub(crate) fn stream(stream: Box<dyn ReplyStream>) -> Self {
        Self {
            content: Content::Stream(stream),
            exchange: None,
        }
    }

    /// Ties the end of the exchange to the end of this body.
    pub(super) fn hold(&mut self, exchange: Exchange) {
        self.exchange = Some(exchange);
    }
}

impl From<Bytes> for ReplyBody {
    fn from(bytes: Bytes) -> Self {
        Self::whole(std::iter::once(bytes).collect())
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.content {
            Content::Whole { left, .. } => format!("whole, {left} bytes left"),
            Content::Stream(_) => "stream".to_owned(),
        };
        write!(f, "ReplyBody({kind})")
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.get_mut().content {
            Content::Whole { pieces, next, left } => {
                while let Some(slot) = pieces.get_mut(*next) {
                    *next += 1;
                    let piece = std::mem::take(slot);
                    if !piece.is_empty() {
                        *left -= piece.len() as u64;
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                Poll::Ready(None)
            }
            Content::Stream(stream) => stream.poll_next(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole { left, .. } => SizeHint::with_exact(*left),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests;

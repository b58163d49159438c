//! One exchange over an HTTP/1.1 connection, polled by the request's own
//! future and then by its body: no task stands between. Dropping either closes
//! the connection, unless the answer was read to its end.
//!
//! Not here: the choice of connection (`pool`) and the grammar (`framing`).

mod framing;

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use contract::seams::{Inbound, InboundBody, Outbound, Pieces, WireFault, WireFaultKind};
use http::{Method, StatusCode};
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep, sleep};

pub(crate) use framing::expects_body;
use framing::{BodyEnd, Head, head_len, read_head, write_head};

use crate::fault::{Failed, sent, unsent};
use crate::pool::Lease1;
use crate::stream::Stream;

/// Most interim (1xx) answers before the final one.
const INTERIM_MAX: u32 = 16;
/// Most parts of a request handed to the system in one write.
const WRITE_PARTS_MAX: usize = 16;

/// Sends `outbound` and waits for the head of its answer.
pub(crate) async fn exchange(mut lease: Lease1, outbound: &Outbound) -> Result<Inbound, Failed> {
    let head = write_head(outbound, lease.absolute()).map_err(|detail| Failed {
        fault: unsent(WireFaultKind::Protocol, detail),
        again: false,
    })?;
    let patience = Duration::from_millis(outbound.head_ms);
    let mut exchange = Exchange {
        writing: Writing::new(head, &outbound.body),
        reading: Reading::new(&outbound.method, lease.head_bytes_max()),
        patience,
    };
    let mut timer = pin!(sleep(patience));
    // Requests that became ready together go out together, behind the work on
    // all of them: a peer is woken once and finds them all.
    tokio::task::yield_now().await;
    let outcome = {
        let stream = lease.stream();
        poll_fn(|cx| exchange.poll(cx, stream, timer.as_mut())).await
    };
    let untouched = exchange.writing.written == 0;
    match outcome {
        Ok(answer) => Ok(answer.into_inbound(lease, exchange.writing.is_done())),
        Err((kind, detail)) => {
            let reset = kind == WireFaultKind::ResetBeforeHead;
            Err(Failed {
                again: untouched && reset && lease.is_reused(),
                fault: WireFault {
                    kind,
                    detail,
                    sent: !untouched,
                },
            })
        }
    }
}

type Broken = (WireFaultKind, String);

struct Exchange {
    writing: Writing,
    reading: Reading,
    patience: Duration,
}

impl Exchange {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        mut timer: Pin<&mut Sleep>,
    ) -> Poll<Result<Answer, Broken>> {
        let mut write_error = None;
        if !self.writing.is_done() {
            match self.writing.poll(cx, stream) {
                // The time for the head runs from the request sent; a request
                // that took several writes starts it again.
                Poll::Ready(Ok(Writes::Several)) => {
                    timer.as_mut().reset(Instant::now() + self.patience);
                }
                Poll::Ready(Ok(Writes::One)) | Poll::Pending => {}
                Poll::Ready(Err(error)) => write_error = Some(error),
            }
        }
        // Read also while writing: an upstream may refuse a large request
        // before it has taken all of it, and then close.
        if let Poll::Ready(outcome) = self.reading.poll(cx, stream) {
            return Poll::Ready(outcome);
        }
        if let Some(error) = write_error {
            let detail = format!("sending the request failed: {error}");
            return Poll::Ready(Err((WireFaultKind::ResetBeforeHead, detail)));
        }
        ready!(timer.poll(cx));
        let ms = self.patience.as_millis();
        let detail = format!("no head of an answer within {ms} ms of the request");
        Poll::Ready(Err((WireFaultKind::HeadTimeout, detail)))
    }
}

/// How many polls a request took to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    One,
    Several,
}

/// The head and the pieces of a request on their way out, uncopied.
struct Writing {
    head: Vec<u8>,
    pieces: Pieces,
    /// Bytes of head and pieces that are out.
    written: usize,
    length: usize,
    flushed: bool,
    writes: Writes,
}

impl Writing {
    fn new(head: Vec<u8>, pieces: &Pieces) -> Self {
        Self {
            length: head.len() + pieces.iter().map(Bytes::len).sum::<usize>(),
            head,
            pieces: pieces.clone(),
            written: 0,
            flushed: false,
            writes: Writes::One,
        }
    }

    fn is_done(&self) -> bool {
        self.flushed
    }

    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<Writes>> {
        let outcome = self.poll_out(cx, stream);
        if outcome.is_pending() {
            self.writes = Writes::Several;
        }
        outcome.map_ok(|()| self.writes)
    }

    fn poll_out(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<io::Result<()>> {
        while self.written < self.length {
            let n = {
                let mut parts = [IoSlice::new(&[]); WRITE_PARTS_MAX];
                let count = self.gather(&mut parts);
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts[..count]))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
        }
        ready!(Pin::new(stream).poll_flush(cx))?;
        self.flushed = true;
        self.head = Vec::new();
        self.pieces = Pieces::new();
        Poll::Ready(Ok(()))
    }

    /// Fills `parts` with what is still to be written; the number filled.
    fn gather<'a>(&'a self, parts: &mut [IoSlice<'a>; WRITE_PARTS_MAX]) -> usize {
        let mut skip = self.written;
        let mut count = 0;
        let bodies = self.pieces.iter().map(Bytes::as_ref);
        for part in std::iter::once(self.head.as_slice()).chain(bodies) {
            if skip >= part.len() {
                skip -= part.len();
            } else if count < WRITE_PARTS_MAX {
                parts[count] = IoSlice::new(&part[skip..]);
                skip = 0;
                count += 1;
            }
        }
        count
    }
}

/// The head of an answer on its way in.
struct Reading {
    method: Method,
    bytes_max: usize,
    /// A head that came in several reads, as far as it came.
    partial: Vec<u8>,
    interim: u32,
}

/// A head, and what came with it of the body.
struct Answer {
    head: Head,
    body: Bytes,
    /// More came than the answer says, so the connection cannot be trusted.
    excess: bool,
}

impl Reading {
    fn new(method: &Method, bytes_max: usize) -> Self {
        Self {
            method: method.clone(),
            bytes_max,
            partial: Vec::new(),
            interim: 0,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut Stream) -> Poll<Result<Answer, Broken>> {
        loop {
            let outcome = match ready!(stream.poll_take(cx, |bytes| self.take(bytes))) {
                Ok(outcome) => outcome,
                Err(error) => Err((
                    WireFaultKind::ResetBeforeHead,
                    format!("the connection broke before the answer: {error}"),
                )),
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                Err(broken) => return Poll::Ready(Err(broken)),
            }
        }
    }

    /// Takes in one read; an answer once its head is whole.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<Answer>, Broken> {
        if bytes.is_empty() {
            let how = if self.partial.is_empty() {
                "before"
            } else {
                "within the head of"
            };
            let detail = format!("the upstream closed the connection {how} its answer");
            return Err((WireFaultKind::ResetBeforeHead, detail));
        }
        if self.partial.is_empty() {
            return self.parse(bytes);
        }
        let mut partial = std::mem::take(&mut self.partial);
        partial.extend_from_slice(bytes);
        self.parse(&partial)
    }

    fn parse(&mut self, mut bytes: &[u8]) -> Result<Option<Answer>, Broken> {
        let protocol = |detail| {
            (
                WireFaultKind::Protocol,
                format!("the answer cannot be read: {detail}"),
            )
        };
        loop {
            let Some(len) = head_len(bytes) else {
                if bytes.len() > self.bytes_max {
                    let max = self.bytes_max;
                    return Err(protocol(format!("its head is over {max} bytes")));
                }
                self.partial = bytes.to_vec();
                return Ok(None);
            };
            let (head, rest) = bytes.split_at(len);
            if len > self.bytes_max {
                let max = self.bytes_max;
                return Err(protocol(format!("its head is over {max} bytes")));
            }
            let mut head =
                read_head(&Bytes::copy_from_slice(head), &self.method).map_err(protocol)?;
            if !head.status.is_informational() {
                let (body, taken) = head.body.read(rest).map_err(protocol)?;
                let excess = taken < rest.len();
                return Ok(Some(Answer { head, body, excess }));
            }
            self.interim += 1;
            if self.interim > INTERIM_MAX || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(protocol(
                    "it changes the protocol or never becomes final".into(),
                ));
            }
            bytes = rest;
            if bytes.is_empty() {
                return Ok(None);
            }
        }
    }
}

impl Answer {
    fn into_inbound(self, lease: Lease1, request_done: bool) -> Inbound {
        let keep = self.head.persistent && request_done && !self.excess;
        let mut body = Body {
            end: self.head.body,
            first: self.body,
            lease: Some(lease),
            keep,
        };
        if body.end.is_met() {
            body.finish();
        }
        Inbound {
            status: self.head.status,
            headers: self.head.headers,
            body: Box::new(body),
        }
    }
}

/// The body of an answer. It holds its connection until its last byte came.
struct Body {
    end: BodyEnd,
    /// What came with the head.
    first: Bytes,
    /// `None` once the body ended or broke.
    lease: Option<Lease1>,
    /// The connection may serve another request after a clean end.
    keep: bool,
}

impl Body {
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.keep
        {
            lease.park();
        }
    }

    /// What an end of the stream means at this point of the body.
    fn at_close(&mut self) -> Option<Result<Bytes, WireFault>> {
        self.lease = None;
        let detail = match self.end {
            BodyEnd::Close => return None,
            BodyEnd::Length(left) => {
                format!("the answer ended {left} bytes before its declared length")
            }
            BodyEnd::Chunked(_) => "the answer ended before its last chunk".to_owned(),
        };
        Some(Err(sent(WireFaultKind::ResetInBody, detail)))
    }
}

impl InboundBody for Body {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireFault>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.first))));
        }
        loop {
            let Some(lease) = &mut self.lease else {
                return Poll::Ready(None);
            };
            let end = &mut self.end;
            let read = ready!(lease.stream().poll_take(cx, |bytes| {
                let read = end.read(bytes);
                read.map(|(payload, taken)| (payload, bytes.len(), taken))
            }));
            let (payload, came, taken) = match read {
                Ok(Ok(read)) => read,
                Ok(Err(detail)) => {
                    self.lease = None;
                    return Poll::Ready(Some(Err(sent(WireFaultKind::Protocol, detail))));
                }
                Err(error) => {
                    self.lease = None;
                    let detail = format!("the connection broke within the answer: {error}");
                    return Poll::Ready(Some(Err(sent(WireFaultKind::ResetInBody, detail))));
                }
            };
            if came == 0 {
                return Poll::Ready(self.at_close());
            }
            if self.end.is_met() {
                self.keep &= taken == came;
                self.finish();
            }
            if !payload.is_empty() {
                return Poll::Ready(Some(Ok(payload)));
            }
        }
    }
}

//! Cutting a byte stream into frames, whatever the size of its chunks:
//! server-sent events and AWS event-stream messages.
//!
//! A [`Batch`] keeps the bytes as they arrived; frames are spans in it, so
//! a same-dialect stream passes verbatim while it is read.
//! Deliberately not here: what the frames mean.

mod event_stream;
mod sse;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use contract::Fault;
use smallvec::SmallVec;

pub use event_stream::{EventStreamSplitter, encode_message};
pub use sse::SseSplitter;

#[cfg(test)]
mod tests;

/// Largest frame of an upstream stream, in bytes; a larger one is a fault.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How a dialect frames its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `text/event-stream` (WHATWG HTML, section 9.2).
    Sse,
    /// `application/vnd.amazon.eventstream`.
    EventStream,
}

impl Framing {
    /// The content type of such a stream.
    pub fn content_type(self) -> &'static str {
        match self {
            Framing::Sse => "text/event-stream",
            Framing::EventStream => "application/vnd.amazon.eventstream",
        }
    }

    /// A splitter for a new stream.
    pub fn splitter(self) -> Splitter {
        match self {
            Framing::Sse => Splitter::Sse(SseSplitter::default()),
            Framing::EventStream => Splitter::EventStream(EventStreamSplitter::default()),
        }
    }
}

/// Cuts one stream into frames.
#[derive(Debug)]
pub enum Splitter {
    /// Server-sent events.
    Sse(SseSplitter),
    /// Event-stream messages.
    EventStream(EventStreamSplitter),
}

impl Splitter {
    /// Takes the next bytes and gives all frames that are now complete. Every
    /// byte comes out exactly once, in order.
    ///
    /// # Errors
    /// A fault of origin provider: a frame is too large or malformed. Frames
    /// that came complete before it are given first and the fault with the
    /// next call, so that nothing hangs on how the network cut the stream.
    pub fn push(&mut self, chunk: Bytes) -> Result<Batch, Fault> {
        match self {
            Splitter::Sse(splitter) => splitter.push(chunk),
            Splitter::EventStream(splitter) => splitter.push(chunk),
        }
    }

    /// What is wrong behind the frames that were given last: the error of
    /// every later [`Splitter::push`], for those who need not wait for one.
    pub fn broken(&self) -> Option<&Fault> {
        match self {
            Splitter::Sse(splitter) => splitter.broken(),
            Splitter::EventStream(splitter) => splitter.broken(),
        }
    }

    /// Whether bytes of an incomplete frame are held. At the end of a stream
    /// they are a truncated frame.
    pub fn is_mid_frame(&self) -> bool {
        match self {
            Splitter::Sse(splitter) => splitter.is_mid_frame(),
            Splitter::EventStream(splitter) => splitter.is_mid_frame(),
        }
    }
}

/// Appends JSON as the data of one event line. A vendor's or a model's own
/// JSON may hold line ends between its values, which would end the line; they
/// are white space there, so a blank says the same.
pub(crate) fn push_line(out: &mut Vec<u8>, json: &str) {
    let from = out.len();
    out.extend_from_slice(json.as_bytes());
    let mut at = from;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &out[at..]) {
        out[at + found] = b' ';
        at += found + 1;
    }
}

/// Complete frames that arrived together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Their bytes, exactly as they arrived.
    pub bytes: Bytes,
    /// The frames; their raw spans tile `bytes` without gaps.
    pub frames: SmallVec<[FrameSpan; 4]>,
}

impl Batch {
    /// The frame behind a span.
    pub fn frame<'a>(&'a self, span: &'a FrameSpan) -> Frame<'a> {
        Frame {
            event: &self.bytes[span.event.clone()],
            data: match &span.data {
                Data::Span(range) => &self.bytes[range.clone()],
                Data::Joined(joined) => joined,
            },
            kind: span.kind,
        }
    }
}

/// Where a frame stands in its batch.
#[derive(Clone, Debug)]
pub struct FrameSpan {
    /// All its bytes, terminator included.
    pub raw: Range<usize>,
    /// Its event name; empty if it has none.
    pub event: Range<usize>,
    /// Its data.
    pub data: Data,
    /// What kind of frame it is.
    pub kind: FrameKind,
}

/// The data of a frame.
#[derive(Clone, Debug)]
pub enum Data {
    /// One span of the batch.
    Span(Range<usize>),
    /// Several `data:` lines, joined by line feeds as the standard says.
    Joined(Vec<u8>),
}

/// What kind of frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// It carries an event.
    Event,
    /// It carries nothing (comments, blank lines).
    Silent,
    /// It carries an exception of the vendor (event-stream only); the event
    /// name is the exception's type.
    Exception,
}

/// One frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its event name; empty if it has none.
    pub event: &'a [u8],
    /// Its data.
    pub data: &'a [u8],
    /// What kind of frame it is.
    pub kind: FrameKind,
}

/// Gives the frames that stand before what is broken; the fault at once where
/// there are none.
fn before_broken(batch: Batch, fault: Fault, broken: &mut Option<Fault>) -> Result<Batch, Fault> {
    *broken = Some(fault.clone());
    if batch.frames.is_empty() {
        Err(fault)
    } else {
        Ok(batch)
    }
}

/// What stays for the next chunk, and the complete frames before it. What
/// stays whole is not copied: a frame of many chunks would be copied with
/// each of them.
fn split(bytes: Bytes, complete: usize) -> (BytesMut, Bytes) {
    if complete > 0 {
        return (BytesMut::from(&bytes[complete..]), bytes.slice(..complete));
    }
    let carry = bytes
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    (carry, Bytes::new())
}

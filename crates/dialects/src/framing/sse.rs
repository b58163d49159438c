//! Server-sent events (WHATWG HTML, section 9.2). Lines end at CR, LF or CRLF
//! bytes only, never at U+2028 or U+0085; a BOM may come first; the bytes of
//! a frame are kept as they arrived.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use contract::Fault;
use memchr::memchr2;

use super::{Batch, Data, FRAME_BYTES_MAX, FrameKind, FrameSpan, split};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Cuts a server-sent event stream into frames.
#[derive(Debug, Default)]
pub struct SseSplitter {
    /// Bytes of a frame that is not complete yet.
    carry: BytesMut,
    /// Start of the last, incomplete line in `carry`.
    line: usize,
    /// Up to where `carry` was searched for the end of that line.
    searched: usize,
    /// The start of the stream is past: no BOM can come any more.
    started: bool,
    /// Length of the BOM that `carry` begins with.
    bom: usize,
    /// What is wrong behind the frames that were given last.
    broken: Option<Fault>,
}

impl SseSplitter {
    /// See [`super::Splitter::push`].
    ///
    /// # Errors
    /// A frame is larger than [`FRAME_BYTES_MAX`].
    pub fn push(&mut self, chunk: Bytes) -> Result<Batch, Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        let bytes = if self.carry.is_empty() {
            chunk
        } else {
            self.carry.extend_from_slice(&chunk);
            std::mem::take(&mut self.carry).freeze()
        };
        let mut batch = Batch::default();
        let mut complete = 0;
        let mut line = self.line;
        let mut search = self.searched;
        let mut skipped = self.bom;
        if !self.started {
            if bytes.len() < BOM.len() && BOM.starts_with(&bytes) {
                self.carry = BytesMut::from(&bytes[..]);
                return Ok(batch);
            }
            self.started = true;
            if bytes.starts_with(BOM) {
                (line, search, skipped) = (BOM.len(), BOM.len(), BOM.len());
            }
        }
        while let Some(found) = memchr2(b'\n', b'\r', &bytes[search..]) {
            let end = search + found;
            let blank = end == line;
            let next = match (bytes[end], bytes.get(end + 1)) {
                (b'\r', Some(b'\n')) => end + 2,
                // A LF may follow that belongs to this CR: wait for it. After
                // a blank line it would only be one more blank line.
                (b'\r', None) if !blank => {
                    search = end;
                    break;
                }
                _ => end + 1,
            };
            line = next;
            search = next;
            if blank {
                let lines = complete.max(skipped)..next;
                batch.frames.push(read_frame(&bytes, complete..next, lines));
                complete = next;
            }
        }
        if memchr2(b'\n', b'\r', &bytes[search..]).is_none() {
            search = bytes.len();
        }
        self.bom = if complete == 0 { skipped } else { 0 };
        self.line = line - complete;
        self.searched = search - complete;
        let is_huge = |frame: &FrameSpan| frame.raw.len() > FRAME_BYTES_MAX;
        if let Some(huge) = batch.frames.iter().position(is_huge) {
            complete = batch.frames[huge].raw.start;
            batch.frames.truncate(huge);
        } else if bytes.len() - complete <= FRAME_BYTES_MAX {
            (self.carry, batch.bytes) = split(bytes, complete);
            return Ok(batch);
        }
        batch.bytes = bytes.slice(..complete);
        super::before_broken(batch, oversized(), &mut self.broken)
    }

    /// See [`super::Splitter::broken`].
    pub fn broken(&self) -> Option<&Fault> {
        self.broken.as_ref()
    }

    /// See [`super::Splitter::is_mid_frame`].
    pub fn is_mid_frame(&self) -> bool {
        !self.carry.is_empty() || self.broken.is_some()
    }
}

fn oversized() -> Fault {
    Fault::upstream_broken(
        "The provider sent a single stream event that is larger than the gateway accepts. \
         Ask for smaller pieces, or use a call without streaming.",
    )
    .because(format!("an event larger than {FRAME_BYTES_MAX} bytes"))
}

/// Reads the fields of one complete frame.
fn read_frame(bytes: &[u8], raw: Range<usize>, lines: Range<usize>) -> FrameSpan {
    let mut event = 0..0;
    let mut data: Option<Data> = None;
    let mut at = lines.start;
    while at < raw.end {
        let end = memchr2(b'\n', b'\r', &bytes[at..raw.end]).map_or(raw.end, |found| at + found);
        let (name, value) = field(bytes, at..end);
        match &bytes[name] {
            b"data" => data = Some(add_line(bytes, data, value)),
            b"event" => event = value,
            _ => {}
        }
        at = end + 1;
        if bytes.get(end) == Some(&b'\r') && at < raw.end && bytes[at] == b'\n' {
            at += 1;
        }
    }
    match data {
        Some(data) => FrameSpan {
            raw,
            event,
            data,
            kind: FrameKind::Event,
        },
        None => FrameSpan {
            raw,
            event,
            data: Data::Span(0..0),
            kind: FrameKind::Silent,
        },
    }
}

/// Name and value of a line; one space after the colon belongs to neither.
fn field(bytes: &[u8], line: Range<usize>) -> (Range<usize>, Range<usize>) {
    match memchr::memchr(b':', &bytes[line.clone()]) {
        None => (line.clone(), line.end..line.end),
        Some(colon) => {
            let mut value = line.start + colon + 1;
            if bytes.get(value) == Some(&b' ') && value < line.end {
                value += 1;
            }
            (line.start..line.start + colon, value..line.end)
        }
    }
}

fn add_line(bytes: &[u8], so_far: Option<Data>, line: Range<usize>) -> Data {
    match so_far {
        None => Data::Span(line),
        Some(Data::Span(first)) => {
            let mut joined = bytes[first].to_vec();
            joined.push(b'\n');
            joined.extend_from_slice(&bytes[line]);
            Data::Joined(joined)
        }
        Some(Data::Joined(mut joined)) => {
            joined.push(b'\n');
            joined.extend_from_slice(&bytes[line]);
            Data::Joined(joined)
        }
    }
}

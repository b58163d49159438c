//! AWS event-stream messages (`application/vnd.amazon.eventstream`): a prelude
//! of total and header length with its CRC-32, typed headers, a payload, and
//! a CRC-32 of the whole message. Source: the Smithy 2.0 specification,
//! "Amazon Event Stream".

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use contract::Fault;

use super::{Batch, Data, FRAME_BYTES_MAX, FrameKind, FrameSpan, split};

const PRELUDE: usize = 12;
const TRAILER: usize = 4;

/// Cuts an event-stream into messages, checking both checksums.
#[derive(Debug, Default)]
pub struct EventStreamSplitter {
    carry: BytesMut,
    /// What is wrong behind the messages that were given last.
    broken: Option<Fault>,
}

impl EventStreamSplitter {
    /// See [`super::Splitter::push`].
    ///
    /// # Errors
    /// A message is too large, malformed, or fails a checksum.
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
        let mut at = 0;
        loop {
            match next_message(&bytes, at) {
                Ok(Some(span)) => {
                    at = span.raw.end;
                    batch.frames.push(span);
                }
                Ok(None) => {
                    (self.carry, batch.bytes) = split(bytes, at);
                    return Ok(batch);
                }
                Err(fault) => {
                    batch.bytes = bytes.slice(..at);
                    return super::before_broken(batch, fault, &mut self.broken);
                }
            }
        }
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

/// The message that begins at `at`; `None` if not all of it has arrived.
fn next_message(bytes: &[u8], at: usize) -> Result<Option<FrameSpan>, Fault> {
    match message_length(&bytes[at..])? {
        Some(total) if bytes.len() - at >= total => read_message(bytes, at..at + total).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn broken(why: impl Into<String>) -> Fault {
    Fault::upstream_broken(
        "The provider's event stream is damaged. Try again; if it persists, look at the \
         provider's status and at what stands between it and the gateway.",
    )
    .because(why)
}

/// Length of the message that begins here; `None` if its prelude has not
/// arrived.
fn message_length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let Some(prelude) = bytes.get(..PRELUDE) else {
        return Ok(None);
    };
    if crc32fast::hash(&prelude[..8]) != be_u32(&prelude[8..]) {
        return Err(broken(
            "the checksum of an event-stream prelude does not match",
        ));
    }
    let total = be_u32(prelude) as usize;
    let headers = be_u32(&prelude[4..]) as usize;
    if total > FRAME_BYTES_MAX {
        return Err(broken(format!("an event-stream message of {total} bytes")));
    }
    if total < PRELUDE + TRAILER || headers > total - PRELUDE - TRAILER {
        return Err(broken("an event-stream prelude contradicts itself"));
    }
    Ok(Some(total))
}

fn read_message(bytes: &[u8], raw: Range<usize>) -> Result<FrameSpan, Fault> {
    let message = &bytes[raw.clone()];
    let checked = message.len() - TRAILER;
    if crc32fast::hash(&message[..checked]) != be_u32(&message[checked..]) {
        return Err(broken(
            "the checksum of an event-stream message does not match",
        ));
    }
    let payload_at = raw.start + PRELUDE + be_u32(&message[4..]) as usize;
    let mut span = FrameSpan {
        event: 0..0,
        data: Data::Span(payload_at..raw.start + checked),
        kind: FrameKind::Silent,
        raw: raw.clone(),
    };
    let mut at = raw.start + PRELUDE;
    while at < payload_at {
        let header = read_header(&bytes[..payload_at], at)?;
        match &bytes[header.name] {
            b":message-type" => {
                span.kind = match &bytes[header.value] {
                    b"event" => FrameKind::Event,
                    b"exception" | b"error" => FrameKind::Exception,
                    other => {
                        let other = String::from_utf8_lossy(other).into_owned();
                        return Err(broken(format!(
                            "unknown event-stream message type {other:?}"
                        )));
                    }
                };
            }
            b":event-type" | b":exception-type" | b":error-code" => span.event = header.value,
            _ => {}
        }
        at = header.end;
    }
    Ok(span)
}

struct Header {
    name: Range<usize>,
    /// The bytes of a string or byte array; empty for other types.
    value: Range<usize>,
    end: usize,
}

fn read_header(bytes: &[u8], at: usize) -> Result<Header, Fault> {
    let cut = || broken("an event-stream header is cut short");
    let name_length = usize::from(*bytes.get(at).ok_or_else(cut)?);
    let name = at + 1..at + 1 + name_length;
    let kind = *bytes.get(name.end).ok_or_else(cut)?;
    let start = name.end + 1;
    // Types 0..=9 of the specification: true, false, byte, short, integer,
    // long, byte array, string, timestamp, uuid.
    let (value, end) = match kind {
        0 | 1 => (start..start, start),
        2 => (start..start, start + 1),
        3 => (start..start, start + 2),
        4 => (start..start, start + 4),
        5 | 8 => (start..start, start + 8),
        9 => (start..start, start + 16),
        6 | 7 => {
            let length = bytes.get(start..start + 2).ok_or_else(cut)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            (start + 2..start + 2 + length, start + 2 + length)
        }
        other => return Err(broken(format!("unknown event-stream header type {other}"))),
    };
    if end > bytes.len() {
        return Err(cut());
    }
    Ok(Header { name, value, end })
}

/// One message with string headers, as a server sends it.
pub fn encode_message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let headers_length: usize = headers
        .iter()
        .map(|(name, value)| 1 + name.len() + 3 + value.len())
        .sum();
    let total = PRELUDE + headers_length + payload.len() + TRAILER;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(headers_length as u32).to_be_bytes());
    let prelude_crc = crc32fast::hash(&out);
    out.extend_from_slice(&prelude_crc.to_be_bytes());
    for (name, value) in headers {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.push(7);
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(payload);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out.into()
}

fn be_u32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

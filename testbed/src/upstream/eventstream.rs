//! `application/vnd.amazon.eventstream`: messages with a prelude, string headers and two CRCs.
//!
//! Layout, all big endian: total length (4), headers length (4), CRC-32 of those eight bytes (4),
//! headers, payload, CRC-32 of everything before it (4). Not here: decoding beyond tests.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

const PRELUDE: usize = 12;
const TRAILER: usize = 4;
/// Header value type 7: a UTF-8 string with a two-byte length.
const STRING: u8 = 7;

/// An event message (`:message-type: event`).
pub(crate) fn event(kind: &str, payload: &Value) -> Bytes {
    encode(
        &[
            (":event-type", kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ],
        payload.to_string().as_bytes(),
    )
}

/// An exception message, which may come inside a 200 answer.
pub(crate) fn exception(kind: &str, payload: &Value) -> Bytes {
    encode(
        &[
            (":exception-type", kind),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ],
        payload.to_string().as_bytes(),
    )
}

fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = BytesMut::new();
    for (name, value) in headers {
        head.put_u8(u8::try_from(name.len()).expect("header names here are short"));
        head.put_slice(name.as_bytes());
        head.put_u8(STRING);
        head.put_u16(u16::try_from(value.len()).expect("header values here are short"));
        head.put_slice(value.as_bytes());
    }
    let total = PRELUDE + head.len() + payload.len() + TRAILER;
    let mut out = BytesMut::with_capacity(total);
    out.put_u32(u32::try_from(total).expect("messages here are far below 4 GiB"));
    out.put_u32(u32::try_from(head.len()).expect("headers here are short"));
    let prelude = crc32fast::hash(&out);
    out.put_u32(prelude);
    out.put_slice(&head);
    out.put_slice(payload);
    let message = crc32fast::hash(&out);
    out.put_u32(message);
    out.freeze()
}

/// The same message with its last CRC damaged.
pub(crate) fn spoil_crc(message: &Bytes) -> Bytes {
    let mut raw = message.to_vec();
    if let Some(last) = raw.last_mut() {
        *last ^= 0x55;
    }
    Bytes::from(raw)
}

/// Splits well-formed messages: `(event or exception type, payload)`; `None` on a bad CRC.
pub(crate) fn decode(mut raw: &[u8]) -> Option<Vec<(String, Value)>> {
    let mut out = Vec::new();
    while !raw.is_empty() {
        let total = u32::from_be_bytes(raw.get(..4)?.try_into().ok()?) as usize;
        let head = u32::from_be_bytes(raw.get(4..8)?.try_into().ok()?) as usize;
        let prelude = u32::from_be_bytes(raw.get(8..12)?.try_into().ok()?);
        let crc = u32::from_be_bytes(
            raw.get(total.checked_sub(TRAILER)?..total)?
                .try_into()
                .ok()?,
        );
        if crc32fast::hash(&raw[..8]) != prelude || crc32fast::hash(&raw[..total - TRAILER]) != crc
        {
            return None;
        }
        let kind = type_header(raw.get(PRELUDE..PRELUDE + head)?)?;
        let payload = raw.get(PRELUDE + head..total - TRAILER)?;
        out.push((kind, serde_json::from_slice(payload).ok()?));
        raw = &raw[total..];
    }
    Some(out)
}

fn type_header(mut head: &[u8]) -> Option<String> {
    let mut kind = None;
    while !head.is_empty() {
        let name_end = 1 + head[0] as usize;
        let name = std::str::from_utf8(head.get(1..name_end)?).ok()?;
        let size =
            u16::from_be_bytes(head.get(name_end + 1..name_end + 3)?.try_into().ok()?) as usize;
        let value = std::str::from_utf8(head.get(name_end + 3..name_end + 3 + size)?).ok()?;
        if name == ":event-type" || name == ":exception-type" {
            kind = Some(value.to_owned());
        }
        head = &head[name_end + 3 + size..];
    }
    kind
}

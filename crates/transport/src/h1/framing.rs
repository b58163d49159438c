//! The framing of HTTP/1.1 (RFC 9112), as pure functions over bytes: the head
//! of a request written, the head of an answer read, and where its body ends.
//! Stricter than the RFC allows wherever two readers could disagree. Not here:
//! sockets, and any meaning of headers that do not frame.

use std::fmt::Write as _;
use std::mem::MaybeUninit;

use bytes::Bytes;
use contract::seams::Outbound;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// Most headers in the head of an answer.
const HEADERS_MAX: usize = 100;
/// Longest chunk-size line with its extensions, bytes.
const CHUNK_LINE_BYTES_MAX: u32 = 4 << 10;
/// Longest trailer section, bytes.
const TRAILERS_BYTES_MAX: u32 = 16 << 10;
/// Room for a request line and the headers this room adds.
const REQUEST_LINE_ROOM: usize = 128;

/// The head of a request, ready to be written before its body. `absolute`
/// writes the absolute form that a forward proxy expects.
///
/// # Errors
/// What makes the path unfit for a request line.
pub(crate) fn write_head(outbound: &Outbound, absolute: bool) -> Result<Vec<u8>, &'static str> {
    // A space or a control character would end the request line early and
    // let a path smuggle headers or a second request.
    if !outbound.path.starts_with('/') || outbound.path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err("the path is not percent-encoded or does not begin with '/'");
    }
    let endpoint = &*outbound.endpoint;
    let headers_room: usize = outbound
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let room = REQUEST_LINE_ROOM + outbound.path.len() + 2 * endpoint.authority.len();
    let mut head = Vec::with_capacity(room + headers_room);
    head.extend_from_slice(outbound.method.as_str().as_bytes());
    head.push(b' ');
    if absolute {
        head.extend_from_slice(b"http://");
        head.extend_from_slice(endpoint.authority.as_bytes());
    }
    head.extend_from_slice(outbound.path.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    push_header(&mut head, "host", endpoint.authority.as_bytes());
    for (name, value) in &outbound.headers {
        // The wire alone frames the message and names its host.
        if name != HOST && name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            push_header(&mut head, name.as_str(), value.as_bytes());
        }
    }
    if absolute
        && let Some(proxy) = &endpoint.proxy
        && let Some(authorization) = &proxy.authorization
    {
        let value = authorization.expose();
        if value.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("the proxy's authorization holds a control character");
        }
        push_header(&mut head, "proxy-authorization", value.as_bytes());
    }
    let length: usize = outbound.body.iter().map(Bytes::len).sum();
    if length > 0 || expects_body(&outbound.method) {
        let mut digits = itoa::Buffer::new();
        push_header(
            &mut head,
            "content-length",
            digits.format(length).as_bytes(),
        );
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// Methods whose requests say `content-length: 0` when empty (RFC 9110, 8.6).
pub(crate) fn expects_body(method: &Method) -> bool {
    method == Method::POST || method == Method::PUT || method == Method::PATCH
}

fn push_header(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyEnd,
    /// The connection may carry another request after this answer.
    pub(crate) persistent: bool,
}

/// Bytes up to and with the empty line that ends a head, if it is there.
pub(crate) fn head_len(bytes: &[u8]) -> Option<usize> {
    for at in memchr::memchr_iter(b'\n', bytes) {
        match bytes.get(at + 1..) {
            Some([b'\n', ..]) => return Some(at + 2),
            Some([b'\r', b'\n', ..]) => return Some(at + 3),
            Some(_) | None => {}
        }
    }
    None
}

/// Reads a whole head as found by [`head_len`]. Header values share `head`'s
/// memory. `to` is the method that is being answered.
///
/// # Errors
/// What is wrong with the head.
pub(crate) fn read_head(head: &Bytes, to: &Method) -> Result<Head, String> {
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, head, &mut slots)
        .map_err(|error| format!("its head is malformed: {error}"))?;
    if parsed.is_partial() {
        return Err("its head ends within a line".into());
    }
    let code = response.code.unwrap_or_default();
    let status = StatusCode::from_u16(code).map_err(|_| format!("its status is {code}"))?;
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| "a header's name is malformed".to_owned())?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value))
            .map_err(|_| format!("the value of its header {name} is malformed"))?;
        headers.append(name, value);
    }
    let modern = response.version == Some(1);
    let (body, sound) = body_end(status, &headers, to, modern)?;
    let persistent = sound && is_persistent(&headers, modern) && body != BodyEnd::Close;
    Ok(Head {
        status,
        headers,
        body,
        persistent,
    })
}

/// Where the body ends (RFC 9112, 6.3), and whether the connection is still
/// to be trusted afterwards.
fn body_end(
    status: StatusCode,
    headers: &HeaderMap,
    to: &Method,
    modern: bool,
) -> Result<(BodyEnd, bool), String> {
    let bodiless = to == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    if bodiless {
        return Ok((BodyEnd::Length(0), true));
    }
    let length = content_length(headers)?;
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let chunked = coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked");
        if !chunked || !modern || codings.next().is_some() {
            return Err("its transfer-encoding is not one that can be read".into());
        }
        // Both lengths at once is how messages are smuggled: chunked rules,
        // and the connection is not used again.
        return Ok((BodyEnd::Chunked(Chunked::new()), length.is_none()));
    }
    Ok((length.map_or(BodyEnd::Close, BodyEnd::Length), true))
}

/// The declared length; several are accepted only when all are equal.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for part in value.as_bytes().split(|b| *b == b',') {
            let part = part.trim_ascii();
            let digits = !part.is_empty() && part.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(part)
                .ok()
                .filter(|_| digits)
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or("its content-length is not a number")?;
            if length.is_some_and(|known| known != number) {
                return Err("it has two different content-lengths".into());
            }
            length = Some(number);
        }
    }
    Ok(length)
}

fn is_persistent(headers: &HeaderMap, modern: bool) -> bool {
    let (mut close, mut keep) = (false, false);
    for value in headers.get_all(http::header::CONNECTION) {
        for option in value.as_bytes().split(|b| *b == b',') {
            let option = option.trim_ascii();
            close |= option.eq_ignore_ascii_case(b"close");
            keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    !close && (modern || keep)
}

/// How the end of a body is known, and how much of it is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// After so many more bytes.
    Length(u64),
    /// By the last chunk.
    Chunked(Chunked),
    /// When the peer closes.
    Close,
}

impl BodyEnd {
    /// Whether nothing more is to come.
    pub(crate) fn is_met(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.state == ChunkState::Done,
            Self::Close => false,
        }
    }

    /// Takes in what arrived: the payload in it, and how many bytes of
    /// `input` belong to this body.
    ///
    /// # Errors
    /// What is wrong with the framing.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<(Bytes, usize), String> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).map_or(input.len(), |n| n.min(input.len()));
                *left -= taken as u64;
                Ok((Bytes::copy_from_slice(&input[..taken]), taken))
            }
            Self::Chunked(chunked) => {
                let mut payload = Vec::with_capacity(input.len());
                let taken = chunked.read(input, &mut payload)?;
                Ok((Bytes::from(payload), taken))
            }
            Self::Close => Ok((Bytes::copy_from_slice(input), input.len())),
        }
    }
}

/// A reader of the chunked coding (RFC 9112, 7.1). Extensions and trailers
/// are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunked {
    state: ChunkState,
    /// Bytes of the chunk that are still to come, or its size as far as read.
    left: u64,
    /// Bytes of the present line, or of the trailers, so far.
    line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

impl Chunked {
    fn new() -> Self {
        Self {
            state: ChunkState::Size,
            left: 0,
            line: 0,
        }
    }

    fn read(&mut self, input: &[u8], payload: &mut Vec<u8>) -> Result<usize, String> {
        let mut at = 0;
        while at < input.len() && self.state != ChunkState::Done {
            if self.state == ChunkState::Data {
                let rest = &input[at..];
                let n = usize::try_from(self.left).map_or(rest.len(), |n| n.min(rest.len()));
                payload.extend_from_slice(&rest[..n]);
                self.left -= n as u64;
                at += n;
                if self.left == 0 {
                    self.state = ChunkState::DataCr;
                }
            } else {
                self.state = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// One byte of framing.
    fn step(&mut self, byte: u8) -> Result<ChunkState, String> {
        use ChunkState as S;
        Ok(match (self.state, byte) {
            (S::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.count(CHUNK_LINE_BYTES_MAX)?;
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.left = self
                    .left
                    .checked_mul(16)
                    .and_then(|left| left.checked_add(digit.into()))
                    .ok_or("a chunk's size is beyond 64 bits")?;
                S::Size
            }
            (S::Size, b'\r') if self.line > 0 => S::SizeLf,
            (S::Size, b';' | b' ' | b'\t') if self.line > 0 => S::Extension,
            (S::Extension, b'\r') => S::SizeLf,
            (S::Extension, b'\n') => return Err(malformed(byte)),
            (S::Extension, _) => {
                self.count(CHUNK_LINE_BYTES_MAX)?;
                S::Extension
            }
            (S::SizeLf, b'\n') => {
                self.line = 0;
                if self.left == 0 {
                    S::TrailerStart
                } else {
                    S::Data
                }
            }
            (S::DataCr, b'\r') => S::DataLf,
            (S::DataLf, b'\n') => S::Size,
            (S::TrailerStart, b'\r') => S::EndLf,
            (S::TrailerStart | S::Trailer, b'\n') => return Err(malformed(byte)),
            (S::Trailer, b'\r') => S::TrailerLf,
            (S::TrailerStart | S::Trailer, _) => {
                self.count(TRAILERS_BYTES_MAX)?;
                S::Trailer
            }
            (S::TrailerLf, b'\n') => S::TrailerStart,
            (S::EndLf, b'\n') => S::Done,
            (
                S::Size
                | S::SizeLf
                | S::Data
                | S::DataCr
                | S::DataLf
                | S::TrailerLf
                | S::EndLf
                | S::Done,
                _,
            ) => return Err(malformed(byte)),
        })
    }

    fn count(&mut self, limit: u32) -> Result<(), String> {
        self.line += 1;
        if self.line > limit {
            return Err(format!(
                "a line of its chunked coding is over {limit} bytes"
            ));
        }
        Ok(())
    }
}

fn malformed(byte: u8) -> String {
    let mut text = String::from("its chunked coding is malformed at byte ");
    // Writing to a string cannot fail.
    let _ = write!(text, "0x{byte:02x}");
    text
}

// The fuzz targets take this file as it is, from another place.
#[cfg(test)]
#[path = "framing/tests.rs"]
mod tests;

//! Just enough HTTP/1.1 for a load generator and a canned server: heads, framing, event counting.
//!
//! Not a parser for hostile input: both ends of it are ours, or a proxy under test.

use memchr::{memchr, memmem};

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// Until the connection closes.
    Close,
}

/// A head as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes up to and with the blank line.
    pub(crate) len: usize,
    /// 0 for a request.
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// `connection: close` was said.
    pub(crate) closes: bool,
}

/// Reads a head from the start of `buf`; `None` while it is incomplete.
pub(crate) fn head(buf: &[u8]) -> Option<Head> {
    let len = memmem::find(buf, b"\r\n\r\n")? + 4;
    let mut lines = buf[..len - 2].split(|b| *b == b'\n');
    let first = lines.next().unwrap_or_default();
    let is_response = first.starts_with(b"HTTP/1.");
    let status = match is_response {
        true => first
            .get(9..12)
            .and_then(|s| std::str::from_utf8(s).ok())
            .and_then(|s| s.parse().ok())
            .unwrap_or(0),
        false => 0,
    };
    // A request without a length has no body; an answer without one ends with the connection.
    let mut framing = if is_response {
        Framing::Close
    } else {
        Framing::Length(0)
    };
    let mut closes = false;
    for line in lines {
        let Some(colon) = memchr(b':', line) else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            framing = std::str::from_utf8(value)
                .ok()
                .and_then(|v| v.parse().ok())
                .map_or(framing, Framing::Length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    Some(Head {
        len,
        status,
        framing,
        closes,
    })
}

/// Follows a body to its end, handing its content to a sink.
#[derive(Debug)]
pub(crate) struct BodyReader {
    state: State,
}

#[derive(Debug)]
enum State {
    Counted(u64),
    UntilClose,
    /// Inside a chunk-size line; the digits so far.
    Size(u64, bool),
    Chunk(u64),
    /// The CRLF behind a chunk.
    AfterChunk,
    /// Behind the last chunk; length of the current trailer line.
    Trailer(usize),
    Done,
}

impl BodyReader {
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Counted(n),
            Framing::Chunked => State::Size(0, false),
            Framing::Close => State::UntilClose,
        };
        Self { state }
    }

    pub(crate) fn done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// True when the end of the connection is the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Takes bytes; returns how many belonged to this body.
    pub(crate) fn feed(&mut self, data: &[u8], mut sink: impl FnMut(&[u8])) -> usize {
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            match &mut self.state {
                State::Done => break,
                State::UntilClose => {
                    sink(rest);
                    at = data.len();
                }
                State::Counted(left) | State::Chunk(left) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    sink(&rest[..take]);
                    *left -= take as u64;
                    at += take;
                    if *left == 0 {
                        self.state = if matches!(self.state, State::Counted(_)) {
                            State::Done
                        } else {
                            State::AfterChunk
                        };
                    }
                }
                State::Size(..) | State::AfterChunk | State::Trailer(_) => {
                    self.byte(rest[0]);
                    at += 1;
                }
            }
        }
        at
    }

    /// One byte of chunk framing.
    fn byte(&mut self, b: u8) {
        self.state = match std::mem::replace(&mut self.state, State::Done) {
            State::Size(0, _) if b == b'\n' => State::Trailer(0),
            State::Size(n, _) if b == b'\n' => State::Chunk(n),
            State::Size(n, extension) => match char::from(b).to_digit(16) {
                Some(digit) if !extension => State::Size(n * 16 + u64::from(digit), false),
                _ => State::Size(n, extension || b == b';'),
            },
            State::AfterChunk if b == b'\n' => State::Size(0, false),
            State::AfterChunk => State::AfterChunk,
            State::Trailer(0) if b == b'\n' => State::Done,
            State::Trailer(_) if b == b'\n' => State::Trailer(0),
            State::Trailer(n) => State::Trailer(n + usize::from(b != b'\r')),
            other @ (State::Counted(_) | State::UntilClose | State::Chunk(_) | State::Done) => {
                other
            }
        };
    }
}

/// Counts SSE records: blank lines that end at least one line.
#[derive(Debug, Default)]
pub(crate) struct EventCounter {
    pub(crate) events: u64,
    line: usize,
    open: bool,
}

impl EventCounter {
    pub(crate) fn feed(&mut self, mut data: &[u8]) {
        while let Some(at) = memchr(b'\n', data) {
            let carriage = usize::from(at > 0 && data[at - 1] == b'\r');
            if self.line + at - carriage == 0 {
                self.events += u64::from(std::mem::take(&mut self.open));
            } else {
                self.open = true;
            }
            self.line = 0;
            data = &data[at + 1..];
        }
        self.line += data.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(framing: Framing, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut out, mut reader) = (Vec::new(), BodyReader::new(framing));
        for piece in pieces {
            reader.feed(piece, |b| out.extend_from_slice(b));
        }
        (out, reader.done())
    }

    #[test]
    fn heads_tell_length_status_and_framing() {
        let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nrest";
        let expected = Head {
            len: raw.len() - 4,
            status: 200,
            framing: Framing::Length(12),
            closes: true,
        };
        assert_eq!(head(raw), Some(expected));
        assert_eq!(head(&raw[..30]), None);
        let request = head(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!((request.status, request.framing), (0, Framing::Length(0)));
    }

    #[test]
    fn chunked_bodies_read_the_same_however_they_are_cut() {
        let raw = b"5;x=1\r\nhello\r\n6\r\n world\r\n0\r\nx: y\r\n\r\nHTTP";
        for cut in 0..raw.len() - 4 {
            let (text, done) = read_all(Framing::Chunked, &[&raw[..cut], &raw[cut..]]);
            assert_eq!(
                (text.as_slice(), done),
                (&b"hello world"[..], true),
                "cut at {cut}"
            );
        }
        let mut reader = BodyReader::new(Framing::Chunked);
        assert_eq!(reader.feed(raw, |_| ()), raw.len() - 4);
    }

    #[test]
    fn events_are_counted_over_any_cut() {
        let raw = b"data: a\n\n: c\r\nevent: x\r\ndata: b\r\n\r\n\n\ndata: [DONE]\n\n";
        for cut in 0..raw.len() {
            let mut counter = EventCounter::default();
            counter.feed(&raw[..cut]);
            counter.feed(&raw[cut..]);
            // A CR that is cut from its LF makes its line look one byte long; the cases of the
            // benches end their lines with LF.
            if raw[cut.saturating_sub(1)] != b'\r' {
                assert_eq!(counter.events, 3, "cut at {cut}");
            }
        }
    }
}

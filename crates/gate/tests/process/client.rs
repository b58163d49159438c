//! A small HTTP/1.1 client on a socket of one's own, so that a test sees what
//! is on the wire: heads, chunks, and how a connection ends.
//!
//! Deliberately not here: redirects, pools, retries, anything lenient.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::HANG;

pub(crate) trait Io: Read + Write + Send {}
impl<T: Read + Write + Send> Io for T {}

/// One connection.
pub(crate) struct Client {
    io: BufReader<Box<dyn Io>>,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: Head,
    pub(crate) body: Vec<u8>,
}

impl Head {
    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.header(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("answers are text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

impl Client {
    pub(crate) fn over(io: impl Io + 'static) -> Self {
        Self {
            io: BufReader::new(Box::new(io)),
        }
    }

    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(HANG))?;
        socket.set_write_timeout(Some(HANG))?;
        socket.set_nodelay(true)?;
        Ok(Self::over(socket))
    }

    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(HANG))?;
        Ok(Self::over(socket))
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.get_mut().write_all(bytes)
    }

    /// Sends a request; the connection stays open.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(body);
        self.raw(&bytes)
    }

    /// Reads a head.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status =
            status.ok_or_else(|| io::Error::other(format!("no status line: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_lowercase(), value.trim().to_owned()));
                }
                None if line.is_empty() => return Ok(Head { status, headers }),
                None => return Err(io::Error::other(format!("no header: {line:?}"))),
            }
        }
    }

    /// Reads a whole answer.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let head = self.head()?;
        let mut body = Vec::new();
        if head.header("transfer-encoding") == "chunked" {
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
        } else {
            let length = head.header("content-length").parse().unwrap_or(0);
            body.resize(length, 0);
            self.io.read_exact(&mut body)?;
        }
        let status = head.status;
        Ok(Answer { status, head, body })
    }

    /// The next chunk of a chunked body; none at its proper end.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = self.line()?;
        let size = usize::from_str_radix(&size, 16)
            .map_err(|_| io::Error::other(format!("no chunk size: {size:?}")))?;
        let mut chunk = vec![0; size];
        self.io.read_exact(&mut chunk)?;
        self.line()?;
        Ok((size > 0).then_some(chunk))
    }

    /// Reads chunks until one brings this text.
    pub(crate) fn chunks_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(text) {
            let chunk = self.chunk().unwrap();
            read.extend(chunk.unwrap_or_else(|| panic!("no {text:?} in {read:?}")));
        }
        String::from_utf8(read).unwrap()
    }

    /// Whether the other side has ended the connection; waits for it.
    pub(crate) fn is_ended(&mut self) -> bool {
        let mut byte = [0];
        matches!(self.io.read(&mut byte), Ok(0) | Err(_))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.io.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).map_err(io::Error::other)
    }
}

//! One request over HTTP/1.1, blocking: all that the command line needs. TCP,
//! TLS or a unix socket.
//!
//! Deliberately not here: redirects, proxies, cookies and compression, none of
//! which the admin listener uses.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contract::Secret;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::ServerName;

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest silence. A stream of records says something every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Longest line of a head or of a chunk's size, bytes.
const HEAD_LINE_MAX: u64 = 16 * 1024;
/// Most lines of a head or of trailers.
const HEAD_LINES_MAX: usize = 128;

/// Where the admin listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

impl Target {
    /// `http://host[:port]`, `https://host[:port]` or `unix:/path`.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        if let Some(path) = url.strip_prefix("unix:") {
            return path.starts_with('/').then(|| Self::Unix(path.into()));
        }
        let (tls, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://").unwrap_or(url)),
        };
        let authority = rest.trim_end_matches('/');
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let is_sound = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
        let port = match port {
            Some(port) => port.parse().ok()?,
            None if tls => 443,
            None => 80,
        };
        let host = host.to_owned();
        is_sound.then_some(Self::Tcp { host, port, tls })
    }

    /// Whether it is certainly on this machine.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }

    fn host_header(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }

    fn connect(&self) -> io::Result<Box<dyn Socket>> {
        match self {
            Self::Unix(path) => {
                let socket = UnixStream::connect(path)?;
                socket.set_read_timeout(Some(SILENCE_MAX))?;
                Ok(Box::new(socket))
            }
            Self::Tcp { host, port, tls } => {
                let socket = connect(host, *port)?;
                socket.set_read_timeout(Some(SILENCE_MAX))?;
                match tls {
                    true => Ok(Box::new(secure(host, socket)?)),
                    false => Ok(Box::new(socket)),
                }
            }
        }
    }
}

trait Socket: Read + Write {}
impl<T: Read + Write> Socket for T {}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn secure(host: &str, socket: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, socket))
}

/// The head of an answer, and its body to be read.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: BufReader<Body>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// JSON to send.
    pub(crate) body: Option<&'a str>,
}

/// Asks for `path`.
pub(crate) fn get(
    target: &Target,
    path: &str,
    key: Option<&Secret<String>>,
) -> io::Result<Response> {
    let asked = Asked {
        method: "GET",
        path,
        body: None,
    };
    send(target, asked, key)
}

/// Sends a request.
pub(crate) fn send(
    target: &Target,
    asked: Asked,
    key: Option<&Secret<String>>,
) -> io::Result<Response> {
    let mut socket = target.connect()?;
    let host = target.host_header();
    let Asked { method, path, body } = asked;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    if let Some(body) = body {
        head.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        ));
    }
    if let Some(key) = key.map(Secret::expose) {
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(io::Error::other(
                "the admin key holds characters that no key has",
            ));
        }
        head.push_str(&format!("authorization: Bearer {key}\r\n"));
    }
    head.push_str("\r\n");
    head.push_str(body.unwrap_or_default());
    socket.write_all(head.as_bytes())?;
    socket.flush()?;
    receive(socket)
}

fn receive(socket: Box<dyn Socket>) -> io::Result<Response> {
    let mut reader = BufReader::new(socket);
    let first = line(&mut reader)?;
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5)?.parse().ok())
        .ok_or_else(|| malformed("what answers there does not speak HTTP"))?;
    let mut framing = Framing::Close;
    for _ in 0..HEAD_LINES_MAX {
        let header = line(&mut reader)?;
        if header.is_empty() {
            let body = BufReader::new(Body {
                socket: reader,
                framing,
            });
            return Ok(Response { status, body });
        }
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| malformed("a broken header"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let left = value.parse().map_err(|_| malformed("a broken length"))?;
            framing = Framing::Length(left);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked {
                left: 0,
                is_first: true,
            };
        }
    }
    Err(malformed("too many headers"))
}

/// A body without its framing.
pub(crate) struct Body {
    socket: BufReader<Box<dyn Socket>>,
    framing: Framing,
}

enum Framing {
    /// Until the connection ends.
    Close,
    /// Bytes left.
    Length(u64),
    /// Bytes left of this chunk.
    Chunked { left: u64, is_first: bool },
    /// The last chunk was read.
    Done,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunked { left: 0, is_first } = self.framing {
            self.framing = next_chunk(&mut self.socket, is_first)?;
        }
        let left = match &mut self.framing {
            Framing::Done => return Ok(0),
            Framing::Close => return self.socket.read(buffer),
            Framing::Length(left) | Framing::Chunked { left, .. } => left,
        };
        if *left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let count = self.socket.by_ref().take(*left).read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= count as u64;
        Ok(count)
    }
}

fn next_chunk(socket: &mut impl BufRead, is_first: bool) -> io::Result<Framing> {
    if !is_first && !line(socket)?.is_empty() {
        return Err(malformed("a broken chunk"));
    }
    let size = line(socket)?;
    let digits = size.split(';').next().unwrap_or_default().trim();
    let left = u64::from_str_radix(digits, 16).map_err(|_| malformed("a broken chunk"))?;
    if left > 0 {
        return Ok(Framing::Chunked {
            left,
            is_first: false,
        });
    }
    for _ in 0..HEAD_LINES_MAX {
        if line(socket)?.is_empty() {
            return Ok(Framing::Done);
        }
    }
    Err(malformed("too many trailers"))
}

/// One line without its end.
fn line(socket: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    socket.by_ref().take(HEAD_LINE_MAX).read_line(&mut text)?;
    match text.strip_suffix('\n') {
        Some(line) => Ok(line.strip_suffix('\r').unwrap_or(line).to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests;

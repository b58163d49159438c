//! One keep-alive connection: what is sent and received, sans-IO, and its two drivers.

use super::Target;
use crate::http1::{self, BodyReader, EventCounter, Framing};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Size of the read buffer; larger reads mean fewer system calls on large bodies.
const BUFFER: usize = 64 * 1024;

/// One answer, measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) total: Duration,
    pub(super) first_byte: Duration,
    pub(super) events: u64,
    pub(super) bytes: u64,
}

/// Follows one answer as its bytes come in.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    head: Vec<u8>,
    body: Option<BodyReader>,
    status: u16,
    closes: bool,
    counter: EventCounter,
    bytes: u64,
    first_byte: Option<Duration>,
}

impl Progress {
    /// `started` is when the request was sent, or when it was due.
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            head: Vec::new(),
            body: None,
            status: 0,
            closes: false,
            counter: EventCounter::default(),
            bytes: 0,
            first_byte: None,
        }
    }

    /// Takes what was read; true when the answer is complete.
    pub(super) fn feed(&mut self, data: &[u8]) -> bool {
        if self.body.is_none() {
            self.head.extend_from_slice(data);
            let Some(head) = http1::head(&self.head) else {
                return false;
            };
            self.status = head.status;
            self.closes = head.closes || head.framing == Framing::Close;
            self.body = Some(BodyReader::new(head.framing));
            let rest = self.head.split_off(head.len);
            return self.body(&rest);
        }
        self.body(data)
    }

    fn body(&mut self, data: &[u8]) -> bool {
        let Some(reader) = &mut self.body else {
            return false;
        };
        let (counter, bytes) = (&mut self.counter, &mut self.bytes);
        reader.feed(data, |content| {
            *bytes += content.len() as u64;
            counter.feed(content);
        });
        if self.bytes > 0 && self.first_byte.is_none() {
            self.first_byte = Some(self.started.elapsed());
        }
        reader.done()
    }

    /// True once the head is in and it promises a body that has begun.
    pub(super) fn begun(&self) -> bool {
        self.bytes > 0
    }

    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// The connection ended; that may be the end of the body.
    fn ended(&self) -> Result<(), String> {
        match self
            .body
            .as_ref()
            .is_some_and(BodyReader::ends_with_connection)
        {
            true => Ok(()),
            false => Err("the connection ended inside an answer".to_owned()),
        }
    }

    pub(super) fn sample(&self) -> Result<Sample, String> {
        let total = self.started.elapsed();
        match self.status {
            200..=299 => Ok(Sample {
                total,
                first_byte: self.first_byte.unwrap_or(total),
                events: self.counter.events,
                bytes: self.bytes,
            }),
            status => Err(format!("status {status}")),
        }
    }
}

/// An asynchronous connection that opens itself again when the server closed it.
#[derive(Debug, Default)]
pub(super) struct Connection {
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn exchange(&mut self, target: &Target) -> Result<Sample, String> {
        let outcome = self.attempt(target).await;
        if outcome.is_err() {
            self.stream = None;
        }
        outcome
    }

    async fn attempt(&mut self, target: &Target) -> Result<Sample, String> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(target.addr)
                .await
                .map_err(|e| format!("connect: {e}"))?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            self.stream = Some(stream);
        }
        self.buffer.resize(BUFFER, 0);
        let stream = self.stream.as_mut().expect("it was opened above");
        let mut progress = Progress::new(Instant::now());
        stream
            .write_all(&target.request)
            .await
            .map_err(|e| format!("write: {e}"))?;
        loop {
            let n = stream
                .read(&mut self.buffer)
                .await
                .map_err(|e| format!("read: {e}"))?;
            if n == 0 {
                progress.ended()?;
                break;
            }
            if progress.feed(&self.buffer[..n]) {
                break;
            }
        }
        if progress.closes() {
            self.stream = None;
        }
        progress.sample()
    }
}

/// A blocking connection, for threads that must wake on time.
#[derive(Debug, Default)]
pub(super) struct Blocking {
    stream: Option<std::net::TcpStream>,
    buffer: Vec<u8>,
}

impl Blocking {
    /// `due` is what latency is counted from.
    pub(super) fn exchange(&mut self, target: &Target, due: Instant) -> Result<Sample, String> {
        let outcome = self.attempt(target, due);
        if outcome.is_err() {
            self.stream = None;
        }
        outcome
    }

    fn attempt(&mut self, target: &Target, due: Instant) -> Result<Sample, String> {
        if self.stream.is_none() {
            self.connect(target)?;
        }
        self.buffer.resize(BUFFER, 0);
        let stream = self.stream.as_mut().expect("it was opened above");
        let mut progress = Progress::new(due);
        stream
            .write_all(&target.request)
            .map_err(|e| format!("write: {e}"))?;
        loop {
            let n = stream
                .read(&mut self.buffer)
                .map_err(|e| format!("read: {e}"))?;
            if n == 0 {
                progress.ended()?;
                break;
            }
            if progress.feed(&self.buffer[..n]) {
                break;
            }
        }
        if progress.closes() {
            self.stream = None;
        }
        progress.sample()
    }

    /// Connects ahead of the first request, so that it does not pay for the handshake.
    pub(super) fn connect(&mut self, target: &Target) -> Result<(), String> {
        let stream =
            std::net::TcpStream::connect(target.addr).map_err(|e| format!("connect: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        // A server that never answers must not hold the run for ever.
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .map_err(|e| e.to_string())?;
        self.stream = Some(stream);
        Ok(())
    }
}

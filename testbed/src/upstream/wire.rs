//! The server's side of a TCP connection, with the power to misbehave below HTTP.
//!
//! A `Mischief` that is armed makes the connection write given bytes instead of what hyper wants
//! to say, and then close or reset. It works for HTTP/1.1; over HTTP/2 it tears the connection.

use bytes::{Buf, Bytes};
use socket2::SockRef;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Debug, Default)]
pub(crate) struct Mischief {
    armed: AtomicBool,
    raw: Mutex<Bytes>,
    reset: AtomicBool,
}

impl Mischief {
    /// From now on the connection writes `raw` and nothing else, then ends.
    pub(crate) fn arm(&self, raw: Bytes, reset: bool) {
        *self.raw.lock().expect("no holder of this lock panics") = raw;
        self.reset.store(reset, Ordering::Release);
        self.armed.store(true, Ordering::Release);
    }

    /// When the connection is dropped it is reset instead of closed.
    pub(crate) fn reset_on_close(&self) {
        self.reset.store(true, Ordering::Release);
    }
}

pub(crate) struct Wire {
    stream: TcpStream,
    mischief: Arc<Mischief>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, mischief: Arc<Mischief>) -> Self {
        Self { stream, mischief }
    }

    fn misbehave(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let mut raw = self
                .mischief
                .raw
                .lock()
                .expect("no holder of this lock panics");
            if raw.is_empty() {
                return Poll::Ready(io::Error::new(
                    io::ErrorKind::BrokenPipe,
                    "scripted end of the connection",
                ));
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &raw)) {
                Ok(n) => raw.advance(n),
                Err(e) => return Poll::Ready(e),
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.mischief.reset.load(Ordering::Acquire) {
            // Zero linger turns the close into an RST. A socket already gone needs none.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.mischief.armed.load(Ordering::Acquire) {
            return self.misbehave(cx).map(Err);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.mischief.armed.load(Ordering::Acquire) {
            return self.misbehave(cx).map(Err);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

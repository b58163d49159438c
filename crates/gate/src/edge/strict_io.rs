//! The wrapper between the socket and hyper's HTTP/1: what the inspector does
//! not accept, hyper never sees.
//!
//! It works on tokio's IO traits, below hyper's adapter, because tokio's
//! `ReadBuf` shows the bytes just read in hyper's own buffer: they are judged
//! in place and nothing is copied unless a head arrives in pieces.
//! Deliberately not here: HTTP/2, time (the warden gives orders).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conn::{ConnCell, Order, Stage};
use super::framing::{Gatekeeper, Limits, Place};

/// What hyper gets in place of a refused request. The service knows it by its
/// number in the connection, which no client can forge.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

/// Most bytes read off before a socket is closed, so that the client can read
/// the answer before the reset that unread bytes would cause.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// An HTTP/1 connection under strict framing.
#[derive(Debug)]
pub(crate) struct StrictIo<S> {
    io: S,
    keeper: Gatekeeper,
    cell: Arc<ConnCell>,
    /// Bytes of the stand-in that hyper has.
    stand_in_sent: usize,
    is_shut: bool,
    lingered_bytes: usize,
}

impl<S> StrictIo<S> {
    /// Wraps a socket from which `first` was read already.
    pub(crate) fn new(io: S, limits: Limits, cell: Arc<ConnCell>, first: &[u8]) -> Self {
        let mut keeper = Gatekeeper::new(limits);
        keeper.hold(first);
        let this = Self {
            io,
            keeper,
            cell,
            stand_in_sent: 0,
            is_shut: false,
            lingered_bytes: 0,
        };
        this.note_stage();
        this
    }

    fn note_stage(&self) {
        self.cell.set_stage(match self.keeper.inspector().place() {
            Place::Body => Stage::Body,
            Place::Head if self.keeper.is_mid_head() => Stage::Head,
            Place::Head | Place::Refused => Stage::Between,
        });
    }

    /// Hands out the stand-in, or the error where hyper is in the middle of
    /// a body; after that the client is not heard any more.
    fn poll_refused(&mut self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let refusal = self.keeper.refusal().expect("the caller saw the refusal");
        if refusal.in_body {
            let violation = refusal.violation.clone();
            self.cell
                .set_refusal(self.keeper.inspector().heads(), refusal.clone());
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)));
        }
        if self.stand_in_sent == 0 {
            let call = self.keeper.inspector().heads() + 1;
            self.cell.set_refusal(call, refusal.clone());
            self.cell.set_stage(Stage::Between);
        }
        let rest = &STAND_IN[self.stand_in_sent..];
        if rest.is_empty() {
            // Writing the answer goes on and closes the connection.
            return Poll::Pending;
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        self.stand_in_sent += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StrictIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let cleared = this.keeper.cleared();
            if !cleared.is_empty() {
                let count = cleared.len().min(buf.remaining());
                buf.put_slice(&cleared[..count]);
                this.keeper.take(count);
                return Poll::Ready(Ok(()));
            }
            if this.keeper.refusal().is_some() {
                return this.poll_refused(buf);
            }
            if this.cell.order() == Order::RefuseHead && this.keeper.is_mid_head() {
                this.keeper.expire();
                continue;
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            let fresh = &buf.filled()[before..];
            if fresh.is_empty() || this.cell.is_tunnel() {
                return Poll::Ready(Ok(()));
            }
            let passed = this.keeper.admit(fresh);
            buf.set_filled(before + passed);
            this.note_stage();
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for StrictIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.cell.note_write(outcome.is_pending());
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write_vectored(cx, pieces);
        this.cell.note_write(outcome.is_pending());
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    /// Ends our side, then reads off what the client still sends if it was cut
    /// short, until it ends, a bound is met or the warden has waited enough.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_shut {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.is_shut = true;
            if this.keeper.inspector().place() == Place::Head && !this.keeper.is_mid_head() {
                return Poll::Ready(Ok(()));
            }
            this.cell.set_stage(Stage::Lingering);
        }
        let mut space = [0u8; 4096];
        while this.lingered_bytes < LINGER_BYTES_MAX && this.cell.order() != Order::StopLingering {
            let mut off = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut this.io).poll_read(cx, &mut off)) {
                Ok(()) if !off.filled().is_empty() => this.lingered_bytes += off.filled().len(),
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

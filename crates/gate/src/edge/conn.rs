//! What the parts of one connection know of each other: facts for the door,
//! and a cell of plain counters that the IO wrapper writes, the warden reads
//! and the service asks.
//!
//! All parts of a connection run on one worker thread, one after another, so
//! relaxed atomics are enough; they are atomics only because tasks must be
//! `Send`. Deliberately not here: any decision; `warden` and `serve` decide.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use access::certificate::Peer;

use super::framing::Refusal;

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub(crate) struct ConnFacts {
    /// The name of the listener, as configured.
    pub(crate) listener: Arc<str>,
    /// The peer's address; none on a unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// Facts of TLS; none on plain text.
    pub(crate) tls: Option<TlsFacts>,
}

impl ConnFacts {
    /// Whether the peer is on this machine: a unix socket or a loopback
    /// address.
    #[cfg(test)]
    pub(crate) fn is_local(&self) -> bool {
        self.peer
            .is_none_or(|peer| peer.ip().to_canonical().is_loopback())
    }
}

/// What the TLS handshake settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFacts {
    /// The protocol chosen by ALPN.
    pub(crate) alpn: Option<Vec<u8>>,
    /// The name that the client asked for.
    pub(crate) server_name: Option<String>,
    /// The client's certificate, which an authority of the listener vouches
    /// for.
    pub(crate) certificate: Option<Arc<Peer>>,
}

/// Where the bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Between messages; always so on HTTP/2.
    Between,
    /// In the middle of a head.
    Head,
    /// In a request body.
    Body,
    /// Reading off what the client still sends before the socket is closed.
    Lingering,
}

/// What the warden orders a connection to do. Later ones outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    None,
    /// Finish the current exchange, then close. Without one, close.
    Close,
    /// Refuse the head that does not arrive.
    RefuseHead,
    /// Stop lingering.
    StopLingering,
    /// Drop everything now.
    Cut,
}

/// The shared counters of one connection.
#[derive(Debug, Default)]
pub(crate) struct ConnCell {
    stage: AtomicU8,
    order: AtomicU8,
    /// Heads that were accepted; calls on HTTP/2.
    calls: AtomicU64,
    /// Exchanges whose answer has not ended.
    open: AtomicU32,
    /// Successful writes.
    writes: AtomicU64,
    write_blocked: AtomicBool,
    closing: AtomicBool,
    tunnel: AtomicBool,
    refusal: OnceLock<(u64, Refusal)>,
}

impl ConnCell {
    /// Where the bytes are.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            1 => Stage::Head,
            2 => Stage::Body,
            3 => Stage::Lingering,
            _ => Stage::Between,
        }
    }

    /// Says where the bytes are.
    pub(crate) fn set_stage(&self, stage: Stage) {
        let code = match stage {
            Stage::Between => 0,
            Stage::Head => 1,
            Stage::Body => 2,
            Stage::Lingering => 3,
        };
        self.stage.store(code, Relaxed);
    }

    /// The order in force.
    pub(crate) fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            1 => Order::Close,
            2 => Order::RefuseHead,
            3 => Order::StopLingering,
            4 => Order::Cut,
            _ => Order::None,
        }
    }

    /// Gives an order.
    pub(crate) fn give(&self, order: Order) {
        let code = match order {
            Order::None => 0,
            Order::Close => 1,
            Order::RefuseHead => 2,
            Order::StopLingering => 3,
            Order::Cut => 4,
        };
        self.order.store(code, Relaxed);
    }

    /// Begins an exchange.
    pub(crate) fn open_exchange(self: &Arc<Self>) -> Exchange {
        self.calls.store(self.calls.load(Relaxed) + 1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Exchange(Arc::clone(self))
    }

    /// How many exchanges have begun.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// How many exchanges have not ended.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// Notes the outcome of a write: the socket took bytes, or is full.
    pub(crate) fn note_write(&self, blocked: bool) {
        if !blocked {
            self.writes.store(self.writes.load(Relaxed) + 1, Relaxed);
        }
        self.write_blocked.store(blocked, Relaxed);
    }

    /// While the socket is full, how many writes went before.
    pub(crate) fn blocked_after(&self) -> Option<u64> {
        self.write_blocked
            .load(Relaxed)
            .then(|| self.writes.load(Relaxed))
    }

    /// Asks to end after the current exchange, as the server drains.
    pub(crate) fn begin_closing(&self) {
        self.closing.store(true, Relaxed);
    }

    /// Whether the server drains.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// From here on the bytes are not HTTP: an upgrade was granted.
    pub(crate) fn become_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    /// Whether an upgrade was granted.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    /// Notes that call number `call` of this connection is refused. hyper gets
    /// a stand-in for it. The first refusal of a connection is its last.
    pub(crate) fn set_refusal(&self, call: u64, refusal: Refusal) {
        // A second one cannot be: the inspector stops at the first.
        let _ = self.refusal.set((call, refusal));
    }

    /// The refusal of call number `call`, if it is the stand-in.
    pub(crate) fn refusal_of(&self, call: u64) -> Option<&Refusal> {
        let (number, refusal) = self.refusal.get()?;
        (*number == call && !refusal.in_body).then_some(refusal)
    }
}

/// An exchange that has begun; it ends when this is dropped, which is when its
/// answer was written or given up.
#[derive(Debug)]
pub(crate) struct Exchange(Arc<ConnCell>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

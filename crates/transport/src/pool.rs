//! The connections of one worker to one endpoint: idle ones to use again,
//! shared HTTP/2 ones, room for new ones, and a bounded queue of requests that
//! wait for either. Everything handed out is a guard that gives back what it
//! holds when dropped.
//!
//! Locks are held for moments and never while waiting. Guards take the lock
//! when they drop, so none may be dropped under it.

mod lease;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytes::Bytes;
use contract::seams::{Endpoint, HttpVersion, WireFault, WireFaultKind};
use h2::client::SendRequest;
use rustls::ClientConfig;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use lease::{Lease1, Lease2, Slot};

use crate::fault::unsent;
use crate::options::WireOptions;
use crate::stream::Stream;

/// Counts over all endpoints of a wire.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections opened.
    pub(crate) connects: AtomicU64,
    /// Requests that found an open connection.
    pub(crate) reuses: AtomicU64,
}

/// The pool of one endpoint.
pub(crate) struct Origin {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) options: Arc<WireOptions>,
    /// The TLS settings in use, kept so that sessions can be resumed.
    pub(crate) tls: OnceLock<Arc<ClientConfig>>,
    counts: Arc<Counts>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Oldest first; the youngest is used first, so that the others can age.
    idle: Vec<Idle>,
    shared: Vec<SharedConnection>,
    /// Connections open or being opened.
    open: u32,
    dialing: u32,
    spoken: Spoken,
    waiters: VecDeque<oneshot::Sender<Grant>>,
    last_id: u64,
}

/// The protocol the endpoint turned out to speak.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Spoken {
    /// TLS will tell; until then one connection at a time is opened, since
    /// one may be enough for all.
    #[default]
    Unknown,
    Http1,
    Http2,
}

/// An HTTP/1.1 connection and its birth.
struct Connection1 {
    stream: Stream,
    born: Instant,
}

struct Idle {
    connection: Connection1,
    since: Instant,
}

/// An HTTP/2 connection that takes new streams.
struct SharedConnection {
    id: u64,
    send: SendRequest<Bytes>,
    streams: usize,
    streams_max: usize,
    born: Instant,
    idle_since: Instant,
}

/// What a request gets from the pool.
pub(crate) enum Grant {
    /// An HTTP/1.1 connection of its own.
    Http1(Lease1),
    /// A stream of an HTTP/2 connection.
    Http2(Lease2),
    /// Room to open a connection.
    Dial(Slot),
    /// The connection waited for could not be opened.
    Fault(WireFault),
}

/// The answer to a request for a connection.
pub(crate) enum Taken {
    /// Here it is.
    Now(Grant),
    /// It will come.
    Later(oneshot::Receiver<Grant>),
    /// Too many wait already.
    Full,
}

/// A snapshot of one pool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Level {
    pub(crate) open: u64,
    pub(crate) idle: u64,
    pub(crate) waiting: u64,
}

impl Origin {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        options: Arc<WireOptions>,
        counts: Arc<Counts>,
    ) -> Self {
        let spoken = match (endpoint.version, endpoint.tls) {
            (HttpVersion::Auto, true) => Spoken::Unknown,
            (HttpVersion::Auto, false) | (HttpVersion::Http1, _) => Spoken::Http1,
            (HttpVersion::Http2, _) => Spoken::Http2,
        };
        let state = State {
            spoken,
            ..State::default()
        };
        Self {
            endpoint,
            options,
            tls: OnceLock::new(),
            counts,
            state: Mutex::new(state),
        }
    }

    /// A connection, or a place in the queue for one.
    pub(crate) fn take(self: &Arc<Self>) -> Taken {
        let mut state = self.lock();
        if let Some(grant) = self.grant(&mut state) {
            return Taken::Now(grant);
        }
        self.queue(&mut state)
    }

    /// The same after a reused connection failed: another one of the same age
    /// would probably fail too, so this opens one, in the place of an idle
    /// one if need be.
    pub(crate) fn take_fresh(self: &Arc<Self>) -> Taken {
        let mut state = self.lock();
        if state.open >= self.connections_max() && state.idle.pop().is_some() {
            state.open -= 1;
        }
        if let Some(slot) = self.slot(&mut state) {
            return Taken::Now(Grant::Dial(slot));
        }
        self.queue(&mut state)
    }

    /// What a request that waited in vain is told.
    pub(crate) fn waited_in_vain(&self) -> WireFault {
        let state = self.lock();
        let ms = self.endpoint.connect_ms;
        if state.dialing > 0 && state.shared.is_empty() {
            let detail = format_args!("the connection being opened was not ready in {ms} ms");
            return unsent(WireFaultKind::ConnectTimeout, detail);
        }
        let detail = format_args!(
            "all {} connections stayed busy for {ms} ms; raise connections_max or lower the load",
            self.connections_max()
        );
        unsent(WireFaultKind::Exhausted, detail)
    }

    /// Closes what has been idle too long and retires what is too old.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut state = self.lock();
        let before = state.idle.len();
        state.idle.retain(|idle| !self.is_expired(idle, now));
        let closed = before - state.idle.len();
        state.open -= u32::try_from(closed).unwrap_or(u32::MAX);
        state.shared.retain(|shared| {
            let unused = shared.streams == 0
                && now.duration_since(shared.idle_since) > self.options.idle_timeout;
            !unused && now.duration_since(shared.born) <= self.options.age_max
        });
    }

    /// Closes every idle connection; those in use are closed when they end.
    pub(crate) fn close_idle(&self) {
        let mut state = self.lock();
        let closed = std::mem::take(&mut state.idle).len();
        state.open -= u32::try_from(closed).unwrap_or(u32::MAX);
        // Without its sender an HTTP/2 connection ends after its last stream.
        state.shared.clear();
    }

    pub(crate) fn level(&self) -> Level {
        let state = self.lock();
        let unused = state.shared.iter().filter(|shared| shared.streams == 0);
        Level {
            open: u64::from(state.open - state.dialing),
            idle: (state.idle.len() + unused.count()) as u64,
            waiting: state.waiters.len() as u64,
        }
    }

    /// Nothing is open, being opened or waited for.
    pub(crate) fn is_unused(&self) -> bool {
        let state = self.lock();
        state.open == 0 && state.waiters.is_empty()
    }

    /// The peer of an HTTP/2 connection said how many streams it allows.
    pub(crate) fn set_streams_max(self: &Arc<Self>, id: u64, streams_max: usize) {
        let streams_max = streams_max.min(self.options.h2_streams_max);
        if let Some(shared) = self.lock().shared.iter_mut().find(|shared| shared.id == id) {
            shared.streams_max = streams_max;
        }
        self.pump();
    }

    /// Whether an HTTP/2 connection serves a request. A retired one does, or
    /// it would have ended.
    pub(crate) fn is_in_use(&self, id: u64) -> bool {
        let state = self.lock();
        let mut shared = state.shared.iter();
        shared
            .find(|shared| shared.id == id)
            .is_none_or(|shared| shared.streams > 0)
    }

    /// An HTTP/2 connection takes no new streams.
    pub(crate) fn retire(&self, id: u64) {
        self.lock().shared.retain(|shared| shared.id != id);
    }

    /// An HTTP/2 connection ended.
    pub(crate) fn closed_http2(self: &Arc<Self>, id: u64) {
        {
            let mut state = self.lock();
            state.shared.retain(|shared| shared.id != id);
            state.open -= 1;
        }
        self.pump();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn connections_max(&self) -> u32 {
        self.endpoint.connections_max.max(1)
    }

    fn is_expired(&self, idle: &Idle, now: Instant) -> bool {
        now.duration_since(idle.since) > self.options.idle_timeout
            || now.duration_since(idle.connection.born) > self.options.age_max
    }

    fn queue(&self, state: &mut State) -> Taken {
        if state.waiters.len() >= self.options.waiters_max {
            state.waiters.retain(|waiter| !waiter.is_closed());
            if state.waiters.len() >= self.options.waiters_max {
                return Taken::Full;
            }
        }
        let (waiter, grant) = oneshot::channel();
        state.waiters.push_back(waiter);
        Taken::Later(grant)
    }

    /// What can be handed out now.
    fn grant(self: &Arc<Self>, state: &mut State) -> Option<Grant> {
        let open = state.shared.iter_mut();
        if let Some(shared) = { open }.find(|shared| shared.streams < shared.streams_max) {
            shared.streams += 1;
            self.counts.reuses.fetch_add(1, Ordering::Relaxed);
            return Some(Grant::Http2(Lease2::new(self, shared)));
        }
        if let Some(connection) = self.pop_live(state) {
            self.counts.reuses.fetch_add(1, Ordering::Relaxed);
            return Some(Grant::Http1(Lease1::reused(self, connection)));
        }
        self.slot(state).map(Grant::Dial)
    }

    /// The youngest idle connection that still lives.
    fn pop_live(&self, state: &mut State) -> Option<Connection1> {
        if state.idle.is_empty() {
            return None;
        }
        let now = Instant::now();
        while let Some(mut idle) = state.idle.pop() {
            let ask = now.duration_since(idle.since) >= self.options.probe_after;
            if !self.is_expired(&idle, now) && idle.connection.stream.is_quiet(ask) {
                return Some(idle.connection);
            }
            state.open -= 1;
        }
        None
    }

    fn slot(self: &Arc<Self>, state: &mut State) -> Option<Slot> {
        let alone = state.spoken != Spoken::Http1;
        if state.open >= self.connections_max() || (alone && state.dialing > 0) {
            return None;
        }
        state.open += 1;
        state.dialing += 1;
        Some(Slot::new(self))
    }

    /// Serves those who wait with what has become free.
    fn pump(self: &Arc<Self>) {
        loop {
            let (waiter, grant) = {
                let mut state = self.lock();
                while state
                    .waiters
                    .front()
                    .is_some_and(oneshot::Sender::is_closed)
                {
                    state.waiters.pop_front();
                }
                if state.waiters.is_empty() {
                    return;
                }
                let Some(grant) = self.grant(&mut state) else {
                    return;
                };
                let waiter = state.waiters.pop_front();
                (
                    waiter.expect("a waiter was seen under the same lock"),
                    grant,
                )
            };
            // A waiter that left just now leaves the grant to be dropped here,
            // outside the lock, which gives it back.
            drop(waiter.send(grant));
        }
    }
}

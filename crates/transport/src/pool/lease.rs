//! The guards a pool hands out: a connection, a stream, room for a new
//! connection. Each gives back what it holds when dropped. Not here: which of
//! them a request gets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use contract::seams::WireFault;
use h2::client::SendRequest;
use tokio::time::Instant;

use super::{Connection1, Grant, Idle, Origin, SharedConnection, Spoken};
use crate::connect::is_absolute;
use crate::stream::Stream;

/// An HTTP/1.1 connection in use by one request. Dropping it closes the
/// connection; [`Lease1::park`] keeps it.
pub(crate) struct Lease1 {
    origin: Arc<Origin>,
    /// `None` only once parked.
    connection: Option<Connection1>,
    reused: bool,
}

impl Lease1 {
    pub(super) fn reused(origin: &Arc<Origin>, connection: Connection1) -> Self {
        Self {
            origin: Arc::clone(origin),
            connection: Some(connection),
            reused: true,
        }
    }

    pub(crate) fn stream(&mut self) -> &mut Stream {
        let connection = self.connection.as_mut();
        &mut connection
            .expect("only park takes it, with the lease")
            .stream
    }

    /// Whether it served a request before.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    pub(crate) fn absolute(&self) -> bool {
        is_absolute(&self.origin.endpoint)
    }

    pub(crate) fn head_bytes_max(&self) -> usize {
        self.origin.options.head_bytes_max
    }

    /// Gives the connection back for the next request.
    pub(crate) fn park(mut self) {
        let origin = Arc::clone(&self.origin);
        let now = Instant::now();
        let aged = |connection: &mut Connection1| {
            now.duration_since(connection.born) > origin.options.age_max
        };
        let Some(connection) = self.connection.take_if(|connection| !aged(connection)) else {
            return;
        };
        let mut state = origin.lock();
        state.idle.push(Idle {
            connection,
            since: now,
        });
        if state.idle.len() > origin.options.idle_max {
            state.idle.remove(0);
            state.open -= 1;
        }
        let awaited = !state.waiters.is_empty();
        drop(state);
        if awaited {
            origin.pump();
        }
    }
}

impl Drop for Lease1 {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection);
            self.origin.lock().open -= 1;
            self.origin.pump();
        }
    }
}

/// A place for one stream on an HTTP/2 connection.
pub(crate) struct Lease2 {
    origin: Arc<Origin>,
    id: u64,
    send: SendRequest<Bytes>,
}

impl Lease2 {
    pub(super) fn new(origin: &Arc<Origin>, shared: &SharedConnection) -> Self {
        Self {
            origin: Arc::clone(origin),
            id: shared.id,
            send: shared.send.clone(),
        }
    }

    pub(crate) fn send(&mut self) -> &mut SendRequest<Bytes> {
        &mut self.send
    }

    /// Keeps new streams away from this connection.
    pub(crate) fn retire(&self) {
        self.origin.retire(self.id);
    }
}

impl Drop for Lease2 {
    fn drop(&mut self) {
        {
            let mut state = self.origin.lock();
            let shared = state.shared.iter_mut().find(|shared| shared.id == self.id);
            // A retired connection is no longer counted.
            let Some(shared) = shared else { return };
            shared.streams -= 1;
            if shared.streams == 0 {
                shared.idle_since = Instant::now();
            }
            if state.waiters.is_empty() {
                return;
            }
        }
        self.origin.pump();
    }
}

/// Room for one connection to be opened.
pub(crate) struct Slot {
    /// `None` once it was used.
    origin: Option<Arc<Origin>>,
}

impl Slot {
    pub(super) fn new(origin: &Arc<Origin>) -> Self {
        Self {
            origin: Some(Arc::clone(origin)),
        }
    }

    /// The room was filled with an HTTP/1.1 connection.
    pub(crate) fn opened_http1(mut self, stream: Stream) -> Lease1 {
        let origin = self.use_up();
        {
            let mut state = origin.lock();
            state.dialing -= 1;
            state.spoken = Spoken::Http1;
        }
        origin.counts.connects.fetch_add(1, Ordering::Relaxed);
        // Those who waited to learn the protocol may now open their own.
        origin.pump();
        Lease1 {
            origin,
            connection: Some(Connection1 {
                stream,
                born: Instant::now(),
            }),
            reused: false,
        }
    }

    /// The room was filled with an HTTP/2 connection; the guard of its first
    /// stream, and the connection's number for its task. Until the peer's
    /// settings come it carries this one stream only.
    pub(crate) fn opened_http2(mut self, send: SendRequest<Bytes>) -> (Lease2, Arc<Origin>, u64) {
        let origin = self.use_up();
        let now = Instant::now();
        let mut state = origin.lock();
        state.dialing -= 1;
        state.spoken = Spoken::Http2;
        state.last_id += 1;
        let shared = SharedConnection {
            id: state.last_id,
            send,
            streams: 1,
            streams_max: 1,
            born: now,
            idle_since: now,
        };
        let lease = Lease2::new(&origin, &shared);
        let id = shared.id;
        state.shared.push(shared);
        drop(state);
        origin.counts.connects.fetch_add(1, Ordering::Relaxed);
        (lease, origin, id)
    }

    /// The room could not be filled. Those who waited for this very
    /// connection learn why, rather than each trying in turn.
    pub(crate) fn failed(mut self, fault: &WireFault) {
        let origin = self.use_up();
        let waiters = {
            let mut state = origin.lock();
            state.dialing -= 1;
            state.open -= 1;
            if state.spoken != Spoken::Http1 && state.shared.is_empty() {
                std::mem::take(&mut state.waiters)
            } else {
                std::collections::VecDeque::new()
            }
        };
        for waiter in waiters {
            drop(waiter.send(Grant::Fault(fault.clone())));
        }
        origin.pump();
    }

    fn use_up(&mut self) -> Arc<Origin> {
        self.origin.take().expect("each use of a slot consumes it")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(origin) = self.origin.take() {
            {
                let mut state = origin.lock();
                state.dialing -= 1;
                state.open -= 1;
            }
            origin.pump();
        }
    }
}

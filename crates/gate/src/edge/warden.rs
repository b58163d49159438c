//! One warden for each worker: it walks over all connections at a slow tick
//! and gives orders to those that made no progress. So no connection carries
//! a timer and no request sets one, at the price that a timeout may come late
//! by one tick and a quarter of itself.
//!
//! Deliberately not here: how an order is carried out (`serve`, `strict_io`);
//! timeouts of request bodies, which their reader keeps (`body`).

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use super::conn::{ConnCell, Order, Stage};

/// How long a connection may stay as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// From the first byte of a head to its last, and from the connection to
    /// the first head. Default 15 s.
    pub(crate) head: Duration,
    /// Between two requests. Default 75 s: longer than the 60 s for which
    /// common load balancers and clients keep an idle connection, so that they
    /// close first.
    pub(crate) idle: Duration,
    /// Between two requests while the server drains. Default 1 s.
    pub(crate) idle_draining: Duration,
    /// While the client takes nothing of an answer. Default 300 s.
    pub(crate) write_stall: Duration,
    /// Reading off the rest of a refused request. Default 2 s.
    pub(crate) linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            idle_draining: Duration::from_secs(1),
            write_stall: Duration::from_secs(300),
            linger: Duration::from_secs(2),
        }
    }
}

impl Timeouts {
    /// The time between two walks: a quarter of the shortest timeout, between
    /// 5 ms and 1 s.
    pub(crate) fn tick(&self) -> Duration {
        let all = [
            self.head,
            self.idle,
            self.idle_draining,
            self.write_stall,
            self.linger,
        ];
        let shortest = all.into_iter().min().unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    fn of(&self, watch: Watch) -> Option<(Duration, Order)> {
        match watch {
            Watch::Nothing => None,
            Watch::Lingering => Some((self.linger, Order::StopLingering)),
            Watch::Blocked(_) => Some((self.write_stall, Order::Cut)),
            Watch::Head(_) => Some((self.head, Order::RefuseHead)),
            Watch::Idle {
                calls: 0,
                draining: false,
            } => Some((self.head, Order::Close)),
            Watch::Idle {
                draining: false, ..
            } => Some((self.idle, Order::Close)),
            Watch::Idle { draining: true, .. } => Some((self.idle_draining, Order::Close)),
        }
    }
}

/// What a connection is doing that must not last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// An exchange is open and moves as fast as both sides like.
    Nothing,
    Lingering,
    /// The socket is full since this many writes.
    Blocked(u64),
    /// In the head after this many calls, however many bytes drip in.
    Head(u64),
    Idle {
        calls: u64,
        draining: bool,
    },
}

fn watch(cell: &ConnCell) -> Watch {
    let stage = cell.stage();
    if stage == Stage::Lingering {
        return Watch::Lingering;
    }
    if let Some(writes) = cell.blocked_after() {
        return Watch::Blocked(writes);
    }
    if cell.open() > 0 || cell.is_tunnel() {
        return Watch::Nothing;
    }
    match stage {
        Stage::Head => Watch::Head(cell.calls()),
        Stage::Between | Stage::Body | Stage::Lingering => Watch::Idle {
            calls: cell.calls(),
            draining: cell.is_closing(),
        },
    }
}

#[derive(Debug)]
struct Entry {
    cell: Arc<ConnCell>,
    waker: Waker,
    watch: Watch,
    /// Walks since `watch` last changed.
    ticks: u32,
}

/// The connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: Mutex<Entries>,
    is_draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Entries {
    places: Vec<Option<Entry>>,
    free: Vec<usize>,
}

impl Roster {
    /// Enters a connection; it leaves when the ticket is dropped.
    pub(crate) fn enter(self: &Arc<Self>, cell: &Arc<ConnCell>, waker: Waker) -> Ticket {
        if self.is_draining.load(Relaxed) {
            cell.begin_closing();
        }
        let entry = Entry {
            watch: watch(cell),
            cell: Arc::clone(cell),
            waker,
            ticks: 0,
        };
        let mut entries = self.lock();
        let place = entries.free.pop().unwrap_or_else(|| {
            entries.places.push(None);
            entries.places.len() - 1
        });
        entries.places[place] = Some(entry);
        Ticket {
            roster: Arc::clone(self),
            place,
        }
    }

    /// Walks over all connections once. `tick` is the time since the last walk.
    pub(crate) fn walk(&self, timeouts: &Timeouts, tick: Duration) {
        let mut woken = Vec::new();
        for entry in self.lock().places.iter_mut().flatten() {
            let watch = watch(&entry.cell);
            if watch != entry.watch {
                entry.watch = watch;
                entry.ticks = 0;
                continue;
            }
            entry.ticks = entry.ticks.saturating_add(1);
            let Some((limit, order)) = timeouts.of(watch) else {
                continue;
            };
            if tick.saturating_mul(entry.ticks) >= limit && entry.cell.order() != order {
                entry.cell.give(order);
                woken.push(entry.waker.clone());
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// Tells all connections, and those that come, to end after their exchange.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Relaxed);
        let mut woken = Vec::new();
        for entry in self.lock().places.iter().flatten() {
            entry.cell.begin_closing();
            woken.push(entry.waker.clone());
        }
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().expect("no holder of this lock panics")
    }
}

/// A place in the roster.
#[derive(Debug)]
pub(crate) struct Ticket {
    roster: Arc<Roster>,
    place: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut entries = self.roster.lock();
        entries.places[self.place] = None;
        entries.free.push(self.place);
    }
}

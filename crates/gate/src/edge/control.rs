//! What all threads of the edge share: how it runs, how far it is on its way
//! out, and what it counts.
//!
//! Deliberately not here: the threads themselves (`accept`, `workers`), and
//! who gives the orders (`signals`, `handover`, the assembly).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;

use super::serve::Settings;

/// What the edge has to say to the operator.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A listener has a new certificate.
    TlsReloaded {
        /// Its name.
        listener: Arc<str>,
    },
    /// A listener keeps its old certificate.
    TlsReloadFailed {
        /// Its name.
        listener: Arc<str>,
        /// Why.
        why: String,
    },
    /// A socket could not accept.
    AcceptFailed {
        /// Its name.
        listener: Arc<str>,
        /// Why.
        why: io::Error,
    },
}

/// Where notices go.
pub(crate) type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// How the edge runs.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Worker threads; at least one.
    pub(crate) workers: usize,
    /// Limits and timeouts of connections.
    pub(crate) settings: Settings,
    /// Time between the loss of readiness and the closing of sockets, so that
    /// load balancers take notice. Default of contract: none.
    pub(crate) unready_before_drain: Duration,
    /// Longest time for exchanges to end while draining.
    pub(crate) drain_max: Duration,
    /// Where notices go.
    pub(crate) notices: Notices,
}

/// How far the way out is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serving.
    Serving,
    /// Serving, but no longer ready.
    Leaving,
    /// The sockets are closed.
    Draining,
    /// Everything ends now.
    Cut,
}

/// Counters of the edge since its start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections accepted.
    pub(crate) accepted: AtomicU64,
    /// Connections refused for their number.
    pub(crate) turned_away: AtomicU64,
    /// TLS handshakes that failed.
    pub(crate) tls_failed: AtomicU64,
    /// Connections that are open.
    pub(crate) open: AtomicUsize,
    /// The same for each listener.
    by_listener: Vec<(Arc<str>, AtomicUsize)>,
}

impl Counts {
    /// A connection of this listener was opened.
    pub(super) fn opened(&self, listener: &str) {
        self.open.fetch_add(1, Relaxed);
        if let Some(open) = self.of(listener) {
            open.fetch_add(1, Relaxed);
        }
    }

    /// One that was opened has ended.
    pub(super) fn closed(&self, listener: &str) {
        self.open.fetch_sub(1, Relaxed);
        if let Some(open) = self.of(listener) {
            open.fetch_sub(1, Relaxed);
        }
    }

    /// Connections of this listener that are open.
    pub(crate) fn open_of(&self, listener: &str) -> usize {
        self.of(listener).map_or(0, |open| open.load(Relaxed))
    }

    /// There are few listeners, so a walk is as good as a map.
    fn of(&self, listener: &str) -> Option<&AtomicUsize> {
        let mut all = self.by_listener.iter();
        all.find(|(name, _)| &**name == listener)
            .map(|(_, open)| open)
    }
}

#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Phase>,
    ready: AtomicBool,
    handed_over: AtomicBool,
    counts: Counts,
}

/// A handle to the running edge, for signals, hand-over and readiness.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    shared: Arc<Shared>,
}

impl Control {
    /// A handle to an edge that begins to serve and is not yet ready.
    pub(super) fn new(listeners: impl Iterator<Item = Arc<str>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                phase: watch::Sender::new(Phase::Serving),
                ready: AtomicBool::new(false),
                handed_over: AtomicBool::new(false),
                counts: Counts {
                    by_listener: listeners
                        .map(|name| (name, AtomicUsize::default()))
                        .collect(),
                    ..Counts::default()
                },
            }),
        }
    }

    /// Follows the phases.
    pub(super) fn follow(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// Whether `/readyz` may say so: set by the assembly, lost for good when
    /// the edge begins to leave.
    pub(crate) fn is_ready(&self) -> bool {
        self.shared.ready.load(Relaxed) && self.phase() == Phase::Serving
    }

    /// Sets readiness.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.shared.ready.store(ready, Relaxed);
    }

    /// How far the way out is.
    pub(crate) fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    /// Begins to leave: unready first, then drain.
    pub(crate) fn leave(&self) {
        self.advance(Phase::Leaving);
    }

    /// Drains at once: the successor accepts already on the same sockets.
    pub(crate) fn yield_to_successor(&self) {
        self.shared.handed_over.store(true, Relaxed);
        self.advance(Phase::Draining);
    }

    /// Whether a successor accepts on the same sockets.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.shared.handed_over.load(Relaxed)
    }

    /// Ends everything now.
    pub(crate) fn cut(&self) {
        self.advance(Phase::Cut);
    }

    /// Counters.
    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Waits for a phase or a later one.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut changes = self.shared.phase.subscribe();
        // The sender lives in `shared`, so it cannot be gone.
        let _ = changes.wait_for(|now| *now >= phase).await;
    }

    /// Phases only go forward.
    pub(super) fn advance(&self, phase: Phase) {
        self.shared.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }
}

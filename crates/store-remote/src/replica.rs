//! One replica: how it shares, what it holds, and whether the server is there.
//!
//! Deliberately not here: the way to the server (`line`), and who asks
//! (`counters`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::seams::Clock;

use crate::shares::{At, Shares};

/// What becomes of calls while the server cannot be asked and the shares do
/// not hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnavailable {
    /// They are refused.
    Closed,
    /// Each replica takes so many percent of each limit beyond its shares, and
    /// tells it when the server is back.
    Open {
        /// Of the limit, 1 to 100.
        percent: u8,
    },
}

/// How counters are shared.
#[derive(Clone, Debug)]
pub struct SharedOptions {
    /// Replicas of one group share their counters.
    pub group: String,
    /// Of this replica: no other ever had it.
    pub replica: String,
    /// Longest wait of an admission.
    pub deadline: Duration,
    /// How long shares hold without a word of the server; the same for all
    /// replicas of a group.
    pub lease: Duration,
    /// What happens without it.
    pub on_unavailable: OnUnavailable,
    /// Most counters that are kept at once.
    pub counters_max: usize,
}

/// What the line and the counters share.
pub(crate) struct Inner {
    pub(crate) options: SharedOptions,
    pub(crate) say: fn(&str),
    pub(crate) is_up: AtomicBool,
    pub(crate) failed: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) answered_us: AtomicU64,
    pub(crate) refused: AtomicU64,
    clock: Arc<dyn Clock>,
    shares: Mutex<Shares>,
}

impl Inner {
    /// Nothing yet.
    pub(crate) fn new(options: SharedOptions, clock: Arc<dyn Clock>, say: fn(&str)) -> Self {
        let lease_us = u64::try_from(options.lease.as_micros()).unwrap_or(u64::MAX);
        let shares = Shares::new(&options.replica, lease_us, options.counters_max);
        Self {
            options,
            say,
            is_up: AtomicBool::new(false),
            failed: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            answered_us: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            clock,
            shares: Mutex::new(shares),
        }
    }

    /// The shares, locked for a short while.
    pub(crate) fn shares(&self) -> MutexGuard<'_, Shares> {
        // Each change is made whole before anything can panic.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This moment.
    pub(crate) fn at(&self) -> At {
        self.at_wall(self.clock.unix_us())
    }

    /// This moment, by the clock of a call.
    pub(crate) fn at_wall(&self, now_us: u64) -> At {
        At {
            now_us,
            mono_us: self.clock.now().0 / 1_000,
        }
    }

    /// The server answered after so long.
    pub(crate) fn asked(&self, took_us: u64) {
        self.answered.fetch_add(1, Relaxed);
        self.answered_us.fetch_add(took_us, Relaxed);
    }
}

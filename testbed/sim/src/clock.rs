//! Virtual time: it stands still while anybody can run and then jumps to the
//! next alarm.
//!
//! Deliberately not here: the choice of who runs (`executor`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use contract::seams::{Alarm, Clock, Ticks};

/// Wall time at the start of every run, microseconds since the Unix epoch.
const START_UNIX_US: u64 = 1_700_000_000_000_000;

/// The clock of one run.
#[derive(Clone, Default)]
pub(crate) struct SimClock(Arc<Mutex<Time>>);

#[derive(Default)]
struct Time {
    now_ns: u64,
    /// Wall time, beside the time that passes: what jumps of it came to.
    shift_us: i64,
    next_id: u64,
    alarms: BTreeMap<(u64, u64), Waker>,
}

impl SimClock {
    fn time(&self) -> MutexGuard<'_, Time> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves to the next alarm and wakes who waits for it. `false`: nobody
    /// waits.
    pub(crate) fn advance(&self) -> bool {
        let mut time = self.time();
        let Some(&(at, _)) = time.alarms.keys().next() else {
            return false;
        };
        time.now_ns = time.now_ns.max(at);
        let later = time.alarms.split_off(&(at + 1, 0));
        let due = std::mem::replace(&mut time.alarms, later);
        drop(time);
        due.into_values().for_each(Waker::wake);
        true
    }

    /// Sets the wall clock, forward or back. Nobody who waits notices.
    pub(crate) fn jump(&self, by_us: i64) {
        self.time().shift_us += by_us;
    }

    /// An alarm in `ms` milliseconds.
    pub(crate) fn after_ms(&self, ms: u64) -> Box<dyn Alarm> {
        self.alarm(self.now().plus_ms(ms))
    }

    /// Waits.
    pub(crate) async fn sleep_ms(&self, ms: u64) {
        let mut alarm = self.after_ms(ms);
        std::future::poll_fn(|cx| alarm.poll_ring(cx)).await;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Ticks {
        Ticks(self.time().now_ns)
    }

    fn unix_us(&self) -> u64 {
        let time = self.time();
        let passed = START_UNIX_US + time.now_ns / 1_000;
        passed.saturating_add_signed(time.shift_us)
    }

    fn alarm(&self, at: Ticks) -> Box<dyn Alarm> {
        let mut time = self.time();
        time.next_id += 1;
        Box::new(SimAlarm {
            clock: self.clone(),
            key: (at.0, time.next_id),
        })
    }
}

struct SimAlarm {
    clock: SimClock,
    key: (u64, u64),
}

impl Alarm for SimAlarm {
    fn set(&mut self, at: Ticks) {
        self.clock.time().alarms.remove(&self.key);
        self.key.0 = at.0;
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut time = self.clock.time();
        if time.now_ns >= self.key.0 {
            time.alarms.remove(&self.key);
            return Poll::Ready(());
        }
        time.alarms.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for SimAlarm {
    fn drop(&mut self) {
        self.clock.time().alarms.remove(&self.key);
    }
}

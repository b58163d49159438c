//! The real clock: monotonic time and alarms by the runtime's timers, wall
//! time by the system. Not here: any notion of deadlines or budgets of time.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contract::seams::{Alarm, Clock, Ticks};
use tokio::time::{Instant, Sleep};

/// The start of [`Ticks`], shared by all clocks of the process so that their
/// readings compare.
static START: OnceLock<Instant> = OnceLock::new();

/// The clock of the machine. Alarms need a tokio runtime with timers at the
/// time they are first polled.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    /// A clock; all clocks of a process agree.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: *START.get_or_init(Instant::now),
        }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Ticks {
        let elapsed = Instant::now().saturating_duration_since(self.start);
        Ticks(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    fn unix_us(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn alarm(&self, at: Ticks) -> Box<dyn Alarm> {
        Box::new(RealAlarm {
            start: self.start,
            at: self.start + Duration::from_nanos(at.0.min(ALARM_NS_MAX)),
            timer: None,
        })
    }
}

/// Alarms further away than a century ring after a century: the addition to
/// the start must not overflow.
const ALARM_NS_MAX: u64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// An alarm over one timer. Setting it later, which an idle limit does for
/// every chunk of a stream, only notes the time: the timer rings early and is
/// set again then.
struct RealAlarm {
    start: Instant,
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm for RealAlarm {
    fn set(&mut self, at: Ticks) {
        self.at = self.start + Duration::from_nanos(at.0.min(ALARM_NS_MAX));
        if let Some(timer) = &mut self.timer
            && self.at < timer.deadline()
        {
            timer.as_mut().reset(self.at);
        }
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests;

//! The counters as the flow sees them: everything that goes through is told to
//! the oracle.

use std::sync::{Arc, Mutex};

use contract::seams::Clock;
use meter::{Admitted, Counters, Draw, Level, Measure, Refused, Subject, Want};

use super::life::{Life, lock};
use super::oracle::Oracle;
use crate::clock::SimClock;

/// Counters of one process under the eyes of the oracle.
pub(super) struct Tap {
    pub(super) inner: Arc<dyn Counters>,
    pub(super) oracle: Arc<Mutex<Oracle>>,
    pub(super) life: Arc<Life>,
    pub(super) clock: SimClock,
    /// When they cannot be asked, milliseconds since the start of the run.
    pub(super) down: Vec<(u64, u64)>,
}

impl Counters for Tap {
    fn admit(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        if !self.life.acts() {
            return Err(Refused::Unavailable);
        }
        let now_ms = self.clock.now().0 / 1_000_000;
        let mut down = self.down.iter();
        if down.any(|(from, until)| (*from..*until).contains(&now_ms)) {
            lock(&self.oracle).unasked(subject);
            return Err(Refused::Unavailable);
        }
        let came = self.inner.admit(now_us, subject, wants);
        lock(&self.oracle).admitted(now_us, (subject, wants), &came);
        came
    }

    fn settle(&self, settled: &mut dyn Iterator<Item = (&Draw, i64)>) {
        if !self.life.acts() {
            return;
        }
        let all: Vec<(&Draw, i64)> = settled.collect();
        for (draw, actual) in &all {
            // Cells are not given back.
            if draw.span != meter::Span::NONE {
                lock(&self.oracle).settled(draw, *actual);
            }
        }
        self.inner.settle(&mut all.into_iter());
    }

    fn levels_of(&self, now_us: u64, wants: &[Want<'_>]) -> Vec<i64> {
        let levels = self.inner.levels_of(now_us, wants);
        let told: Vec<(Want<'_>, i64)> = wants.iter().copied().zip(levels.clone()).collect();
        if self.life.is_alive() {
            lock(&self.oracle).looked(now_us, &told);
        }
        levels
    }

    fn levels(&self) -> Vec<Level> {
        self.inner.levels()
    }

    fn debt(&self, measure: Measure) -> i64 {
        self.inner.debt(measure)
    }

    fn sweep(&self, now_us: u64) {
        if self.life.is_alive() {
            lock(&self.oracle).swept(now_us);
        }
        self.inner.sweep(now_us);
    }
}

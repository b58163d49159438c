//! The seam behind which counters live, and the counters of one process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use contract::seams::Going;

use crate::book::{Admitted, Book, Draw, Level, Refused, Want};
use crate::quota::Measure;
use crate::subject::Subject;

/// Where counters live. All calls are short and never wait, but for
/// [`Counters::fetch`].
pub trait Counters: Send + Sync {
    /// Takes all that is wanted, or nothing.
    ///
    /// # Errors
    /// What does not fit.
    fn admit(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused>;
    /// Takes all that is wanted after others were asked for it, within a
    /// deadline; to be called after [`Refused::Short`]. `None` where there is
    /// nobody to be asked.
    fn fetch<'a>(
        &'a self,
        _now_us: u64,
        _subject: &'a Subject<'a>,
        _wants: &'a [Want<'a>],
    ) -> Option<Going<'a, Result<Admitted, Refused>>> {
        None
    }
    /// Settles what was reserved; see [`Book::settle`]. Returns the debt of
    /// each.
    fn settle(&self, settled: &mut dyn Iterator<Item = (&Draw, i64)>);
    /// What stands in the counters of these wants, in their order, without
    /// taking anything.
    fn levels_of(&self, now_us: u64, wants: &[Want<'_>]) -> Vec<i64>;
    /// Every counter that is kept.
    fn levels(&self) -> Vec<Level>;
    /// Estimation debt since the start.
    fn debt(&self, measure: Measure) -> i64;
    /// Lets go of what has passed.
    fn sweep(&self, now_us: u64);
}

/// Counters in the memory of one process.
#[derive(Debug, Default)]
pub struct LocalCounters {
    book: Mutex<Book>,
}

impl LocalCounters {
    /// With these counters.
    pub fn new(book: Book) -> Self {
        Self {
            book: Mutex::new(book),
        }
    }

    /// The counters, locked for a short while.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        // Each change is made whole before anything can panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters for LocalCounters {
    fn admit(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        self.book().admit(now_us, subject, wants)
    }

    fn settle(&self, settled: &mut dyn Iterator<Item = (&Draw, i64)>) {
        let mut book = self.book();
        for (draw, actual) in settled {
            book.settle(draw, actual);
        }
    }

    fn levels_of(&self, now_us: u64, wants: &[Want<'_>]) -> Vec<i64> {
        let book = self.book();
        wants.iter().map(|want| book.level(now_us, want)).collect()
    }

    fn levels(&self) -> Vec<Level> {
        self.book().levels().collect()
    }

    fn debt(&self, measure: Measure) -> i64 {
        self.book().debt(measure)
    }

    fn sweep(&self, now_us: u64) {
        self.book().sweep(now_us);
    }
}

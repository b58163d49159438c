//! Shared counters behind the seam of `meter`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use contract::seams::{Clock, Going};
use meter::{Admitted, Counters, Draw, Level, Measure, Refused, Subject, Want};
use tokio::sync::oneshot;

use crate::call::Status;
use crate::line::{Line, Order};
use crate::replica::{Inner, OnUnavailable, SharedOptions};
use crate::shares::Mode;
use crate::valkey::ValkeyUrl;

/// Most times that one admission asks: others of this replica may take first
/// what was fetched.
const ASKS_MAX: usize = 8;

/// What leases of one measure come to, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseFigures {
    /// Of what.
    pub measure: Measure,
    /// Held by this replica and not used: what others cannot have.
    pub outstanding: i64,
    /// The most that one slice of each counter comes to: the declared bound of
    /// what leases keep from others.
    pub bound: i64,
    /// Used beyond what was leased and not told yet.
    pub overdraft: i64,
}

/// What sharing comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Whether the server answers.
    pub is_up: bool,
    /// Calls that it answered.
    pub answered: u64,
    /// Calls that it did not.
    pub failed: u64,
    /// All answered calls together, microseconds.
    pub answered_us: u64,
    /// Admissions that were refused because it could not be asked.
    pub refused: u64,
    /// By measure.
    pub leases: Vec<LeaseFigures>,
}

/// Counters that replicas share.
pub struct SharedCounters {
    inner: Arc<Inner>,
    line: Line,
}

impl SharedCounters {
    /// Starts to share. The server need not be there yet. What operators
    /// should know is handed to `say`.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        url: ValkeyUrl,
        options: SharedOptions,
        clock: Arc<dyn Clock>,
        say: fn(&str),
    ) -> io::Result<Self> {
        let inner = Arc::new(Inner::new(options, clock, say));
        let line = Line::start(inner.clone(), url)?;
        Ok(Self { inner, line })
    }

    /// Gives back what is held and not used. To be called when no call is
    /// under way any more.
    pub fn close(&self) {
        self.line.close();
    }

    /// What it comes to.
    pub fn figures(&self) -> Figures {
        let held = self.inner.shares().held();
        Figures {
            is_up: self.inner.is_up.load(Relaxed),
            answered: self.inner.answered.load(Relaxed),
            failed: self.inner.failed.load(Relaxed),
            answered_us: self.inner.answered_us.load(Relaxed),
            refused: self.inner.refused.load(Relaxed),
            leases: held
                .into_iter()
                .map(|held| LeaseFigures {
                    measure: held.measure,
                    outstanding: held.outstanding,
                    bound: held.bound,
                    overdraft: held.overdraft,
                })
                .collect(),
        }
    }

    async fn ask(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        for _ in 0..ASKS_MAX {
            if !self.inner.is_up.load(Relaxed) {
                break;
            }
            let asked = {
                let at = self.inner.at_wall(now_us);
                let mut shares = self.inner.shares();
                // Somebody else may have brought it meanwhile.
                match shares.admit(at, subject, wants, Mode::Ask) {
                    Err(Refused::Short) => {}
                    other => return other,
                }
                shares.ask(at, subject, wants)
            };
            let Some(call) = asked else {
                return Err(Refused::Full);
            };
            let (answer, answered) = oneshot::channel();
            if let Err(call) = self.line.send(Order { call, answer }) {
                self.inner.shares().failed(&call);
                break;
            }
            match answered.await {
                Ok(Some(Status::Granted | Status::Short)) => {
                    let at = self.inner.at_wall(now_us);
                    let mut shares = self.inner.shares();
                    match shares.admit(at, subject, wants, Mode::Asked) {
                        Err(Refused::Short) => {}
                        other => return other,
                    }
                }
                Ok(Some(Status::Stale)) => {}
                Ok(Some(Status::Settling) | None) | Err(_) => break,
            }
        }
        self.alone(now_us, subject, wants)
    }

    /// Without the server.
    fn alone(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        let percent = match self.inner.options.on_unavailable {
            OnUnavailable::Closed => 0,
            OnUnavailable::Open { percent } => i64::from(percent),
        };
        let at = self.inner.at_wall(now_us);
        let mode = Mode::Alone { percent };
        let admitted = self.inner.shares().admit(at, subject, wants, mode);
        if admitted == Err(Refused::Unavailable) {
            self.inner.refused.fetch_add(1, Relaxed);
        }
        admitted
    }
}

impl Counters for SharedCounters {
    fn admit(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        let at = self.inner.at_wall(now_us);
        self.inner.shares().admit(at, subject, wants, Mode::Ask)
    }

    fn fetch<'a>(
        &'a self,
        now_us: u64,
        subject: &'a Subject<'a>,
        wants: &'a [Want<'a>],
    ) -> Option<Going<'a, Result<Admitted, Refused>>> {
        Some(Box::pin(async move {
            let deadline = self.inner.options.deadline;
            let asking = self.ask(now_us, subject, wants);
            match tokio::time::timeout(deadline, asking).await {
                Ok(done) => done,
                Err(_) => self.alone(now_us, subject, wants),
            }
        }))
    }

    fn settle(&self, settled: &mut dyn Iterator<Item = (&Draw, i64)>) {
        let mut shares = self.inner.shares();
        for (draw, actual) in settled {
            shares.settle(draw, actual);
        }
    }

    fn levels_of(&self, now_us: u64, wants: &[Want<'_>]) -> Vec<i64> {
        let at = self.inner.at_wall(now_us);
        self.inner.shares().levels_of(at, wants)
    }

    fn levels(&self) -> Vec<Level> {
        self.inner.shares().levels()
    }

    fn debt(&self, measure: Measure) -> i64 {
        self.inner.shares().debt(measure)
    }

    fn sweep(&self, now_us: u64) {
        self.inner.shares().sweep(now_us);
    }
}

impl std::fmt::Debug for SharedCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedCounters")
    }
}

#[cfg(test)]
mod tests;

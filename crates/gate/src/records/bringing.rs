//! The records of this gateway on their way to the database that replicas
//! share. The journal is the truth and the outbox: what is synced there is
//! brought in batches, by a thread that no call waits for.
//!
//! The process that writes the main journal does this; records in a lane
//! follow once they are in it. What was brought, and how far, is the
//! database's own word, so it does not matter who dies when.
//! Deliberately not here: the statements (`store_remote::ledger`).

mod outbox;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use contract::seams::Clock as _;
use evidence::{Evidence, Meter, Sample};
use store::Journal as _;
use store_remote::ledger::SharedLedger;
use store_remote::postgres::PostgresError;
use transport::RealClock;

use super::{Lanes, node};
use crate::database::Database;
use crate::rounds::Rounds;
pub(super) use outbox::wanted;
use outbox::{Outbox, Stopped};

/// Time between two looks at the journal.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Most batches between two looks whether it is over.
const BATCHES_MAX: usize = 50;
/// Longest time in which what is left is brought when the gateway ends.
const LAST_MAX: Duration = Duration::from_secs(5);

/// What is shown of it.
#[derive(Default)]
struct Figures {
    waiting: AtomicU64,
    caught_up_us: AtomicU64,
    brought: AtomicU64,
    failures: AtomicU64,
    unreadable: AtomicU64,
}

/// Starts to bring the records of the journal in `dir`, until the result is
/// dropped.
///
/// # Errors
/// The folder has no name and gets none, or no thread can be started.
pub(super) fn start(
    shared: &Database,
    (data_dir, dir): (&Path, PathBuf),
    lanes: Arc<Lanes>,
    evidence: Evidence,
) -> io::Result<(Rounds, SharedLedger)> {
    let ledger = SharedLedger::new(shared.postgres.clone(), node::of(data_dir)?);
    let figures = Arc::<Figures>::default();
    figures.caught_up_us.store(unix_us(), Relaxed);
    show(evidence.meter(), &figures);
    let mut bringing = Bringing {
        lanes,
        outbox: Outbox::new(dir, ledger.clone()),
        evidence,
        figures,
        closes_after_us: shared
            .settings
            .is_closed
            .then_some(shared.settings.max_lag_ms * 1_000),
        told: String::new(),
    };
    let rounds = Rounds::start("ledger-outbox", LOOK_EVERY, move |is_over| {
        bringing.round(is_over);
    })?;
    Ok((rounds, ledger))
}

struct Bringing {
    lanes: Arc<Lanes>,
    outbox: Outbox,
    evidence: Evidence,
    figures: Arc<Figures>,
    /// Calls are refused once records wait for so long.
    closes_after_us: Option<u64>,
    told: String,
}

impl Bringing {
    fn round(&mut self, is_over: bool) {
        if self.lanes.main_from().is_none() {
            return;
        }
        if is_over {
            return self.last();
        }
        // A power cut takes from the journal what is not synced, and the
        // database must not be ahead of it.
        self.bring(self.lanes.health().synced, BATCHES_MAX);
    }

    /// Brings all that is written, as no call is under way any more.
    fn last(&mut self) {
        let (began, end) = (Instant::now(), self.lanes.head().sequence);
        while began.elapsed() < LAST_MAX && !self.bring(end, 1) {
            if !self.told.is_empty() || !self.outbox.ledger().is_up() {
                return;
            }
        }
    }

    /// Brings what the journal has up to `end`; whether all of it is there.
    fn bring(&mut self, end: u64, batches: usize) -> bool {
        let now_us = unix_us();
        let figures = self.figures.clone();
        // As long as this takes, it waits.
        if self.outbox.at() != Some(end) {
            self.close_from(figures.caught_up_us.load(Relaxed));
        }
        let done = self.outbox.bring(end, batches, &mut |rows| {
            figures.brought.fetch_add(rows, Relaxed);
        });
        let at = self.outbox.at();
        figures
            .waiting
            .store(end.saturating_sub(at.unwrap_or(0)), Relaxed);
        figures.unreadable.store(self.outbox.unreadable(), Relaxed);
        match done {
            Ok(true) => {
                figures.caught_up_us.store(now_us, Relaxed);
                self.evidence.close_from(u64::MAX);
                self.told.clear();
                return true;
            }
            Ok(false) => self.told.clear(),
            Err(why) => self.failed(&why),
        }
        false
    }

    fn failed(&mut self, why: &Stopped) {
        self.figures.failures.fetch_add(1, Relaxed);
        let is_away = match why {
            Stopped::Database(PostgresError::Unasked(_) | PostgresError::Unavailable(_)) => true,
            Stopped::Database(PostgresError::Refused { .. })
            | Stopped::Journal(_)
            | Stopped::Elsewhere => false,
        };
        let why = why.to_string();
        // That the database is away was said by its handle.
        if !is_away && why != self.told {
            crate::say(&format!(
                "records cannot be brought into the database: {why}; they stay in the journal, \
                 and it is tried again"
            ));
        }
        self.told = why;
    }

    fn close_from(&self, caught_up_us: u64) {
        if let Some(after_us) = self.closes_after_us {
            self.evidence
                .close_from(caught_up_us.saturating_add(after_us));
        }
    }
}

fn unix_us() -> u64 {
    RealClock::new().unix_us()
}

fn show(meter: &Meter, figures: &Arc<Figures>) {
    type Read = fn(&Figures) -> f64;
    let gauges: [(&'static str, &'static str, Read); 5] = [
        (
            "tollgate_database_records_waiting",
            "Records of the journal that are not in the database yet",
            |it| it.waiting.load(Relaxed) as f64,
        ),
        (
            "tollgate_database_lag_seconds",
            "Time since all records of the journal were in the database",
            |it| match it.waiting.load(Relaxed) {
                0 => 0.0,
                _ => unix_us().saturating_sub(it.caught_up_us.load(Relaxed)) as f64 / 1e6,
            },
        ),
        (
            "tollgate_database_records_brought",
            "Records that were brought into the database, since the start",
            |it| it.brought.load(Relaxed) as f64,
        ),
        (
            "tollgate_database_bring_failures",
            "Times that records could not be brought into the database, since the start",
            |it| it.failures.load(Relaxed) as f64,
        ),
        (
            "tollgate_database_unreadable",
            "Entries of the journal that are not in the database because they cannot be read",
            |it| it.unreadable.load(Relaxed) as f64,
        ),
    ];
    for (name, help, read) in gauges {
        let figures = figures.clone();
        meter.watch(name, help, move || {
            vec![Sample {
                labels: Vec::new(),
                value: read(&figures),
            }]
        });
    }
}

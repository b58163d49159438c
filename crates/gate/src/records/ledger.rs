//! The counters follow the ledger: at the start they get what the journal
//! says was spent, and while this process runs, what others spend that share
//! its data folder.
//!
//! The journal is read once from the checkpoint on, before the first call,
//! and then a little at a time as it grows. What this process itself spends
//! is settled by its calls; of what it reads, only the records of others are
//! put into the counters: those before it wrote the main journal, and those
//! that it brought in. A call of another process that is under way counts by
//! what it has reserved, until its record is in the main journal.
//! Deliberately not here: adding up (`evidence::ledger`), counting (`meter`).

mod checkpoint;
mod rows;
pub(crate) mod verify;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use contract::seams::Clock as _;
use evidence::{Ledger, Meter, RequestId, Reservation, Sample};
use meter::{Book, Counters as _, Draw, LocalCounters};
use store::{Cursor as _, Inflight, InflightRow, Journal as _, ReadError, Reader};
use transport::RealClock;

use super::{Foreign, Lanes, copied_from, lane_dirs};
use crate::rounds::Rounds;
use checkpoint::Unusable;
pub(super) use checkpoint::reader as read_from;
use rows::{credit, draw_of_row, draw_of_total, has_passed};

/// Time between two looks at the journal and at other processes.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(30);
/// Time between two lines about a long reading.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Entries between two looks at the clock in a long reading, and between two
/// times that passed windows are let go of.
const PROGRESS_ENTRIES: u64 = 16_384;

/// Records by the exchange they are of.
type ById = HashMap<RequestId, Vec<Reservation>>;

/// Reads the ledger.
pub(crate) struct Follower {
    dir: PathBuf,
    checkpoint: PathBuf,
    lanes: Arc<Lanes>,
    inflight: Arc<dyn Inflight>,
    foreign: Arc<Foreign>,
    reader: Reader,
    ledger: Ledger,
    /// What lanes of others have and the main journal will get.
    in_lanes: ById,
    /// What calls of other processes hold that are under way.
    leases: HashMap<RequestId, Vec<Draw>>,
    /// Rows of other processes whose record is in the main journal.
    journaled: HashSet<RequestId>,
}

/// What is shown of it.
#[derive(Default)]
struct Figures {
    lag: AtomicU64,
    windows: AtomicU64,
    leases: AtomicU64,
    unreadable: AtomicU64,
    checkpoint_us: AtomicU64,
    comparisons: AtomicU64,
    drift: AtomicU64,
}

impl Follower {
    /// Reads what is there. To be called before anything is brought into the
    /// journal beside this thread. `beside` is what other processes have under
    /// way, and what is brought in for them.
    ///
    /// # Errors
    /// The journal cannot be read, so nobody knows what was spent.
    pub(crate) fn open(
        data_dir: &Path,
        dir: &Path,
        lanes: Arc<Lanes>,
        beside: (Arc<dyn Inflight>, Arc<Foreign>),
    ) -> io::Result<Self> {
        let (inflight, foreign) = beside;
        let own = lanes.own_side();
        let (in_lanes, mark) = rows::of_lanes(dir, own.as_ref())?;
        let path = data_dir.join(checkpoint::FILE);
        let (ledger, reader) = match checkpoint::load(&path, dir) {
            Ok(found) => found,
            Err(unusable) => {
                if let Unusable::Wrong(why) = unusable {
                    crate::say(&format!(
                        "the checkpoint of the ledger cannot be used ({why}); the journal is read \
                         from its start, which loses nothing"
                    ));
                }
                let reader = checkpoint::reader(dir, 1).map_err(unreadable)?;
                (Ledger::default(), reader)
            }
        };
        let mut this = Self {
            dir: dir.to_owned(),
            checkpoint: path,
            lanes,
            inflight,
            foreign,
            reader,
            ledger,
            in_lanes,
            leases: HashMap::new(),
            journaled: HashSet::new(),
        };
        this.read_all().map_err(unreadable)?;
        let known = this.journaled_since(mark, |this, id| this.in_lanes.contains_key(id));
        for id in known.map_err(unreadable)? {
            this.in_lanes.remove(&id);
        }
        Ok(this)
    }

    /// Reads to the end before there are any calls: all of it is of others.
    fn read_all(&mut self) -> Result<(), ReadError> {
        let mut told = Instant::now();
        let (from, mut now_us) = (self.ledger.head().sequence, unix_us());
        while let Some(entry) = self.reader.next_entry()? {
            if let Some((id, _)) = self.ledger.take(&entry, now_us) {
                self.foreign.take(&id);
            }
            if (entry.sequence - from).is_multiple_of(PROGRESS_ENTRIES) {
                now_us = unix_us();
                self.ledger.prune(now_us);
                if told.elapsed() >= PROGRESS_EVERY {
                    told = Instant::now();
                    crate::say(&format!(
                        "reading what was spent: {} of {} records",
                        entry.sequence,
                        self.lanes.head().sequence.max(entry.sequence)
                    ));
                }
            }
        }
        self.ledger.prune(now_us);
        Ok(())
    }

    /// The exchanges that are `wanted` and whose record the main journal has
    /// after `mark`, as far as it was read.
    fn journaled_since(
        &self,
        mark: Option<u64>,
        wanted: impl Fn(&Self, &RequestId) -> bool,
    ) -> Result<Vec<RequestId>, ReadError> {
        let end = self.ledger.head().sequence;
        let Some(mark) = mark.filter(|mark| *mark < end) else {
            return Ok(Vec::new());
        };
        let mut reader = checkpoint::reader(&self.dir, mark + 1)?;
        let mut found = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            if entry.sequence > end {
                break;
            }
            let id = evidence::Record::decode_rows(&entry.payload).map(|(id, _)| id);
            found.extend(id.ok().filter(|id| wanted(self, id)));
        }
        Ok(found)
    }

    /// Puts what was spent into the counters, and goes on with the journal
    /// until the result is dropped.
    ///
    /// # Errors
    /// The journal or the tables of other processes cannot be read, or no
    /// thread can be started.
    pub(crate) fn follow(
        mut self,
        counters: &Arc<LocalCounters>,
        meter: &Meter,
    ) -> io::Result<Rounds> {
        self.fill(counters)?;
        let figures = Arc::<Figures>::default();
        show(meter, &figures);
        let following = Following {
            follower: self,
            counters: counters.clone(),
            figures,
            tidied: Instant::now(),
            saved_at: None,
            compared_at: None,
            told: String::new(),
        };
        following.start()
    }

    /// Puts all that was spent, and what others hold, into the counters.
    fn fill(&mut self, counters: &LocalCounters) -> io::Result<()> {
        let now_us = unix_us();
        let mut book = counters.book();
        for (window, total) in self.ledger.totals() {
            if let Some(draw) = draw_of_total(window, total)
                && !has_passed(&draw, now_us)
            {
                book.credit(&draw, total.settled);
            }
        }
        for rows in self.in_lanes.values() {
            credit(&mut book, rows, now_us);
        }
        drop(book);
        self.look(counters)
    }

    /// Reads on, and looks at what others have under way.
    fn look(&mut self, counters: &LocalCounters) -> io::Result<()> {
        // In this order: a row that is gone has its record in the journal,
        // and what a lane that is gone held is there too.
        let has_lanes = self.has_lanes_of_others();
        let rows = self.inflight.others().map_err(io::Error::other)?;
        self.read_on(counters).map_err(io::Error::other)?;
        self.lease(&rows, has_lanes, counters)
    }

    fn has_lanes_of_others(&self) -> bool {
        let own = self.lanes.own_side();
        let is_own = |lane: &Path| own.as_ref().is_some_and(|(own, _)| own == lane);
        let mut lanes = lane_dirs(&self.dir).skip(1);
        lanes.any(|lane| lane.exists() && !is_own(&lane))
    }

    /// Adds what the journal has more, and puts what others spent into the
    /// counters.
    fn read_on(&mut self, counters: &LocalCounters) -> Result<(), ReadError> {
        let now_us = unix_us();
        while let Some(entry) = self.reader.next_entry()? {
            let Some((id, rows)) = self.ledger.take(&entry, now_us) else {
                continue;
            };
            // Asked after the entry was read: it is set before one is written.
            let from = self.lanes.main_from();
            let is_own = from.is_some_and(|from| entry.sequence > from);
            if is_own && !self.foreign.take(&id) || self.in_lanes.remove(&id).is_some() {
                continue;
            }
            let mut book = counters.book();
            release(&mut book, self.leases.remove(&id));
            credit(&mut book, &rows, now_us);
        }
        Ok(())
    }

    /// Reserves what others have under way, and lets go of what left no trace.
    fn lease(
        &mut self,
        rows: &[InflightRow],
        has_lanes: bool,
        counters: &LocalCounters,
    ) -> io::Result<()> {
        let (mut new, mut there) = (ById::new(), HashSet::new());
        let mut mark = None;
        for row in rows {
            // One that cannot be read is told of by whoever brings it in.
            let Ok((id, reservations)) = evidence::Record::decode_rows(&row.bytes) else {
                continue;
            };
            there.insert(id);
            let is_known = self.leases.contains_key(&id)
                || self.journaled.contains(&id)
                || self.in_lanes.contains_key(&id);
            if !is_known {
                mark = Some(row.since.min(mark.unwrap_or(u64::MAX)));
                new.insert(id, reservations);
            }
        }
        let known = self.journaled_since(mark, |_, id| new.contains_key(id));
        for id in known.map_err(io::Error::other)? {
            new.remove(&id);
            self.journaled.insert(id);
        }
        self.journaled.retain(|id| there.contains(id));
        let mut book = counters.book();
        for (id, rows) in new {
            let draws: Vec<Draw> = rows.iter().filter_map(draw_of_row).collect();
            draws.iter().for_each(|draw| book.restore(draw));
            self.leases.insert(id, draws);
        }
        if !has_lanes {
            let gone = self.leases.extract_if(|id, _| !there.contains(id));
            gone.for_each(|(_, draws)| release(&mut book, Some(draws)));
        }
        Ok(())
    }

    /// How many counters are not what the ledger says; none where that cannot
    /// be told, because something is under way.
    fn compare(&mut self, counters: &LocalCounters) -> Option<usize> {
        let is_settled = |this: &Self| {
            this.lanes.main_from().is_some()
                && this.lanes.own_side().is_none()
                && this.leases.is_empty()
                && this.in_lanes.is_empty()
        };
        let before = self.lanes.health();
        if !is_settled(self) || before.slots_in_use > 0 {
            return None;
        }
        self.read_on(counters).ok()?;
        let now_us = unix_us();
        let totals = self.ledger.totals().filter_map(|(window, total)| {
            let draw = draw_of_total(window, total)?;
            let stands = !has_passed(&draw, now_us);
            stands.then_some((draw.counter, draw.span, total.settled))
        });
        let differing = counters.book().differing(now_us, totals);
        let after = self.lanes.health();
        let is_still = after.slots_in_use == 0
            && after.sent == before.sent
            && after.sent == self.ledger.head().sequence;
        is_still.then_some(differing)
    }
}

fn release(book: &mut Book, draws: Option<Vec<Draw>>) {
    for draw in draws.unwrap_or_default() {
        book.settle(&draw, 0);
    }
}

fn unreadable(error: ReadError) -> io::Error {
    io::Error::other(format!(
        "what was spent cannot be read from the journal: {error}; see `tollgate logs verify`, and \
         put the damaged segment back from a copy"
    ))
}

fn unix_us() -> u64 {
    RealClock::new().unix_us()
}

/// A follower at work.
struct Following {
    follower: Follower,
    counters: Arc<LocalCounters>,
    figures: Arc<Figures>,
    tidied: Instant,
    /// The entries at which it was written down, and compared, last.
    saved_at: Option<u64>,
    compared_at: Option<u64>,
    told: String,
}

impl Following {
    fn start(mut self) -> io::Result<Rounds> {
        self.show();
        Rounds::start("ledger", LOOK_EVERY, move |is_over| self.round(is_over))
    }

    fn round(&mut self, is_over: bool) {
        if let Err(why) = self.follower.look(&self.counters) {
            let why = why.to_string();
            if why != self.told {
                crate::say(&format!(
                    "the counters cannot follow the ledger: {why}; it is tried again, and calls \
                     of this process count meanwhile"
                ));
                self.told = why;
            }
        }
        let at = self.follower.ledger.head().sequence;
        if self.compared_at != Some(at)
            && let Some(differing) = self.follower.compare(&self.counters)
        {
            self.compared_at = Some(self.follower.ledger.head().sequence);
            self.figures.drift.store(differing as u64, Relaxed);
            self.figures.comparisons.fetch_add(1, Relaxed);
        }
        if is_over || self.tidied.elapsed() >= CHECKPOINT_EVERY {
            self.tidied = Instant::now();
            self.tidy();
        }
        self.show();
    }

    /// Lets go of what has passed, and writes the ledger down.
    fn tidy(&mut self) {
        let now_us = unix_us();
        self.follower.ledger.prune(now_us);
        self.counters.sweep(now_us);
        let at = self.follower.ledger.head().sequence;
        // The process that writes the main journal does this for all.
        let is_ours = self.follower.lanes.main_from().is_some();
        if !is_ours || self.saved_at == Some(at) {
            return;
        }
        match checkpoint::save(&self.follower.checkpoint, &self.follower.ledger) {
            Ok(()) => {
                self.saved_at = Some(at);
                self.figures.checkpoint_us.store(now_us, Relaxed);
            }
            Err(why) => crate::say(&format!(
                "the checkpoint of the ledger cannot be written: {why}; nothing is lost, but the \
                 next start reads more of the journal"
            )),
        }
    }

    fn show(&self) {
        let Follower {
            ledger,
            lanes,
            leases,
            ..
        } = &self.follower;
        let head = lanes
            .main_from()
            .map_or(ledger.head().sequence, |_| lanes.head().sequence);
        let figures = &self.figures;
        let lag = head.saturating_sub(ledger.head().sequence);
        figures.lag.store(lag, Relaxed);
        figures.windows.store(ledger.len() as u64, Relaxed);
        figures.leases.store(leases.len() as u64, Relaxed);
        figures.unreadable.store(ledger.unreadable(), Relaxed);
    }
}

fn show(meter: &Meter, figures: &Arc<Figures>) {
    type Read = fn(&Figures) -> Option<u64>;
    let gauges: [(&'static str, &'static str, Read); 7] = [
        (
            "tollgate_ledger_lag",
            "Entries of the journal that the ledger has not added up yet",
            |it| Some(it.lag.load(Relaxed)),
        ),
        (
            "tollgate_ledger_windows",
            "Windows of limits and budgets that the ledger keeps",
            |it| Some(it.windows.load(Relaxed)),
        ),
        (
            "tollgate_ledger_leases",
            "Calls of other processes of the data folder that count as reserved",
            |it| Some(it.leases.load(Relaxed)),
        ),
        (
            "tollgate_ledger_unreadable",
            "Entries of the journal that are in no sum because they cannot be read",
            |it| Some(it.unreadable.load(Relaxed)),
        ),
        (
            "tollgate_ledger_checkpoint_age_seconds",
            "Time since the ledger was written down",
            |it| {
                let at_us = it.checkpoint_us.load(Relaxed);
                (at_us > 0).then(|| unix_us().saturating_sub(at_us) / 1_000_000)
            },
        ),
        (
            "tollgate_ledger_drift",
            "Counters that were not what the ledger says when they were compared last",
            |it| Some(it.drift.load(Relaxed)),
        ),
        (
            "tollgate_ledger_comparisons",
            "Times that counters and ledger were compared, which is when nothing is under way",
            |it| Some(it.comparisons.load(Relaxed)),
        ),
    ];
    for (name, help, read) in gauges {
        let figures = figures.clone();
        meter.watch(name, help, move || {
            let value = read(&figures);
            let sample = value.map(|value| Sample {
                labels: Vec::new(),
                value: value as f64,
            });
            sample.into_iter().collect()
        });
    }
}

#[cfg(test)]
mod tests;

//! The thread that fills the index.
//!
//! Deliberately not here: queries.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, params};

use super::{Extract, IndexError, IndexOptions, IndexStatus, Leg, Row};
use crate::journal::{Cursor, Entry, EntryKind, Head, Journal, Place, ReadError};

/// How much nicer than the rest of the process the thread is.
const NICENESS: i32 = 19;

const INSERT: &str = "INSERT INTO records VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
  ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26,
  ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37)";

const INSERT_LEG: &str = "INSERT INTO legs VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// What the index and its thread tell each other.
pub(super) struct Signals {
    shared: Mutex<Shared>,
    changed: Condvar,
}

#[derive(Default)]
struct Shared {
    status: IndexStatus,
    rebuild: bool,
    stop: bool,
    /// Somebody waits for this sequence: do not sleep before it.
    hurry_to: u64,
}

impl Signals {
    pub(super) fn new(rebuilds: u64) -> Self {
        let mut shared = Shared::default();
        shared.status.rebuilds = rebuilds;
        Self {
            shared: Mutex::new(shared),
            changed: Condvar::new(),
        }
    }

    pub(super) fn status(&self) -> IndexStatus {
        self.lock().status.clone()
    }

    pub(super) fn ask_rebuild(&self) {
        let mut shared = self.lock();
        shared.rebuild = true;
        // From here on nothing counts as indexed.
        shared.status.indexed = 0;
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
    }

    pub(super) fn wait_for(&self, sequence: u64, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        let mut shared = self.lock();
        shared.hurry_to = shared.hurry_to.max(sequence);
        self.changed.notify_all();
        while shared.rebuild || shared.status.indexed < sequence {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(shared, left);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Sleeps until `wait` has passed or there is something to do at once.
    fn sleep(&self, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut shared = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let hurry = shared.status.error.is_none() && shared.hurry_to > shared.status.indexed;
            if left.is_zero() || shared.stop || shared.rebuild || hurry {
                return;
            }
            let waited = self.changed.wait_timeout(shared, left);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing that can panic runs under this lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The indexing side of an index.
pub(super) struct Indexer {
    connection: Connection,
    journal: Arc<dyn Journal>,
    extract: Extract,
    options: IndexOptions,
    mark: Mark,
    cursor: Option<Box<dyn Cursor>>,
    /// Head at the last look, and when that was, for the rate.
    seen: (u64, Instant),
}

/// How far the index is, as its table `state` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    head: Head,
    /// Where the last entry lies.
    place: Place,
    recorded_us: u64,
    undecodable: u64,
}

impl Indexer {
    pub(super) fn new(
        connection: Connection,
        journal: Arc<dyn Journal>,
        extract: Extract,
        options: IndexOptions,
    ) -> Result<Self, IndexError> {
        let mark = Mark::load(&connection)?;
        let seen = (journal.head().sequence, Instant::now());
        Ok(Self {
            connection,
            journal,
            extract,
            options,
            mark,
            cursor: None,
            seen,
        })
    }

    /// Checks the index against its journal before anybody asks for its state.
    pub(super) fn begin(&mut self, signals: &Signals) {
        match self.attach(signals) {
            Ok(()) => self.publish(signals),
            Err(error) => self.recover_from(&error, signals),
        }
    }

    fn publish(&self, signals: &Signals) {
        let mut shared = signals.lock();
        if !shared.rebuild {
            shared.status.indexed = self.mark.head.sequence;
        }
        shared.status.undecodable = self.mark.undecodable;
        signals.changed.notify_all();
    }

    pub(super) fn run(&mut self, signals: &Signals) {
        // Where it cannot be made nicer, the share below still bounds it.
        let _ = rustix::process::nice(NICENESS);
        let interval = Duration::from_millis(self.options.interval_ms);
        loop {
            let rebuild = {
                let shared = signals.lock();
                if shared.stop {
                    return;
                }
                shared.rebuild
            };
            let (began, before) = (Instant::now(), self.mark.head.sequence);
            let result = if rebuild {
                self.restart(signals)
            } else {
                self.round(signals)
            };
            let rest = match result {
                Ok(more) => {
                    signals.lock().status.error = None;
                    self.publish(signals);
                    if before == self.mark.head.sequence && !rebuild {
                        // Whoever hurries waits for the interval, so that an
                        // entry that does not come makes no busy loop.
                        signals.lock().hurry_to = before;
                    }
                    if more {
                        self.pause(began.elapsed())
                    } else {
                        interval
                    }
                }
                Err(error) => {
                    self.recover_from(&error, signals);
                    interval
                }
            };
            signals.sleep(rest);
        }
    }

    /// One transaction. `true` if there may be more to do.
    fn round(&mut self, signals: &Signals) -> Result<bool, IndexError> {
        let head = self.journal.head().sequence;
        if self.cursor.is_none() || head < self.mark.head.sequence {
            self.attach(signals)?;
        }
        let entries = self.read(head)?;
        let Some(last) = entries.last() else {
            return Ok(false);
        };
        let mut mark = self.mark;
        mark.head = last.head();
        mark.place = last.place;
        let transaction = self.connection.transaction()?;
        for entry in &entries {
            match entry.kind {
                EntryKind::Record => match (self.extract)(&entry.payload) {
                    Ok(row) => insert(&transaction, entry, &row, &mut mark.recorded_us)?,
                    Err(_) => mark.undecodable += 1,
                },
                EntryKind::Clipped => mark.undecodable += 1,
                EntryKind::Gap => {}
            }
        }
        mark.save(&transaction)?;
        transaction.commit()?;
        self.mark = mark;
        Ok(entries.len() as u64 >= self.options.batch_rows)
    }

    /// The next entries that readers may see.
    fn read(&mut self, head: u64) -> Result<Vec<Entry>, IndexError> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(Vec::new());
        };
        let wanted = head
            .saturating_sub(self.mark.head.sequence)
            .min(self.options.batch_rows);
        let mut entries = Vec::new();
        while (entries.len() as u64) < wanted {
            match cursor.next_entry() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => break,
                Err(error) => {
                    self.cursor = None;
                    return Err(error.into());
                }
            }
        }
        Ok(entries)
    }

    /// Opens the journal behind the last indexed entry. Where the journal does
    /// not hold that entry, the index is of another one and is emptied.
    fn attach(&mut self, signals: &Signals) -> Result<(), IndexError> {
        let head = self.journal.head().sequence;
        self.cursor = self.open_cursor(head)?;
        if self.cursor.is_none() {
            self.restart(signals)?;
            self.cursor = self.open_cursor(head)?;
        }
        Ok(())
    }

    /// A cursor behind the last indexed entry; `None` if that entry is not in
    /// this journal.
    fn open_cursor(&self, head: u64) -> Result<Option<Box<dyn Cursor>>, IndexError> {
        let last = self.mark.head;
        if last.sequence > head {
            return Ok(None);
        }
        let wanted = last.sequence.max(1);
        let hint = (last.sequence > 0).then_some(self.mark.place);
        let mut cursor = match self.journal.cursor(wanted, hint) {
            Ok(cursor) => cursor,
            // Older segments were removed, perhaps before they were indexed.
            Err(ReadError::Missing { first, .. }) if first > wanted => {
                return Ok(Some(
                    self.journal.cursor(first.max(last.sequence + 1), None)?,
                ));
            }
            Err(error) => return Err(error.into()),
        };
        if last.sequence == 0 {
            return Ok(Some(cursor));
        }
        match cursor.next_entry() {
            Ok(Some(entry)) => Ok((entry.head() == last).then_some(cursor)),
            Ok(None) | Err(ReadError::Damaged { .. } | ReadError::Missing { .. }) => Ok(None),
            Err(error @ ReadError::Io { .. }) => Err(error.into()),
        }
    }

    /// Empties the tables; the next rounds read the journal from its start.
    fn restart(&mut self, signals: &Signals) -> Result<bool, IndexError> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM records", [])?;
        transaction.execute("DELETE FROM legs", [])?;
        let mark = Mark::default();
        mark.save(&transaction)?;
        transaction.commit()?;
        self.mark = mark;
        self.cursor = None;
        let mut shared = signals.lock();
        shared.rebuild = false;
        shared.status.indexed = 0;
        shared.status.rebuilds += 1;
        Ok(true)
    }

    /// How long to rest after a full round of this length, so that indexing
    /// takes no more than its share while the gateway is busy.
    fn pause(&mut self, worked: Duration) -> Duration {
        let head = self.journal.head().sequence;
        let (seen, at) = self.seen;
        let elapsed_us = u64::try_from(at.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        let rate = head.saturating_sub(seen).saturating_mul(1_000_000) / elapsed_us;
        if elapsed_us > 500_000 {
            self.seen = (head, Instant::now());
        }
        if rate <= self.options.busy_entries_per_s {
            return Duration::ZERO;
        }
        let share = u32::try_from(self.options.busy_percent.clamp(1, 100)).unwrap_or(100);
        worked * (100 - share) / share
    }

    fn recover_from(&mut self, error: &IndexError, signals: &Signals) {
        self.cursor = None;
        let mut shared = signals.lock();
        shared.status.error = Some(error.to_string());
        signals.changed.notify_all();
    }
}

impl Mark {
    fn load(connection: &Connection) -> Result<Self, IndexError> {
        let sql = "SELECT sequence, hash, segment, offset, recorded_us, undecodable FROM state";
        Ok(connection.query_row(sql, [], |row| {
            Ok(Self {
                head: Head {
                    sequence: row.get(0)?,
                    hash: row.get(1)?,
                },
                place: Place {
                    segment: row.get(2)?,
                    offset: row.get(3)?,
                },
                recorded_us: row.get(4)?,
                undecodable: row.get(5)?,
            })
        })?)
    }

    fn save(&self, transaction: &Transaction) -> Result<(), rusqlite::Error> {
        let sql = "UPDATE state SET sequence = ?1, hash = ?2, segment = ?3, offset = ?4, \
                   recorded_us = ?5, undecodable = ?6";
        let mut statement = transaction.prepare_cached(sql)?;
        statement.execute(params![
            self.head.sequence,
            self.head.hash,
            self.place.segment,
            self.place.offset,
            self.recorded_us,
            self.undecodable,
        ])?;
        Ok(())
    }
}

fn insert(
    transaction: &Transaction,
    entry: &Entry,
    row: &Row,
    recorded_us: &mut u64,
) -> Result<(), rusqlite::Error> {
    *recorded_us = (*recorded_us).max(bounded(row.ended_us));
    let mut statement = transaction.prepare_cached(INSERT)?;
    statement.execute(params![
        entry.sequence,
        entry.place.segment,
        entry.place.offset,
        *recorded_us,
        bounded(row.arrived_us),
        bounded(row.ended_us),
        row.request_id,
        row.tenant,
        row.app,
        row.key_id,
        row.operation,
        row.dialect,
        row.provider,
        row.model,
        row.status,
        row.outcome,
        row.fault,
        row.origin,
        row.stream,
        bounded(row.input_tokens),
        bounded(row.output_tokens),
        bounded(row.duration_us),
        row.first_token_us.map(bounded),
        row.cost_nanos,
        row.plan,
        row.use_case,
        row.user,
        row.cost_center,
        row.price_version,
        bounded(row.cached_read_tokens),
        bounded(row.cached_write_tokens),
        bounded(row.reasoning_tokens),
        row.estimated,
        row.limit.as_ref().map(|hit| &hit.name),
        row.limit.as_ref().map(|hit| &hit.kind),
        row.limit.as_ref().map(|hit| &hit.verdict),
        row.legs
            .iter()
            .fold(0_i64, |sum, leg| sum.saturating_add(leg.cost_nanos)),
    ])?;
    row.legs
        .iter()
        .try_for_each(|leg| insert_leg(transaction, entry.sequence, leg))
}

fn insert_leg(transaction: &Transaction, sequence: u64, leg: &Leg) -> Result<(), rusqlite::Error> {
    let mut statement = transaction.prepare_cached(INSERT_LEG)?;
    statement.execute(params![
        sequence,
        leg.provider,
        leg.model,
        bounded(leg.input_tokens),
        bounded(leg.output_tokens),
        bounded(leg.cached_read_tokens),
        bounded(leg.cached_write_tokens),
        bounded(leg.reasoning_tokens),
        leg.estimated,
        leg.cost_nanos,
    ])?;
    Ok(())
}

/// SQLite's integers are signed; a provider may send anything.
fn bounded(value: u64) -> u64 {
    value.min(i64::MAX.unsigned_abs())
}

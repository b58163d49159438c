//! From a place in the journal to the database, batch by batch.
//!
//! Deliberately not here: when, and what is told of it.

use std::path::{Path, PathBuf};

use evidence::{Record, Reservation};
use store::{Cursor as _, Entry, EntryKind, Head, ReadError, Reader};
use store_remote::ledger::{Brought, LedgerRow, Outcome, Position, SharedLedger, Wanted};
use store_remote::postgres::PostgresError;

use crate::records::ledger::read_from;

/// Most records of a batch.
const ROWS_MAX: usize = 500;
/// Bytes of records after which a batch ends.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// How often all of the journal is brought again, until the next start.
const MISFITS_MAX: u32 = 5;

/// Why nothing more is brought.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Database(#[from] PostgresError),
    #[error(transparent)]
    Journal(#[from] ReadError),
    #[error(
        "somebody else brings records under the name of this data folder. Is it a copy of \
         another one in use? Remove `node.id` from one of them, and restart it"
    )]
    Elsewhere,
}

/// The journal, as far as the database has it.
pub(super) struct Outbox {
    dir: PathBuf,
    ledger: SharedLedger,
    standing: Option<Standing>,
    /// How often the database spoke of another journal.
    misfits: u32,
    /// Up to where the database had the journal, and how many entries before
    /// that cannot be read, when it said so last.
    known: Option<(u64, u64)>,
}

/// Where reading and database are.
struct Standing {
    reader: Reader,
    /// An entry that was read and is for a later batch.
    next: Option<Entry>,
    /// Up to where was read. It is behind the database where another journal
    /// was brought under this name.
    read: Position,
    /// What the database says.
    position: Position,
}

/// A batch, and where it ends.
struct Batch {
    records: Vec<Brought>,
    to: Position,
}

impl Outbox {
    pub(super) fn new(dir: PathBuf, ledger: SharedLedger) -> Self {
        Self {
            dir,
            ledger,
            standing: None,
            misfits: 0,
            known: None,
        }
    }

    pub(super) fn ledger(&self) -> &SharedLedger {
        &self.ledger
    }

    /// Up to where the database has the journal, where that is known.
    pub(super) fn at(&self) -> Option<u64> {
        self.known.map(|(at, _)| at)
    }

    /// Entries that cannot be read, as far as is known.
    pub(super) fn unreadable(&self) -> u64 {
        self.known.map_or(0, |(_, unreadable)| unreadable)
    }

    /// Brings what the journal has up to `end`, in so many batches at most,
    /// and tells of each how many records it had; whether all is there.
    ///
    /// # Errors
    /// Something could not be brought; it is as it was.
    pub(super) fn bring(
        &mut self,
        end: u64,
        batches: usize,
        told: &mut dyn FnMut(u64),
    ) -> Result<bool, Stopped> {
        let done = self.bring_some(end, batches, told);
        if let Some(Standing { read, .. }) = &self.standing {
            self.known = Some((read.sequence, read.unreadable));
        }
        if done.is_err() {
            // What became of the last batch, the database tells.
            self.standing = None;
        }
        done
    }

    fn bring_some(
        &mut self,
        end: u64,
        batches: usize,
        told: &mut dyn FnMut(u64),
    ) -> Result<bool, Stopped> {
        let standing = match &mut self.standing {
            Some(standing) => standing,
            none => none.insert(Standing::find(&self.dir, &self.ledger, &mut self.misfits)?),
        };
        let mut is_found_again = false;
        for _ in 0..batches {
            let batch = standing.batch(end)?;
            if batch.to == standing.read && standing.read == standing.position {
                return Ok(true);
            }
            let (rows, to) = (batch.records.len() as u64, batch.to);
            match self.ledger.bring(standing.position, to, batch.records)? {
                Outcome::Done => {}
                Outcome::Elsewhere if is_found_again => return Err(Stopped::Elsewhere),
                // It was put back from a copy, or emptied.
                Outcome::Elsewhere => {
                    is_found_again = true;
                    *standing = Standing::find(&self.dir, &self.ledger, &mut self.misfits)?;
                    continue;
                }
            }
            (standing.read, standing.position) = (to, to);
            told(rows);
        }
        Ok(standing.read.sequence >= end)
    }
}

impl Standing {
    /// Finds the place in the journal that the database speaks of.
    fn find(dir: &Path, ledger: &SharedLedger, misfits: &mut u32) -> Result<Self, Stopped> {
        let position = ledger.position()?;
        let mut this = Self {
            next: None,
            read: position,
            position,
            reader: read_from(dir, position.sequence.max(1))?,
        };
        if position.sequence == 0 {
            return Ok(this);
        }
        let head = Head {
            sequence: position.sequence,
            hash: position.hash,
        };
        match this.reader.next_entry()? {
            Some(entry) if entry.head() == head => {}
            // Older segments were removed, which is the operator's right.
            Some(entry) if entry.sequence > head.sequence => {
                if entry.sequence > head.sequence + 1 {
                    crate::say(&format!(
                        "the journal begins with record {}, and the database has those up to {} \
                         only: the ones between were removed before they were brought",
                        entry.sequence, head.sequence
                    ));
                }
                this.next = Some(entry);
            }
            // Two who take turns would bring all they have again and again.
            Some(_) | None if *misfits == MISFITS_MAX => return Err(Stopped::Elsewhere),
            Some(_) | None => {
                *misfits += 1;
                crate::say(
                    "what the database says of this journal does not fit it (was it put back from \
                     an older copy, or begun anew?): all of it is brought again, each record once",
                );
                this.read = Position::default();
                this.reader = read_from(dir, 1)?;
            }
        }
        Ok(this)
    }

    /// What comes next, up to `end`.
    fn batch(&mut self, end: u64) -> Result<Batch, ReadError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut to = self.read;
        while records.len() < ROWS_MAX && bytes < BYTES_MAX {
            let next = match self.next.take() {
                Some(entry) => Some(entry),
                None => self.reader.next_entry()?,
            };
            let Some(entry) = next else {
                break;
            };
            if entry.sequence > end {
                self.next = Some(entry);
                break;
            }
            (to.sequence, to.hash) = (entry.sequence, entry.hash);
            bytes += entry.payload.len();
            match entry.kind {
                EntryKind::Gap => {}
                EntryKind::Clipped => to.unreadable += 1,
                EntryKind::Record => match brought(entry, &mut to.recorded_us) {
                    Some(record) => records.push(record),
                    None => to.unreadable += 1,
                },
            }
        }
        Ok(Batch { records, to })
    }
}

/// A record as the database has it.
fn brought(entry: Entry, recorded_us: &mut u64) -> Option<Brought> {
    let record = Record::decode(&entry.payload).ok()?;
    let row = evidence::row(&record);
    *recorded_us = (*recorded_us).max(row.ended_us);
    Some(Brought {
        sequence: entry.sequence,
        recorded_us: *recorded_us,
        ledger: record.reservations.iter().map(ledger_row).collect(),
        row,
        payload: entry.payload,
    })
}

/// What the database should have of an entry; none of one without a record.
pub(in crate::records) fn wanted(entry: Entry) -> Option<Wanted> {
    let record = match entry.kind {
        EntryKind::Record => Record::decode(&entry.payload).ok()?,
        EntryKind::Gap | EntryKind::Clipped => return None,
    };
    Some(Wanted {
        request_id: *record.id.as_bytes(),
        ledger: record.reservations.iter().map(ledger_row).collect(),
        payload: entry.payload,
    })
}

fn ledger_row(row: &Reservation) -> LedgerRow {
    LedgerRow {
        quota: row.quota.to_string(),
        kind: row.kind.to_string(),
        measure: row.measure.to_string(),
        scope: row.scope.to_string(),
        counter: row.counter,
        from_us: row.from_us,
        until_us: row.until_us,
        after_us: row.after_us,
        reserved: row.reserved,
        settled: row.settled,
        level: row.level,
        limit: row.limit,
        attempt: row.attempt,
    }
}

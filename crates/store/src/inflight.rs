//! What is under way: a table with a row for each exchange whose end is not
//! yet in the journal, so that a process that is killed forgets none of it.
//!
//! The journal gathers what is sent for a few milliseconds. A row of this
//! table is handed to the operating system before [`Inflight::begin`]
//! returns, with one positioned write, no sync, and no other thread: it
//! survives the death of the process, and not a power cut.
//!
//! Each process has files of its own (`<id>.tbl`), one for each thread that
//! writes at the same time, locked for as long as it lives. What a dead one left is read by [`Tables::dead`]. A row may be
//! there although its record is in the journal: whoever brings rows into the
//! journal passes over what is there, from [`DeadTable::mark`] on. Each row
//! has a mark of its own, so it holds however old the row turns out to be that
//! a power cut has left.
//! Deliberately not here: what a row says (bytes of the caller), and bringing
//! rows into the journal.

mod cells;
pub mod conformance;
mod dead;
mod lanes;
mod pool;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::journal::Ticket;

pub use cells::ROW_BYTES_MAX;
pub use dead::{DeadTable, Tables};
pub use lanes::{InflightLanes, TABLES_MAX};
pub use table::InflightTable;

/// Settings of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InflightOptions {
    /// Most rows: exchanges under way, and ended ones that the journal has not
    /// written yet.
    pub slots_max: u32,
}

impl Default for InflightOptions {
    fn default() -> Self {
        // As many as the journal has slots.
        Self { slots_max: 65_536 }
    }
}

/// The exchanges under way of one process.
pub trait Inflight: Send + Sync {
    /// Writes a row: from here on the exchange is not forgotten. `row` is the
    /// encoded record of what is known so far, with what is reserved.
    ///
    /// # Errors
    /// No row is free, the row is too long, or the disk failed. The exchange
    /// must not go on then.
    fn begin(&self, row: &[u8]) -> Result<Tag, InflightError>;

    /// Replaces the row, as for a further reservation.
    ///
    /// # Errors
    /// As [`Inflight::begin`]. The row stays what it was.
    fn amend(&self, tag: &mut Tag, row: &[u8]) -> Result<(), InflightError>;

    /// The exchange has ended: `row` is its record, `ticket` that of its entry
    /// in the journal. The row is free once the journal has written that
    /// entry. Never fails: where the row cannot be written (counted in
    /// [`InflightHealth::errors`]) the one before stays until then.
    fn end(&self, tag: Tag, row: &[u8], ticket: &Ticket);

    /// The exchange ended and leaves no trace: nothing was sent anywhere.
    /// Where that cannot be written, a killed process leaves the row.
    fn cancel(&self, tag: Tag);

    /// How it is doing.
    fn health(&self) -> InflightHealth;

    /// The rows of other processes whose tables were not brought into the
    /// journal: those that drain beside this one. Rows that are being written
    /// meanwhile are read as they were before or after.
    ///
    /// # Errors
    /// A table cannot be read.
    fn others(&self) -> Result<Vec<InflightRow>, InflightError>;
}

/// A row of an [`Inflight`]. Dropped without an end, the row stays as if the
/// exchange were under way until the process ends, and is counted.
#[derive(Debug)]
pub struct Tag {
    index: u32,
    generation: u64,
    /// Where the journal was when the row was begun.
    since: u64,
    /// Of the table it belongs to; none once it was used.
    dropped: Option<Arc<AtomicU64>>,
}

impl Drop for Tag {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            dropped.fetch_add(1, Relaxed);
        }
    }
}

/// A row as it lies in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InflightRow {
    /// Whether its exchange had ended.
    pub state: InflightState,
    /// Its record, if it is in the journal, comes after this sequence.
    pub since: u64,
    /// What was written last.
    pub bytes: Vec<u8>,
}

/// Whether the exchange of a row had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InflightState {
    /// It was under way: what is reserved counts as spent.
    Begun,
    /// It had ended; the row is its record, which may be in the journal.
    Ended,
}

/// How a table is doing. Counts are since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InflightHealth {
    /// Rows of exchanges under way, and of tags that were dropped.
    pub rows: u64,
    /// Rows of exchanges that ended, whose entry the journal has not written
    /// as far as was looked.
    pub ending: u64,
    /// Limit of both together.
    pub slots_max: u64,
    /// Rows refused because none was free or because they were too long.
    pub refused: u64,
    /// Writes that failed, and ends whose record was too long for a row.
    pub errors: u64,
    /// Tags dropped without an end. Each is a bug of the caller.
    pub dropped: u64,
}

/// Why a row was not written, or a table could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum InflightError {
    /// No row is free.
    #[error("the table of exchanges under way is full: {in_use} of {max} rows are taken")]
    Full {
        /// Rows taken.
        in_use: u64,
        /// Their limit.
        max: u64,
    },
    /// The row is too long.
    #[error(
        "a row of {bytes} bytes is too long for the table of exchanges under way, which takes {max}"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit, [`ROW_BYTES_MAX`].
        max: usize,
    },
    /// The process is leaving, and the table was closed.
    #[error("the table of exchanges under way is closed, because the process is leaving")]
    Closed,
    /// A tag of another table; a bug of the caller.
    #[error("this row belongs to another table of exchanges under way")]
    Foreign,
    /// A newer version of this program wrote it.
    #[error(
        "the table of exchanges under way {file} has format {format}, which this version cannot \
         read: start the version that wrote it once, or a newer one"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        format: u32,
    },
    /// The file system failed.
    #[error("the table of exchanges under way failed at {what}: {source}")]
    Io {
        /// Which file or step.
        what: String,
        /// The error.
        source: std::io::Error,
    },
}

impl InflightError {
    pub(crate) fn io(what: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.display().to_string();
        move |source| Self::Io { what, source }
    }
}

#[cfg(test)]
mod tests;

//! Where records are read from, and why that may fail.
//!
//! Deliberately not here: which records are wanted.

use std::sync::Arc;

use evidence::Record;
use store::{Entry, EntryKind, Found, IndexError, Journal, ReadError, RecordIndex, Row};

use crate::reply::Reply;

/// The journal and its index.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) index: Option<Arc<RecordIndex>>,
}

impl Shelf {
    /// The last sequence that the index holds; 0 without one.
    pub(crate) fn indexed(&self) -> u64 {
        self.index
            .as_ref()
            .map_or(0, |index| index.status().indexed)
    }

    /// The last sequence that can be read.
    pub(crate) fn head(&self) -> u64 {
        self.journal.head().sequence
    }
}

/// The record in an entry; `None` if it holds none that can be read.
pub(crate) fn record(entry: &Entry) -> Option<Record> {
    match entry.kind {
        EntryKind::Record => Record::decode(&entry.payload).ok(),
        EntryKind::Gap | EntryKind::Clipped => None,
    }
}

/// An entry as the index would find it.
pub(crate) fn found(entry: &Entry, record: &Record) -> Found {
    let row: Row = evidence::row(record);
    Found {
        sequence: entry.sequence,
        place: entry.place,
        recorded_us: row.ended_us,
        row,
    }
}

/// An index that failed, in words for operators.
pub(crate) fn index_fault(error: &IndexError) -> Reply {
    match error {
        IndexError::TooSlow(_) => Reply::fault(504, "query_too_slow", &format!("{error}.")),
        IndexError::Journal(error) => journal_fault(error),
        IndexError::Sqlite(_) | IndexError::Io(_) => Reply::fault(
            503,
            "index_unavailable",
            &format!(
                "{error}. Records are safe in the journal; the index can be deleted while the \
                 gateway is stopped, and is then built again."
            ),
        ),
    }
}

/// A journal that failed, in words for operators.
pub(crate) fn journal_fault(error: &ReadError) -> Reply {
    Reply::fault(
        503,
        "journal_unavailable",
        &format!("{error}. Check the disk of the data folder."),
    )
}

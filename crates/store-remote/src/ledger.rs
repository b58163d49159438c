//! The ledger of all replicas: what their journals say, in one database.
//!
//! Each replica brings its records in batches. How far its journal was taken
//! in stands beside them and moves in the same transaction, so whatever dies,
//! no record is missing and none is there twice.
//!
//! Deliberately not here: when a batch is brought (`gate`), and what a record
//! says (`evidence`).

mod bring;
mod compare;
mod spend;

use std::sync::Arc;
use std::time::Duration;

use store::index::Row;

use crate::postgres::{Postgres, PostgresError};

pub use compare::{Differing, Wanted};

/// Longest wait for a batch.
const BRING_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a comparison of a page of records.
const COMPARE_MAX: Duration = Duration::from_secs(10);
/// Longest wait for a report, which reads every record of its time.
const REPORT_MAX: Duration = Duration::from_secs(10);

/// Up to where the journal of a node was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last entry; 0: none.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// The latest time of a record.
    pub recorded_us: u64,
    /// Entries that could not be read, and so are only in the journal.
    pub unreadable: u64,
}

/// A record on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Its place in the journal of the node.
    pub sequence: u64,
    /// When it counts as recorded: never before one that stands before it.
    pub recorded_us: u64,
    /// Its columns.
    pub row: Row,
    /// What it took of limits and budgets.
    pub ledger: Vec<LedgerRow>,
    /// The record as it was written.
    pub payload: Vec<u8>,
}

/// What a call took of a counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerRow {
    /// Name of the limit or budget.
    pub quota: String,
    /// `rate_limit` or `budget`.
    pub kind: String,
    /// What is counted.
    pub measure: String,
    /// Whose counter, for people.
    pub scope: String,
    /// The counter.
    pub counter: u128,
    /// Begin of the window, microseconds since the Unix epoch.
    pub from_us: u64,
    /// Its end.
    pub until_us: u64,
    /// How long after that it counts, microseconds.
    pub after_us: u64,
    /// What was reserved.
    pub reserved: i64,
    /// What it came to, where that is known.
    pub settled: Option<i64>,
    /// What was settled and reserved before this.
    pub level: i64,
    /// The limit at that moment.
    pub limit: i64,
    /// The attempt it was reserved for.
    pub attempt: Option<u32>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the database.
    Done,
    /// The position is not the one from which it was to move; nothing changed.
    Elsewhere,
}

/// The ledger of all replicas, as one of them writes it.
#[derive(Clone, Debug)]
pub struct SharedLedger {
    postgres: Arc<Postgres>,
    node: [u8; 16],
}

impl SharedLedger {
    /// That of a node, which is a data folder.
    pub fn new(postgres: Arc<Postgres>, node: [u8; 16]) -> Self {
        Self { postgres, node }
    }

    /// Whether the database answers at the moment.
    pub fn is_up(&self) -> bool {
        self.postgres.figures().is_up
    }

    /// Up to where the journal of this node was taken in.
    ///
    /// # Errors
    /// The database could not be asked.
    pub fn position(&self) -> Result<Position, PostgresError> {
        let node = self.node;
        self.postgres.run(BRING_MAX, move |client| {
            Box::pin(async move { bring::position(client, &node).await })
        })
    }

    /// Brings a batch, and moves the position from where it was to where the
    /// batch ends. Bringing one again is harmless: records that are there
    /// stay as they are.
    ///
    /// # Errors
    /// The database could not be asked, or did not say that it has the batch:
    /// the position tells.
    pub fn bring(
        &self,
        from: Position,
        to: Position,
        batch: Vec<Brought>,
    ) -> Result<Outcome, PostgresError> {
        let node = self.node;
        self.postgres.run(BRING_MAX, move |client| {
            Box::pin(async move { bring::bring(client, &node, (from, to), batch).await })
        })
    }

    /// What of these records is not in the database as it should be.
    ///
    /// # Errors
    /// The database could not be asked.
    pub fn differing(&self, wanted: Vec<Wanted>) -> Result<Vec<Differing>, PostgresError> {
        self.postgres.run_long(COMPARE_MAX, move |client| {
            Box::pin(async move { compare::differing(client, wanted).await })
        })
    }

    /// What all replicas spent, as the index of one says what it spent.
    ///
    /// # Errors
    /// The database could not be asked.
    pub fn spend(
        &self,
        question: &store::index::spend::Question,
    ) -> Result<store::index::spend::Spent, PostgresError> {
        let question = question.clone();
        self.postgres.run_long(REPORT_MAX, move |client| {
            Box::pin(async move { spend::spend(client, question).await })
        })
    }
}

/// PostgreSQL's integers are signed; a provider may send anything.
fn bounded(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// PostgreSQL's texts cannot hold the character 0.
fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;

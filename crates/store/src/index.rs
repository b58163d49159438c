//! A SQLite index over a journal: the columns by which records are found, and
//! where each record lies. It may lag, says by how much, and can be rebuilt at
//! will; the journal stays the truth.
//!
//! One thread of low priority reads the journal behind the writer and inserts
//! in bounded transactions. It never touches the path of an exchange, and
//! while there is traffic it takes at most `busy_percent` of one core.
//!
//! Deliberately not here: the format of a record (an [`Extract`] is handed
//! in), bodies, and how sums are shown.

mod indexer;
mod query;
mod schema;
pub mod spend;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::journal::{Entry, Journal, ReadError};
use crate::private;
use indexer::{Indexer, Signals};

pub use query::{Filter, Found, PAGE_ROWS_MAX};

/// Takes the columns out of a payload; the text of an error is for operators.
pub type Extract = Arc<dyn Fn(&[u8]) -> Result<Row, String> + Send + Sync>;

/// The columns of one record. Empty texts stand for "none".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Request id.
    pub request_id: [u8; 16],
    /// Arrival, microseconds since the Unix epoch.
    pub arrived_us: u64,
    /// End, microseconds since the Unix epoch.
    pub ended_us: u64,
    /// Tenant.
    pub tenant: String,
    /// App.
    pub app: String,
    /// Public id of the key.
    pub key_id: String,
    /// Operation.
    pub operation: String,
    /// Dialect of the caller.
    pub dialect: String,
    /// Provider that answered.
    pub provider: String,
    /// Model that answered, or was asked for.
    pub model: String,
    /// HTTP status.
    pub status: u16,
    /// How it ended.
    pub outcome: String,
    /// Kind of the fault.
    pub fault: Option<String>,
    /// Origin of the fault.
    pub origin: Option<String>,
    /// It was a stream.
    pub stream: bool,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Duration in microseconds.
    pub duration_us: u64,
    /// Time to the first token in microseconds.
    pub first_token_us: Option<u64>,
    /// Cost in nano-dollars.
    pub cost_nanos: Option<i64>,
    /// Head of the plan digest.
    pub plan: String,
    /// Use case.
    pub use_case: String,
    /// End user, as the caller names them.
    pub user: String,
    /// Cost centre.
    pub cost_center: String,
    /// Version of the price behind the cost.
    pub price_version: String,
    /// Of the input tokens, those read from the provider's cache.
    pub cached_read_tokens: u64,
    /// Of the input tokens, those written to the provider's cache.
    pub cached_write_tokens: u64,
    /// Of the output tokens, those of reasoning.
    pub reasoning_tokens: u64,
    /// The tokens were counted or bounded here, at least on one side.
    pub estimated: bool,
    /// The limit or budget that was hit, if one was.
    pub limit: Option<LimitHit>,
    /// Attempts that were billed beside the one that answers for the call.
    /// They are counted by [`RecordIndex::spend`] and not given back by
    /// [`RecordIndex::find`].
    pub legs: Vec<Leg>,
}

/// A limit or budget that did not hold a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitHit {
    /// Its name.
    pub name: String,
    /// `rate_limit` or `budget`.
    pub kind: String,
    /// `deny`, or what it came to where nothing is refused: `would_deny` or
    /// `warn`.
    pub verdict: String,
}

/// An attempt that was billed beside the one that answers for the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    /// Provider.
    pub provider: String,
    /// Model at the provider.
    pub model: String,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// As [`Row::cached_read_tokens`].
    pub cached_read_tokens: u64,
    /// As [`Row::cached_write_tokens`].
    pub cached_write_tokens: u64,
    /// As [`Row::reasoning_tokens`].
    pub reasoning_tokens: u64,
    /// As [`Row::estimated`].
    pub estimated: bool,
    /// Cost in nano-dollars.
    pub cost_nanos: i64,
}

/// Settings of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// How often it looks for new entries.
    pub interval_ms: u64,
    /// Most rows of one transaction.
    pub batch_rows: u64,
    /// Entries per second above which the gateway counts as busy.
    pub busy_entries_per_s: u64,
    /// Share of one core that indexing may take while busy, in percent.
    pub busy_percent: u64,
    /// Longest run of a query.
    pub query_ms_max: u64,
    /// Longest run of a report, which reads every record of its time.
    pub report_ms_max: u64,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            interval_ms: 500,
            batch_rows: 1_000,
            busy_entries_per_s: 2_000,
            busy_percent: 5,
            query_ms_max: 5_000,
            report_ms_max: 30_000,
        }
    }
}

/// How far an index is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexStatus {
    /// Last sequence that was indexed.
    pub indexed: u64,
    /// Last sequence of the journal.
    pub head: u64,
    /// Entries whose columns could not be taken. They are in the journal.
    pub undecodable: u64,
    /// How often it was rebuilt since the process began.
    pub rebuilds: u64,
    /// Set while indexing fails; it is tried again at the next interval.
    pub error: Option<String>,
}

impl IndexStatus {
    /// Entries that are in the journal and not in the index.
    pub fn lag(&self) -> u64 {
        self.head.saturating_sub(self.indexed)
    }
}

/// Why an index failed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite failed.
    #[error("the record index failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The query took too long.
    #[error("the query took longer than {0} ms: narrow it by time, tenant or request id")]
    TooSlow(u64),
    /// The file system failed.
    #[error("the record index failed: {0}")]
    Io(#[from] std::io::Error),
}

/// An index over a journal.
pub struct RecordIndex {
    journal: Arc<dyn Journal>,
    options: IndexOptions,
    path: PathBuf,
    reading: Mutex<Connection>,
    /// Reports read much, and nobody who looks for a record waits for them.
    reporting: Mutex<Connection>,
    signals: Arc<Signals>,
    /// Dropped after the readers, so that the writing connection closes last
    /// and folds its log into the file.
    _worker: Worker,
}

/// The thread, which ends when this is dropped.
struct Worker {
    signals: Arc<Signals>,
    thread: Option<JoinHandle<()>>,
}

impl RecordIndex {
    /// Opens or creates the index at `path` and starts its thread. A file that
    /// is damaged, of another version or of another journal is begun anew.
    pub fn open(
        path: &Path,
        journal: Arc<dyn Journal>,
        extract: Extract,
        options: IndexOptions,
    ) -> Result<Self, IndexError> {
        if let Some(dir) = path.parent() {
            private::dir(dir, |_| false)?;
        }
        let (writing, anew) = schema::open_or_begin_anew(path)?;
        let reading = schema::open_for_reading(path)?;
        let reporting = schema::open_for_reading(path)?;
        let signals = Arc::new(Signals::new(u64::from(anew)));
        let mut indexer = Indexer::new(writing, journal.clone(), extract, options)?;
        indexer.begin(&signals);
        let thread = std::thread::Builder::new().name("record-index".to_owned());
        let thread = thread.spawn({
            let signals = signals.clone();
            move || indexer.run(&signals)
        })?;
        Ok(Self {
            journal,
            options,
            path: path.to_owned(),
            reading: Mutex::new(reading),
            reporting: Mutex::new(reporting),
            signals: signals.clone(),
            _worker: Worker {
                signals,
                thread: Some(thread),
            },
        })
    }

    /// How far it is.
    pub fn status(&self) -> IndexStatus {
        IndexStatus {
            head: self.journal.head().sequence,
            ..self.signals.status()
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Empties it and reads the whole journal again, in the background.
    pub fn rebuild(&self) {
        self.signals.ask_rebuild();
    }

    /// Waits until everything that was in the journal at the call is indexed.
    /// `false` if `wait` passed first.
    pub fn catch_up(&self, wait: std::time::Duration) -> bool {
        self.signals.wait_for(self.journal.head().sequence, wait)
    }

    /// Finds records, newest first.
    pub fn find(&self, filter: &Filter) -> Result<Vec<Found>, IndexError> {
        query::find(&mut self.reading(), filter, self.options.query_ms_max)
    }

    /// The record of this request id, if it is indexed.
    pub fn by_request_id(&self, id: &[u8; 16]) -> Result<Option<Found>, IndexError> {
        query::by_request_id(&mut self.reading(), id, self.options.query_ms_max)
    }

    /// What was spent, grouped.
    pub fn spend(&self, question: &spend::Question) -> Result<spend::Spent, IndexError> {
        spend::spend(&mut self.reporting(), question, self.options.report_ms_max)
    }

    /// What limits and budgets did not hold, by consumer, most often first.
    pub fn refusals(&self, within: &spend::Within) -> Result<spend::Refusals, IndexError> {
        spend::refusals(&mut self.reporting(), within, self.options.report_ms_max)
    }

    /// How models did for each use case.
    pub fn models(&self, within: &spend::Within) -> Result<spend::Models, IndexError> {
        spend::models(&mut self.reporting(), within, self.options.report_ms_max)
    }

    /// The journal entry behind a row.
    pub fn entry(&self, found: &Found) -> Result<Entry, IndexError> {
        Ok(self.journal.entry_at(found.place, found.sequence)?)
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Connection> {
        // A query that panicked leaves no state behind in the connection.
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reporting(&self) -> std::sync::MutexGuard<'_, Connection> {
        // As above.
        self.reporting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.signals.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the indexer has nothing left to do here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

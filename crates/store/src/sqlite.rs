//! A SQLite file of the data folder that is the only copy of what it holds:
//! read by its owner alone, one writer at a time, and on the disk before a
//! change is answered (WAL with `synchronous = FULL`).
//!
//! Deliberately not here: what its tables hold. The index, which can be built
//! anew at any time, has rules of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::private;

/// Longest wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements that are kept.
const STATEMENTS_KEPT: usize = 16;

/// The tables of a file, and their version.
pub(crate) struct Tables {
    pub(crate) version: i64,
    pub(crate) sql: &'static str,
    /// What makes each version out of the one before, from version 2 on.
    pub(crate) steps: &'static [&'static str],
}

/// Why a file is not opened.
pub(crate) enum NotOpened {
    /// It is damaged, of another kind or of another version: which, in words.
    Foreign(String),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// The disk failed.
    Io(io::Error),
}

impl From<rusqlite::Error> for NotOpened {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Foreign("it is damaged, or not such a file".to_owned())
            }
            Some(_) | None => Self::Sqlite(error),
        }
    }
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An open file.
pub(crate) struct SqliteFile {
    connection: Mutex<Connection>,
}

impl SqliteFile {
    /// Opens a file, or makes it, so that only its owner reads it.
    pub(crate) fn open(path: &Path, tables: &Tables) -> Result<Self, NotOpened> {
        // SQLite gives the files beside it the permissions of the file itself.
        private::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        for path in files(path) {
            private::file(&path)?;
        }
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        prepare(&mut connection, tables)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that was left early is rolled back by its drop.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change; what it returns is on the disk.
    pub(crate) fn change<T, E: From<rusqlite::Error>>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.lock();
        // Takes the lock of writers at once, so that what is read is not
        // outdated when it is written.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = act(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

fn prepare(connection: &mut Connection, tables: &Tables) -> Result<(), NotOpened> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Two processes may come at once to an empty file.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(tables.sql)?;
            transaction.pragma_update(None, "user_version", tables.version)?;
        }
        found if found == tables.version => {}
        found if (1..tables.version).contains(&found) => {
            let from = usize::try_from(found - 1).unwrap_or(usize::MAX);
            let leads_here = tables.steps.len() as i64 == tables.version - 1;
            let Some(steps) = tables.steps.get(from..).filter(|_| leads_here) else {
                return Err(foreign(found, tables));
            };
            for step in steps {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", tables.version)?;
        }
        found => return Err(foreign(found, tables)),
    }
    transaction.commit()?;
    Ok(())
}

fn foreign(found: i64, tables: &Tables) -> NotOpened {
    NotOpened::Foreign(format!(
        "it has version {found}, and this gateway knows version {}",
        tables.version
    ))
}

/// The file and those that SQLite keeps beside it.
pub(crate) fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

//! Tables of the index, and opening it.
//!
//! Deliberately not here: migration. An index of another version is begun
//! anew, because the journal can always fill it again.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::IndexError;
use crate::private;

/// Version of the tables.
const VERSION: i64 = 2;
/// Page cache of each connection, in KiB.
const CACHE_KIB: i64 = 1_024;
/// Prepared statements that a connection keeps.
const STATEMENTS_KEPT: usize = 16;
/// Longest wait for the other connection.
const BUSY_MS: u64 = 2_000;

/// `recorded_us` never falls as `sequence` rises, even when the clock steps
/// back, so that a time range is a range of sequences and needs no index.
const TABLES: &str = "
CREATE TABLE records(
  sequence INTEGER PRIMARY KEY,
  segment INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  recorded_us INTEGER NOT NULL,
  arrived_us INTEGER NOT NULL,
  ended_us INTEGER NOT NULL,
  request_id BLOB NOT NULL,
  tenant TEXT NOT NULL,
  app TEXT NOT NULL,
  key_id TEXT NOT NULL,
  operation TEXT NOT NULL,
  dialect TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  status INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  fault TEXT,
  origin TEXT,
  stream INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  duration_us INTEGER NOT NULL,
  first_token_us INTEGER,
  cost_nanos INTEGER,
  plan TEXT NOT NULL,
  use_case TEXT NOT NULL,
  user TEXT NOT NULL,
  cost_center TEXT NOT NULL,
  price_version TEXT NOT NULL,
  cached_read_tokens INTEGER NOT NULL,
  cached_write_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  limit_name TEXT,
  limit_kind TEXT,
  limit_verdict TEXT,
  legs_nanos INTEGER NOT NULL
) STRICT;
CREATE TABLE legs(
  sequence INTEGER NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cached_read_tokens INTEGER NOT NULL,
  cached_write_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  cost_nanos INTEGER NOT NULL
) STRICT;
CREATE INDEX legs_by_record ON legs(sequence);
CREATE INDEX records_by_request ON records(request_id);
CREATE INDEX records_by_tenant ON records(tenant);
CREATE INDEX records_by_fault ON records(fault) WHERE fault IS NOT NULL;
CREATE TABLE state(
  one INTEGER PRIMARY KEY CHECK (one = 1),
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL,
  segment INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  recorded_us INTEGER NOT NULL,
  undecodable INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, zeroblob(32), 0, 0, 0, 0);
";

/// Opens the index for its writer. `true` if it had to be begun anew.
pub(super) fn open_or_begin_anew(path: &Path) -> Result<(Connection, bool), IndexError> {
    match open(path) {
        Ok(Some(connection)) => Ok((connection, false)),
        Ok(None) => begin_anew(path),
        Err(IndexError::Sqlite(error)) if damaged(&error) => begin_anew(path),
        Err(error) => Err(error),
    }
}

/// Opens the index for queries.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    Ok(connection)
}

/// Whether SQLite says that the file is not a sound database.
pub(super) fn damaged(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// `None` if the tables are of another version.
fn open(path: &Path) -> Result<Option<Connection>, IndexError> {
    // SQLite gives the files beside it the permissions of the file itself.
    private::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    for path in files(path) {
        private::file(&path)?;
    }
    let connection = Connection::open(path)?;
    configure(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // The journal can fill the index again, so a power cut may cost it rows;
    // it must only stay sound, which WAL with this setting does.
    connection.pragma_update(None, "synchronous", "normal")?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        VERSION => Ok(Some(connection)),
        0 => {
            let tables = format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;");
            connection.execute_batch(&tables)?;
            Ok(Some(connection))
        }
        _ => Ok(None),
    }
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

/// The file of the index and those that SQLite keeps beside it.
fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn begin_anew(path: &Path) -> Result<(Connection, bool), IndexError> {
    for file in files(path) {
        match std::fs::remove_file(file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let connection = open(path)?.ok_or(rusqlite::Error::InvalidQuery)?;
    Ok((connection, true))
}

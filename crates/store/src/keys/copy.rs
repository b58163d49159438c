//! What lasts in a data folder of keys that a database keeps: those that work,
//! with the mark of the database, so that a gateway can start while the
//! database is away. It decides nothing: whatever the database says replaces
//! it.
//!
//! Deliberately not here: when it is read and written.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::{OptionalExtension, Transaction, named_params};

use super::sqlite::{COLUMNS, TABLES, put, read, within};
use super::{KeyRow, KeysError};
use crate::sqlite::{NotOpened, SqliteFile, files};

/// The table beside that of the keys.
const SQL: &str = "
CREATE TABLE IF NOT EXISTS copy(
  one INTEGER PRIMARY KEY CHECK (one = 1),
  mark BLOB NOT NULL,
  seen INTEGER NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
";

/// Keys that were copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What the keys belong to; those of another mark must not be used.
    pub mark: [u8; 32],
    /// The last change that is in it.
    pub seen: u64,
    /// When it was last told to be up to date, microseconds since the Unix
    /// epoch.
    pub at_us: u64,
    /// The keys, in the order of their creation.
    pub rows: Vec<KeyRow>,
}

/// A copy in a SQLite file.
pub struct KeysCopy {
    file: SqliteFile,
}

impl KeysCopy {
    /// Opens the file, or makes it, so that only its owner reads it. One that
    /// is damaged is made anew: nothing is lost with it.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn open(path: &Path) -> Result<Self, KeysError> {
        let file = match SqliteFile::open(path, &TABLES) {
            Err(NotOpened::Foreign(_)) => {
                for path in files(path) {
                    remove(&path)?;
                }
                SqliteFile::open(path, &TABLES)
            }
            opened => opened,
        };
        let file = file.map_err(|error| match error {
            NotOpened::Foreign(why) => KeysError::Foreign(format!(
                "{} cannot be used as the copy of virtual keys: {why}. Remove it.",
                path.display()
            )),
            NotOpened::Sqlite(error) => KeysError::Sqlite(error),
            NotOpened::Io(error) => KeysError::Io(error),
        })?;
        file.change(|transaction| transaction.execute_batch(SQL))?;
        Ok(Self { file })
    }

    /// What was copied; `None` before the first time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn copied(&self) -> Result<Option<Copied>, KeysError> {
        let connection = self.file.lock();
        let head: Option<(Vec<u8>, u64, u64)> = connection
            .query_row("SELECT mark, seen, at_us FROM copy", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((mark, seen, at_us)) = head else {
            return Ok(None);
        };
        let Ok(mark) = mark.try_into() else {
            return Ok(None);
        };
        let sql = format!("SELECT {COLUMNS} FROM keys ORDER BY number");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], read)?;
        Ok(Some(Copied {
            mark,
            seen,
            at_us,
            rows: rows.collect::<Result<_, _>>()?,
        }))
    }

    /// Puts this in the place of all that was copied. It is durable when this
    /// returns.
    ///
    /// # Errors
    /// The file cannot be written; it is as it was.
    pub fn replace(&self, copied: &Copied) -> Result<(), KeysError> {
        self.file.change(|transaction| {
            transaction.execute_batch("DELETE FROM keys; DELETE FROM copy;")?;
            transaction
                .prepare_cached("INSERT INTO copy VALUES (1, :mark, :seen, :at)")?
                .execute(named_params! {
                    ":mark": copied.mark.as_slice(),
                    ":seen": within(copied.seen),
                    ":at": within(copied.at_us),
                })?;
            take(transaction, &copied.rows)
        })
    }

    /// Takes in rows that changed, the last of them by this change. Keys that
    /// do not work any more are forgotten. It is durable when this returns.
    ///
    /// # Errors
    /// The file cannot be written; it is as it was.
    pub fn take(&self, rows: &[KeyRow], seen: u64, at_us: u64) -> Result<(), KeysError> {
        self.file.change(|transaction| {
            take(transaction, rows)?;
            transaction
                .prepare_cached("UPDATE copy SET seen = max(seen, :seen), at_us = :at")?
                .execute(named_params! {":seen": within(seen), ":at": within(at_us)})?;
            Ok(())
        })
    }
}

fn take(transaction: &Transaction<'_>, rows: &[KeyRow]) -> Result<(), KeysError> {
    let mut forget = transaction.prepare_cached("DELETE FROM keys WHERE id = :id")?;
    for row in rows {
        match row.revoked_us {
            Some(_) => drop(forget.execute(named_params! {":id": row.id})?),
            None => put(transaction, "INSERT OR REPLACE", row)?,
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;

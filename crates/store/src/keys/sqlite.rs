//! Keys in a SQLite file of the data folder. Every value is a bound
//! parameter. A change is on the disk before it is answered (WAL with
//! `synchronous = FULL`). Several processes may have the file open: one writes
//! at a time, and each sees the changes of the others by their number.
//!
//! Deliberately not here: beginning anew when the file is damaged. Nothing can
//! fill it again, so that is for people with a backup to decide.

use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, named_params};

use super::{
    KEYS_ACTIVE_MAX, KEYS_PAGE_MAX, KeyCounts, KeyFilter, KeyRow, Keys, KeysError, OnRevoke, text,
};
use crate::sqlite::{NotOpened, SqliteFile, Tables};

pub(super) const TABLES: Tables = Tables {
    version: 2,
    sql: SQL,
    steps: &["ALTER TABLE keys ADD COLUMN limits TEXT"],
};
const SQL: &str = "
CREATE TABLE keys(
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  change INTEGER NOT NULL UNIQUE,
  name TEXT NOT NULL,
  tenant TEXT NOT NULL,
  app TEXT NOT NULL,
  groups TEXT NOT NULL,
  models TEXT,
  on_revoke TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_us INTEGER,
  rotated_us INTEGER,
  revoked_us INTEGER,
  revoked_by TEXT,
  last_used_us INTEGER,
  secrets TEXT NOT NULL,
  limits TEXT
) STRICT;
CREATE INDEX keys_by_tenant ON keys(tenant, number);
CREATE TABLE state(
  one INTEGER PRIMARY KEY CHECK (one = 1),
  change INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0);
";

pub(super) const COLUMNS: &str = "number, id, change, name, tenant, app, groups, models, on_revoke, \
                       created_us, created_by, expires_us, rotated_us, revoked_us, revoked_by, \
                       last_used_us, secrets, limits";

/// A row is active at `:now`.
const IS_ACTIVE: &str = "revoked_us IS NULL AND (expires_us IS NULL OR expires_us > :now)";

/// Keys in a SQLite file.
pub struct SqliteKeys {
    file: SqliteFile,
    active_max: u64,
}

impl SqliteKeys {
    /// Opens the file, or makes it, so that only its owner reads it.
    ///
    /// # Errors
    /// The file cannot be opened, or is not one of keys.
    pub fn open(path: &Path) -> Result<Self, KeysError> {
        Self::with_limit(path, KEYS_ACTIVE_MAX)
    }

    /// The same, with another limit of active keys.
    ///
    /// # Errors
    /// As [`SqliteKeys::open`].
    pub fn with_limit(path: &Path, active_max: u64) -> Result<Self, KeysError> {
        let file = SqliteFile::open(path, &TABLES).map_err(|error| not_opened(path, error))?;
        Ok(Self { file, active_max })
    }
}

impl Keys for SqliteKeys {
    fn create(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        self.file.change(|transaction| {
            let sql = format!("SELECT count(*) FROM keys WHERE {IS_ACTIVE}");
            let active: u64 = transaction
                .prepare_cached(&sql)?
                .query_row(named_params! {":now": row.created_us}, |row| row.get(0))?;
            if active >= self.active_max {
                return Err(KeysError::Full(self.active_max));
            }
            let change = next_change(transaction)?;
            let row = KeyRow {
                number: change,
                change,
                ..row.clone()
            };
            match insert(transaction, &row) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    Err(KeysError::Taken)
                }
                Err(error) => Err(error.into()),
                Ok(()) => Ok(row),
            }
        })
    }

    fn replace(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        self.file.change(|transaction| {
            let before = find(transaction, &row.id)?.ok_or(KeysError::Unknown)?;
            if before.change != row.change {
                return Err(KeysError::Changed);
            }
            let row = KeyRow {
                number: before.number,
                change: next_change(transaction)?,
                created_us: before.created_us,
                created_by: before.created_by,
                last_used_us: before.last_used_us,
                ..row.clone()
            };
            update(transaction, &row)?;
            Ok(row)
        })
    }

    fn find(&self, id: &str) -> Result<Option<KeyRow>, KeysError> {
        Ok(find(&self.file.lock(), id)?)
    }

    fn list(&self, filter: &KeyFilter) -> Result<Vec<KeyRow>, KeysError> {
        // An absent filter is a parameter that is NULL, so that no text is
        // ever put together from what somebody sent.
        let sql = format!(
            "SELECT {COLUMNS} FROM keys
             WHERE number < coalesce(:before, 9223372036854775807)
               AND (:tenant IS NULL OR tenant = :tenant)
               AND (:app IS NULL OR app = :app)
               AND (:state IS NULL OR :state = CASE
                     WHEN revoked_us IS NOT NULL THEN 'revoked'
                     WHEN expires_us <= :now THEN 'expired'
                     ELSE 'active' END)
             ORDER BY number DESC LIMIT :limit"
        );
        let connection = self.file.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            named_params! {
                ":before": filter.before.map(within),
                ":tenant": filter.tenant,
                ":app": filter.app,
                ":state": filter.state.map(|state| state.name()),
                ":now": within(filter.now_us),
                ":limit": filter.limit.min(KEYS_PAGE_MAX),
            },
            read,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn changed_after(&self, change: u64) -> Result<Vec<KeyRow>, KeysError> {
        let sql = format!("SELECT {COLUMNS} FROM keys WHERE change > :change ORDER BY change");
        let connection = self.file.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(named_params! {":change": within(change)}, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn last_change(&self) -> Result<u64, KeysError> {
        let connection = self.file.lock();
        let mut statement = connection.prepare_cached("SELECT change FROM state")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    fn note_used(&self, used: &[(String, u64)]) -> Result<(), KeysError> {
        if used.is_empty() {
            return Ok(());
        }
        self.file.change(|transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE keys SET last_used_us = max(coalesce(last_used_us, 0), :us) WHERE id = :id",
            )?;
            for (id, us) in used {
                statement.execute(named_params! {":id": id, ":us": within(*us)})?;
            }
            Ok(())
        })
    }

    fn counts(&self, now_us: u64) -> Result<KeyCounts, KeysError> {
        // A rotation needs a look into the row; the other rows are counted by
        // the database.
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {IS_ACTIVE}),
                    count(*) FILTER (WHERE revoked_us IS NULL AND expires_us <= :now),
                    count(*) FILTER (WHERE revoked_us IS NOT NULL) FROM keys"
        );
        let now = within(now_us);
        let connection = self.file.lock();
        let mut counts =
            connection
                .prepare_cached(&sql)?
                .query_row(named_params! {":now": now}, |row| {
                    Ok(KeyCounts {
                        active: row.get(0)?,
                        rotating: 0,
                        expired: row.get(1)?,
                        revoked: row.get(2)?,
                    })
                })?;
        let sql =
            format!("SELECT {COLUMNS} FROM keys WHERE {IS_ACTIVE} AND rotated_us IS NOT NULL");
        let mut statement = connection.prepare_cached(&sql)?;
        let rotated = statement.query_map(named_params! {":now": now}, read)?;
        let mut among = KeyCounts::default();
        for row in rotated {
            among.count(&row?, now_us);
        }
        counts.rotating = among.rotating;
        Ok(counts)
    }
}

/// SQLite counts with a sign.
pub(super) fn within(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Says which file it is and what to do.
fn not_opened(path: &Path, error: NotOpened) -> KeysError {
    match error {
        NotOpened::Foreign(why) => KeysError::Foreign(format!(
            "{} cannot be used as the store of virtual keys: {why}. Bring it back from a backup, \
             or move it away and make the keys anew.",
            path.display()
        )),
        NotOpened::Sqlite(error) => KeysError::Sqlite(error),
        NotOpened::Io(error) => KeysError::Io(error),
    }
}

fn next_change(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut statement =
        transaction.prepare_cached("UPDATE state SET change = change + 1 RETURNING change")?;
    statement.query_row([], |row| row.get(0))
}

fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<KeyRow>> {
    let sql = format!("SELECT {COLUMNS} FROM keys WHERE id = :id");
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_row(named_params! {":id": id}, read)
        .optional()
}

fn insert(transaction: &Transaction<'_>, row: &KeyRow) -> rusqlite::Result<()> {
    put(transaction, "INSERT", row)
}

/// Writes a row with this way of inserting.
pub(super) fn put(
    transaction: &Transaction<'_>,
    insert: &'static str,
    row: &KeyRow,
) -> rusqlite::Result<()> {
    let sql = format!(
        "{insert} INTO keys({COLUMNS}) VALUES (:number, :id, :change, :name, :tenant, :app, \
         :groups, :models, :on_revoke, :created_us, :created_by, :expires_us, :rotated_us, \
         :revoked_us, :revoked_by, :last_used_us, :secrets, :limits)"
    );
    write(transaction, &sql, row)
}

fn update(transaction: &Transaction<'_>, row: &KeyRow) -> rusqlite::Result<()> {
    let sql = "UPDATE keys SET id = :id, change = :change, name = :name, tenant = :tenant, \
               app = :app, groups = :groups, models = :models, on_revoke = :on_revoke, \
               created_us = :created_us, created_by = :created_by, expires_us = :expires_us, \
               rotated_us = :rotated_us, revoked_us = :revoked_us, revoked_by = :revoked_by, \
               last_used_us = :last_used_us, secrets = :secrets, limits = :limits WHERE number = :number";
    write(transaction, sql, row)
}

fn write(transaction: &Transaction<'_>, sql: &str, row: &KeyRow) -> rusqlite::Result<()> {
    let count = transaction.prepare_cached(sql)?.execute(named_params! {
        ":number": within(row.number),
        ":id": row.id,
        ":change": within(row.change),
        ":name": row.name,
        ":tenant": row.tenant,
        ":app": row.app,
        ":groups": text::of_list(&row.groups),
        ":models": row.models.as_ref().map(|models| text::of_list(models)),
        ":on_revoke": row.on_revoke.name(),
        ":created_us": within(row.created_us),
        ":created_by": row.created_by,
        ":expires_us": row.expires_us.map(within),
        ":rotated_us": row.rotated_us.map(within),
        ":revoked_us": row.revoked_us.map(within),
        ":revoked_by": row.revoked_by,
        ":last_used_us": row.last_used_us.map(within),
        ":secrets": text::of_secrets(&row.secrets),
        ":limits": row.limits,
    })?;
    match count {
        1 => Ok(()),
        _ => Err(rusqlite::Error::StatementChangedRows(count)),
    }
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    let on_revoke: String = row.get("on_revoke")?;
    let groups: String = row.get("groups")?;
    let models: Option<String> = row.get("models")?;
    let secrets: String = row.get("secrets")?;
    Ok(KeyRow {
        id: row.get("id")?,
        number: row.get("number")?,
        change: row.get("change")?,
        name: row.get("name")?,
        tenant: row.get("tenant")?,
        app: row.get("app")?,
        groups: text::list(&groups).ok_or_else(|| strange("groups"))?,
        models: models
            .map(|models| text::list(&models).ok_or_else(|| strange("models")))
            .transpose()?,
        on_revoke: OnRevoke::of(&on_revoke).ok_or_else(|| strange("on_revoke"))?,
        created_us: row.get("created_us")?,
        created_by: row.get("created_by")?,
        expires_us: row.get("expires_us")?,
        rotated_us: row.get("rotated_us")?,
        revoked_us: row.get("revoked_us")?,
        revoked_by: row.get("revoked_by")?,
        last_used_us: row.get("last_used_us")?,
        secrets: text::secrets(&secrets).ok_or_else(|| strange("secrets"))?,
        limits: row.get("limits")?,
    })
}

/// A column that this gateway did not write so. Nothing of the key is guessed.
fn strange(column: &str) -> rusqlite::Error {
    let why = format!("the column {column} of a key holds what no gateway writes");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}

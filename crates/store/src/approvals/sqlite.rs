//! Approvals in a SQLite file of the data folder. Every value is a bound
//! parameter. A change is on the disk before it is answered (WAL with
//! `synchronous = FULL`) and made in one transaction, so that of two
//! processes that have the file open only one uses an approval.
//!
//! Deliberately not here: what the columns `tenant`, `expires_us` and
//! `is_open` do not say; the row itself is JSON.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::{ApprovalFilter, ApprovalLimits, ApprovalRow, Approvals, ApprovalsError, Open, Vote};
use crate::sqlite::{NotOpened, SqliteFile, Tables};

const TABLES: Tables = Tables {
    version: 2,
    sql: SQL,
    steps: &[],
};
const SQL: &str = "
CREATE TABLE approvals(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  key_id TEXT NOT NULL,
  question TEXT NOT NULL,
  expires_us INTEGER NOT NULL,
  standing TEXT NOT NULL,
  row TEXT NOT NULL
) STRICT;
CREATE INDEX approvals_standing ON approvals(standing, expires_us);
";

/// Open at `:now`: not denied, not used, not expired.
const OPEN: &str = "standing IN ('pending', 'approved') AND expires_us > :now";

/// Approvals in a SQLite file.
pub struct SqliteApprovals {
    file: SqliteFile,
    limits: ApprovalLimits,
}

impl SqliteApprovals {
    /// Opens the file, or makes it, so that only its owner reads it.
    ///
    /// # Errors
    /// The file cannot be opened, or is not one of approvals.
    pub fn open(path: &Path) -> Result<Self, ApprovalsError> {
        Self::with_limits(path, ApprovalLimits::default())
    }

    /// The same, within other limits.
    ///
    /// # Errors
    /// As [`SqliteApprovals::open`].
    pub fn with_limits(path: &Path, limits: ApprovalLimits) -> Result<Self, ApprovalsError> {
        let file = SqliteFile::open(path, &TABLES).map_err(|error| not_opened(path, error))?;
        Ok(Self { file, limits })
    }
}

/// Says which file it is and what to do.
fn not_opened(path: &Path, error: NotOpened) -> ApprovalsError {
    match error {
        NotOpened::Foreign(why) => ApprovalsError::Foreign(format!(
            "{} cannot be used as the store of approvals: {why}. Use the gateway that wrote it, \
             bring it back from a backup, or move it away: open approvals are then asked anew.",
            path.display()
        )),
        NotOpened::Sqlite(error) => ApprovalsError::Sqlite(error),
        NotOpened::Io(error) => ApprovalsError::Io(error),
    }
}

impl Approvals for SqliteApprovals {
    fn ask(&self, row: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError> {
        self.file.change(|transaction| {
            if let Some(same) = same(transaction, row)? {
                return Ok(same);
            }
            self.limits.check(open(transaction, row)?)?;
            transaction
                .prepare_cached(
                    "INSERT INTO approvals(id, tenant, key_id, question, expires_us, standing, row)
                     VALUES (:id, :tenant, :key, :question, :expires, :standing, :row)",
                )?
                .execute(named_params! {
                    ":id": row.id,
                    ":tenant": row.tenant,
                    ":key": row.key_id,
                    ":question": row.question(),
                    ":expires": row.expires_us,
                    ":standing": row.standing().name(),
                    ":row": row.write(),
                })?;
            let number = u64::try_from(transaction.last_insert_rowid()).unwrap_or_default();
            let sql = format!(
                "DELETE FROM approvals WHERE number IN (
                   SELECT number FROM approvals WHERE NOT ({OPEN}) ORDER BY number
                   LIMIT max(0, (SELECT count(*) FROM approvals) - :kept))"
            );
            transaction
                .prepare_cached(&sql)?
                .execute(named_params! {":now": row.asked_us, ":kept": self.limits.kept})?;
            Ok(ApprovalRow {
                number,
                ..row.clone()
            })
        })
    }

    fn find(&self, id: &str) -> Result<Option<ApprovalRow>, ApprovalsError> {
        Ok(find(&self.file.lock(), id)?)
    }

    fn vote(&self, id: &str, vote: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        self.file.change(|transaction| {
            let row = find(transaction, id)?.ok_or(ApprovalsError::Unknown)?;
            let row = row.voted(vote)?;
            update(transaction, &row)?;
            Ok(row)
        })
    }

    fn spend(&self, id: &str, by: &str, now_us: u64) -> Result<bool, ApprovalsError> {
        self.file.change(|transaction| {
            let row = find(transaction, id)?.and_then(|row| row.spent(by, now_us));
            match row {
                Some(row) => update(transaction, &row).map(|()| true),
                None => Ok(false),
            }
        })
    }

    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        let connection = self.file.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, number, row FROM approvals
             WHERE number < coalesce(:before, 9223372036854775807)
               AND (:tenant IS NULL OR tenant = :tenant)
             ORDER BY number DESC",
        )?;
        let before = filter.before.map(|it| it.min(i64::MAX.unsigned_abs()));
        let params = named_params! {":before": before, ":tenant": filter.tenant};
        let mut found = Vec::new();
        for row in statement.query_map(params, read)? {
            let row = row?;
            if found.len() >= filter.limit() {
                break;
            }
            if filter.shows(&row) {
                found.push(row);
            }
        }
        Ok(found)
    }

    fn pending(&self, now_us: u64) -> Result<u64, ApprovalsError> {
        let connection = self.file.lock();
        let mut statement = connection.prepare_cached(
            "SELECT count(*) FROM approvals WHERE standing = 'pending' AND expires_us > :now",
        )?;
        Ok(statement.query_row(named_params! {":now": now_us}, |row| row.get(0))?)
    }
}

/// The open one that asks the same, if there is one.
fn same(
    transaction: &Transaction<'_>,
    asked: &ApprovalRow,
) -> rusqlite::Result<Option<ApprovalRow>> {
    let sql = format!(
        "SELECT id, number, row FROM approvals WHERE {OPEN} AND question = :question
         ORDER BY number LIMIT 1"
    );
    let params = named_params! {":now": asked.asked_us, ":question": asked.question()};
    let mut statement = transaction.prepare_cached(&sql)?;
    statement.query_row(params, read).optional()
}

/// How many are open when this one is asked.
fn open(transaction: &Transaction<'_>, asked: &ApprovalRow) -> rusqlite::Result<Open> {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE tenant = :tenant AND key_id = :key),
                count(*) FILTER (WHERE tenant = :tenant),
                count(*)
         FROM approvals WHERE {OPEN}"
    );
    let params = named_params! {
        ":now": asked.asked_us,
        ":tenant": asked.tenant,
        ":key": asked.key_id,
    };
    let mut statement = transaction.prepare_cached(&sql)?;
    statement.query_row(params, |row| {
        Ok(Open {
            of_key: row.get(0)?,
            of_tenant: row.get(1)?,
            of_all: row.get(2)?,
        })
    })
}

fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<ApprovalRow>> {
    connection
        .prepare_cached("SELECT id, number, row FROM approvals WHERE id = :id")?
        .query_row(named_params! {":id": id}, read)
        .optional()
}

fn update(transaction: &Transaction<'_>, row: &ApprovalRow) -> Result<(), ApprovalsError> {
    transaction
        .prepare_cached("UPDATE approvals SET row = :row, standing = :standing WHERE id = :id")?
        .execute(named_params! {
            ":row": row.write(),
            ":standing": row.standing().name(),
            ":id": row.id,
        })?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    let text: String = row.get("row")?;
    ApprovalRow::read(row.get("id")?, row.get("number")?, &text).ok_or_else(|| {
        let why = "an approval holds what no gateway writes";
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, why.into())
    })
}

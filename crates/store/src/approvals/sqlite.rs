//! Approvals in a SQLite file of the data folder. Every value is a bound
//! parameter. A change is on the disk before it is answered (WAL with
//! `synchronous = FULL`) and made in one transaction, so that of two
//! processes that have the file open only one uses an approval.
//!
//! Deliberately not here: what the columns `tenant`, `expires_us` and
//! `is_open` do not say; the row itself is JSON.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params,
};

use super::{ApprovalFilter, ApprovalLimits, ApprovalRow, Approvals, ApprovalsError, Open, Vote};
use crate::private;

/// Version of the tables.
const VERSION: i64 = 2;
/// Longest wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
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
    connection: Mutex<Connection>,
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
        // SQLite gives the files beside it the permissions of the file itself.
        private::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        private::file(path)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => {
                transaction.execute_batch(TABLES)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => {}
            other => {
                return Err(ApprovalsError::Foreign(format!(
                    "{} has version {other}, and this gateway knows {VERSION}. Use the gateway \
                     that wrote it, or move the file away: open approvals are then asked anew.",
                    path.display()
                )));
            }
        }
        transaction.commit()?;
        Ok(Self {
            connection: Mutex::new(connection),
            limits,
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that was left early is rolled back by its drop.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change; what it returns is on the disk.
    fn change<T>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, ApprovalsError>,
    ) -> Result<T, ApprovalsError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = act(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

impl Approvals for SqliteApprovals {
    fn ask(&self, row: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError> {
        self.change(|transaction| {
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
        Ok(find(&self.connection(), id)?)
    }

    fn vote(&self, id: &str, vote: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        self.change(|transaction| {
            let row = find(transaction, id)?.ok_or(ApprovalsError::Unknown)?;
            let row = row.voted(vote)?;
            update(transaction, &row)?;
            Ok(row)
        })
    }

    fn spend(&self, id: &str, by: &str, now_us: u64) -> Result<bool, ApprovalsError> {
        self.change(|transaction| {
            let row = find(transaction, id)?.and_then(|row| row.spent(by, now_us));
            match row {
                Some(row) => update(transaction, &row).map(|()| true),
                None => Ok(false),
            }
        })
    }

    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        let connection = self.connection();
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
        let connection = self.connection();
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

//! Virtual keys in PostgreSQL: one truth for all replicas of a schema. Every
//! change holds the row of the change counter until it is committed, so that
//! who reads up to a number has missed none before it; and it is pushed with
//! the commit.
//!
//! Deliberately not here: the table that calls are looked up in, and the copy
//! of a replica (`gate`).

mod row;

use std::sync::Arc;
use std::time::Duration;

use store::keys::{KEYS_ACTIVE_MAX, KEYS_PAGE_MAX, text};
use store::{KeyCounts, KeyFilter, KeyRow, Keys, KeysError};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Transaction};

use super::{Postgres, PostgresError, Work};
use row::{COLUMNS, escape, read, within};

/// The channel on which changes of keys are pushed.
pub const KEYS_CHANNEL: &str = "keys";
/// Longest wait for a look or a change: operators and the tender wait, calls
/// never do.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Changed keys that are read at once.
const CHANGES_PAGE: i64 = 5_000;

/// A row is active at `$1`.
const IS_ACTIVE: &str = "revoked_us IS NULL AND (expires_us IS NULL OR expires_us > $1)";

/// Keys in PostgreSQL.
pub struct PostgresKeys {
    postgres: Arc<Postgres>,
    mark: [u8; 32],
    active_max: u64,
}

/// What a change is made with.
struct Change {
    mark: [u8; 32],
    channel: String,
}

/// What came of a change: an error of the connection, or what the store says.
type Done<T> = Result<Result<T, KeysError>, Error>;

impl PostgresKeys {
    /// The keys of a database, whose digests are of the key with this mark.
    pub fn new(postgres: Arc<Postgres>, mark: [u8; 32]) -> Self {
        Self::with_limit(postgres, mark, KEYS_ACTIVE_MAX)
    }

    /// The same, with another limit of active keys.
    pub fn with_limit(postgres: Arc<Postgres>, mark: [u8; 32], active_max: u64) -> Self {
        Self {
            postgres,
            mark,
            active_max,
        }
    }

    fn ask<T, F>(&self, work: F) -> Result<T, KeysError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Client) -> Work<'c, T> + Send + 'static,
    {
        self.postgres.run(WAIT_MAX, work).map_err(unavailable)
    }

    fn rows(&self, sql: String, values: Values) -> Result<Vec<Row>, KeysError> {
        self.ask(move |client| {
            Box::pin(async move { client.query(&sql, &references(&values)).await })
        })
    }

    fn change(&self) -> Change {
        Change {
            mark: self.mark,
            channel: self.postgres.channel(KEYS_CHANNEL),
        }
    }
}

/// Values of a statement.
type Values = Vec<Box<dyn ToSql + Sync + Send>>;

fn references(values: &Values) -> Vec<&(dyn ToSql + Sync)> {
    let values = values.iter();
    values
        .map(|value| &**value as &(dyn ToSql + Sync))
        .collect()
}

fn unavailable(error: PostgresError) -> KeysError {
    KeysError::Unavailable(error.to_string())
}

impl Keys for PostgresKeys {
    fn create(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        let (row, change, most) = (row.clone(), self.change(), self.active_max);
        self.ask(move |client| Box::pin(create(client, row, change, most)))?
    }

    fn replace(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        let (row, change) = (row.clone(), self.change());
        self.ask(move |client| Box::pin(replace(client, row, change)))?
    }

    fn find(&self, id: &str) -> Result<Option<KeyRow>, KeysError> {
        let sql = format!("SELECT {COLUMNS} FROM keys WHERE id = $1");
        let rows = self.rows(sql, vec![Box::new(escape(id))])?;
        rows.first().map(read).transpose()
    }

    fn list(&self, filter: &KeyFilter) -> Result<Vec<KeyRow>, KeysError> {
        // An absent filter is a value that is NULL, so that no text is ever
        // put together from what somebody sent.
        let sql = format!(
            "SELECT {COLUMNS} FROM keys
             WHERE number < $1
               AND ($2::text IS NULL OR tenant = $2)
               AND ($3::text IS NULL OR app = $3)
               AND ($4::text IS NULL OR $4 = CASE
                     WHEN revoked_us IS NOT NULL THEN 'revoked'
                     WHEN expires_us <= $5 THEN 'expired'
                     ELSE 'active' END)
             ORDER BY number DESC LIMIT $6"
        );
        let values: Values = vec![
            Box::new(filter.before.map_or(i64::MAX, within)),
            Box::new(filter.tenant.as_deref().map(escape)),
            Box::new(filter.app.as_deref().map(escape)),
            Box::new(filter.state.map(|state| state.name())),
            Box::new(within(filter.now_us)),
            Box::new(i64::from(filter.limit.min(KEYS_PAGE_MAX))),
        ];
        self.rows(sql, values)?.iter().map(read).collect()
    }

    fn changed_after(&self, change: u64) -> Result<Vec<KeyRow>, KeysError> {
        let sql = format!("SELECT {COLUMNS} FROM keys WHERE change > $1 ORDER BY change LIMIT $2");
        let mut changed: Vec<KeyRow> = Vec::new();
        let mut after = change;
        loop {
            // A key that changes between two pages comes again at the end.
            let values: Values = vec![Box::new(within(after)), Box::new(CHANGES_PAGE)];
            let rows = self.rows(sql.clone(), values)?;
            for row in &rows {
                changed.push(read(row)?);
            }
            after = changed.last().map_or(after, |row| row.change);
            if rows.len() < CHANGES_PAGE as usize {
                return Ok(changed);
            }
        }
    }

    fn last_change(&self) -> Result<u64, KeysError> {
        let mark = self.mark;
        let (change, kept) = self.ask(move |client| {
            Box::pin(async move {
                let sql = "SELECT change, mark FROM keys_state";
                let row = client.query_one(sql, &[]).await?;
                if row.try_get::<_, Option<&[u8]>>(1)?.is_some() {
                    return state(&row);
                }
                // The first replica of all says whose digests they are.
                let sql = "UPDATE keys_state SET mark = coalesce(mark, $1) RETURNING change, mark";
                state(&client.query_one(sql, &[&mark.as_slice()]).await?)
            })
        })?;
        is_ours(&kept, &self.mark)?;
        Ok(change)
    }

    fn note_used(&self, used: &[(String, u64)]) -> Result<(), KeysError> {
        if used.is_empty() {
            return Ok(());
        }
        // The rows are locked in one order, so that replicas that note at once
        // do not wait for each other in a circle.
        let sql = "WITH used AS (
               SELECT id, max(us) AS us FROM unnest($1::text[], $2::bigint[]) AS it(id, us)
               GROUP BY id),
             held AS (
               SELECT keys.number, used.us FROM keys JOIN used ON used.id = keys.id
               WHERE coalesce(keys.last_used_us, 0) < used.us
               ORDER BY keys.number FOR UPDATE OF keys)
             UPDATE keys SET last_used_us = greatest(coalesce(last_used_us, 0), held.us)
             FROM held WHERE keys.number = held.number";
        let ids: Vec<String> = used.iter().map(|(id, _)| escape(id)).collect();
        let times: Vec<i64> = used.iter().map(|(_, us)| within(*us)).collect();
        self.ask(move |client| {
            Box::pin(async move { client.execute(sql, &[&ids, &times]).await.map(drop) })
        })
    }

    fn counts(&self, now_us: u64) -> Result<KeyCounts, KeysError> {
        let now = within(now_us);
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {IS_ACTIVE}),
                    count(*) FILTER (WHERE revoked_us IS NULL AND expires_us <= $1),
                    count(*) FILTER (WHERE revoked_us IS NOT NULL) FROM keys"
        );
        let counted = self.ask(move |client| {
            Box::pin(async move {
                let row = client.query_one(&sql, &[&now]).await?;
                Ok((count(&row, 0)?, count(&row, 1)?, count(&row, 2)?))
            })
        })?;
        let (active, expired, revoked) = counted;
        // A rotation needs a look into the row.
        let sql =
            format!("SELECT {COLUMNS} FROM keys WHERE {IS_ACTIVE} AND rotated_us IS NOT NULL");
        let mut rotating = 0;
        for row in &self.rows(sql, vec![Box::new(now)])? {
            rotating += u64::from(read(row)?.open_secrets(now_us).count() > 1);
        }
        Ok(KeyCounts {
            active,
            rotating,
            expired,
            revoked,
        })
    }
}

fn count(row: &Row, nth: usize) -> Result<u64, Error> {
    Ok(row.try_get::<_, i64>(nth)?.max(0) as u64)
}

/// The change counter and the mark.
fn state(row: &Row) -> Result<(u64, Vec<u8>), Error> {
    Ok((count(row, 0)?, row.try_get(1)?))
}

/// Digests of another key open nothing here, and ours nothing there.
fn is_ours(kept: &[u8], mark: &[u8; 32]) -> Result<(), KeysError> {
    match kept == mark {
        true => Ok(()),
        false => Err(KeysError::Foreign(
            "the virtual keys in the database belong to another secret than \
             `database.shared_secret` of this replica: give all replicas the same one"
                .to_owned(),
        )),
    }
}

/// The number of a change, which nobody else gets before it is committed.
async fn next(transaction: &Transaction<'_>, mark: &[u8; 32]) -> Done<u64> {
    let sql = "UPDATE keys_state SET change = change + 1, mark = coalesce(mark, $1) \
               RETURNING change, mark";
    let row = transaction.query_one(sql, &[&mark.as_slice()]).await?;
    let (change, kept) = state(&row)?;
    Ok(is_ours(&kept, mark).map(|()| change))
}

/// Tells the other replicas, once it is committed.
async fn commit(transaction: Transaction<'_>, channel: &str) -> Result<(), Error> {
    let sql = "SELECT pg_notify($1, '')";
    transaction.execute(sql, &[&channel]).await?;
    transaction.commit().await
}

async fn create(client: &mut Client, row: KeyRow, change: Change, most: u64) -> Done<KeyRow> {
    let transaction = client.transaction().await?;
    let number = match next(&transaction, &change.mark).await? {
        Ok(number) => number,
        Err(error) => return Ok(Err(error)),
    };
    let sql = format!("SELECT count(*) FROM keys WHERE {IS_ACTIVE}");
    let active = transaction
        .query_one(&sql, &[&within(row.created_us)])
        .await?;
    if count(&active, 0)? >= most {
        return Ok(Err(KeysError::Full(most)));
    }
    let row = KeyRow {
        number,
        change: number,
        ..row
    };
    let sql = format!(
        "INSERT INTO keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
         $13, $14, $15, $16, $17, $18) ON CONFLICT (id) DO NOTHING"
    );
    let values: Values = vec![
        Box::new(within(row.number)),
        Box::new(escape(&row.id)),
        Box::new(within(row.change)),
        Box::new(escape(&row.name)),
        Box::new(escape(&row.tenant)),
        Box::new(escape(&row.app)),
        Box::new(text::of_list(&row.groups)),
        Box::new(row.models.as_deref().map(text::of_list)),
        Box::new(row.on_revoke.name()),
        Box::new(within(row.created_us)),
        Box::new(escape(&row.created_by)),
        Box::new(row.expires_us.map(within)),
        Box::new(row.rotated_us.map(within)),
        Box::new(row.revoked_us.map(within)),
        Box::new(row.revoked_by.as_deref().map(escape)),
        Box::new(row.last_used_us.map(within)),
        Box::new(text::of_secrets(&row.secrets)),
        Box::new(row.limits.as_deref().map(escape)),
    ];
    match transaction.execute(&sql, &references(&values)).await? {
        0 => return Ok(Err(KeysError::Taken)),
        _ => commit(transaction, &change.channel).await?,
    }
    Ok(Ok(row))
}

async fn replace(client: &mut Client, row: KeyRow, change: Change) -> Done<KeyRow> {
    let transaction = client.transaction().await?;
    let number = match next(&transaction, &change.mark).await? {
        Ok(number) => number,
        Err(error) => return Ok(Err(error)),
    };
    // What a change may not touch is not written: id, number, creation, use.
    let sql = format!(
        "UPDATE keys SET change = $3, name = $4, tenant = $5, app = $6, groups = $7, models = $8, \
         on_revoke = $9, expires_us = $10, rotated_us = $11, revoked_us = $12, revoked_by = $13, \
         secrets = $14, limits = $15 WHERE id = $1 AND change = $2 RETURNING {COLUMNS}"
    );
    let id = escape(&row.id);
    let values: Values = vec![
        Box::new(id.clone()),
        Box::new(within(row.change)),
        Box::new(within(number)),
        Box::new(escape(&row.name)),
        Box::new(escape(&row.tenant)),
        Box::new(escape(&row.app)),
        Box::new(text::of_list(&row.groups)),
        Box::new(row.models.as_deref().map(text::of_list)),
        Box::new(row.on_revoke.name()),
        Box::new(row.expires_us.map(within)),
        Box::new(row.rotated_us.map(within)),
        Box::new(row.revoked_us.map(within)),
        Box::new(row.revoked_by.as_deref().map(escape)),
        Box::new(text::of_secrets(&row.secrets)),
        Box::new(row.limits.as_deref().map(escape)),
    ];
    let Some(now) = transaction.query_opt(&sql, &references(&values)).await? else {
        let known = "SELECT 1 FROM keys WHERE id = $1";
        let is_known = transaction.query_opt(known, &[&id]).await?.is_some();
        return Ok(Err(match is_known {
            true => KeysError::Changed,
            false => KeysError::Unknown,
        }));
    };
    let now = match read(&now) {
        Ok(now) => now,
        Err(error) => return Ok(Err(error)),
    };
    commit(transaction, &change.channel).await?;
    Ok(Ok(now))
}

#[cfg(test)]
mod tests;

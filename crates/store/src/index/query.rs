//! Finding records. Every value is a bound parameter; pages are cut by key,
//! so that the last page costs as much as the first.
//!
//! Deliberately not here: the records themselves, which the journal holds.

use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params_from_iter};

use super::{IndexError, LimitHit, Row};
use crate::journal::Place;

/// Most rows of one page.
pub const PAGE_ROWS_MAX: u32 = 1_000;
/// Steps of SQLite's machine between two looks at the clock.
const STEPS_PER_LOOK: i32 = 10_000;

const COLUMNS: &str = "sequence, segment, offset, recorded_us, arrived_us, ended_us, request_id, \
    tenant, app, key_id, operation, dialect, provider, model, status, outcome, fault, origin, \
    stream, input_tokens, output_tokens, duration_us, first_token_us, cost_nanos, plan, \
    use_case, user, cost_center, price_version, cached_read_tokens, cached_write_tokens, \
    reasoning_tokens, estimated, limit_name, limit_kind, limit_verdict";

/// Which records to find; `None` does not filter. Newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only records before this sequence: the last one of the page before.
    pub before: Option<u64>,
    /// Only records after this sequence, such as for following.
    pub after: Option<u64>,
    /// Rows of the page; 0 and anything above [`PAGE_ROWS_MAX`] is that.
    pub limit: u32,
    /// Recorded at or after, microseconds since the Unix epoch.
    pub since_us: Option<u64>,
    /// Recorded before, microseconds since the Unix epoch.
    pub until_us: Option<u64>,
    /// Tenant.
    pub tenant: Option<String>,
    /// App.
    pub app: Option<String>,
    /// Public id of the key.
    pub key_id: Option<String>,
    /// Operation.
    pub operation: Option<String>,
    /// Dialect.
    pub dialect: Option<String>,
    /// Provider.
    pub provider: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Least HTTP status, inclusive.
    pub status_min: Option<u16>,
    /// Greatest HTTP status, inclusive.
    pub status_max: Option<u16>,
    /// Outcome.
    pub outcome: Option<String>,
    /// Kind of the fault.
    pub fault: Option<String>,
    /// Origin of the fault.
    pub origin: Option<String>,
    /// Only records with a fault.
    pub faulty: bool,
}

/// One record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its sequence; the key of the next page.
    pub sequence: u64,
    /// Where the record lies in the journal.
    pub place: Place,
    /// When it was recorded, microseconds since the Unix epoch; never falls
    /// as the sequence rises.
    pub recorded_us: u64,
    /// Its columns.
    pub row: Row,
}

pub(super) fn find(
    connection: &mut Connection,
    filter: &Filter,
    ms_max: u64,
) -> Result<Vec<Found>, IndexError> {
    within(connection, ms_max, |connection| {
        let clauses = Clauses::of(connection, filter)?;
        let sql = format!(
            "SELECT {COLUMNS} FROM records WHERE {} ORDER BY sequence DESC LIMIT ?",
            clauses.sql.join(" AND ")
        );
        let limit = match filter.limit {
            0 => PAGE_ROWS_MAX,
            limit => limit.min(PAGE_ROWS_MAX),
        };
        let values = clauses.values.into_iter().chain([Value::from(limit)]);
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), found)?;
        rows.collect()
    })
}

pub(super) fn by_request_id(
    connection: &mut Connection,
    id: &[u8; 16],
    ms_max: u64,
) -> Result<Option<Found>, IndexError> {
    within(connection, ms_max, |connection| {
        let sql = format!("SELECT {COLUMNS} FROM records WHERE request_id = ?1 LIMIT 1");
        let mut statement = connection.prepare_cached(&sql)?;
        statement.query_row([id], found).optional()
    })
}

/// Runs a query and stops it at the limit.
pub(super) fn within<T>(
    connection: &mut Connection,
    ms_max: u64,
    query: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
) -> Result<T, IndexError> {
    let deadline = Instant::now() + Duration::from_millis(ms_max);
    connection.progress_handler(STEPS_PER_LOOK, Some(move || Instant::now() > deadline))?;
    let result = query(connection);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match result {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Err(IndexError::TooSlow(ms_max))
        }
        result => Ok(result?),
    }
}

/// The conditions of a filter and their values, in order.
struct Clauses {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Clauses {
    fn of(connection: &Connection, filter: &Filter) -> Result<Self, rusqlite::Error> {
        let mut clauses = Self {
            sql: vec!["1".to_owned()],
            values: Vec::new(),
        };
        clauses.add("sequence < ?", filter.before.map(integer));
        clauses.add("sequence > ?", filter.after.map(integer));
        if let Some(since) = filter.since_us {
            let first = first_recorded_since(connection, since)?;
            clauses.add("sequence >= ?", Some(first.into()));
        }
        if let Some(until) = filter.until_us {
            let first = first_recorded_since(connection, until)?;
            clauses.add("sequence < ?", Some(first.into()));
        }
        for (column, value) in [
            ("tenant", &filter.tenant),
            ("app", &filter.app),
            ("key_id", &filter.key_id),
            ("operation", &filter.operation),
            ("dialect", &filter.dialect),
            ("provider", &filter.provider),
            ("model", &filter.model),
            ("outcome", &filter.outcome),
            ("fault", &filter.fault),
            ("origin", &filter.origin),
        ] {
            let value = value.as_ref().map(|value| Value::from(value.clone()));
            clauses.add(&format!("{column} = ?"), value);
        }
        let status = |status: u16| Value::from(i64::from(status));
        clauses.add("status >= ?", filter.status_min.map(status));
        clauses.add("status <= ?", filter.status_max.map(status));
        if filter.faulty {
            clauses.sql.push("fault IS NOT NULL".to_owned());
        }
        Ok(clauses)
    }

    fn add(&mut self, sql: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.sql.push(sql.to_owned());
            self.values.push(value);
        }
    }
}

/// The first sequence recorded at or after `since_us`, by halving: recorded
/// times never fall as sequences rise. About forty look-ups by key.
pub(super) fn first_recorded_since(
    connection: &Connection,
    since_us: u64,
) -> Result<i64, rusqlite::Error> {
    let since_us = i64::try_from(since_us).unwrap_or(i64::MAX);
    let last: Option<i64> =
        connection.query_row("SELECT max(sequence) FROM records", [], |row| row.get(0))?;
    let (mut low, mut high) = (1, last.unwrap_or(0) + 1);
    let sql = "SELECT sequence, recorded_us FROM records WHERE sequence >= ?1 \
               ORDER BY sequence LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    while low < high {
        let middle = low + (high - low) / 2;
        // Sequences of gaps and unreadable entries have no row.
        let row: Option<(i64, i64)> = statement
            .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match row {
            Some((sequence, recorded_us)) if recorded_us < since_us => low = sequence + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

fn integer(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

fn found(row: &rusqlite::Row) -> Result<Found, rusqlite::Error> {
    Ok(Found {
        sequence: row.get(0)?,
        place: Place {
            segment: row.get(1)?,
            offset: row.get(2)?,
        },
        recorded_us: row.get(3)?,
        row: Row {
            arrived_us: row.get(4)?,
            ended_us: row.get(5)?,
            request_id: row.get(6)?,
            tenant: row.get(7)?,
            app: row.get(8)?,
            key_id: row.get(9)?,
            operation: row.get(10)?,
            dialect: row.get(11)?,
            provider: row.get(12)?,
            model: row.get(13)?,
            status: row.get(14)?,
            outcome: row.get(15)?,
            fault: row.get(16)?,
            origin: row.get(17)?,
            stream: row.get(18)?,
            input_tokens: row.get(19)?,
            output_tokens: row.get(20)?,
            duration_us: row.get(21)?,
            first_token_us: row.get(22)?,
            cost_nanos: row.get(23)?,
            plan: row.get(24)?,
            use_case: row.get(25)?,
            user: row.get(26)?,
            cost_center: row.get(27)?,
            price_version: row.get(28)?,
            cached_read_tokens: row.get(29)?,
            cached_write_tokens: row.get(30)?,
            reasoning_tokens: row.get(31)?,
            estimated: row.get(32)?,
            limit: limit_hit(row)?,
            legs: Vec::new(),
        },
    })
}

fn limit_hit(row: &rusqlite::Row) -> Result<Option<LimitHit>, rusqlite::Error> {
    let Some(name) = row.get(33)? else {
        return Ok(None);
    };
    Ok(Some(LimitHit {
        name,
        kind: row.get(34)?,
        verdict: row.get(35)?,
    }))
}

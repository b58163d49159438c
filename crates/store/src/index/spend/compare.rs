//! What limits did not hold, and how models did.
//!
//! Deliberately not here: what was spent.

use std::collections::{BTreeMap, HashMap};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{Range, Within, halves, limit};
use crate::index::IndexError;
use crate::index::query::within;

/// How often a limit did not hold a consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the limit or budget.
    pub limit: String,
    /// `rate_limit` or `budget`.
    pub kind: String,
    /// `deny`, `would_deny` or `warn`.
    pub verdict: String,
    /// Tenant.
    pub tenant: String,
    /// App.
    pub app: String,
    /// Public id of the key.
    pub key_id: String,
    /// Calls.
    pub calls: u64,
    /// The last one, microseconds since the Unix epoch.
    pub last_us: u64,
}

/// Refusals, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Most calls first.
    pub rows: Vec<Refusal>,
    /// There are more.
    pub more: bool,
}

/// How a model did for a use case. Calls that were refused never reached it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelRow {
    /// Use case.
    pub use_case: String,
    /// Provider.
    pub provider: String,
    /// Model.
    pub model: String,
    /// Calls.
    pub calls: u64,
    /// Of these, complete and without a fault.
    pub succeeded: u64,
    /// Of these, with a cost.
    pub priced: u64,
    /// Sum of the costs, nano-dollars, without attempts at others.
    pub cost_nanos: i128,
    /// Calls with a first token.
    pub timed: u64,
    /// Half of these had their first token by then, microseconds.
    pub first_token_p50_us: Option<u64>,
    /// 95 of 100 of these.
    pub first_token_p95_us: Option<u64>,
}

/// Models, and whether there are more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    /// By use case; in each, most calls first.
    pub rows: Vec<ModelRow>,
    /// There are more.
    pub more: bool,
}

pub(in crate::index) fn refusals(
    connection: &mut Connection,
    asked: &Within,
    ms_max: u64,
) -> Result<Refusals, IndexError> {
    let asked = Within {
        provider: None,
        ..asked.clone()
    };
    within(connection, ms_max, |connection| {
        let range = Range::of(connection, &asked)?;
        let condition = range.sql("records", false);
        let keys = "limit_name, limit_kind, limit_verdict, tenant, app, key_id";
        let sql = format!(
            "SELECT {keys}, count(*), max(recorded_us) FROM records \
             WHERE {condition} AND limit_name IS NOT NULL \
             GROUP BY {keys} ORDER BY count(*) DESC, {keys} LIMIT ?"
        );
        let limit = limit(&asked);
        let values = range.values.into_iter().chain([Value::from(limit + 1)]);
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| {
            Ok(Refusal {
                limit: row.get(0)?,
                kind: row.get(1)?,
                verdict: row.get(2)?,
                tenant: row.get(3)?,
                app: row.get(4)?,
                key_id: row.get(5)?,
                calls: row.get(6)?,
                last_us: row.get(7)?,
            })
        })?;
        let (rows, more) = cut(rows.collect::<Result<_, _>>()?, limit);
        Ok(Refusals { rows, more })
    })
}

pub(in crate::index) fn models(
    connection: &mut Connection,
    asked: &Within,
    ms_max: u64,
) -> Result<Models, IndexError> {
    within(connection, ms_max, |connection| {
        let transaction = connection.unchecked_transaction()?;
        let range = Range::of(&transaction, asked)?;
        let limit = limit(asked);
        let rows = model_rows(&transaction, &range, limit + 1)?;
        let (mut rows, more) = cut(rows, limit);
        first_tokens(&transaction, &range, &mut rows)?;
        Ok(Models { rows, more })
    })
}

fn cut<T>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}

/// Calls that reached a model.
const REACHED: &str = "provider <> '' AND outcome <> 'refused'";

fn model_rows(
    connection: &Connection,
    range: &Range,
    limit: u32,
) -> Result<Vec<ModelRow>, rusqlite::Error> {
    let condition = range.sql("records", true);
    let sql = format!(
        "SELECT use_case, provider, model, count(*), \
         sum(outcome = 'complete' AND status < 400), count(cost_nanos), count(first_token_us), \
         sum((cost_nanos - legs_nanos) >> 32), sum((cost_nanos - legs_nanos) & 4294967295) \
         FROM records WHERE {condition} AND {REACHED} GROUP BY use_case, provider, model \
         ORDER BY use_case, count(*) DESC, provider, model LIMIT ?"
    );
    let values = range.values.iter().cloned().chain([Value::from(limit)]);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        Ok(ModelRow {
            use_case: row.get(0)?,
            provider: row.get(1)?,
            model: row.get(2)?,
            calls: row.get(3)?,
            succeeded: row.get(4)?,
            priced: row.get(5)?,
            timed: row.get(6)?,
            cost_nanos: halves(row, 7)?,
            ..ModelRow::default()
        })
    })?;
    rows.collect()
}

/// Times by their leading [`DIGITS`] binary digits, and how many there are.
type Times = BTreeMap<u64, u64>;

/// Binary digits that are kept of a time: less than a thousandth is lost.
const DIGITS: u32 = 11;

/// The times of the first token, by rank.
fn first_tokens(
    connection: &Connection,
    range: &Range,
    rows: &mut [ModelRow],
) -> Result<(), rusqlite::Error> {
    let named = rows.iter().enumerate();
    let named = named.map(|(nth, row)| (name([&row.use_case, &row.provider, &row.model]), nth));
    let named: HashMap<String, usize> = named.collect();
    let mut times: Vec<Times> = vec![Times::new(); rows.len()];
    let condition = range.sql("records", true);
    let sql = format!(
        "SELECT use_case, provider, model, first_token_us FROM records \
         WHERE {condition} AND {REACHED} AND first_token_us IS NOT NULL"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(range.values.iter()))?;
    while let Some(row) = found.next()? {
        let text = |at| row.get_ref(at).and_then(|it| Ok(it.as_str()?));
        let name = name([text(0)?, text(1)?, text(2)?]);
        if let Some(times) = named.get(&name).and_then(|nth| times.get_mut(*nth)) {
            *times.entry(leading(row.get(3)?)).or_default() += 1;
        }
    }
    for (row, times) in rows.iter_mut().zip(&times) {
        row.first_token_p50_us = ranked(times, row.timed, 50);
        row.first_token_p95_us = ranked(times, row.timed, 95);
    }
    Ok(())
}

/// Lengths keep names apart that hold anything.
fn name(parts: [&str; 3]) -> String {
    let [first, second, third] = parts;
    format!("{} {} {first}{second}{third}", first.len(), second.len())
}

/// A time without the digits that are not kept.
pub(super) fn leading(us: u64) -> u64 {
    let lost = (u64::BITS - us.leading_zeros()).saturating_sub(DIGITS);
    us >> lost << lost
}

/// The time that so many of a hundred of them do not exceed.
fn ranked(times: &Times, count: u64, per_cent: u64) -> Option<u64> {
    let rank = count.saturating_mul(per_cent).div_ceil(100);
    let mut seen = 0;
    let mut times = times.iter();
    let found = times.find(|(_, many)| {
        seen += *many;
        seen >= rank
    });
    found.map(|(us, _)| *us)
}

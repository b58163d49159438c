//! Sums over records: what was spent, what limits did not hold, how models
//! did. Sums are exact: they are taken in two halves, so that none overflows.
//!
//! Every question has a begin and an end, so that it reads a range of the
//! table, and gives at most as many rows as it asks for.
//!
//! Deliberately not here: how sums are shown.

mod compare;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::IndexError;
use super::query::{first_recorded_since, within};

pub use compare::{ModelRow, Models, Refusal, Refusals};
pub(super) use compare::{models, refusals};

/// Most rows of an answer.
pub const GROUPS_MAX: u32 = 10_000;
/// Most dimensions of a question.
pub const DIMENSIONS_MAX: usize = 10;

const HOUR_US: u64 = 3_600_000_000;
const DAY_US: u64 = 24 * HOUR_US;

/// What spending is grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Tenant.
    Tenant,
    /// Cost centre.
    CostCenter,
    /// App.
    App,
    /// Use case.
    UseCase,
    /// End user.
    User,
    /// Public id of the key.
    Key,
    /// Model at the provider.
    Model,
    /// Provider.
    Provider,
    /// Version of the price.
    PriceVersion,
    /// Operation.
    Operation,
    /// Day in UTC.
    Day,
    /// Hour in UTC.
    Hour,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 12] = [
        Self::Tenant,
        Self::CostCenter,
        Self::App,
        Self::UseCase,
        Self::User,
        Self::Key,
        Self::Model,
        Self::Provider,
        Self::PriceVersion,
        Self::Operation,
        Self::Day,
        Self::Hour,
    ];

    /// The name in questions and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::CostCenter => "cost_center",
            Self::App => "app",
            Self::UseCase => "use_case",
            Self::User => "user",
            Self::Key => "key",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::PriceVersion => "price_version",
            Self::Operation => "operation",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }

    /// The dimension of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Its expression over [`PARTS`].
    fn sql(self) -> String {
        match self {
            Self::Key => "key_id".to_owned(),
            Self::Day => format!("recorded_us / {DAY_US}"),
            Self::Hour => format!("recorded_us / {HOUR_US}"),
            Self::Tenant
            | Self::CostCenter
            | Self::App
            | Self::UseCase
            | Self::User
            | Self::Model
            | Self::Provider
            | Self::PriceVersion
            | Self::Operation => self.name().to_owned(),
        }
    }

    /// Length of its unit, where it is one of time.
    fn unit_us(self) -> Option<u64> {
        match self {
            Self::Day => Some(DAY_US),
            Self::Hour => Some(HOUR_US),
            Self::Tenant
            | Self::CostCenter
            | Self::App
            | Self::UseCase
            | Self::User
            | Self::Key
            | Self::Model
            | Self::Provider
            | Self::PriceVersion
            | Self::Operation => None,
        }
    }
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// Recorded at or after, microseconds since the Unix epoch.
    pub from_us: u64,
    /// Recorded before.
    pub until_us: u64,
    /// Only of this tenant.
    pub tenant: Option<String>,
    /// Only of this provider. [`RecordIndex::refusals`](super::RecordIndex)
    /// does not look at it.
    pub provider: Option<String>,
    /// Most rows; 0 and anything above [`GROUPS_MAX`] is that.
    pub limit: u32,
}

/// What was spent on what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Which records.
    pub within: Within,
    /// Grouped by these, of which [`DIMENSIONS_MAX`] count.
    pub by: Vec<Dimension>,
}

/// A value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A name; empty where there is none.
    Text(String),
    /// Begin of the day or hour, microseconds since the Unix epoch.
    Time(u64),
}

/// Exact sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Calls.
    pub calls: i128,
    /// Of these, refused before any upstream was called.
    pub refused: i128,
    /// Of these, failed, cut or lost.
    pub failed: i128,
    /// Of these, with tokens whose price nobody knows: not in the cost.
    pub unpriced: i128,
    /// Of these, with tokens that were counted or bounded here.
    pub estimated: i128,
    /// Input tokens.
    pub input_tokens: i128,
    /// Of these, read from the provider's cache.
    pub cached_read_tokens: i128,
    /// Of these, written to the provider's cache.
    pub cached_write_tokens: i128,
    /// Output tokens.
    pub output_tokens: i128,
    /// Of these, of reasoning.
    pub reasoning_tokens: i128,
    /// Of all tokens, those of estimated calls.
    pub estimated_tokens: i128,
    /// Cost in nano-dollars.
    pub cost_nanos: i128,
    /// Of this, that of estimated calls.
    pub estimated_nanos: i128,
}

/// The columns of [`Sums`], in order, over [`PARTS`].
const SUMMED: [&str; 13] = [
    "calls",
    "refused",
    "failed",
    "unpriced",
    "calls * estimated",
    "input_tokens",
    "cached_read_tokens",
    "cached_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    // Each at most half of what fits, so that their sum does.
    "estimated * (min(input_tokens, 4611686018427387903) + min(output_tokens, 4611686018427387903))",
    "cost",
    "estimated * cost",
];

/// The first of them count calls, and never need two halves.
const COUNTS: usize = 5;

impl Sums {
    fn each(&mut self) -> [&mut i128; SUMMED.len()] {
        [
            &mut self.calls,
            &mut self.refused,
            &mut self.failed,
            &mut self.unpriced,
            &mut self.estimated,
            &mut self.input_tokens,
            &mut self.cached_read_tokens,
            &mut self.cached_write_tokens,
            &mut self.output_tokens,
            &mut self.reasoning_tokens,
            &mut self.estimated_tokens,
            &mut self.cost_nanos,
            &mut self.estimated_nanos,
        ]
    }

    /// What is left of these when those are taken away.
    pub fn less(mut self, mut those: Self) -> Self {
        for (left, taken) in self.each().into_iter().zip(those.each()) {
            *left -= *taken;
        }
        self
    }

    /// Both together.
    pub fn and(mut self, mut those: Self) -> Self {
        for (left, more) in self.each().into_iter().zip(those.each()) {
            *left += *more;
        }
        self
    }
}

impl From<[i128; SUMMED.len()]> for Sums {
    /// From numbers in the order of the fields.
    fn from(numbers: [i128; SUMMED.len()]) -> Self {
        let mut sums = Self::default();
        for (sum, number) in sums.each().into_iter().zip(numbers) {
            *sum = number;
        }
        sums
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its values, in the order of the question.
    pub keys: Vec<Key>,
    /// Its sums.
    pub sums: Sums,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Groups: by time where that was asked for, else the dearest first.
    pub groups: Vec<Group>,
    /// Everything, also what is in no group of these.
    pub total: Sums,
    /// There are more groups.
    pub more: bool,
}

/// Records and the attempts that were billed beside them, each with its own
/// provider, model and cost.
const PARTS: &str = "
  SELECT recorded_us, tenant, cost_center, app, use_case, user, key_id, operation,
    model, provider, price_version, 1 AS calls, outcome = 'refused' AS refused,
    outcome IN ('failed', 'cut', 'lost') AS failed,
    price_version = '' AND (input_tokens <> 0 OR output_tokens <> 0) AS unpriced,
    estimated, input_tokens, cached_read_tokens, cached_write_tokens,
    output_tokens, reasoning_tokens, ifnull(cost_nanos, 0) - legs_nanos AS cost
  FROM records WHERE {records}
  UNION ALL
  SELECT recorded_us, tenant, cost_center, app, use_case, user, key_id, operation,
    legs.model, legs.provider, '', 0, 0, 0, 0,
    legs.estimated, legs.input_tokens, legs.cached_read_tokens, legs.cached_write_tokens,
    legs.output_tokens, legs.reasoning_tokens, legs.cost_nanos
  FROM legs JOIN records USING(sequence) WHERE {legs}";

pub(super) fn spend(
    connection: &mut Connection,
    question: &Question,
    ms_max: u64,
) -> Result<Spent, IndexError> {
    within(connection, ms_max, |connection| {
        // All queries see the same records.
        let transaction = connection.unchecked_transaction()?;
        let range = Range::of(&transaction, &question.within)?;
        let by: Vec<Dimension> = question.by.iter().copied().take(DIMENSIONS_MAX).collect();
        let limit = limit(&question.within);
        let mut found = groups(&transaction, &range, &by, limit + 1)?;
        let more = found.len() as u64 > u64::from(limit);
        let all = match more {
            true => groups(&transaction, &range, &[], 1)?,
            false => Vec::new(),
        };
        if more {
            found.pop();
        }
        // Where every group is here, they are everything.
        let parts = if more { &all } else { &found };
        let sums = parts.iter().map(|group| group.sums);
        Ok(Spent {
            total: sums.fold(Sums::default(), Sums::and),
            groups: found,
            more,
        })
    })
}

fn groups(
    connection: &Connection,
    range: &Range,
    by: &[Dimension],
    limit: u32,
) -> Result<Vec<Group>, rusqlite::Error> {
    let keys: Vec<String> = by.iter().map(|it| it.sql()).collect();
    let sums = SUMMED.iter().enumerate().map(|(nth, it)| match nth {
        ..COUNTS => format!("0, sum({it})"),
        _ => format!("sum(({it}) >> 32), sum(({it}) & 4294967295)"),
    });
    let columns = keys.iter().cloned().chain(sums);
    let columns = columns.collect::<Vec<_>>().join(", ");
    let (records, legs) = (range.sql("records", true), range.sql("legs", true));
    let parts = PARTS
        .replace("{records}", &records)
        .replace("{legs}", &legs);
    let mut order: Vec<String> = Vec::new();
    for dimension in by.iter().filter(|it| it.unit_us().is_some()) {
        order.push(dimension.sql());
    }
    order.push("total(cost) DESC".to_owned());
    order.extend(keys.iter().cloned());
    let group = match keys.is_empty() {
        true => String::new(),
        false => format!("GROUP BY {}", keys.join(", ")),
    };
    let order = order.join(", ");
    let sql = format!("SELECT {columns} FROM ({parts}) {group} ORDER BY {order} LIMIT ?");
    let values = range.values.iter().chain(&range.values).cloned();
    let values = values.chain([Value::from(limit)]);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| group_of(row, by))?;
    rows.collect()
}

fn group_of(row: &rusqlite::Row, by: &[Dimension]) -> Result<Group, rusqlite::Error> {
    let keys = by.iter().enumerate().map(|(at, dimension)| {
        Ok(match dimension.unit_us() {
            Some(unit) => Key::Time(row.get::<_, u64>(at)?.saturating_mul(unit)),
            None => Key::Text(row.get(at)?),
        })
    });
    let keys = keys.collect::<Result<_, rusqlite::Error>>()?;
    let mut sums = Sums::default();
    for (nth, sum) in sums.each().into_iter().enumerate() {
        *sum = halves(row, by.len() + 2 * nth)?;
    }
    Ok(Group { keys, sums })
}

/// A sum that was taken in two halves.
fn halves(row: &rusqlite::Row, at: usize) -> Result<i128, rusqlite::Error> {
    let half = |at| row.get::<_, Option<i64>>(at).map(Option::unwrap_or_default);
    Ok((i128::from(half(at)?) << 32) + i128::from(half(at + 1)?))
}

/// The records of a [`Within`].
struct Range {
    values: Vec<Value>,
    tenant: bool,
    provider: bool,
}

impl Range {
    fn of(connection: &Connection, within: &Within) -> Result<Self, rusqlite::Error> {
        let mut values = vec![
            first_recorded_since(connection, within.from_us)?.into(),
            first_recorded_since(connection, within.until_us)?.into(),
        ];
        let texts = [&within.tenant, &within.provider];
        values.extend(texts.into_iter().flatten().map(|it| it.clone().into()));
        Ok(Self {
            values,
            tenant: within.tenant.is_some(),
            provider: within.provider.is_some(),
        })
    }

    /// The condition on a table, with [`Range::values`].
    fn sql(&self, table: &str, with_provider: bool) -> String {
        let mut sql = format!("{table}.sequence >= ? AND {table}.sequence < ?");
        if self.tenant {
            sql.push_str(" AND tenant = ?");
        }
        if self.provider && with_provider {
            sql.push_str(&format!(" AND {table}.provider = ?"));
        }
        sql
    }
}

fn limit(within: &Within) -> u32 {
    match within.limit {
        0 => GROUPS_MAX,
        limit => limit.min(GROUPS_MAX),
    }
}

#[cfg(test)]
mod tests;

//! Sums over the records of all replicas. They are those that
//! `store::index::spend` takes over the records of one, column by column;
//! PostgreSQL adds up exactly.

use store::index::spend::{
    DIMENSIONS_MAX, Dimension, GROUPS_MAX, Group, Key, Question, Spent, Sums, Within,
};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, IsolationLevel, Row, Transaction};

const HOUR_US: u64 = 3_600_000_000;
const DAY_US: u64 = 24 * HOUR_US;

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
    "estimated * (least(input_tokens, 4611686018427387903) + \
     least(output_tokens, 4611686018427387903))",
    "cost",
    "estimated * cost",
];

/// Records and the attempts that were billed beside them. Texts are ordered by
/// their bytes, as they are elsewhere.
const PARTS: &str = "
  SELECT recorded_us, tenant, cost_center, app, use_case, end_user, key_id, operation,
    model, provider, price_version, 1::bigint AS calls, (outcome = 'refused')::int AS refused,
    (outcome IN ('failed', 'cut', 'lost'))::int AS failed,
    (price_version = '' AND (input_tokens <> 0 OR output_tokens <> 0))::int AS unpriced,
    estimated::int AS estimated, input_tokens, cached_read_tokens, cached_write_tokens,
    output_tokens, reasoning_tokens, coalesce(cost_nanos, 0)::numeric - legs_nanos AS cost
  FROM records WHERE {records}
  UNION ALL
  SELECT recorded_us, tenant, cost_center, app, use_case, end_user, key_id, operation,
    legs.model, legs.provider, '', 0, 0, 0, 0,
    legs.estimated::int, legs.input_tokens, legs.cached_read_tokens, legs.cached_write_tokens,
    legs.output_tokens, legs.reasoning_tokens, legs.cost_nanos
  FROM legs JOIN records USING (request_id) WHERE {legs}";

pub(super) async fn spend(client: &mut Client, question: Question) -> Result<Spent, Error> {
    // All queries see the same records.
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let by: Vec<Dimension> = question.by.iter().copied().take(DIMENSIONS_MAX).collect();
    let limit = limit(&question.within);
    let mut found = groups(&transaction, &question.within, &by, limit + 1).await?;
    let more = found.len() as u64 > u64::from(limit);
    let all = match more {
        true => groups(&transaction, &question.within, &[], 1).await?,
        false => Vec::new(),
    };
    transaction.commit().await?;
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
}

async fn groups(
    transaction: &Transaction<'_>,
    within: &Within,
    by: &[Dimension],
    limit: u32,
) -> Result<Vec<Group>, Error> {
    let keys: Vec<String> = by.iter().map(|it| sql_of(*it)).collect();
    let sums = SUMMED.iter().map(|it| format!("sum({it})::text"));
    let columns: Vec<String> = keys.iter().cloned().chain(sums).collect();
    let columns = columns.join(", ");
    let parts = PARTS
        .replace("{records}", &condition(within, "records"))
        .replace("{legs}", &condition(within, "legs"));
    let times = by.iter().filter(|it| unit_us(**it).is_some());
    let mut order: Vec<String> = times.map(|it| sql_of(*it)).collect();
    order.push("sum(cost) DESC NULLS LAST".to_owned());
    order.extend(keys.iter().cloned());
    let group = match keys.is_empty() {
        true => String::new(),
        false => format!("GROUP BY {}", keys.join(", ")),
    };
    let order = order.join(", ");
    let sql =
        format!("SELECT {columns} FROM ({parts}) parts {group} ORDER BY {order} LIMIT {limit}");
    let (from, until) = (
        super::bounded(within.from_us),
        super::bounded(within.until_us),
    );
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&from, &until];
    let texts = [&within.tenant, &within.provider];
    values.extend(
        texts
            .into_iter()
            .flatten()
            .map(|it| it as &(dyn ToSql + Sync)),
    );
    let rows = transaction.query(&sql, &values).await?;
    rows.iter().map(|row| group_of(row, by)).collect()
}

/// Which rows of a table, with the values of [`groups`] in their order.
fn condition(within: &Within, table: &str) -> String {
    let mut sql = "recorded_us >= $1 AND recorded_us < $2".to_owned();
    let mut next = 3;
    if within.tenant.is_some() {
        sql.push_str(&format!(" AND tenant = ${next}"));
        next += 1;
    }
    if within.provider.is_some() {
        sql.push_str(&format!(" AND {table}.provider = ${next}"));
    }
    sql
}

fn group_of(row: &Row, by: &[Dimension]) -> Result<Group, Error> {
    let mut keys = Vec::new();
    for (at, dimension) in by.iter().enumerate() {
        keys.push(match unit_us(*dimension) {
            Some(unit) => {
                let nth: i64 = row.try_get(at)?;
                Key::Time(u64::try_from(nth).unwrap_or_default().saturating_mul(unit))
            }
            None => Key::Text(row.try_get(at)?),
        });
    }
    let mut numbers = [0; SUMMED.len()];
    for (nth, number) in numbers.iter_mut().enumerate() {
        let text: Option<&str> = row.try_get(by.len() + nth)?;
        // A sum of integers is written as one, and fits.
        *number = text.and_then(|it| it.parse().ok()).unwrap_or_default();
    }
    Ok(Group {
        keys,
        sums: Sums::from(numbers),
    })
}

fn sql_of(dimension: Dimension) -> String {
    let text = match dimension {
        Dimension::Day => return format!("recorded_us / {DAY_US}"),
        Dimension::Hour => return format!("recorded_us / {HOUR_US}"),
        Dimension::Key => "key_id",
        Dimension::User => "end_user",
        Dimension::Tenant
        | Dimension::CostCenter
        | Dimension::App
        | Dimension::UseCase
        | Dimension::Model
        | Dimension::Provider
        | Dimension::PriceVersion
        | Dimension::Operation => dimension.name(),
    };
    format!("{text} COLLATE \"C\"")
}

/// Length of its unit, where it is one of time.
fn unit_us(dimension: Dimension) -> Option<u64> {
    match dimension {
        Dimension::Day => Some(DAY_US),
        Dimension::Hour => Some(HOUR_US),
        Dimension::Tenant
        | Dimension::CostCenter
        | Dimension::App
        | Dimension::UseCase
        | Dimension::User
        | Dimension::Key
        | Dimension::Model
        | Dimension::Provider
        | Dimension::PriceVersion
        | Dimension::Operation => None,
    }
}

fn limit(within: &Within) -> u32 {
    match within.limit {
        0 => GROUPS_MAX,
        limit => limit.min(GROUPS_MAX),
    }
}

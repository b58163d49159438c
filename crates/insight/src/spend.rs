//! What was spent, as a table: groups, what is in no group that is shown, and
//! the total, which is their sum exactly. Refusals and models as tables too.
//!
//! Deliberately not here: adding up (`store`).

use serde_json::{Value, json};
use store::index::spend::{Dimension, Key, Models, Refusals, Spent, Sums, Within};

use crate::cell::{Cell, Table, moment};

const SUMS: [&str; 13] = [
    "calls",
    "refused",
    "failed",
    "cost_usd",
    "estimated_cost_usd",
    "input_tokens",
    "cached_read_tokens",
    "cached_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "estimated_tokens",
    "estimated_calls",
    "unpriced_calls",
];

fn sums(sums: &Sums) -> [Cell; SUMS.len()] {
    [
        Cell::Int(sums.calls),
        Cell::Int(sums.refused),
        Cell::Int(sums.failed),
        Cell::Money(sums.cost_nanos),
        Cell::Money(sums.estimated_nanos),
        Cell::Int(sums.input_tokens),
        Cell::Int(sums.cached_read_tokens),
        Cell::Int(sums.cached_write_tokens),
        Cell::Int(sums.output_tokens),
        Cell::Int(sums.reasoning_tokens),
        Cell::Int(sums.estimated_tokens),
        Cell::Int(sums.estimated),
        Cell::Int(sums.unpriced),
    ]
}

fn key(key: &Key) -> Cell {
    match key {
        Key::Text(text) => Cell::text(text),
        Key::Time(at_us) => Cell::Time(*at_us),
    }
}

/// The groups as a table.
pub fn table(by: &[Dimension], spent: &Spent) -> Table {
    let names = by.iter().map(|dimension| dimension.name());
    let mut table = Table {
        columns: names.chain(SUMS).collect(),
        rows: Vec::new(),
    };
    for group in &spent.groups {
        let keys = group.keys.iter().map(key);
        table.rows.push(keys.chain(sums(&group.sums)).collect());
    }
    table
}

/// What is in no group of these.
pub fn rest(spent: &Spent) -> Sums {
    let groups = spent.groups.iter();
    groups.fold(spent.total, |rest, group| rest.less(group.sums))
}

/// The whole answer.
pub fn report(by: &[Dimension], spent: &Spent, within: &Within) -> Value {
    let line = Table::new(&SUMS);
    let rest = match spent.more {
        true => line.object(&sums(&rest(spent))),
        false => Value::Null,
    };
    json!({
        "from": moment(within.from_us),
        "to": moment(within.until_us),
        "group_by": by.iter().map(|dimension| dimension.name()).collect::<Vec<_>>(),
        "rows": table(by, spent).objects(),
        "rest": rest,
        "total": line.object(&sums(&spent.total)),
        "more": spent.more,
    })
}

/// Refusals as a table.
pub fn refusals(refusals: &Refusals) -> Table {
    let mut table = Table::new(&[
        "limit", "kind", "verdict", "tenant", "app", "key", "calls", "last",
    ]);
    for row in &refusals.rows {
        table.rows.push(vec![
            Cell::text(&row.limit),
            Cell::text(&row.kind),
            Cell::text(&row.verdict),
            Cell::text(&row.tenant),
            Cell::text(&row.app),
            Cell::text(&row.key_id),
            Cell::Int(row.calls.into()),
            Cell::Time(row.last_us),
        ]);
    }
    table
}

/// Models as a table.
pub fn models(models: &Models) -> Table {
    let mut table = Table::new(&[
        "use_case",
        "provider",
        "model",
        "calls",
        "success_percent",
        "cost_usd",
        "cost_per_call_usd",
        "unpriced_calls",
        "first_token_p50_us",
        "first_token_p95_us",
    ]);
    for row in &models.rows {
        let calls = i128::from(row.calls).max(1);
        let priced = i128::from(row.priced);
        let each = match priced {
            0 => Cell::Nothing,
            priced => Cell::Money(row.cost_nanos.div_euclid(priced)),
        };
        let time = |us: Option<u64>| us.map_or(Cell::Nothing, |us| Cell::Int(us.into()));
        table.rows.push(vec![
            Cell::text(&row.use_case),
            Cell::text(&row.provider),
            Cell::text(&row.model),
            Cell::Int(row.calls.into()),
            Cell::PerMille(i128::from(row.succeeded) * 1_000 / calls),
            Cell::Money(row.cost_nanos),
            each,
            Cell::Int(i128::from(row.calls) - priced),
            time(row.first_token_p50_us),
            time(row.first_token_p95_us),
        ]);
    }
    table
}

#[cfg(test)]
mod tests;

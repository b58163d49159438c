//! Reports for people: a table with the columns that say something, a total,
//! and what is not in it.
//!
//! Deliberately not here: JSON and CSV, which are printed as they came.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::admin::escape;

/// Longest text of a cell, characters.
const CELL_CHARS: usize = 40;
/// Columns that are shown even if they say nothing.
const ALWAYS: [&str; 4] = ["calls", "cost_usd", "limit", "left"];

/// An answer with `rows`.
pub(super) fn report(told: &Value) -> String {
    let rows: Vec<&Map<String, Value>> = told["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .collect();
    let mut out = String::new();
    if let Some(compared) = told["compared"].as_object() {
        let counts = compared
            .iter()
            .map(|(name, count)| format!("{count} {name}"));
        let counts = counts.collect::<Vec<_>>().join(", ").replace('_', " ");
        let _ = writeln!(out, "Days and models: {counts}.");
    }
    match rows.is_empty() {
        true => out.push_str("There is nothing to show.\n"),
        false => table(&rows, told, &mut out),
    }
    notes(told, &mut out);
    out
}

fn table(rows: &[&Map<String, Value>], told: &Value, out: &mut String) {
    let Some(first) = rows.first() else { return };
    let says = |column: &str| rows.iter().any(|row| !is_empty(row.get(column)));
    let columns: Vec<&str> = first
        .keys()
        .map(String::as_str)
        .enumerate()
        // The first one names the rows.
        .filter(|(nth, column)| *nth == 0 || ALWAYS.contains(column) || says(column))
        .map(|(_, column)| column)
        .collect();
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|it| (*it).to_owned()).collect()];
    let line = |row: &Map<String, Value>| columns.iter().map(|it| cell(row.get(*it))).collect();
    lines.extend(rows.iter().map(|row| line(row)));
    for name in ["rest", "total"] {
        if let Some(sums) = told[name].as_object() {
            let mut sums: Vec<String> = line(sums);
            if let Some(first) = sums.first_mut() {
                *first = name.to_owned();
            }
            lines.push(sums);
        }
    }
    let is_number = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(columns[at]));
        let mut cells = cells.filter(|cell| !cell.is_null());
        cells.all(|cell| match cell {
            Value::String(text) => text.parse::<f64>().is_ok(),
            other => other.is_number(),
        })
    };
    let widths = (0..columns.len()).map(|at| {
        let cells = lines.iter().map(|line| line[at].chars().count());
        (cells.max().unwrap_or(0), at > 0 && is_number(at))
    });
    let widths: Vec<(usize, bool)> = widths.collect();
    for line in &lines {
        let cells = line.iter().zip(&widths);
        let cells = cells.map(|(cell, (width, is_number))| match is_number {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        let text = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", text.trim_end());
    }
}

/// What the table does not tell.
fn notes(told: &Value, out: &mut String) {
    if told["more"] == true {
        out.push_str(
            "There is more than is shown here. Ask for a shorter time or one tenant, or print \
             CSV where there is one.\n",
        );
    }
    let unpriced = told["total"]["unpriced_calls"].as_i64().unwrap_or(0);
    if unpriced > 0 {
        let _ = writeln!(
            out,
            "{unpriced} calls used tokens whose price nobody knows: they are not in the cost."
        );
    }
    let lag = told["records_to_come"].as_u64().unwrap_or(0);
    if lag > 0 {
        let _ = writeln!(
            out,
            "{lag} records are not in the index yet, nor in this report."
        );
    }
    let debts = told["debts_since_start"].as_array().into_iter().flatten();
    for debt in debts.filter(|debt| !is_empty(debt.get("debt"))) {
        let (measure, amount) = (cell(debt.get("measure")), cell(debt.get("debt")));
        let _ = writeln!(
            out,
            "Estimation debt in {measure} since the start: {amount} beyond what was reserved."
        );
    }
}

fn is_empty(cell: Option<&Value>) -> bool {
    match cell {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty() || text == "0.00",
        Some(Value::Number(number)) => number.as_i64() == Some(0),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => false,
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => escape::plain(text, CELL_CHARS),
        Some(other) => escape::plain(&other.to_string(), CELL_CHARS),
    }
}

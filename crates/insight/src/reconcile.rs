//! Our figures beside those of a provider's own export, by day and model, with
//! every difference.
//!
//! Deliberately not here: reading an export (`read`).

pub mod read;

use std::collections::BTreeMap;

use meter::prices::date;
use serde_json::{Value, json};
use store::index::spend::{Dimension, Group, Key};

use crate::cell::{Cell, Table};
use read::Line;

/// What our side is grouped by.
pub const BY: [Dimension; 2] = [Dimension::Day, Dimension::Model];
/// Most differences of an answer.
pub const ROWS_MAX: usize = 1_000;

const DAY_US: u64 = 86_400_000_000;

/// The figures of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    input: Option<i128>,
    output: Option<i128>,
    cost: Option<i128>,
}

impl Figures {
    fn and(&mut self, other: Self) {
        let sum = |one: Option<i128>, other: Option<i128>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        self.input = sum(self.input, other.input);
        self.output = sum(self.output, other.output);
        self.cost = sum(self.cost, other.cost);
    }

    /// Equal in all that both sides tell.
    fn equals(&self, other: &Self) -> bool {
        let same = |one: Option<i128>, other: Option<i128>| {
            one.zip(other).is_none_or(|(one, other)| one == other)
        };
        same(self.input, other.input)
            && same(self.output, other.output)
            && same(self.cost, other.cost)
    }
}

/// Both sides of one day and model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pair {
    ours: Option<Figures>,
    theirs: Option<Figures>,
}

impl Pair {
    fn state(&self) -> &'static str {
        match (&self.ours, &self.theirs) {
            (Some(ours), Some(theirs)) if ours.equals(theirs) => "equal",
            (Some(_), Some(_)) => "differs",
            (Some(_), None) => "only_here",
            (None, _) => "only_there",
        }
    }

    /// How much it matters: the difference in money, then in tokens.
    fn weight(&self) -> (u128, u128) {
        let (ours, theirs) = (
            self.ours.unwrap_or_default(),
            self.theirs.unwrap_or_default(),
        );
        let gap = |one: Option<i128>, other: Option<i128>| {
            one.unwrap_or_default().abs_diff(other.unwrap_or_default())
        };
        let tokens = gap(ours.input, theirs.input).saturating_add(gap(ours.output, theirs.output));
        (gap(ours.cost, theirs.cost), tokens)
    }
}

/// The days of an export: begin of the first, end of the last, microseconds
/// since the Unix epoch.
pub fn range(lines: &[Line]) -> Option<(u64, u64)> {
    let days = lines.iter().map(|line| line.day_us);
    let (first, last) = (days.clone().min()?, days.max()?);
    Some((first, last.saturating_add(DAY_US)))
}

/// Compares. Groups are by [`BY`]; `same` gives the name by which we know a
/// model of theirs.
pub fn compare(ours: &[Group], theirs: &[Line], same: &BTreeMap<String, String>) -> Value {
    let mut pairs: BTreeMap<(u64, String), Pair> = BTreeMap::new();
    for group in ours {
        let [Key::Time(day_us), Key::Text(model)] = group.keys.as_slice() else {
            continue;
        };
        let sums = &group.sums;
        // Refusals never reached a provider.
        if model.is_empty() || sums.calls == sums.refused && sums.cost_nanos == 0 {
            continue;
        }
        let pair = pairs.entry((*day_us, model.clone())).or_default();
        pair.ours.get_or_insert_default().and(Figures {
            input: Some(sums.input_tokens),
            output: Some(sums.output_tokens),
            cost: Some(sums.cost_nanos),
        });
    }
    for line in theirs {
        let model = same.get(&line.model).unwrap_or(&line.model).clone();
        let pair = pairs.entry((line.day_us, model)).or_default();
        pair.theirs.get_or_insert_default().and(Figures {
            input: line.input,
            output: line.output,
            cost: line.cost,
        });
    }
    report(&pairs)
}

fn report(pairs: &BTreeMap<(u64, String), Pair>) -> Value {
    let mut counts: BTreeMap<&str, u64> = ["equal", "differs", "only_here", "only_there"]
        .map(|it| (it, 0))
        .into();
    let mut total = Pair::default();
    for pair in pairs.values() {
        *counts.entry(pair.state()).or_default() += 1;
        if let Some(ours) = pair.ours {
            total.ours.get_or_insert_default().and(ours);
        }
        if let Some(theirs) = pair.theirs {
            total.theirs.get_or_insert_default().and(theirs);
        }
    }
    let differing = pairs.iter().filter(|(_, pair)| pair.state() != "equal");
    let mut differing: Vec<_> = differing.collect();
    // Of those that matter as much, the earlier first.
    differing.sort_by_key(|(_, pair)| std::cmp::Reverse(pair.weight()));
    let more = differing.len() > ROWS_MAX;
    let mut table = Table::new(&COLUMNS);
    for ((day_us, model), pair) in differing.into_iter().take(ROWS_MAX) {
        table.rows.push(row(&date(day_us / 1_000_000), model, pair));
    }
    json!({
        "compared": counts,
        "rows": table.objects(),
        "more": more,
        "total": table.object(&row("", "", &total)),
    })
}

const COLUMNS: [&str; 13] = [
    "day",
    "model",
    "state",
    "input_tokens_here",
    "input_tokens_there",
    "input_tokens_difference",
    "output_tokens_here",
    "output_tokens_there",
    "output_tokens_difference",
    "cost_usd_here",
    "cost_usd_there",
    "cost_usd_difference",
    "cost_difference_percent",
];

fn row(day: &str, model: &str, pair: &Pair) -> Vec<Cell> {
    let mut cells = vec![Cell::text(day), Cell::text(model), Cell::text(pair.state())];
    let (ours, theirs) = (pair.ours, pair.theirs);
    let mut add = |of: fn(&Figures) -> Option<i128>, cell: fn(i128) -> Cell| {
        let figure = |side: Option<Figures>| side.as_ref().and_then(of);
        let (here, there) = (figure(ours), figure(theirs));
        // A side that does not have the line at all has none of it; a figure
        // that an export does not tell is not compared.
        let is_told = there.is_some() || theirs.is_none();
        let gap = here.unwrap_or_default() - there.unwrap_or_default();
        let show = |figure: Option<i128>| figure.map_or(Cell::Nothing, cell);
        cells.extend([show(here), show(there), show(is_told.then_some(gap))]);
        (is_told.then_some(gap), there)
    };
    add(|it| it.input, Cell::Int);
    add(|it| it.output, Cell::Int);
    let (gap, there) = add(|it| it.cost, Cell::Money);
    cells.push(match (gap, there) {
        (Some(gap), Some(there)) => share(gap, there),
        (_, _) => Cell::Nothing,
    });
    cells
}

/// A difference as a share of what it is a difference to.
pub(crate) fn share(difference: i128, of: i128) -> Cell {
    match difference.saturating_mul(1_000).checked_div(of) {
        Some(share) => Cell::PerMille(share),
        None => Cell::Nothing,
    }
}

#[cfg(test)]
mod tests;

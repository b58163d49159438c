//! What recorded usage costs at other prices. It changes nothing: the ledger
//! keeps what calls cost when they were made.
//!
//! Deliberately not here: reading records.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Operation, Usage};
use evidence::{Attempt, Record};
use meter::prices::{Catalog, PriceBook, Prices, Query, Terms};
use plan::Plan;

use crate::cell::{Cell, Table};

/// Most models of an answer.
const MODELS_MAX: usize = 10_000;
/// Faults of a file that are told.
const FAULTS_SHOWN: usize = 5;

/// The prices of a file over the built-in ones, without the overrides of the
/// configuration.
///
/// # Errors
/// What is wrong with the file.
pub fn prices_of(text: &str) -> Result<Prices, String> {
    let catalog = Catalog::parse(text).map_err(|faults| {
        let faults = faults.iter().take(FAULTS_SHOWN);
        let faults = faults.map(|fault| format!("line {}: {}", fault.line, fault.what));
        faults.collect::<Vec<_>>().join("; ")
    })?;
    Ok(Prices {
        book: Arc::new(PriceBook::new(Some(Arc::new(catalog)), Vec::new())),
        ..Prices::default()
    })
}

/// What a model cost and would cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    calls: i128,
    /// Calls whose cost differs.
    changed: i128,
    /// Calls that had no price, and have none now.
    unpriced: (i128, i128),
    old: i128,
    new: i128,
}

/// History at other prices, record by record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repricing {
    models: BTreeMap<(String, String), Line>,
    total: Line,
}

impl Repricing {
    /// Prices a record. Providers are those of the plan; what the plan no
    /// longer has counts as without a price.
    pub fn add(&mut self, record: &Record, plan: &Plan, prices: &Prices) {
        let is_priced = [Operation::Chat, Operation::Embed].map(Operation::name);
        if !is_priced.contains(&&*record.operation) {
            return;
        }
        let served = record.attempts.iter().position(|it| it.committed);
        let own = served.or(record.attempts.len().checked_sub(1));
        let others = record.attempts.iter().filter_map(|it| it.cost_nanos);
        let others: i128 = others.map(i128::from).sum();
        for (nth, attempt) in record.attempts.iter().enumerate() {
            let is_own = own == Some(nth);
            let usage = match (attempt.usage, is_own) {
                (Some(usage), _) => usage,
                (None, true) if record.usage != Usage::default() => record.usage,
                (None, _) => continue,
            };
            let old = match is_own {
                true if record.price_version.is_none() => None,
                true => record.cost_nanos.map(|cost| i128::from(cost) - others),
                false => attempt.cost_nanos.map(i128::from),
            };
            let new = cost(record, attempt, &usage, plan, prices);
            self.count(attempt, old, new);
        }
    }

    fn count(&mut self, attempt: &Attempt, old: Option<i128>, new: Option<i128>) {
        let line = Line {
            calls: 1,
            changed: i128::from(old != new),
            unpriced: (i128::from(old.is_none()), i128::from(new.is_none())),
            old: old.unwrap_or_default(),
            new: new.unwrap_or_default(),
        };
        self.total.and(line);
        let key = (attempt.provider.to_string(), attempt.model.to_string());
        // The total holds what has no line of its own.
        if self.models.len() < MODELS_MAX || self.models.contains_key(&key) {
            self.models.entry(key).or_default().and(line);
        }
    }

    /// The models, those that differ most first.
    pub fn table(&self) -> Table {
        let mut lines: Vec<_> = self.models.iter().collect();
        lines.sort_by_key(|(_, line)| -(line.new - line.old).abs());
        let mut table = Table::new(&COLUMNS);
        for ((provider, model), line) in lines {
            table.rows.push(row(provider, model, line));
        }
        table
    }

    /// All models together.
    pub fn total(&self) -> Vec<Cell> {
        row("", "", &self.total)
    }
}

/// The columns of [`Repricing::table`].
pub const COLUMNS: [&str; 10] = [
    "provider",
    "model",
    "calls",
    "changed_calls",
    "recorded_usd",
    "repriced_usd",
    "difference_usd",
    "difference_percent",
    "unpriced_calls_then",
    "unpriced_calls_now",
];

fn row(provider: &str, model: &str, line: &Line) -> Vec<Cell> {
    let difference = line.new - line.old;
    vec![
        Cell::text(provider),
        Cell::text(model),
        Cell::Int(line.calls),
        Cell::Int(line.changed),
        Cell::Money(line.old),
        Cell::Money(line.new),
        Cell::Money(difference),
        crate::reconcile::share(difference, line.old),
        Cell::Int(line.unpriced.0),
        Cell::Int(line.unpriced.1),
    ]
}

impl Line {
    fn and(&mut self, other: Self) {
        self.calls += other.calls;
        self.changed += other.changed;
        self.unpriced.0 += other.unpriced.0;
        self.unpriced.1 += other.unpriced.1;
        self.old += other.old;
        self.new += other.new;
    }
}

/// What an attempt costs at these prices, at the time of its call; what the
/// provider told where there is none.
fn cost(
    record: &Record,
    attempt: &Attempt,
    usage: &Usage,
    plan: &Plan,
    prices: &Prices,
) -> Option<i128> {
    let told = usage.told_cost_nanos.map(i128::from);
    let mut providers = plan.providers.iter();
    let provider = providers.find(|it| it.name == attempt.provider)?;
    let found = prices.of(&Query {
        provider: &provider.name,
        kind: provider.kind.name,
        model: &attempt.model,
        region: provider.account.region.as_deref(),
        tenant: record.who.tenant.as_deref(),
        at_s: record.arrived_us / 1_000_000,
    });
    match found {
        Ok(found) => Some(found.price.cost(usage, &Terms::of(usage)).total.0.into()),
        Err(_) => told,
    }
}

#[cfg(test)]
mod tests;

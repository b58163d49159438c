//! Every budget and limit as it stands: what is settled and reserved in the
//! window that holds now, and when it runs out.
//!
//! Deliberately not here: counting (`meter`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meter::{Counters, Dimension, Level, Measure, Pace, Quota, QuotaKind, Quotas, Span};
use serde_json::{Value, json};

use crate::cell::{Cell, Table, moment};
use crate::forecast::{self, forecast};

/// Most counters of an answer.
pub const ROWS_MAX: usize = 1_000;

/// What the counters say.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Every counter that is kept.
    pub levels: Vec<Level>,
    /// Estimation debt since the start, by measure.
    pub debts: Vec<(Measure, i64)>,
    /// Counters of limits that keys have of their own.
    pub of_keys: Vec<KeyCounter>,
}

/// The counter of a limit of a key's own. Limits of one name differ by key.
#[derive(Clone, Debug)]
pub struct KeyCounter {
    /// The counter.
    pub counter: u128,
    /// Whose, for people.
    pub scope: String,
    /// The limit.
    pub quota: Arc<Quota>,
}

impl Counted {
    /// What these counters say.
    pub fn of(counters: &dyn Counters) -> Self {
        let measures = Measure::ALL.into_iter();
        // A call takes one of these, whatever comes of it.
        let estimated =
            measures.filter(|it| !matches!(it, Measure::Requests | Measure::Concurrency));
        Self {
            levels: counters.levels(),
            debts: estimated.map(|it| (it, counters.debt(it))).collect(),
            of_keys: Vec::new(),
        }
    }
}

/// Counters as they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Budgets first, the fullest first.
    pub table: Table,
    /// There are more.
    pub more: bool,
    debts: Vec<(Measure, i64)>,
    at_us: u64,
}

impl Budgets {
    /// The whole answer.
    pub fn report(&self) -> Value {
        let debts = self.debts.iter().map(|(measure, debt)| {
            let mut line = Table::new(&["measure", "debt"]);
            let name = Cell::Text(measure.name().to_owned());
            line.rows.push(vec![name, amount(*measure, (*debt).into())]);
            line.object(&line.rows[0])
        });
        json!({
            "at": moment(self.at_us),
            "forecast_method": forecast::METHOD,
            "rows": self.table.objects(),
            "more": self.more,
            "debts_since_start": debts.collect::<Vec<_>>(),
        })
    }
}

const COLUMNS: [&str; 15] = [
    "name",
    "kind",
    "measure",
    "scope",
    "mode",
    "limit",
    "settled",
    "reserved",
    "elsewhere",
    "left",
    "used_percent",
    "window_from",
    "window_to",
    "forecast",
    "runs_out",
];

/// One counter: what is used of which quota in which window.
struct Line<'a> {
    quota: &'a Quota,
    scope: &'a str,
    span: Span,
    settled: i128,
    reserved: i128,
    elsewhere: i128,
}

impl Line<'_> {
    /// By all replicas together.
    fn sum(&self) -> i128 {
        self.settled + self.reserved + self.elsewhere
    }

    /// Thousandths of the limit that are used.
    fn used(&self, limit: i128) -> i128 {
        let used = self.sum();
        match limit {
            ..=0 => 1_000,
            limit => used.saturating_mul(1_000) / limit,
        }
    }
}

/// The counters of these quotas as they stand; those of one tenant, if named.
pub fn budgets(counted: &Counted, quotas: &Quotas, tenant: Option<&str>, now_us: u64) -> Budgets {
    let mut lines: BTreeMap<u128, Line<'_>> = BTreeMap::new();
    let of_keys = counted.of_keys.iter().map(|it| (it.counter, it));
    let of_keys: HashMap<u128, &KeyCounter> = of_keys.collect();
    for level in &counted.levels {
        let of_key = of_keys.get(&level.counter).map(|it| &it.quota);
        let quota = || quotas.all().iter().find(|it| it.name == level.quota);
        let quota = of_key.or_else(quota);
        let Some(quota) = quota.filter(|it| sees(it, &level.scope, tenant)) else {
            continue;
        };
        let moves_us = moves_us(quota);
        if level.span.until_us.saturating_add(moves_us) <= now_us || level.span.from_us > now_us {
            continue;
        }
        let line = lines.entry(level.counter).or_insert_with(|| Line {
            quota,
            scope: &level.scope,
            span: level.span,
            settled: 0,
            reserved: 0,
            elsewhere: 0,
        });
        line.settled += i128::from(level.settled);
        line.reserved += i128::from(level.reserved);
        line.elsewhere += i128::from(level.elsewhere);
    }
    for of_key in &counted.of_keys {
        let is_cells = matches!(of_key.quota.pace, Pace::Gcra { .. });
        if !is_cells && sees(&of_key.quota, &of_key.scope, tenant) {
            let unused = || unused(&of_key.quota, &of_key.scope, now_us);
            lines.entry(of_key.counter).or_insert_with(unused);
        }
    }
    let mut lines: Vec<Line<'_>> = lines.into_values().collect();
    // What nobody has drawn on yet is whole. Counters by caller come with
    // their callers, and the cells of a rate leave no level.
    for quota in quotas.all() {
        let is_one = quota.scope.by.is_empty() && !matches!(quota.pace, Pace::Gcra { .. });
        let is_known = lines.iter().any(|line| line.quota.name == quota.name);
        if is_one && !is_known && sees(quota, "", tenant) {
            lines.push(unused(quota, "", now_us));
        }
    }
    let limit = |line: &Line<'_>| i128::from(line.quota.limit_at(now_us));
    lines.sort_by_key(|line| {
        let is_limit = line.quota.kind == QuotaKind::RateLimit;
        let used = line.used(limit(line));
        (is_limit, -used, line.quota.name.clone(), line.scope)
    });
    let more = lines.len() > ROWS_MAX;
    let mut table = Table::new(&COLUMNS);
    let shown = lines.iter().take(ROWS_MAX);
    table.rows = shown.map(|line| row(line, limit(line), now_us)).collect();
    Budgets {
        table,
        more,
        // Debts are of all tenants.
        debts: if tenant.is_some() {
            Vec::new()
        } else {
            counted.debts.clone()
        },
        at_us: now_us,
    }
}

fn unused<'a>(quota: &'a Quota, scope: &'a str, now_us: u64) -> Line<'a> {
    let span = match &quota.pace {
        Pace::Window(window) => window.span(now_us),
        Pace::Gcra { .. } | Pace::Permits => Span::ALWAYS,
    };
    Line {
        quota,
        scope,
        span,
        settled: 0,
        reserved: 0,
        elsewhere: 0,
    }
}

/// How long a sliding window looks back; 0 for others.
fn moves_us(quota: &Quota) -> u64 {
    match &quota.pace {
        Pace::Window(window) => window.sliding_us().unwrap_or(0),
        Pace::Gcra { .. } | Pace::Permits => 0,
    }
}

/// Whether a counter is a tenant's own: its first dimension is that tenant, or
/// its quota is about that tenant alone.
fn sees(quota: &Quota, scope: &str, tenant: Option<&str>) -> bool {
    let Some(tenant) = tenant else { return true };
    let mut only = quota.scope.only.iter();
    if only.any(|(dimension, values)| *dimension == Dimension::Tenant && values == &[tenant]) {
        return true;
    }
    // Values of later dimensions come from callers and may look like anything;
    // the first one is what it says.
    let own = format!("tenant={tenant}");
    let is_own = match scope.strip_prefix(own.as_str()) {
        Some(rest) => rest.is_empty() || rest.starts_with(", "),
        None => false,
    };
    quota.scope.by.first() == Some(&Dimension::Tenant) && is_own
}

/// An amount of a measure.
fn amount(measure: Measure, amount: i128) -> Cell {
    match measure {
        Measure::Cost => Cell::Money(amount),
        Measure::Requests
        | Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Concurrency => Cell::Int(amount),
    }
}

fn row(line: &Line<'_>, limit: i128, now_us: u64) -> Vec<Cell> {
    let quota = line.quota;
    let used = line.sum();
    // A window that moves has no begin of its own.
    let is_moving = moves_us(quota) > 0;
    let span = match is_moving {
        true => Span::ALWAYS,
        false => line.span,
    };
    let has_window = span.until_us != u64::MAX;
    let expected = forecast(now_us, span, used, limit);
    let of = |sum| amount(quota.measure, sum);
    vec![
        Cell::text(&quota.name),
        Cell::text(quota.kind.name()),
        Cell::text(quota.measure.name()),
        Cell::text(line.scope),
        Cell::text(quota.hold.name()),
        of(limit),
        of(line.settled),
        of(line.reserved),
        of(line.elsewhere),
        of(limit - used),
        Cell::PerMille(line.used(limit)),
        Cell::time(has_window.then_some(span.from_us)),
        Cell::time(has_window.then_some(span.until_us)),
        Cell::text(expected.name()),
        Cell::time(expected.at_us()),
    ]
}

#[cfg(test)]
mod tests;

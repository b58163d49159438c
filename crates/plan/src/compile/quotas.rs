//! Rate limits and budgets, made ready to be asked.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use access::Mode;
use meter::{
    Action, CalendarUnit, Dimension, Hold, Measure, Money, Override, Pace, Queue, QuotaKind,
    QuotaSpec, Quotas, Scope, Threshold, Window,
};
use routing::ModelTable;

use super::Findings;
use crate::diagnostic::suggest;
use crate::document::{
    BudgetEntry, DimensionName, Document, ExceptionEntry, MeasureName, Millis, OnlyEntry,
    RateLimitEntry, ThresholdEntry, WindowName,
};

/// Least pieces of a sliding window are milliseconds.
const SLIDING_MS_MIN: u64 = 1_000;

pub(super) fn compile(document: &Document, models: &ModelTable, findings: &mut Findings) -> Quotas {
    let mut names = HashSet::new();
    let mut specs = Vec::new();
    for (nth, entry) in document.rate_limits.iter().enumerate() {
        let path = format!("rate_limits[{nth}]");
        check_name(&entry.name, &path, &mut names, findings);
        if let Some(spec) = rate_limit(entry, &path, findings) {
            specs.push(spec);
        }
    }
    let known = Known { models, document };
    for (nth, entry) in document.budgets.iter().enumerate() {
        let path = format!("budgets[{nth}]");
        check_name(&entry.name, &path, &mut names, findings);
        if let Some(spec) = budget(entry, &path, &known, findings) {
            specs.push(spec);
        }
    }
    for (nth, entry) in document.brakes.iter().enumerate() {
        let path = format!("brakes[{nth}]");
        check_name(&entry.name, &path, &mut names, findings);
        specs.extend(super::brakes::compile(entry, &path, findings));
    }
    Quotas::new(specs)
}

/// What thresholds may name.
pub(super) struct Known<'a> {
    pub(super) models: &'a ModelTable,
    pub(super) document: &'a Document,
}

fn check_name(name: &str, path: &str, names: &mut HashSet<String>, findings: &mut Findings) {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        findings.error(
            format!("{path}.name"),
            "this is no name of a limit",
            "write up to 64 letters, digits, `-`, `_` and `.`",
        );
    } else if !names.insert(name.to_owned()) {
        findings.error(
            format!("{path}.name"),
            format!("`{name}` is there already, and their counters would run together"),
            "give each limit and budget a name of its own",
        );
    }
}

pub(super) fn rate_limit(
    entry: &RateLimitEntry,
    path: &str,
    findings: &mut Findings,
) -> Option<QuotaSpec> {
    let measure = measure(entry.measure);
    let limit = limit(&entry.limit, measure, &format!("{path}.limit"), findings);
    let pace = pace(entry, measure, limit, path, findings);
    let spec = QuotaSpec {
        name: entry.name.as_str().into(),
        kind: QuotaKind::RateLimit,
        measure,
        limit: limit?,
        pace: pace?,
        scope: scope(&entry.by, &entry.only, path, findings)?,
        hold: hold(entry.mode)?,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: entry.queue.as_ref().map(|queue| Queue {
            wait_ms: queue.wait.0,
            length: queue.length,
            first: queue.first.clone(),
            last: queue.last.clone(),
        }),
        usual: None,
    };
    if spec.queue.is_some() && spec.scope.is_of_attempt() {
        findings.error(
            format!("{path}.queue"),
            "what is counted for each attempt does not wait: the next candidate is taken",
            "leave `queue` out, or count by the caller",
        );
    }
    Some(spec)
}

fn pace(
    entry: &RateLimitEntry,
    measure: Measure,
    limit: Option<i64>,
    path: &str,
    findings: &mut Findings,
) -> Option<Pace> {
    let is_even = entry.window.unwrap_or(match measure {
        Measure::Requests => WindowName::Even,
        Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Cost
        | Measure::Concurrency => WindowName::Sliding,
    });
    if measure == Measure::Concurrency {
        return Some(permits(entry, path, findings));
    }
    let Some(per) = entry.per else {
        findings.error(
            path,
            "it does not say in which time",
            "add `per: 1m`, or another length of time",
        );
        return None;
    };
    if entry.burst.is_some() && is_even != WindowName::Even {
        findings.error(
            format!("{path}.burst"),
            "only requests that are spread evenly have a burst",
            "leave it out, or write `window: even`",
        );
    }
    match is_even {
        WindowName::Even if measure != Measure::Requests => {
            findings.error(
                format!("{path}.window"),
                format!(
                    "`{}` cannot be spread evenly: calls differ in size",
                    measure.name()
                ),
                "write `sliding` or `fixed`",
            );
            None
        }
        WindowName::Even => even(entry, per, limit?, path, findings),
        WindowName::Sliding => {
            check_length(per, &format!("{path}.per"), findings)?;
            Some(Pace::Window(Window::Sliding { length_ms: per.0 }))
        }
        WindowName::Fixed => {
            check_length(per, &format!("{path}.per"), findings)?;
            Some(Pace::Window(Window::Fixed {
                length_s: per.0 / 1_000,
                anchor_s: 0,
            }))
        }
    }
}

fn permits(entry: &RateLimitEntry, path: &str, findings: &mut Findings) -> Pace {
    let beside = [
        ("per", entry.per.is_some()),
        ("window", entry.window.is_some()),
        ("burst", entry.burst.is_some()),
    ];
    for (field, _) in beside.iter().filter(|(_, is_there)| *is_there) {
        findings.error(
            format!("{path}.{field}"),
            "calls at the same time have no window",
            "leave it out, or count `requests`",
        );
    }
    Pace::Permits
}

fn even(
    entry: &RateLimitEntry,
    per: Millis,
    limit: i64,
    path: &str,
    findings: &mut Findings,
) -> Option<Pace> {
    let period_us = per.0.saturating_mul(1_000);
    let limit = limit.unsigned_abs();
    if limit > period_us {
        findings.error(
            format!("{path}.limit"),
            "this is more than one request in each microsecond",
            "write a smaller limit, or a longer `per`",
        );
        return None;
    }
    Some(Pace::Gcra {
        period_us,
        burst: entry.burst.unwrap_or(limit).max(1),
    })
}

/// Windows are whole seconds: shorter ones say nothing about tokens.
pub(super) fn check_length(per: Millis, path: &str, findings: &mut Findings) -> Option<()> {
    if per.0 < SLIDING_MS_MIN || !per.0.is_multiple_of(1_000) {
        findings.error(
            path,
            "a window is one second or longer, in whole seconds",
            "write `1s`, `1m`, `1h` or the like",
        );
        return None;
    }
    Some(())
}

pub(super) fn budget(
    entry: &BudgetEntry,
    path: &str,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<QuotaSpec> {
    let measure = measure(entry.measure);
    if measure == Measure::Concurrency {
        findings.error(
            format!("{path}.measure"),
            "calls at the same time are not spent",
            "write it as one of `rate_limits`",
        );
        return None;
    }
    let limit = limit(&entry.limit, measure, &format!("{path}.limit"), findings);
    let window = window(entry, path, findings);
    let thresholds = entry.thresholds.iter().enumerate().filter_map(|(nth, it)| {
        threshold(it, &format!("{path}.thresholds[{nth}]"), known, findings)
    });
    let mut thresholds: Vec<Threshold> = thresholds.collect();
    thresholds.sort_by_key(|threshold| threshold.at);
    let overrides =
        entry.overrides.iter().enumerate().filter_map(|(nth, it)| {
            over(it, measure, &format!("{path}.overrides[{nth}]"), findings)
        });
    let overrides = overrides.collect();
    let scope = scope(&entry.by, &entry.only, path, findings)?;
    if scope.is_of_attempt() && !thresholds.is_empty() {
        findings.error(
            format!("{path}.thresholds"),
            "what is counted for each attempt has no thresholds: the next candidate is taken",
            "leave them out, or count by the caller",
        );
    }
    Some(QuotaSpec {
        name: entry.name.as_str().into(),
        kind: QuotaKind::Budget,
        measure,
        limit: limit?,
        pace: Pace::Window(window?),
        scope,
        hold: hold(entry.mode)?,
        overrides,
        thresholds,
        queue: None,
        usual: None,
    })
}

fn window(entry: &BudgetEntry, path: &str, findings: &mut Findings) -> Option<Window> {
    let zone_path = format!("{path}.time_zone");
    let name = entry.time_zone.as_deref().unwrap_or("UTC");
    let Some(zone) = meter::window::zone(name) else {
        findings.error(
            zone_path,
            format!("there is no time zone `{name}`"),
            "write a name of the IANA database, such as `Europe/Berlin`",
        );
        return None;
    };
    let unit = match entry.window.as_str() {
        "day" => Some(CalendarUnit::Day),
        "week" => Some(CalendarUnit::Week),
        "month" => Some(CalendarUnit::Month),
        _ => None,
    };
    if entry.from.is_some() && (unit.is_some() || entry.window == "forever") {
        findings.error(
            format!("{path}.from"),
            "windows of the calendar begin at midnight",
            "leave it out, or write a length such as `30d` as `window`",
        );
    }
    if let Some(unit) = unit {
        return Some(Window::Calendar { unit, zone });
    }
    if entry.time_zone.is_some() {
        findings.error(
            zone_path,
            "only windows of the calendar have a time zone",
            "leave it out, or write `day`, `week` or `month` as `window`",
        );
    }
    if entry.window == "forever" {
        return Some(Window::Forever);
    }
    let anchor_us = match &entry.from {
        Some(text) => moment(text, &format!("{path}.from"), findings)?,
        None => 0,
    };
    match Millis::parse(&entry.window) {
        Ok(Millis(ms)) if ms >= 1_000 && ms.is_multiple_of(1_000) => Some(Window::Fixed {
            length_s: ms / 1_000,
            anchor_s: anchor_us / 1_000_000,
        }),
        Ok(_) | Err(_) => {
            findings.error(
                format!("{path}.window"),
                format!("`{}` is no window", entry.window),
                "write `day`, `week`, `month`, `forever`, or a length such as `30d`",
            );
            None
        }
    }
}

fn threshold(
    entry: &ThresholdEntry,
    path: &str,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<Threshold> {
    let mut actions = Vec::new();
    if entry.alert == Some(true) {
        actions.push(Action::Alert);
    }
    if let Some(model) = &entry.degrade {
        if known.models.resolve(model).is_none() {
            let names = known.models.names().map(|(name, _)| name);
            findings.error(
                format!("{path}.degrade"),
                format!("nobody serves the model `{model}`"),
                suggest(model, names, "model"),
            );
        }
        actions.push(Action::Degrade(model.as_str().into()));
    }
    actions.extend(entry.shorten.map(Action::Shorten));
    if let Some(answer) = &entry.answer {
        if known.document.answers.get(answer).is_none() {
            findings.error(
                format!("{path}.answer"),
                format!("there is no answer `{answer}`"),
                suggest(answer, known.document.answers.names(), "answer"),
            );
        }
        actions.push(Action::Answer(answer.as_str().into()));
    }
    if entry.refuse == Some(true) {
        actions.push(Action::Refuse);
    }
    let mut actions = actions.into_iter();
    match (actions.next(), actions.next()) {
        (Some(action), None) => Some(Threshold {
            at: u32::from(entry.at) * 10,
            action,
        }),
        (None, _) | (Some(_), Some(_)) => {
            findings.error(
                path,
                "a threshold does exactly one thing",
                "write one of `alert: true`, `degrade`, `shorten`, `answer` and `refuse: true`",
            );
            None
        }
    }
}

fn over(
    entry: &ExceptionEntry,
    measure: Measure,
    path: &str,
    findings: &mut Findings,
) -> Option<Override> {
    let limit = limit(&entry.limit, measure, &format!("{path}.limit"), findings);
    let from_us = match &entry.from {
        Some(text) => moment(text, &format!("{path}.from"), findings),
        None => Some(0),
    };
    let until_us = moment(&entry.until, &format!("{path}.until"), findings);
    let over = Override {
        limit: limit?,
        from_us: from_us?,
        until_us: until_us?,
    };
    if over.from_us >= over.until_us {
        findings.error(
            format!("{path}.until"),
            "it ends before it begins",
            "write a later moment",
        );
        return None;
    }
    Some(over)
}

fn moment(text: &str, path: &str, findings: &mut Findings) -> Option<u64> {
    let found = meter::window::moment(text);
    if found.is_none() {
        findings.error(
            path,
            format!("`{text}` is no moment"),
            "write it with its time zone, such as `2026-12-01T00:00:00Z`",
        );
    }
    found
}

pub(super) fn limit(
    text: &str,
    measure: Measure,
    path: &str,
    findings: &mut Findings,
) -> Option<i64> {
    let (found, instead) = match measure {
        Measure::Cost => (
            Money::parse(text).ok().map(|money| money.0),
            "write dollars with at most nine decimal places, such as `500.00`",
        ),
        Measure::Requests
        | Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Concurrency => (
            text.parse::<i64>().ok(),
            "write a whole number, such as `60`",
        ),
    };
    let fits = found.filter(|limit| *limit >= 0);
    if fits.is_none() {
        let what = format!("`{text}` is no limit of `{}`", measure.name());
        findings.error(path, what, instead);
    }
    fits
}

pub(super) fn scope(
    by: &[DimensionName],
    only: &OnlyEntry,
    path: &str,
    findings: &mut Findings,
) -> Option<Scope> {
    let mut dimensions: Vec<Dimension> = Vec::new();
    for (nth, name) in by.iter().enumerate() {
        let dimension = dimension(*name);
        if dimensions.contains(&dimension) {
            findings.error(
                format!("{path}.by[{nth}]"),
                format!("`{}` is there already", dimension.name()),
                "name each dimension once",
            );
            return None;
        }
        dimensions.push(dimension);
    }
    dimensions.sort();
    let only = only.all().into_iter();
    let only = only.filter(|(_, values)| !values.is_empty());
    Some(Scope {
        by: dimensions,
        only: only
            .map(|(name, values)| {
                let mut values = values.to_vec();
                values.sort();
                values.dedup();
                (dimension(name), values)
            })
            .collect(),
    })
}

/// `None` where it is switched off.
pub(super) fn hold(mode: Mode) -> Option<Hold> {
    match mode {
        Mode::Off => None,
        Mode::Shadow => Some(Hold::Shadow),
        Mode::Warn => Some(Hold::Warn),
        Mode::Enforce => Some(Hold::Enforce),
    }
}

pub(super) fn measure(name: MeasureName) -> Measure {
    match name {
        MeasureName::Requests => Measure::Requests,
        MeasureName::InputTokens => Measure::InputTokens,
        MeasureName::OutputTokens => Measure::OutputTokens,
        MeasureName::Tokens => Measure::Tokens,
        MeasureName::Cost => Measure::Cost,
        MeasureName::Concurrency => Measure::Concurrency,
    }
}

fn dimension(name: DimensionName) -> Dimension {
    match name {
        DimensionName::Tenant => Dimension::Tenant,
        DimensionName::App => Dimension::App,
        DimensionName::UseCase => Dimension::UseCase,
        DimensionName::User => Dimension::User,
        DimensionName::Key => Dimension::Key,
        DimensionName::Model => Dimension::Model,
        DimensionName::Operation => Dimension::Operation,
        DimensionName::Content => Dimension::Content,
        DimensionName::Provider => Dimension::Provider,
        DimensionName::UpstreamModel => Dimension::UpstreamModel,
        DimensionName::Account => Dimension::Account,
    }
}

/// The answers that the gateway gives itself.
pub(super) fn answers(document: &Document) -> BTreeMap<Arc<str>, Arc<str>> {
    let all = document.answers.iter();
    all.map(|(name, answer)| (name.into(), answer.text.as_str().into()))
        .collect()
}

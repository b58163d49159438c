//! Limits and budgets of one key, made ready to be asked.

use std::collections::HashSet;

use meter::Quotas;
use routing::ModelTable;

use super::Findings;
use super::quotas::{Known, budget, measure, rate_limit};
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{Document, KeyLimits, MeasureName};

/// Most limits, and most budgets, of one key.
const ENTRIES_MAX: usize = 8;

/// The quotas of a key. What they are called goes by what they measure, so a
/// limit that is changed keeps its counter.
///
/// # Errors
/// What is wrong with them; the fields are `rate_limits[0].limit` and so on.
pub fn key_quotas(limits: &KeyLimits) -> Result<Quotas, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let counts = [
        ("rate_limits", limits.rate_limits.len()),
        ("budgets", limits.budgets.len()),
    ];
    for (path, count) in counts {
        if count > ENTRIES_MAX {
            findings.error(path, "these are too many for one key", "write at most 8");
        }
    }
    let mut names = HashSet::new();
    let mut is_new = |name: &str, path: &str, findings: &mut Findings| {
        if !names.insert(name.to_owned()) {
            findings.error(
                path,
                "there is one of the same measure and time already",
                "keep the smaller one",
            );
        }
    };
    let mut specs = Vec::new();
    for (nth, limit) in limits.rate_limits.iter().take(ENTRIES_MAX).enumerate() {
        let path = format!("rate_limits[{nth}]");
        let name = name(limit.measure, limit.per.map(|per| per.to_string()));
        let entry = limit.entry(name);
        is_new(&entry.name, &path, &mut findings);
        specs.extend(rate_limit(&entry, &path, &mut findings));
    }
    let (models, document) = (ModelTable::default(), Document::default());
    let known = Known {
        models: &models,
        document: &document,
    };
    for (nth, limit) in limits.budgets.iter().take(ENTRIES_MAX).enumerate() {
        let path = format!("budgets[{nth}]");
        let entry = limit.entry(name(limit.measure, Some(limit.window.clone())));
        is_new(&entry.name, &path, &mut findings);
        specs.extend(budget(&entry, &path, &known, &mut findings));
    }
    let wrong = findings.0.into_iter();
    let wrong: Vec<_> = wrong.filter(|it| it.severity == Severity::Error).collect();
    match wrong.is_empty() {
        true => Ok(Quotas::new(specs)),
        false => Err(wrong),
    }
}

/// What a limit of a key is called. No name of the document has a slash, so
/// counters of both never run together.
fn name(counted: MeasureName, time: Option<String>) -> String {
    let counted = measure(counted).name();
    match time {
        Some(time) => format!("key/{counted}/{time}"),
        None => format!("key/{counted}"),
    }
}

//! Brakes, made of quotas: a limit that follows what is usual, and a limit on
//! requests that are nearly identical.

use std::sync::Arc;

use meter::{
    Dimension, Hold, Measure, Pace, Quota, QuotaKind, QuotaSpec, ReasoningBrake, Scope, Usual,
    Window,
};

use super::Findings;
use super::quotas::{check_length, hold, limit, scope};
use crate::document::{BrakeEntry, Document, RepeatsEntry, VelocityEntry};

/// The quotas of a brake.
pub(super) fn compile(entry: &BrakeEntry, path: &str, findings: &mut Findings) -> Vec<QuotaSpec> {
    if entry.velocity.is_none() && entry.repeats.is_none() && entry.reasoning.is_none() {
        findings.error(
            path,
            "it does not say what it looks at",
            "add `velocity`, `repeats` or `reasoning`",
        );
    }
    let Some(scope) = scope(&entry.by, &entry.only, path, findings) else {
        return Vec::new();
    };
    if scope.is_of_attempt() {
        findings.error(
            format!("{path}.by"),
            "a brake looks at callers, not at providers",
            "count by the caller",
        );
        return Vec::new();
    }
    let Some(hold) = hold(entry.mode) else {
        return Vec::new();
    };
    let base = QuotaSpec {
        name: entry.name.as_str().into(),
        kind: QuotaKind::RateLimit,
        measure: Measure::Cost,
        limit: 0,
        pace: Pace::Permits,
        scope,
        hold,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    };
    let velocity = entry.velocity.as_ref();
    let velocity = velocity.and_then(|it| velocity_of(it, &base, path, findings));
    let repeats = entry.repeats;
    let repeats = repeats.and_then(|it| repeats_of(it, &base, path, findings));
    velocity.into_iter().flatten().chain(repeats).collect()
}

/// The brakes that look at one call by itself.
pub(super) fn reasoning(document: &Document) -> Vec<ReasoningBrake> {
    let mut brakes = Vec::new();
    for entry in &document.brakes {
        let Some(reasoning) = entry.reasoning else {
            continue;
        };
        // What is wrong about its scope was found with the other brakes.
        let scope = scope(&entry.by, &entry.only, "", &mut Findings::default());
        let (Some(scope), Some(hold)) = (scope, hold(entry.mode)) else {
            continue;
        };
        brakes.push(ReasoningBrake {
            name: entry.name.as_str().into(),
            scope,
            hold,
            tokens: reasoning.tokens,
        });
    }
    brakes
}

/// The counter of what is usual, and the limit that follows it.
fn velocity_of(
    entry: &VelocityEntry,
    base: &QuotaSpec,
    path: &str,
    findings: &mut Findings,
) -> Option<[QuotaSpec; 2]> {
    let path = format!("{path}.velocity");
    check_length(entry.over, &format!("{path}.over"), findings)?;
    check_length(entry.baseline, &format!("{path}.baseline"), findings)?;
    let least = limit(
        &entry.at_least,
        Measure::Cost,
        &format!("{path}.at_least"),
        findings,
    )?;
    if entry.baseline <= entry.over {
        findings.error(
            format!("{path}.baseline"),
            "what is usual shows only over a longer time",
            "write a time longer than `over`, such as `1d`",
        );
        return None;
    }
    let sliding = |length_ms| Pace::Window(Window::Sliding { length_ms });
    let baseline = QuotaSpec {
        name: format!("{}.usual", base.name).into(),
        limit: i64::MAX,
        pace: sliding(entry.baseline.0),
        hold: Hold::Shadow,
        ..base.clone()
    };
    let usual = Usual {
        baseline: Arc::new(Quota::new(baseline.clone())),
        times: u64::from(entry.times) * 1_000,
        share: entry.over.0.saturating_mul(1_000_000) / entry.baseline.0,
    };
    let brake = QuotaSpec {
        limit: least,
        pace: sliding(entry.over.0),
        usual: Some(usual),
        ..base.clone()
    };
    Some([baseline, brake])
}

fn repeats_of(
    entry: RepeatsEntry,
    base: &QuotaSpec,
    path: &str,
    findings: &mut Findings,
) -> Option<QuotaSpec> {
    check_length(entry.per, &format!("{path}.repeats.per"), findings)?;
    let mut by = base.scope.by.clone();
    by.push(Dimension::Content);
    by.sort();
    by.dedup();
    Some(QuotaSpec {
        name: format!("{}.repeats", base.name).into(),
        measure: Measure::Requests,
        limit: entry.limit.into(),
        pace: Pace::Window(Window::Sliding {
            length_ms: entry.per.0,
        }),
        scope: Scope {
            by,
            only: base.scope.only.clone(),
        },
        ..base.clone()
    })
}

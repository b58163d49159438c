//! The head of the answer: status, headers and advice agree with the taxonomy
//! and with the record.

use evidence::Outcome;
use serde_json::Value;

use super::attempts::Served;
use super::{Case, Findings};
use crate::acts::Act;
use crate::expect;

/// The record agrees with the head of the answer.
pub(super) fn record(case: &Case<'_>, status: u16, findings: &mut Findings) {
    let Case {
        index,
        heard,
        record,
        ..
    } = case;
    let outcome = record.outcome;
    if heard.left.is_some() && !heard.recorded_before {
        findings.demand(outcome == Outcome::Cancelled, "outcome", || {
            format!("x{index} left and is recorded as {outcome:?}")
        });
        let origin = record.fault.as_ref().map(|fault| &*fault.origin);
        findings.demand(origin == Some("client"), "origin", || {
            format!("x{index} left, and {origin:?} is blamed")
        });
        findings.demand(record.status == 499, "status", || {
            format!(
                "x{index} left and is recorded with status {}",
                record.status
            )
        });
    } else {
        findings.demand(record.status == status, "status", || {
            format!("x{index} heard {status}, the record says {}", record.status)
        });
        findings.demand(outcome != Outcome::Cancelled, "outcome", || {
            format!("x{index} stayed and is recorded as cancelled")
        });
    }
    if heard.left.is_none() {
        findings.demand(
            record.bytes_out == heard.body.len() as u64,
            "bytes-out",
            || {
                format!(
                    "x{index} got {} bytes, recorded {}",
                    heard.body.len(),
                    record.bytes_out
                )
            },
        );
    }
    headers(case, findings);
}

/// The headers tell who answered.
fn headers(case: &Case<'_>, findings: &mut Findings) {
    let Case {
        index,
        heard,
        record,
        ..
    } = case;
    let header = |name: &str| {
        heard
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if let Some(last) = record.attempts.last() {
        let attempts = record.attempts.len().to_string();
        findings.demand(
            header("tollgate-attempts") == Some(&attempts),
            "headers",
            || {
                format!(
                    "x{index}: tollgate-attempts is {:?}",
                    header("tollgate-attempts")
                )
            },
        );
        findings.demand(
            header("tollgate-provider") == Some(&last.provider),
            "headers",
            || {
                format!(
                    "x{index}: tollgate-provider is {:?}",
                    header("tollgate-provider")
                )
            },
        );
    }
}

/// An error answer follows the taxonomy.
pub(super) fn refused(
    case: &Case<'_>,
    status: u16,
    served: Option<&Served<'_>>,
    findings: &mut Findings,
) {
    let Case {
        index,
        heard,
        record,
        ..
    } = case;
    let Some(fault) = &record.fault else {
        findings.add(
            "outcome",
            format!("x{index} got {status} and no fault is recorded"),
        );
        return;
    };
    let kind = &*fault.kind;
    let called = served.filter(|served| served.call.is_some());
    let candidate = called.map(|served| case.candidate(served.candidate));
    let act = candidate.map(|candidate| candidate.act);
    let spoken = candidate.and_then(|candidate| Some(candidate.spoken?.id().0));
    let given = match act {
        Some(Act::Status { code, .. }) => Some(code),
        _ => None,
    };
    let wanted = expect::status_of(kind).or(given);
    findings.demand(wanted == Some(status), "status", || {
        format!("x{index}: {kind} came with status {status}")
    });
    let outcome = if record.attempts.is_empty() {
        Outcome::Refused
    } else {
        Outcome::Failed
    };
    findings.demand(record.outcome == outcome, "outcome", || {
        format!(
            "x{index} got {status} and is recorded as {:?}",
            record.outcome
        )
    });
    let last = served.and_then(|served| served.attempt.fault.as_ref());
    findings.demand(served.is_none() || last == Some(fault), "outcome", || {
        format!("x{index}: the fault is not that of the last attempt")
    });
    let origins = expect::origins_of(kind);
    findings.demand(origins.contains(&&*fault.origin), "origin", || {
        format!("x{index}: {kind} is blamed on {}", fault.origin)
    });
    retry(case, (kind, act, spoken), findings);
    let json: Option<Value> = serde_json::from_slice(&heard.body).ok();
    let told = json.is_some_and(|json| !json["error"].is_null() || json["message"].is_string());
    findings.demand(told, "whole-json", || {
        format!("x{index}: the error is no JSON error")
    });
}

/// The advice to try again follows the taxonomy.
fn retry(
    case: &Case<'_>,
    (kind, act, spoken): (&str, Option<Act>, Option<&str>),
    findings: &mut Findings,
) {
    let Case { index, heard, .. } = case;
    let header = |name: &str| {
        heard
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let retry = if expect::should_retry(kind) {
        "true"
    } else {
        "false"
    };
    findings.demand(header("x-should-retry") == Some(retry), "retry", || {
        format!(
            "x{index}: {kind} came with x-should-retry {:?}",
            header("x-should-retry")
        )
    });
    let after = match (kind, act) {
        (
            _,
            Some(Act::Status {
                code: 429 | 503 | 529,
                retry_after_s,
                ..
            }),
        ) => Some(retry_after_s.unwrap_or(1).to_string()),
        ("overloaded" | "rate_limited" | "upstream_busy", _) => Some("1".to_owned()),
        // This vendor's only word for a failure of its own says `overloaded`.
        ("upstream_broken", Some(Act::InBand { .. } | Act::ErrorUnder200))
            if spoken == Some("gemini") =>
        {
            Some("1".to_owned())
        }
        _ => None,
    };
    findings.demand(header("retry-after") == after.as_deref(), "retry", || {
        format!(
            "x{index}: {kind} came with retry-after {:?} instead of {after:?}",
            header("retry-after")
        )
    });
}

/// The header tells what the record tells.
pub(super) fn losses(case: &Case<'_>, findings: &mut Findings) {
    let printable = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let noted: Vec<String> = case
        .record
        .losses
        .iter()
        .map(|loss| loss.what.chars().map(printable).collect())
        .collect();
    let noted = noted.join(", ");
    let header = case.heard.headers.get("tollgate-loss");
    let told = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    let (told, all) = match told.rsplit_once(", and ") {
        Some((told, rest)) if rest.ends_with(" more") => (told, false),
        Some(_) | None => (told, !case.heard.streamed),
    };
    let holds = if all {
        noted == told
    } else {
        noted.starts_with(told)
    };
    findings.demand(holds, "loss", || {
        format!("x{}: declared `{told}`, recorded `{noted}`", case.index)
    });
}

//! Attempts: in order, one call each, stopped and continued by the rules, and
//! each with the fault and the usage that its upstream gave.

use contract::{Usage, UsageSource};
use evidence::{Attempt, Outcome};

use super::{Case, Findings};
use crate::acts::Act;
use crate::expect::{self, Commit, Expect};
use crate::ledger::{Call, Who};
use crate::scenario::Manner;
use crate::world::TIMES;

/// The attempt that answered for the exchange.
pub(super) struct Served<'a> {
    pub(super) candidate: usize,
    pub(super) attempt: &'a Attempt,
    /// Its call, if it made one.
    pub(super) call: Option<(&'a Call, Expect)>,
}

/// Checks the attempts, and gives the last that was fit for the request, or
/// the first when none was.
pub(super) fn check<'a>(
    case: &Case<'a>,
    calls: &[&'a Call],
    findings: &mut Findings,
) -> Option<Served<'a>> {
    let index = case.index;
    let attempts = &case.record.attempts;
    findings.demand(
        attempts.len() <= case.plan.candidates.len(),
        "attempts",
        || format!("x{index}: more attempts than candidates"),
    );
    let committed = attempts.iter().filter(|attempt| attempt.committed).count();
    findings.demand(committed <= 1, "attempts", || {
        format!("x{index}: {committed} attempts committed")
    });
    let sent = attempts
        .iter()
        .filter(|attempt| attempt.times.sent_us.is_some());
    findings.demand(sent.count() == calls.len(), "attempts", || {
        format!(
            "x{index}: {} calls reached an upstream, not one for each attempt",
            calls.len()
        )
    });
    let mut calls = calls.iter();
    let mut served = None;
    for (at, attempt) in attempts.iter().enumerate() {
        let who = Who {
            exchange: index,
            candidate: at,
        };
        if *attempt.provider != *who.to_string() {
            findings.add(
                "attempts",
                format!("{who}: the attempt went to {}", attempt.provider),
            );
            return None;
        }
        let call = match attempt.times.sent_us {
            Some(_) => calls.next().filter(|call| call.who == who),
            None => None,
        };
        let call = call.map(|call| {
            let expect = expect::expect(case.candidate(at), case.plan.stream, call);
            (*call, expect)
        });
        if let Some((call, expect)) = &call {
            one(case, (who, attempt), (call, expect), findings);
        }
        order(
            case,
            (who, attempt),
            call.as_ref().map(|(_, expect)| expect),
            findings,
        );
        if served.is_none() || !unfit(attempt) {
            served = Some(Served {
                candidate: at,
                attempt,
                call,
            });
        }
    }
    served
}

/// Whether the caller was still there when the attempt ended.
fn stayed(case: &Case<'_>, attempt: &Attempt) -> bool {
    case.heard.left.is_none() || attempt.fault.is_some()
}

/// Whether the request could not be said in the candidate's dialect, so that
/// nothing was sent.
fn unfit(attempt: &Attempt) -> bool {
    let fault = attempt.fault.as_ref();
    attempt.times.sent_us.is_none() && fault.is_some_and(|fault| &*fault.kind == "unsupported")
}

fn order(
    case: &Case<'_>,
    (who, attempt): (Who, &Attempt),
    expect: Option<&Expect>,
    findings: &mut Findings,
) {
    let last = who.candidate + 1 == case.record.attempts.len();
    let goes_on = unfit(attempt) || expect.is_some_and(|expect| expect.goes_on);
    if !last {
        findings.demand(
            attempt.fault.is_some() && !attempt.committed,
            "failover",
            || format!("{who} did not fail, and another was tried"),
        );
        findings.demand(goes_on, "refusal", || {
            format!("{who}: its fault is the caller's own, and another was tried")
        });
    }
    let more = who.candidate + 1 < case.plan.candidates.len();
    let failed = attempt.fault.is_some() && !attempt.committed;
    findings.demand(
        !(last && failed && goes_on && more && case.heard.left.is_none()),
        "failover",
        || format!("{who} failed, and the next candidate was not tried"),
    );
}

fn one(
    case: &Case<'_>,
    (who, attempt): (Who, &Attempt),
    (call, expect): (&Call, &Expect),
    findings: &mut Findings,
) {
    let act = case.candidate(who.candidate).act;
    let fault = attempt.fault.as_ref();
    if stayed(case, attempt) {
        let holds = match expect.commit {
            Commit::Must => attempt.committed,
            Commit::MustNot => !attempt.committed,
            Commit::May => true,
        };
        findings.demand(holds, "commit", || {
            format!("{who} ({act:?}): committed is {}", attempt.committed)
        });
        findings.demand(attempt.committed != fault.is_some(), "commit", || {
            format!("{who} ({act:?}) has fault {fault:?}")
        });
    }
    if let Some(fault) = fault {
        findings.demand(expect.kinds.contains(&&*fault.kind), "fault", || {
            format!(
                "{who} ({act:?}): {} instead of {:?}",
                fault.kind, expect.kinds
            )
        });
        let origins = expect::origins_of(&fault.kind);
        findings.demand(origins.contains(&&*fault.origin), "origin", || {
            format!(
                "{who} ({act:?}): {} is blamed on {}",
                fault.kind, fault.origin
            )
        });
    }
    deadlines(case, (who, attempt), call, findings);
    usage(case, (who, attempt), expect, findings);
    memory(case, who, call, findings);
}

/// A provider that falls silent is given up when its deadline says so.
fn deadlines(
    case: &Case<'_>,
    (who, attempt): (Who, &Attempt),
    call: &Call,
    findings: &mut Findings,
) {
    let act = case.candidate(who.candidate).act;
    let late = |fault: &Option<evidence::FaultNote>| {
        fault.as_ref().is_some_and(|fault| fault.kind == "timeout")
    };
    let (Some(sent), Some(last)) = (attempt.times.sent_us, attempt.times.last_us) else {
        return;
    };
    if late(&attempt.fault) {
        let wanted_ms = match act {
            Act::NoHead => TIMES.head_ms,
            Act::Stall if case.plan.stream => TIMES.first_token_ms,
            Act::Stall => TIMES.total_ms,
            _ => return,
        };
        findings.demand(last - sent == wanted_ms * 1_000, "deadline", || {
            format!("{who} ({act:?}) was given up after {} us", last - sent)
        });
    }
    let slow = matches!(case.plan.manner, Manner::Slow { .. });
    if attempt.committed && late(&case.record.fault) && !slow {
        let ended = case.heard.opened_us + case.record.duration_us;
        let silent = ended.saturating_sub(call.pulled_us);
        findings.demand(silent == TIMES.idle_ms * 1_000, "deadline", || {
            format!("{who} ({act:?}) was cut after {silent} us of silence")
        });
    }
}

/// What an upstream reported is in the record, also of what failed.
fn usage(
    case: &Case<'_>,
    (who, attempt): (Who, &Attempt),
    expect: &Expect,
    findings: &mut Findings,
) {
    let told = expect.usage;
    let outcome = case.record.outcome;
    // A caller who left in the middle of it is settled by the last attempt.
    let is_last = case.record.attempts.last().is_some_and(|it| it == attempt);
    let left = outcome == Outcome::Cancelled && is_last;
    let under_way = attempt.times.sent_us.is_some() && attempt.fault.is_none();
    let settled = attempt.committed || left && under_way;
    let holds = match (settled, attempt.usage) {
        (true, _) => settles(&case.record.usage, told.sums(), outcome),
        // A whole answer that was begun and could not be read is billed, and
        // nobody told how much.
        (false, Some(noted)) if noted.source == UsageSource::Estimated => {
            let act = case.candidate(who.candidate).act;
            let unread = matches!(
                act,
                Act::Cut | Act::Reset | Act::Stall | Act::Gzip | Act::Huge
            );
            unread && !case.plan.stream && !told.is_told()
        }
        (false, Some(noted)) => sums(&noted) == told.sums(),
        (false, None) => !told.is_told(),
    };
    findings.demand(holds, "usage", || {
        format!(
            "{who} ({:?}): the record has {:?}, the attempt {:?}, the upstream reported {:?}",
            case.candidate(who.candidate).act,
            case.record.usage,
            attempt.usage,
            told.sums(),
        )
    });
}

fn sums(usage: &Usage) -> (u64, u64, u64) {
    (usage.input_total(), usage.output_total(), usage.cached_read)
}

/// Whether usage is what was told, and an estimate that says so for the sides
/// that were not. What was told of a stream that broke off may be old.
fn settles(usage: &Usage, told: (u64, u64, u64), outcome: Outcome) -> bool {
    let (input, output, cached) = sums(usage);
    let estimated = usage.source == UsageSource::Estimated;
    let ended = outcome == Outcome::Complete;
    let input_holds = match told.0 {
        0 => estimated && input > 0,
        told => input == told,
    };
    let output_holds = match told.1 {
        0 => estimated || output == 0,
        told => output == told || !ended && estimated && output > 2 * told,
    };
    let marked = match (told.0 > 0, told.1 > 0 && output == told.1) {
        (true, true) => !estimated,
        // An answer may hold nothing.
        (true, false) => estimated || output == 0,
        (false, _) => estimated,
    };
    input_holds && output_holds && cached == told.2 && marked
}

/// No call is taken further than the named limits say.
fn memory(case: &Case<'_>, who: Who, call: &Call, findings: &mut Findings) {
    /// Largest error body that is read, bytes.
    const ERROR_BYTES_MAX: usize = 64 * 1024;
    let plan = case.candidate(who.candidate);
    let Some(script) = &plan.script else { return };
    let limit = match plan.act {
        Act::Status { .. } => ERROR_BYTES_MAX,
        _ if !case.plan.stream => case.answer_bytes_max,
        _ => return,
    };
    let taken = call.pulled.len();
    findings.demand(taken <= limit + script.chunk_bytes_max, "memory", || {
        format!("{who} ({:?}): {taken} bytes were taken", plan.act)
    });
}

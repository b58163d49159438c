//! What policy says of a call and of each way to serve it.

use std::sync::Arc;

use access::policy::{Chain, Ruling, Verdict};
use access::{Consumer, Facts, Place};
use contract::Fault;
use plan::Plan;
use routing::Candidate;

/// The layers that a call belongs to.
pub fn chain(plan: &Plan, consumer: &Consumer, use_case: Option<&str>) -> Chain {
    plan.policy.chain(
        &consumer.tenant,
        &consumer.app,
        use_case,
        consumer.rules.as_ref(),
    )
}

/// A candidate that policy leaves out.
#[derive(Clone, Debug)]
pub struct Excluded {
    /// The candidate.
    pub candidate: Candidate,
    /// The rule that leaves it out.
    pub rule: Arc<str>,
}

/// Whether a call is let in, and where it may go.
#[derive(Debug)]
pub struct Admission {
    /// Every rule that was broken, and the smallest cap.
    pub verdict: Verdict,
    /// Candidates that were left out.
    pub excluded: Vec<Excluded>,
    /// The rules that wait for an approval, where they alone refuse the call.
    pub needs: Vec<Ruling>,
    /// The candidates that remain, best first; or the refusal.
    pub outcome: Result<Arc<[Candidate]>, Fault>,
}

impl Admission {
    fn refused(verdict: Verdict, fault: Fault) -> Self {
        Self {
            verdict,
            excluded: Vec::new(),
            needs: Vec::new(),
            outcome: Err(fault),
        }
    }
}

/// Holds a call to its rules: the call as asked first, then each candidate.
pub fn admit(plan: &Plan, consumer: &Consumer, chain: &Chain, facts: &Facts<'_>) -> Admission {
    let mut verdict = chain.request(facts);
    let needs = verdict.needs();
    let pending = match verdict.denied().map(Ruling::fault) {
        // Nobody is asked to approve what is denied anyway.
        Some(fault) if needs.is_empty() => return Admission::refused(verdict, fault),
        pending => pending,
    };
    let known = crate::Facts {
        consumer,
        chain,
        model: facts.model,
    };
    let all = match crate::candidates(plan, &known) {
        Ok(all) => all,
        Err(fault) => return Admission::refused(verdict, fault),
    };
    let mut excluded = Vec::new();
    let mut first: Option<Ruling> = None;
    // Rules that wait for an approval of what a candidate is.
    let mut waiting = Vec::new();
    // Filled once a candidate is left out; until then all remain.
    let mut kept = Vec::new();
    for (nth, candidate) in all.iter().enumerate() {
        let found = chain.place(facts, &place(plan, candidate));
        let denied = found.denied().cloned();
        waiting.extend(found.needs());
        merge(&mut verdict, found);
        match denied {
            None if first.is_none() => {}
            None => kept.push(candidate.clone()),
            Some(ruling) => {
                if first.is_none() {
                    kept.extend_from_slice(&all[..nth]);
                }
                excluded.push(Excluded {
                    candidate: candidate.clone(),
                    rule: ruling.rule.clone(),
                });
                first.get_or_insert(ruling);
            }
        }
    }
    let outcome = match (first, waiting.first()) {
        (None, _) => Ok(all),
        (Some(_), _) if !kept.is_empty() => Ok(kept.into()),
        // Nobody need be asked for those that are denied anyway.
        (Some(_), Some(ruling)) => {
            let fault = pending.unwrap_or_else(|| ruling.fault());
            let needs = [needs, waiting].concat();
            return Admission {
                verdict,
                excluded,
                needs,
                outcome: Err(fault),
            };
        }
        (Some(ruling), None) => Err(ruling.fault()),
    };
    let (outcome, needs) = match (outcome, pending) {
        (Ok(_), Some(fault)) => (Err(fault), needs),
        (outcome, _) => (outcome, Vec::new()),
    };
    Admission {
        verdict,
        excluded,
        needs,
        outcome,
    }
}

pub(crate) fn place<'a>(plan: &'a Plan, candidate: &'a Candidate) -> Place<'a> {
    let provider = &plan.providers[candidate.provider];
    Place {
        provider: &provider.name,
        kind: provider.kind.name,
        model: &candidate.model,
        region: provider.account.region.as_deref(),
        context_tokens: candidate.card.context_tokens,
    }
}

/// A rule that several candidates break is told once.
pub(crate) fn merge(verdict: &mut Verdict, found: Verdict) {
    verdict.asked = verdict.asked.max(found.asked);
    for ruling in found.rulings {
        let told = verdict.rulings.iter();
        let told = told.clone().any(|known| {
            known.rule == ruling.rule
                && known.layer == ruling.layer
                && known.breach.code == ruling.breach.code
        });
        if !told {
            verdict.rulings.push(ruling);
        }
    }
    if let Some((tokens, rule)) = found.output_cap {
        let smallest = verdict
            .output_cap
            .as_ref()
            .map_or(u64::MAX, |(cap, _)| *cap);
        if tokens < smallest {
            verdict.output_cap = Some((tokens, rule));
        }
    }
}

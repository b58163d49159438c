//! The effective policy of a call, line by line, each with the layer that it
//! comes from, and what it comes to.

use access::policy::{Chain, Ruling};
use access::{Consumer, Facts, Given, Mode};
use contract::Fault;
use plan::Plan;

use crate::policy::{Admission, admit};

/// One rule of the effective policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The layer, such as `tenant acme`.
    pub layer: String,
    /// The rule.
    pub rule: String,
    /// Its kind.
    pub kind: &'static str,
    /// What it does.
    pub mode: Mode,
    /// How it looks at streams.
    pub streams: &'static str,
    /// What it permits, in words.
    pub told: String,
    /// How this call breaks it, if it does.
    pub broken: Option<String>,
}

/// What a call comes to.
#[derive(Debug)]
pub struct Explanation {
    /// The rules, widest layer first.
    pub lines: Vec<Line>,
    /// Where the call may go (provider, model), best first; or the refusal.
    pub outcome: Result<Vec<(String, String)>, Fault>,
    /// Where it may not go: provider, model, rule.
    pub excluded: Vec<(String, String, String)>,
    /// The smallest cap on output tokens, with its rule.
    pub output_cap: Option<(u64, String)>,
    /// The rule that denies, if one does.
    pub denied_by: Option<String>,
    /// How many people must approve, where nothing else refuses the call.
    pub approvers: Option<u8>,
    /// Rules that warn.
    pub warned_by: Vec<String>,
}

/// Explains a call. `given` is what the model is supposed to give back.
pub fn explain(
    plan: &Plan,
    consumer: &Consumer,
    chain: &Chain,
    facts: &Facts<'_>,
    given: &[Given<'_>],
) -> Explanation {
    let Admission {
        mut verdict,
        excluded,
        mut outcome,
        needs,
    } = admit(plan, consumer, chain, facts);
    let mut denied_by = verdict.denied().map(|ruling| ruling.rule.to_string());
    let mut approvers = most(&needs);
    if outcome.is_ok() {
        denied_by = None;
        for given in given {
            let found = chain.given(facts, given);
            // What no approval helps counts more than what waits for one.
            let is_open = outcome.is_ok() || (approvers.is_some() && found.needs().is_empty());
            if let Some(ruling) = found.denied().filter(|_| is_open) {
                outcome = Err(ruling.fault());
                denied_by = Some(ruling.rule.to_string());
                approvers = most(&found.needs());
            }
            verdict.rulings.extend(found.rulings);
        }
    }
    let name = |index: usize| plan.providers[index].name.to_string();
    let lines = chain.rules().map(|(layer, named)| {
        let rulings = verdict.rulings.iter();
        let mut broken = rulings.filter(|it| it.rule == named.name && it.layer == *layer);
        Line {
            layer: layer.to_string(),
            rule: named.name.to_string(),
            kind: named.kind.name,
            mode: named.mode,
            streams: named.kind.streams.name(),
            told: named.rule.told(),
            broken: broken.next().map(|ruling| ruling.breach.said.clone()),
        }
    });
    Explanation {
        lines: lines.collect(),
        outcome: outcome.map(|candidates| {
            let candidates = candidates.iter();
            candidates
                .map(|it| (name(it.provider), it.model.to_string()))
                .collect()
        }),
        excluded: excluded
            .iter()
            .map(|it| {
                let model = it.candidate.model.to_string();
                (name(it.candidate.provider), model, it.rule.to_string())
            })
            .collect(),
        output_cap: verdict
            .output_cap
            .as_ref()
            .map(|(tokens, rule)| (*tokens, rule.to_string())),
        warned_by: verdict.warned().map(|it| it.rule.to_string()).collect(),
        denied_by,
        approvers,
    }
}

/// How many people must approve, to meet all of these.
fn most(needs: &[Ruling]) -> Option<u8> {
    let wanted = needs.iter().filter_map(|ruling| ruling.need.as_ref());
    wanted.map(|need| need.approvers).max()
}

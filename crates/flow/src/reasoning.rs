//! The brake on reasoning: the most that a model may think in one call.
//!
//! A budget that the caller names is lowered before the call, a stream that
//! goes on thinking is ended (`stream::limit`), and what comes whole is told.
//!
//! Deliberately not here: brakes that count over calls (`spending`).

use contract::Operation;
use evidence::Decision;
use meter::{Hold, ReasoningBrake};

use crate::asking::Asking;
use crate::bounds::Reason;
use crate::exchange::Exchange;
use crate::purse::told;

/// The stage in records.
const STAGE: &str = "brake";

impl Exchange {
    /// Looks up how much the call may reason, and lowers a budget of its own.
    pub(crate) fn brake_reasoning(&mut self, asking: &Asking<'_>) {
        if self.plan.reasoning_brakes.is_empty() || self.route.operation != Operation::Chat {
            return;
        }
        let firm = self.reasoning_brakes(|it| it.hold == Hold::Enforce);
        let Some((name, most)) = firm.into_iter().min_by_key(|(_, tokens)| *tokens) else {
            return;
        };
        self.bounds.reasoning = Some(most);
        let asked = self.dialect.reasoning_budget(asking.doc.root());
        if let Some((_, asked)) = asked.filter(|(_, asked)| *asked > most) {
            self.record.decisions.push(Decision {
                stage: STAGE.into(),
                rule: Some(name),
                verdict: "cap".into(),
                reason: "reasoning_tokens".into(),
                readings: vec![
                    told::number("reasoning_budget", asked),
                    told::number("reasoning_tokens_max", most),
                ],
                ..Decision::default()
            });
        }
    }

    /// Puts it into the record where the model thought more than it may. To be
    /// called once the usage is settled; a second call changes nothing.
    pub(crate) fn judge_reasoning(&mut self) {
        if self.plan.reasoning_brakes.is_empty() || self.bounds.is_judged {
            return;
        }
        self.bounds.is_judged = true;
        let usage = &self.record.usage;
        let told = usage.source.has_output().then_some(usage.reasoning);
        let took = told.unwrap_or(0).max(self.guess.reasoning_at_least());
        let choices = self.bounds.choices.max(1);
        let plan = self.plan.clone();
        let mine = self.reasoning_brakes(|it| took > it.tokens.saturating_mul(choices));
        for (name, most) in mine {
            let mut all = plan.reasoning_brakes.iter();
            let Some(brake) = all.find(|it| it.name == name) else {
                continue;
            };
            let verdict = match brake.hold {
                Hold::Shadow => "would_cut",
                Hold::Warn => "warn",
                Hold::Enforce if self.bounds.cut_by == Some(Reason::Reasoning) => "cut",
                Hold::Enforce => "over",
            };
            if brake.hold == Hold::Warn {
                self.warnings.push(format!("{name}; reasoning_tokens"));
            }
            let mode = brake.hold.name();
            self.flow.evidence.meter().policy(&name, mode, verdict);
            self.record.decisions.push(Decision {
                stage: STAGE.into(),
                rule: Some(name),
                mode: mode.into(),
                verdict: verdict.into(),
                reason: "reasoning_tokens".into(),
                readings: vec![
                    told::number("reasoning_tokens", took),
                    told::number("reasoning_tokens_max", most),
                ],
            });
        }
    }

    /// The brakes that are about this call, as far as they are wanted: names
    /// and tokens.
    fn reasoning_brakes(
        &self,
        wanted: impl Fn(&ReasoningBrake) -> bool,
    ) -> Vec<(std::sync::Arc<str>, u64)> {
        let subject = self.subject(None);
        let all = self.plan.reasoning_brakes.iter();
        let mine = all.filter(|it| wanted(it) && it.scope.takes(&subject));
        mine.map(|it| (it.name.clone(), it.tokens)).collect()
    }
}

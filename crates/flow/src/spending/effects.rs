//! What budgets do before they are used up: tell, shorten, go to a cheaper
//! model, answer by a template, refuse.

use std::sync::Arc;

use contract::answer::{ChatAnswer, Choice, FinishReason};
use contract::chat::{OutputFormat, Part, ToolChoice};
use contract::{Answer, Fault, FaultKind, Operation, Origin, Task};
use dialects::Written;
use dialects::fold::unfold;
use evidence::{Decision, Reading, Value};
use meter::{Action, Hold, Reached};
use routing::Candidate;

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::purse::told;
use crate::stream::Streaming;

/// What a call is to be turned into.
#[derive(Default)]
struct Effects<'r> {
    refuse: Option<&'r Reached>,
    answer: Option<(&'r Reached, &'r Arc<str>)>,
    degrade: Option<(&'r Reached, &'r Arc<str>)>,
    shorten: Option<(&'r Reached, u32)>,
}

impl Exchange {
    /// Does what thresholds ask for. Gives the answer, where one of them
    /// answers the call.
    pub(super) async fn take_effect(
        &mut self,
        asking: &mut Asking<'_>,
        candidates: &mut Arc<[Candidate]>,
        reached: &[Reached],
    ) -> Result<Option<Arrived>, Fault> {
        let effects = self.note_reached(reached);
        if let Some(refuse) = effects.refuse {
            return Err(used_up(refuse));
        }
        if let Some((reached, name)) = effects.answer {
            let text = self.plan.answers.get(name).cloned();
            let text = text.ok_or_else(|| crate::faults::internal("an answer is missing"))?;
            return self.answer_by(asking, reached, &text).map(Some);
        }
        if let Some((reached, model)) = effects.degrade {
            // Policy holds for the other model as it does for the first.
            self.instead = Some(model.clone());
            let found = self.decide(asking).await;
            *candidates = found.map_err(|fault| no_way_down(reached, model, &fault))?;
            self.degraded = Some("budget");
        }
        if let Some((_, tokens)) = effects.shorten
            && self.route.operation == Operation::Chat
        {
            let cap = u64::from(tokens);
            let own = asking.survey.output_tokens_max.unwrap_or(u64::MAX);
            if own > cap {
                self.output_cap = Some(self.output_cap.map_or(cap, |known| known.min(cap)));
                self.degraded = Some("budget");
            }
        }
        Ok(None)
    }

    /// Puts what was reached into the record, the metrics and the warnings,
    /// and finds what is to be done.
    fn note_reached<'r>(&mut self, all: &'r [Reached]) -> Effects<'r> {
        let mut effects = Effects::default();
        for reached in all {
            let name = reached.action.name();
            let is_done = reached.hold == Hold::Enforce || reached.action == Action::Alert;
            let verdict = if is_done { name } else { "would_act" };
            let meter = self.flow.evidence.meter();
            meter.policy(&reached.quota, reached.hold.name(), verdict);
            self.flow.alerts.reached(reached, || {
                format!(
                    "the budget `{}` has used {} % of its window; from here on: {name}",
                    reached.quota,
                    reached.at / 10
                )
            });
            self.record.decisions.push(decision(reached, verdict));
            if reached.hold == Hold::Warn {
                let share = reached.at / 10;
                self.warnings
                    .push(format!("{}; budget_at_{share}_percent", reached.quota));
            }
            if !is_done {
                continue;
            }
            match &reached.action {
                Action::Alert => {}
                Action::Refuse => effects.refuse = effects.refuse.or(Some(reached)),
                Action::Answer(name) => {
                    effects.answer = effects.answer.or(Some((reached, name)));
                }
                Action::Degrade(model) => {
                    effects.degrade = effects.degrade.or(Some((reached, model)));
                }
                Action::Shorten(tokens) => {
                    let least = effects.shorten.map_or(u32::MAX, |(_, least)| least);
                    if *tokens < least {
                        effects.shorten = Some((reached, *tokens));
                    }
                }
            }
        }
        effects
    }

    /// Answers by a template: no model is called and nothing is spent.
    fn answer_by(
        &mut self,
        asking: &mut Asking<'_>,
        reached: &Reached,
        text: &str,
    ) -> Result<Arrived, Fault> {
        let request = self.read(asking)?;
        let Task::Chat(chat) = &request.task else {
            return Err(used_up(reached));
        };
        let is_forced = match &chat.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Tool { .. }) => true,
            Some(ToolChoice::Allowed { required, .. }) => *required,
            Some(ToolChoice::Auto | ToolChoice::None) | None => false,
        };
        // A program that demands a form must not get a sentence.
        if is_forced || chat.format != OutputFormat::Text {
            return Err(used_up(reached));
        }
        let answer = ChatAnswer {
            model: Some(request.model.clone()),
            choices: vec![Choice {
                parts: vec![Part::text(text)],
                finish: Some(FinishReason::Stop.into()),
                ..Choice::default()
            }],
            usage: Some(contract::Usage::default()),
            ..ChatAnswer::default()
        };
        self.degraded = Some("budget");
        let id = format!("tollgate_{}", self.id.text().as_str());
        if asking.survey.stream {
            let stream = Streaming::of_events(self, &id, asking, unfold(answer));
            return Ok(Arrived::Stream(Box::new(stream)));
        }
        self.record.finish.push(FinishReason::Stop.name().into());
        let asked = self.asked(&id, asking.canonical.as_ref());
        let answer = Answer::Chat(answer);
        let Written { body, losses } = self.dialect.write_answer(&answer, &asked);
        Ok(Arrived::json(body, losses))
    }
}

/// A budget refuses by a threshold.
fn used_up(reached: &Reached) -> Fault {
    Fault::new(
        FaultKind::OverBudget,
        Origin::Gateway,
        format!(
            "The budget `{}` has reached {} % of its limit, from where on it takes no more calls. \
             Ask the people who run the gateway for more.",
            reached.quota,
            reached.at / 10
        ),
    )
}

/// The cheaper model cannot be used by this call.
fn no_way_down(reached: &Reached, model: &str, fault: &Fault) -> Fault {
    Fault::new(
        FaultKind::OverBudget,
        Origin::Gateway,
        format!(
            "The budget `{}` has reached {} % of its limit, from where on calls go to `{model}`, \
             which this call may not use. Ask the people who run the gateway for more.",
            reached.quota,
            reached.at / 10
        ),
    )
    .because(fault.public.to_string())
}

fn decision(reached: &Reached, verdict: &'static str) -> Decision {
    let mut readings = vec![
        told::number("at_per_mille", reached.at.into()),
        told::signed("level", reached.level),
        told::signed("limit", reached.limit),
    ];
    match &reached.action {
        Action::Degrade(name) | Action::Answer(name) => readings.push(Reading {
            name: "to".into(),
            value: Value::Name(name.clone()),
        }),
        Action::Shorten(tokens) => {
            readings.push(told::number("output_tokens_max", (*tokens).into()));
        }
        Action::Alert | Action::Refuse => {}
    }
    Decision {
        stage: "budget".into(),
        rule: Some(reached.quota.clone()),
        mode: reached.hold.name().into(),
        verdict: verdict.into(),
        reason: "threshold".into(),
        readings,
    }
}

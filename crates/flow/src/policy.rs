//! The policy stage: a call is held to the rules of its layers, before
//! anything is sent and again on what comes back.
//!
//! Deliberately not here: what the rules say (`access`) and how they are
//! composed (`judge`). Here their findings become refusals, headers, metrics
//! and lines of the record.

mod content;
mod observed;

use std::sync::Arc;

use access::policy::{Chain, Ruling, Verdict};
use access::{Consumer, Mode};
use contract::{Answer, Fault};
use evidence::{Decision, Reading, Value};
use http::HeaderValue;
use judge::Admission;
use routing::Candidate;

use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::held::{Approving, Held, refused};
use crate::inspect::Inspector;

/// Longest `tollgate-warn` value, bytes; further warnings are counted there
/// and stand in the record.
const WARN_BYTES_MAX: usize = 1_024;

impl Exchange {
    /// The rules that the call is held to.
    pub(crate) fn chain(&self) -> Result<Chain, Fault> {
        let use_case = self.record.who.use_case.as_deref();
        Ok(judge::chain(&self.plan, self.consumer()?, use_case))
    }

    /// Holds the call to its rules, and gives the candidates that remain.
    pub(crate) async fn decide(
        &mut self,
        asking: &mut Asking<'_>,
    ) -> Result<Arc<[Candidate]>, Fault> {
        let chain = self.chain()?;
        let consumer = self.consumer()?.clone();
        if chain.is_empty() {
            let known = judge::Facts {
                consumer: &consumer,
                chain: &chain,
                model: self.instead.as_deref().unwrap_or(&asking.survey.model),
            };
            return judge::candidates(&self.plan, &known);
        }
        let mut held = self.hold(chain, consumer, asking)?;
        if held.chain.counts_tokens(self.record.request.bytes) {
            self.record.request.input_tokens_estimate = Some(held.input_tokens);
        }
        let mut approvals = Vec::new();
        let admission = match held.chain.may_need_approval() {
            true => {
                self.approving = Some(Approving::of(asking.doc.bytes(), self.life.clone()));
                // Boxed, so that calls without such rules carry no room for it.
                let earlier = self.record.decisions.len();
                let admission = Box::pin(self.admit_approved(&mut held)).await;
                let noted = self.record.decisions.drain(earlier..);
                approvals.extend(noted.filter(|it| it.stage == "approval"));
                admission
            }
            false => self.admission(&held),
        };
        self.note_facts(&held, &admission.verdict);
        self.record.decisions.extend(approvals);
        self.note_rulings(&admission.verdict.rulings);
        for excluded in &admission.excluded {
            let candidate = &excluded.candidate;
            self.record.candidates.push(evidence::Candidate {
                provider: self.plan.providers[candidate.provider].name.clone(),
                model: candidate.model.clone(),
                excluded: Some(format!("policy: {}", excluded.rule).into()),
                score: None,
            });
        }
        let candidates = admission.outcome?;
        if let Some((tokens, rule)) = admission.verdict.output_cap {
            let asked = asking.survey.output_tokens_max;
            if asked.is_none_or(|asked| asked > tokens) {
                self.record.decisions.push(Decision {
                    stage: "policy".into(),
                    rule: Some(rule),
                    verdict: "cap".into(),
                    readings: vec![reading("output_tokens_max", Value::Int(saturated(tokens)))],
                    ..Decision::default()
                });
                self.output_cap = Some(self.output_cap.map_or(tokens, |cap| cap.min(tokens)));
            }
        }
        self.held = Some(Arc::new(held));
        Ok(candidates)
    }

    pub(crate) fn admission(&self, held: &Held) -> Admission {
        judge::admit(&self.plan, &held.consumer, &held.chain, &held.facts())
    }

    fn hold(
        &self,
        chain: Chain,
        consumer: Arc<Consumer>,
        asking: &mut Asking<'_>,
    ) -> Result<Held, Fault> {
        let content = if chain.needs_content() {
            Some(content::of(self.read(asking)?))
        } else {
            None
        };
        let bytes = self.record.request.bytes;
        let input_tokens = match chain.counts_tokens(bytes) {
            true => crate::estimate::tokens(self.read(asking)?),
            // No rule goes by the count of so short a body.
            false => bytes,
        };
        Ok(Held {
            chain,
            consumer,
            metadata: self.metadata.clone(),
            operation: self.route.operation,
            model: self
                .instead
                .as_deref()
                .unwrap_or(&asking.survey.model)
                .into(),
            stream: asking.survey.stream,
            input_tokens,
            output_tokens_max: asking.survey.output_tokens_max,
            address: self.address,
            now_s: self.record.arrived_us / 1_000_000,
            content,
        })
    }

    /// Holds a call that asks for names alone to its rules.
    pub(crate) fn decide_listing(&mut self) -> Result<Chain, Fault> {
        let chain = self.chain()?;
        if chain.is_empty() {
            return Ok(chain);
        }
        let held = Held {
            chain: chain.clone(),
            consumer: self.consumer()?.clone(),
            metadata: self.metadata.clone(),
            operation: self.route.operation,
            model: Box::default(),
            stream: false,
            input_tokens: 0,
            output_tokens_max: None,
            address: self.address,
            now_s: self.record.arrived_us / 1_000_000,
            content: None,
        };
        let verdict = held.chain.request(&held.facts());
        self.note_facts(&held, &verdict);
        self.note_rulings(&verdict.rulings);
        match verdict.denied() {
            Some(denied) => Err(denied.fault()),
            None => Ok(chain),
        }
    }

    /// Looks at a whole answer before the caller gets it. What people must
    /// approve first is in `waiting` then.
    pub(crate) fn judge_answer(&mut self, answer: &Answer) -> Result<(), Fault> {
        let Some(mut inspector) = self.inspector() else {
            return Ok(());
        };
        let found = inspector.answer(answer);
        let rulings = inspector.take_rulings();
        self.note_rulings(&rulings);
        let needs = pending(&rulings);
        let Some(first) = needs.first() else {
            return found;
        };
        let fault = refused(first);
        if let Some(approving) = &mut self.approving {
            approving.waiting = needs;
        }
        Err(fault)
    }

    /// Whether people may have to approve what comes back.
    pub(crate) fn may_wait(&self) -> bool {
        self.approving.is_some() && self.reads_answers()
    }

    /// Has people approve what waits for them, if something does: then the
    /// answer may be looked at again.
    pub(crate) async fn approve_waiting(&mut self) -> Result<bool, Fault> {
        let approving = self.approving.as_mut();
        let needs = approving.map_or_else(Vec::new, |it| std::mem::take(&mut it.waiting));
        if needs.is_empty() {
            return Ok(false);
        }
        // Boxed, so that calls without such rules carry no room for it.
        Box::pin(self.approve_given(&needs)).await?;
        Ok(true)
    }

    /// Has people approve what the model gave back.
    pub(crate) async fn approve_given(&mut self, needs: &[Ruling]) -> Result<(), Fault> {
        let Some(held) = self.held.clone() else {
            return Ok(());
        };
        let approved = self.ask_people(&held, needs).await?;
        self.held = Some(Arc::new(held.approving(approved)));
        Ok(())
    }

    /// Whether a rule looks at what comes back.
    pub(crate) fn reads_answers(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.chain.reads_answers())
    }

    /// Who looks at what comes back; `None` where no rule does.
    pub(crate) fn inspector(&self) -> Option<Inspector> {
        let held = self.held.as_ref()?;
        self.reads_answers().then(|| Inspector::new(held.clone()))
    }

    /// What the decision read, for whoever decides it again.
    pub(crate) fn note_facts(&mut self, held: &Held, verdict: &Verdict) {
        let length = match held.chain.counts_tokens(self.record.request.bytes) {
            true => "input_tokens",
            false => "input_bytes",
        };
        let mut readings = vec![
            reading("rules", Value::Int(i64::from(verdict.asked))),
            reading(length, Value::Int(saturated(held.input_tokens))),
        ];
        if let Some(address) = held.address {
            readings.push(reading("address", Value::Word(address.to_string().into())));
        }
        for group in held.consumer.groups.iter() {
            readings.push(reading("group", Value::Word(group.to_string().into())));
        }
        if let Some(content) = &held.content {
            readings.push(reading("system", Value::Int(content.system.into())));
            for tool in &content.tools {
                let told = format!("{} {}", tool.kind, tool.name);
                readings.push(reading("tool", Value::Word(told.into())));
            }
            for server in &content.servers {
                readings.push(reading("server", Value::Word(server.to_string().into())));
            }
            readings.push(reading(
                "urls",
                Value::Int(saturated(content.urls.len() as u64)),
            ));
        }
        let denied = verdict.denied().is_some();
        self.record.decisions.push(Decision {
            stage: "policy".into(),
            verdict: if denied { "deny" } else { "allow" }.into(),
            readings,
            ..Decision::default()
        });
    }

    /// Puts broken rules into the record, the metrics and the warnings.
    pub(crate) fn note_rulings(&mut self, rulings: &[Ruling]) {
        for ruling in rulings {
            let verdict = match ruling.mode {
                Mode::Off => continue,
                Mode::Shadow => "would_deny",
                Mode::Warn => "warn",
                Mode::Enforce => "deny",
            };
            let mode = ruling.mode.name();
            let meter = self.flow.evidence.meter();
            meter.policy(&ruling.rule, mode, verdict);
            self.record.decisions.push(Decision {
                stage: "policy".into(),
                rule: Some(ruling.rule.clone()),
                mode: mode.into(),
                verdict: verdict.into(),
                reason: ruling.breach.code.into(),
                readings: vec![
                    reading("layer", Value::Name(ruling.layer.clone())),
                    reading("kind", Value::Word(ruling.kind.into())),
                ],
            });
            if ruling.mode == Mode::Warn {
                self.warnings
                    .push(format!("{}; {}", ruling.rule, ruling.breach.code));
            }
        }
    }

    /// The value of `tollgate-warn`: the rules that would deny, with codes.
    pub(crate) fn warn_header(&self) -> Option<HeaderValue> {
        if self.warnings.is_empty() {
            return None;
        }
        let mut text = String::new();
        for (nth, warning) in self.warnings.iter().enumerate() {
            if text.len() + warning.len() > WARN_BYTES_MAX {
                text.push_str(&format!(", and {} more", self.warnings.len() - nth));
                break;
            }
            if nth > 0 {
                text.push_str(", ");
            }
            let shown = warning.chars();
            text.extend(shown.map(|c| if (' '..='~').contains(&c) { c } else { '?' }));
        }
        (!text.is_empty()).then(|| HeaderValue::try_from(text).expect("only printable ASCII"))
    }
}

/// The rulings that wait for an approval, if nothing else refuses.
pub(crate) fn pending(rulings: &[Ruling]) -> Vec<Ruling> {
    let verdict = Verdict {
        rulings: rulings.to_vec(),
        ..Verdict::default()
    };
    verdict.needs()
}

pub(crate) fn reading(name: &'static str, value: Value) -> Reading {
    Reading {
        name: name.into(),
        value,
    }
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

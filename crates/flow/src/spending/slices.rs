//! Reserving the output of a long stream in slices: one before the call, and
//! another whenever what is reserved is nearly used up.
//!
//! A slice adds to what is held of its window, so it settles in the window that
//! it was taken in. Deliberately not here: what becomes of the stream that
//! gets no more (`stream::slices`).

use std::sync::Arc;

use contract::Operation;
use contract::seams::Going;
use evidence::Decision;
use meter::{Admitted, Amounts, Attempted, Breach, Draw, Refused, Subject};
use routing::Candidate;

use crate::Flow;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::purse::slices::{More, Terms};
use crate::spending::ask::subject_of;
use crate::spending::quoted::Quoted;

/// Rows of a call beyond which all that is left is reserved at once: they are
/// kept in one row of the table of calls under way.
const ROWS_MAX: usize = 64;

impl Exchange {
    /// Of what a stream may take in all, what is reserved before it begins.
    pub(super) fn first_slice(
        &self,
        asking: &Asking<'_>,
        candidates: &[Candidate],
        whole: Amounts,
    ) -> (Amounts, Option<Terms>) {
        let size = self.plan.reservation.stream_slice.map(u64::from);
        let choices = u64::from(asking.survey.choices.max(1));
        let slice = size.map_or(u64::MAX, |size| size.saturating_mul(choices));
        let is_stream = asking.survey.stream && self.route.operation == Operation::Chat;
        // What a rule holds back has come before it can be counted.
        let is_seen = is_stream && self.inspector().is_none();
        if !is_seen || whole.output <= slice {
            return (whole, None);
        }
        let terms = Terms {
            slice,
            most: whole.output,
            costs: whole.cost > 0,
            bound: self.cost_bound(asking, &whole),
        };
        let mut first = Amounts {
            output: slice,
            ..whole
        };
        if whole.cost > 0 {
            let costs = candidates.iter().filter_map(|candidate| {
                let provider = &self.plan.providers[candidate.provider];
                let price = self.price(provider, &candidate.model).ok()?.price;
                self.worst_of(&price, &terms.of(slice))
            });
            let dearest = costs.map(|cost| cost.0).max();
            first.cost = dearest.map_or(whole.cost, |cost| cost.min(whole.cost));
        }
        (first, Some(terms))
    }

    /// Asks for more output behind so many tokens that are reserved: how much
    /// that is, and what is taken for it.
    pub(crate) fn ask_slice(
        &self,
        terms: &Terms,
        reserved: u64,
    ) -> (u64, Going<'static, Result<More, Refused>>) {
        let left = terms.most.saturating_sub(reserved);
        let rows = self.spending.as_ref().map_or(0, |purse| purse.draws.len());
        // Each window has rows of its own, which must find room on the disk.
        let output = match rows < ROWS_MAX {
            true => terms.slice.min(left),
            false => left,
        };
        let attempt = self.record.attempts.last();
        let cost = attempt.and_then(|attempt| {
            let mut providers = self.plan.providers.iter();
            let provider = providers.find(|it| it.name == attempt.provider)?;
            let price = self.price(provider, &attempt.model).ok()?.price;
            let until = self.worst_of(&price, &terms.of(reserved.saturating_add(output)))?;
            Some(until.minus(self.worst_of(&price, &terms.of(reserved))?).0)
        });
        if terms.costs && cost.is_none() {
            // Nobody knows what it would cost.
            return (output, Box::pin(async { Err(Refused::Unavailable) }));
        }
        let amounts = Amounts {
            input: 0,
            output,
            cost: cost.unwrap_or(0),
        };
        let whose = Whose::of(self);
        let now_us = self.now_us();
        (
            output,
            Box::pin(async move { whose.take(now_us, &amounts).await }),
        )
    }

    /// Holds a further slice; whether it does.
    pub(crate) fn take_slice(&mut self, more: More, output: u64) -> bool {
        self.note_once(&more.of_caller.would_refuse);
        self.note_once(&more.of_attempt.would_refuse);
        let nth = self.record.attempts.len().saturating_sub(1);
        let nth = u32::try_from(nth).unwrap_or(u32::MAX);
        let of_caller = more.of_caller.draws.into_iter().map(|draw| (draw, None));
        let of_attempt = more.of_attempt.draws.into_iter();
        let of_attempt = of_attempt.map(|draw| (draw, Some(nth)));
        let taken: Vec<_> = of_caller.chain(of_attempt).collect();
        let purse = self.spending.get_or_insert_default();
        let before = purse.draws.clone();
        for (draw, attempt) in &taken {
            purse.add(draw, *attempt);
        }
        let noted = self.note_under_way();
        let purse = self.spending.get_or_insert_default();
        if noted.is_ok() {
            purse.bound.output = purse.bound.output.saturating_add(output);
            return true;
        }
        purse.draws = before;
        self.flow.give_back(taken.iter().map(|(draw, _)| draw));
        self.note_none("not_written_down");
        false
    }

    /// Of a quota that is over, once: a stream has many slices.
    fn note_once(&mut self, breaches: &[Breach]) {
        let noted = &self.record.decisions;
        let is_new = |it: &&Breach| {
            !noted
                .iter()
                .any(|past| past.rule.as_ref() == Some(&it.quota))
        };
        let new: Vec<Breach> = breaches.iter().filter(is_new).cloned().collect();
        self.note_breaches(&new);
    }

    /// A further slice was refused.
    pub(crate) fn note_no_slice(&mut self, refused: &Refused) {
        match refused {
            Refused::Breached(breaches) => self.note_once(breaches),
            Refused::Full => self.note_none("counters_full"),
            Refused::Short | Refused::Unavailable => self.note_none("counters_unavailable"),
        }
    }

    /// Tells why there is no further slice, where no limit is to blame.
    fn note_none(&mut self, reason: &'static str) {
        self.record.decisions.push(Decision {
            stage: "reserve".into(),
            verdict: "deny".into(),
            reason: reason.into(),
            ..Decision::default()
        });
    }
}

/// Whose call it is, for as long as others are asked.
struct Whose {
    flow: Arc<Flow>,
    quoted: Quoted,
    who: evidence::Identity,
    model: Option<Arc<str>>,
    operation: Operation,
    content: Option<Box<str>>,
    /// Provider and model of the attempt.
    attempt: Option<(Arc<str>, Arc<str>)>,
}

impl Whose {
    fn of(exchange: &Exchange) -> Self {
        let record = &exchange.record;
        let attempt = record.attempts.last();
        Self {
            flow: exchange.flow.clone(),
            quoted: Quoted::of(exchange),
            who: record.who.clone(),
            model: record.request.model.clone(),
            operation: exchange.route.operation,
            content: exchange.content.clone(),
            attempt: attempt.map(|it| (it.provider.clone(), it.model.clone())),
        }
    }

    fn subject(&self) -> Subject<'_> {
        subject_of(
            &self.who,
            self.model.as_deref(),
            self.operation,
            self.content.as_deref(),
        )
    }

    async fn take(self, now_us: u64, amounts: &Amounts) -> Result<More, Refused> {
        let subject = self.subject();
        let taken = self.admit(now_us, &subject, amounts).await?;
        let mut taken = Taken {
            flow: &self.flow,
            taken,
        };
        let of_attempt = match (&self.attempt, self.quoted.plan.quotas.has_of_attempt()) {
            (Some((provider, model)), true) => {
                let attempt = Some(Attempted {
                    provider,
                    model,
                    account: provider,
                });
                let subject = Subject { attempt, ..subject };
                self.admit(now_us, &subject, amounts).await?
            }
            (Some(_) | None, _) => Admitted::default(),
        };
        Ok(More {
            of_caller: std::mem::take(&mut taken.taken),
            of_attempt,
        })
    }

    async fn admit(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        amounts: &Amounts,
    ) -> Result<Admitted, Refused> {
        let wants = self.quoted.mine().wants_more(subject, amounts);
        let wants = wants.map_err(|_| Refused::Full)?;
        if wants.is_empty() {
            return Ok(Admitted::default());
        }
        self.flow.ask(now_us, subject, &wants).await
    }
}

/// Gives back what was taken where the rest is not.
struct Taken<'f> {
    flow: &'f Flow,
    taken: Admitted,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.flow.give_back(self.taken.draws.iter());
    }
}

/// Shares what was settled out among the draws of one counter: each is used up
/// before the next is begun, and the last one bears what is beyond all.
pub(super) fn share_out(settled: &mut [(Draw, Option<u32>, i64)]) {
    for at in 0..settled.len() {
        let (first, rest) = settled.split_at_mut(at + 1);
        let (draw, attempt, actual) = &mut first[at];
        let is_same =
            |it: &&mut (Draw, Option<u32>, i64)| (it.0.counter, it.1) == (draw.counter, *attempt);
        if let Some(next) = rest.iter_mut().find(is_same) {
            let own = (*actual).min(draw.amount);
            next.2 = actual.saturating_sub(own);
            *actual = own;
        }
    }
}

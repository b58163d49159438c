//! Reserving the output of a long stream in slices: one before the call, and
//! another whenever what is reserved is nearly used up.
//!
//! Each slice is taken by draws of its own, so it settles in the window that
//! it was taken in. Deliberately not here: what becomes of the stream that
//! gets no more (`stream::slices`).

use std::sync::Arc;

use contract::Operation;
use contract::seams::Going;
use meter::{Admitted, Amounts, Attempted, Counters, Draw, Refused, Subject};
use routing::Candidate;

use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::purse::slices::{More, Terms};
use crate::spending::quoted::Quoted;

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
        if !is_stream || whole.output <= slice {
            return (whole, None);
        }
        let terms = Terms {
            slice,
            most: whole.output,
            bound: self.cost_bound(asking, &whole),
        };
        let mut first = Amounts {
            output: slice,
            ..whole
        };
        if whole.cost > 0 {
            let costs = candidates.iter().filter_map(|candidate| {
                let provider = &self.plan.providers[candidate.provider];
                let found = self.price(provider, &candidate.model).ok()?;
                found.price.worst(&terms.of(slice))
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
        let output = terms.slice.min(terms.most.saturating_sub(reserved));
        let attempt = self.record.attempts.last();
        let cost = attempt.and_then(|attempt| {
            let mut providers = self.plan.providers.iter();
            let provider = providers.find(|it| it.name == attempt.provider)?;
            let price = self.price(provider, &attempt.model).ok()?.price;
            let until = price.worst(&terms.of(reserved.saturating_add(output)))?;
            Some(until.minus(price.worst(&terms.of(reserved))?).0)
        });
        let amounts = Amounts {
            input: 0,
            output,
            cost: cost.unwrap_or(0),
        };
        let whose = Whose::of(self);
        let counters = self.flow.counters.clone();
        let now_us = self.now_us();
        (
            output,
            Box::pin(async move { whose.take(&counters, now_us, &amounts).await }),
        )
    }
}

impl Exchange {
    /// Holds a further slice; whether it does.
    pub(crate) fn take_slice(&mut self, more: More, output: u64) -> bool {
        self.note_breaches(&more.of_caller.would_refuse);
        self.note_breaches(&more.of_attempt.would_refuse);
        let nth = self.record.attempts.len().saturating_sub(1);
        let nth = u32::try_from(nth).unwrap_or(u32::MAX);
        let of_caller = self.take_admitted(more.of_caller, None);
        let of_attempt = self.take_admitted(more.of_attempt, Some(nth));
        if let Some(purse) = &mut self.spending {
            purse.bound.output = purse.bound.output.saturating_add(output);
        }
        of_caller.is_ok() && of_attempt.is_ok()
    }

    /// A further slice was refused.
    pub(crate) fn note_no_slice(&mut self, refused: &Refused) {
        match refused {
            Refused::Breached(breaches) => self.note_breaches(breaches),
            Refused::Full | Refused::Short | Refused::Unavailable => {}
        }
    }
}

/// Whose call it is, for as long as others are asked.
struct Whose {
    quoted: Quoted,
    who: evidence::Identity,
    model: Option<Arc<str>>,
    operation: &'static str,
    content: Option<Box<str>>,
    /// Provider and model of the attempt.
    attempt: Option<(Arc<str>, Arc<str>)>,
}

impl Whose {
    fn of(exchange: &Exchange) -> Self {
        let record = &exchange.record;
        let attempt = record.attempts.last();
        Self {
            quoted: Quoted::of(exchange),
            who: record.who.clone(),
            model: record.request.model.clone(),
            operation: exchange.route.operation.name(),
            content: exchange.content.clone(),
            attempt: attempt.map(|it| (it.provider.clone(), it.model.clone())),
        }
    }

    fn subject(&self) -> Subject<'_> {
        let who = &self.who;
        Subject {
            tenant: who.tenant.as_deref().unwrap_or_default(),
            app: who.app.as_deref().unwrap_or_default(),
            use_case: who.use_case.as_deref().unwrap_or_default(),
            user: who.user.as_deref().unwrap_or_default(),
            key: who.key_id.as_deref().unwrap_or_default(),
            model: self.model.as_deref().unwrap_or_default(),
            operation: self.operation,
            content: self.content.as_deref().unwrap_or_default(),
            attempt: None,
        }
    }

    async fn take(
        self,
        counters: &Arc<dyn Counters>,
        now_us: u64,
        amounts: &Amounts,
    ) -> Result<More, Refused> {
        let subject = self.subject();
        let taken = self.admit(counters, now_us, &subject, amounts).await?;
        let mut taken = Taken { counters, taken };
        let of_attempt = match (&self.attempt, self.quoted.plan.quotas.has_of_attempt()) {
            (Some((provider, model)), true) => {
                let attempt = Some(Attempted {
                    provider,
                    model,
                    account: provider,
                });
                let subject = Subject { attempt, ..subject };
                self.admit(counters, now_us, &subject, amounts).await?
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
        counters: &Arc<dyn Counters>,
        now_us: u64,
        subject: &Subject<'_>,
        amounts: &Amounts,
    ) -> Result<Admitted, Refused> {
        let wants = self.quoted.mine().wants_more(subject, amounts);
        let wants = wants.map_err(|_| Refused::Full)?;
        if wants.is_empty() {
            return Ok(Admitted::default());
        }
        match counters.admit(now_us, subject, &wants) {
            Err(Refused::Short) => match counters.fetch(now_us, subject, &wants) {
                Some(fetched) => fetched.await,
                None => Err(Refused::Unavailable),
            },
            other => other,
        }
    }
}

/// Gives back what was taken where the rest is not.
struct Taken<'c> {
    counters: &'c Arc<dyn Counters>,
    taken: Admitted,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let draws = self.taken.draws.iter();
        self.counters.settle(&mut draws.map(|draw| (draw, 0)));
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

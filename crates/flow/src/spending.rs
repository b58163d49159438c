//! Reserve and settle: what a call may take of limits and budgets is reserved
//! before it is made and settled to the truth when it has ended, however it
//! ended.
//!
//! The caller's counters are taken once, at the worst case over the permitted
//! candidates, all or nothing. Counters of a provider, a model there or an
//! account are taken for each attempt; a refusal there leaves out the
//! candidate. Permits last as long as the exchange, streams included.
//!
//! Deliberately not here: the arithmetic (`meter`), what the call holds
//! meanwhile and what is told of it (`purse`).

pub(crate) mod alerts;
mod ask;
mod closer;
mod effects;
mod fingerprint;
pub(crate) mod lines;
mod queue;
mod quoted;
mod slices;

use std::sync::Arc;

use access::metadata::Field;
use contract::{Fault, FaultKind, Operation, Origin};
use evidence::Decision;
use meter::{
    Admitted, Amounts, Attempted, Breach, Draw, Hold, Measure, Quota, QuotaKind, Reached, Refused,
    Subject, Wants,
};
use routing::Candidate;
use store::Tag;

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::purse::{Purse, row, told};
use ask::subject_of;
use closer::Why;
use quoted::Quoted;

/// What has to be known of a call before it can be counted.
#[derive(Clone, Copy)]
struct Sizes {
    tokens: bool,
    cost: bool,
    /// Every candidate needs a price, not only those whose provider has a
    /// budget of its own.
    every_price: bool,
}

/// What the stage decided.
pub(crate) enum Reserved {
    /// The call goes on to these.
    Go(Arc<[Candidate]>),
    /// It is answered here.
    Answered(Arrived),
}

impl Exchange {
    /// Reserves what the call may take at most.
    pub(crate) async fn reserve(
        &mut self,
        asking: &mut Asking<'_>,
        candidates: Arc<[Candidate]>,
    ) -> Result<Reserved, Fault> {
        let has_none = self.plan.quotas.is_empty() && self.own_quotas.is_none();
        if has_none && !self.has_max_cost() {
            return Ok(Reserved::Go(candidates));
        }
        // Boxed, so that calls without limits carry no room for it.
        Box::pin(self.reserve_bounded(asking, candidates)).await
    }

    async fn reserve_bounded(
        &mut self,
        asking: &mut Asking<'_>,
        mut candidates: Arc<[Candidate]>,
    ) -> Result<Reserved, Fault> {
        let (plan, quoted) = (self.plan.clone(), Quoted::of(self));
        if plan.quotas.counts_content() {
            let request = self.read(asking)?;
            self.content = Some(fingerprint::of(request).into());
        }
        let about = self.about(&quoted);
        let is_counted = about.iter().any(|quota| quota.measure == Measure::Cost);
        let sizes = Sizes {
            every_price: is_counted || self.has_max_cost(),
            cost: is_counted
                || plan.quotas.measures_attempts(|it| it == Measure::Cost)
                || self.has_max_cost(),
            tokens: about.iter().any(|quota| is_by_size(quota.measure))
                || plan.quotas.measures_attempts(is_by_size),
        };
        if about.is_empty() && !sizes.cost && !sizes.tokens {
            return Ok(Reserved::Go(candidates));
        }
        let has_thresholds = about.iter().any(|quota| !quota.thresholds.is_empty());
        if has_thresholds {
            let reached = self.reached(&quoted, &[]);
            let answered = self.take_effect(asking, &mut candidates, &reached).await?;
            if let Some(arrived) = answered {
                return Ok(Reserved::Answered(arrived));
            }
        }
        let mut refused = match self.admit_in_line(asking, &mut candidates, sizes).await {
            Ok(()) => return Ok(Reserved::Go(candidates)),
            Err(refused) => refused?,
        };
        // A budget that cannot hold the call does what it does at its end.
        if has_thresholds
            && let Refused::Breached(breaches) = &refused
            && breaches.iter().any(|it| it.kind == QuotaKind::Budget)
        {
            let reached = self.reached(&quoted, breaches);
            let answered = self.take_effect(asking, &mut candidates, &reached).await?;
            if let Some(arrived) = answered {
                return Ok(Reserved::Answered(arrived));
            }
            refused = match self.admit_sized(asking, &mut candidates, sizes).await {
                Ok(()) => return Ok(Reserved::Go(candidates)),
                Err(refused) => refused?,
            };
        }
        if let Refused::Breached(breaches) = &refused {
            let shown = breaches.iter().filter_map(told::Shown::breach).collect();
            let purse = Purse {
                shown,
                ..Purse::default()
            };
            self.spending = Some(Box::new(purse));
        }
        Err(self.refused(&refused))
    }

    /// Takes what the call needs of the caller's counters.
    ///
    /// # Errors
    /// What does not fit; or, within, that the request cannot be read.
    async fn admit_sized(
        &mut self,
        asking: &mut Asking<'_>,
        candidates: &mut Arc<[Candidate]>,
        sizes: Sizes,
    ) -> Result<(), Result<Refused, Fault>> {
        let quoted = Quoted::of(self);
        let mut whole = match sizes.tokens || sizes.cost {
            true => self.worst_case(asking, candidates),
            false => Amounts::default(),
        };
        // Whoever names a cost wants to be near it.
        if self.has_max_cost() && self.may_look_closer() {
            let closer = self.closer_input(asking, candidates, Why::MaxCost);
            whole.input = whole.input.min(closer.map_err(Err)?);
        }
        if sizes.cost {
            let priced = self.priced(asking, candidates, &mut whole, sizes.every_price);
            priced.map_err(Err)?;
        }
        let (mut bound, mut slices) = self.first_slice(asking, candidates, whole);
        let admitted = match self.admit_caller(&quoted, &bound).await {
            Err(Refused::Breached(breaches)) if self.may_count_again(&breaches, &bound) => {
                let closer = self.closer_input(asking, candidates, Why::NearALimit);
                whole.input = whole.input.min(closer.map_err(Err)?);
                if sizes.cost {
                    let priced = self.priced(asking, candidates, &mut whole, sizes.every_price);
                    priced.map_err(Err)?;
                }
                (bound, slices) = self.first_slice(asking, candidates, whole);
                self.admit_caller(&quoted, &bound).await
            }
            other => other,
        };
        let admitted = admitted.map_err(Ok)?;
        self.note_breaches(&admitted.would_refuse);
        self.spending = Some(Box::new(Purse {
            bound,
            slices,
            ..Purse::default()
        }));
        self.take_admitted(admitted, None).map_err(Err)
    }

    /// Holds what was admitted, or nothing of it where it cannot be written
    /// down.
    pub(crate) fn take_admitted(
        &mut self,
        admitted: Admitted,
        attempt: Option<u32>,
    ) -> Result<(), Fault> {
        let now_us = self.now_us();
        let spending = self.spending.get_or_insert_default();
        let before = spending.draws.len();
        spending.take(admitted, attempt, now_us);
        let noted = self.note_under_way();
        if let (Err(_), Some(spending)) = (&noted, &mut self.spending) {
            let taken: Vec<_> = spending.draws.drain(before..).collect();
            self.flow.give_back(taken.iter().map(|(draw, _)| draw));
        }
        noted
    }

    /// The limits and budgets that are about the call.
    fn about<'p>(&self, quoted: &'p Quoted) -> Vec<&'p Arc<Quota>> {
        let subject = self.subject(None);
        quoted.mine().about(&subject).collect()
    }

    /// What the call is counted by.
    pub(crate) fn subject<'a>(&'a self, attempt: Option<Attempted<'a>>) -> Subject<'a> {
        let request = &self.record.request;
        Subject {
            attempt,
            ..subject_of(
                &self.record.who,
                request.model.as_deref(),
                self.route.operation,
                self.content.as_deref(),
            )
        }
    }

    /// Whether the caller says what the call may cost.
    fn has_max_cost(&self) -> bool {
        self.metadata.get(Field::MaxCost).is_some()
    }

    /// The most that the call may take. Where nothing caps the output, a cap
    /// is set, which goes to the provider.
    fn worst_case(&mut self, asking: &mut Asking<'_>, candidates: &[Candidate]) -> Amounts {
        let reservation = self.plan.reservation;
        let body = asking.doc.bytes();
        let turns = asking.survey.turns;
        let input = match (self.route.operation, reservation.strict) {
            // Counting is free everywhere.
            (Operation::CountTokens | Operation::ListModels | Operation::GetModel, _) => 0,
            (Operation::Chat | Operation::Embed, false) => {
                meter::bound::input_estimate(body, turns)
            }
            (Operation::Chat | Operation::Embed, true) => meter::bound::input_strict(body, turns),
        };
        let output = match self.route.operation {
            Operation::Chat => self.worst_output(asking, candidates),
            Operation::Embed
            | Operation::CountTokens
            | Operation::ListModels
            | Operation::GetModel => 0,
        };
        Amounts {
            input,
            output,
            cost: 0,
        }
    }

    fn worst_output(&mut self, asking: &mut Asking<'_>, candidates: &[Candidate]) -> u64 {
        let own = asking.survey.output_tokens_max;
        let cap = match (own, self.output_cap) {
            (Some(own), Some(cap)) => own.min(cap),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => {
                let cap = u64::from(self.plan.reservation.output_tokens);
                self.output_cap = Some(cap);
                self.record.decisions.push(Decision {
                    stage: "reserve".into(),
                    verdict: "cap".into(),
                    reason: "no_cap_of_the_caller".into(),
                    readings: vec![told::number("output_tokens_max", cap)],
                    ..Decision::default()
                });
                cap
            }
        };
        // A model gives no more than it can.
        let able = candidates.iter().map(|candidate| {
            let most = candidate.card.output_tokens_max.map_or(cap, u64::from);
            most.min(cap)
        });
        meter::bound::output(able.max().unwrap_or(cap), asking.survey.choices)
    }

    async fn admit_caller(&self, quoted: &Quoted, bound: &Amounts) -> Result<Admitted, Refused> {
        let subject = self.subject(None);
        self.admit_to(quoted, &subject, bound).await
    }

    async fn admit_to(
        &self,
        quoted: &Quoted,
        subject: &Subject<'_>,
        bound: &Amounts,
    ) -> Result<Admitted, Refused> {
        let wants = quoted.mine().wants(subject, bound);
        let wants: Wants<'_> = wants.map_err(|_| Refused::Full)?;
        if wants.is_empty() {
            return Ok(Admitted::default());
        }
        self.flow.ask(self.now_us(), subject, &wants).await
    }

    /// The thresholds that were reached. Budgets that cannot hold the call
    /// count as used up.
    fn reached(&self, quoted: &Quoted, breaches: &[Breach]) -> Vec<Reached> {
        let subject = self.subject(None);
        let Ok(wants) = quoted.mine().wants(&subject, &Amounts::default()) else {
            return Vec::new();
        };
        let now_us = self.now_us();
        let mut levels = self.flow.counters.levels_of(now_us, &wants);
        for (want, level) in wants.iter().zip(&mut levels) {
            if breaches.iter().any(|it| it.counter == want.counter) {
                *level = (*level).max(want.quota.limit_at(now_us));
            }
        }
        meter::reached(now_us, &wants, &levels)
    }

    /// Takes what an attempt needs of its provider's counters.
    ///
    /// # Errors
    /// Why the candidate is left out.
    pub(crate) async fn reserve_attempt(&mut self, candidate: &Candidate) -> Result<(), Fault> {
        if !self.plan.quotas.has_of_attempt() {
            return Ok(());
        }
        let plan = self.plan.clone();
        let provider = &plan.providers[candidate.provider];
        let subject = self.subject(Some(Attempted {
            provider: &provider.name,
            model: &candidate.model,
            // A provider has one account, until it has a pool of keys.
            account: &provider.name,
        }));
        let counts_cost = {
            let mut about = plan.quotas.about(&subject);
            about.any(|quota| quota.measure == Measure::Cost)
        };
        if counts_cost && let Err(none) = self.price(provider, &candidate.model) {
            let fault = crate::pricing::unpriced(&none);
            self.leave_out(candidate, "price unknown".to_owned());
            return Err(fault);
        }
        let bound = self.spending.as_ref().map(|it| it.bound);
        let nth = u32::try_from(self.record.attempts.len()).unwrap_or(u32::MAX);
        let bound = bound.unwrap_or_default();
        let quoted = Quoted::of(self);
        match self.admit_to(&quoted, &subject, &bound).await {
            Ok(admitted) => {
                self.note_breaches(&admitted.would_refuse);
                self.take_admitted(admitted, Some(nth))
            }
            Err(refused) => {
                let first = match &refused {
                    Refused::Breached(breaches) => {
                        self.note_breaches(breaches);
                        let firm = breaches.iter().find(|it| it.hold == Hold::Enforce);
                        firm.map(|it| it.quota.clone())
                    }
                    Refused::Full | Refused::Short | Refused::Unavailable => None,
                };
                let why = match first {
                    Some(quota) => format!("limit: {quota}"),
                    None => "limit: the counters cannot be asked".to_owned(),
                };
                self.leave_out(candidate, why);
                Err(told::candidate_refused(&refused, self.now_us()))
            }
        }
    }

    pub(crate) fn leave_out(&mut self, candidate: &Candidate, why: String) {
        let provider = self.plan.providers[candidate.provider].name.clone();
        self.record.candidates.push(evidence::Candidate {
            provider,
            model: candidate.model.clone(),
            excluded: Some(why.into()),
            score: None,
        });
    }

    /// Gives back the permits of an attempt that failed: they are held for as
    /// long as it lasts, and no longer.
    pub(crate) fn release_attempt(&mut self) {
        let Some(nth) = self.record.attempts.len().checked_sub(1) else {
            return;
        };
        let Some(spending) = &mut self.spending else {
            return;
        };
        let is_permit = |draw: &Draw, attempt: Option<u32>| {
            let is_its = attempt.is_some_and(|it| it as usize == nth);
            is_its && draw.measure == Measure::Concurrency
        };
        let permits: Vec<(Draw, Option<u32>)> = spending
            .draws
            .extract_if(.., |(draw, attempt)| is_permit(draw, *attempt))
            .collect();
        if permits.is_empty() {
            return;
        }
        let pairs = permits.iter();
        self.flow
            .counters
            .settle(&mut pairs.map(|(draw, _)| (draw, 1)));
        self.flow
            .lines
            .freed(permits.iter().map(|(draw, _)| draw.counter));
    }

    /// Writes down what is reserved, before the first byte goes upstream: a
    /// process that is killed forgets none of it.
    fn note_under_way(&mut self) -> Result<(), Fault> {
        let Some(inflight) = self.flow.inflight.clone() else {
            return Ok(());
        };
        let Some(spending) = self.spending.as_mut().filter(|it| it.is_spent()) else {
            return Ok(());
        };
        self.record.reservations = spending.rows();
        let row = self.record.encode();
        let noted = match &mut spending.tag {
            Some(tag) => inflight.amend(tag, &row),
            None => inflight.begin(&row).map(|tag| spending.tag = Some(tag)),
        };
        noted.map_err(|error| {
            Fault::new(
                FaultKind::Overloaded,
                Origin::Gateway,
                "The gateway cannot write down what this call may spend, so it is not made. Try \
                 again shortly.",
            )
            .because(error.to_string())
        })
    }

    fn refused(&mut self, refused: &Refused) -> Fault {
        match refused {
            Refused::Breached(breaches) => {
                self.note_breaches(breaches);
                let firm = breaches.iter().find(|it| it.hold == Hold::Enforce);
                let firm = firm.or(breaches.first());
                firm.map_or_else(
                    || crate::faults::internal("a refusal without a reason"),
                    |breach| told::fault(breach, self.now_us()),
                )
            }
            Refused::Full => Fault::new(
                FaultKind::Overloaded,
                Origin::Gateway,
                "The gateway counts more callers than it has room for, so it takes no new ones. \
                 Try again shortly.",
            ),
            Refused::Short | Refused::Unavailable => Fault::new(
                FaultKind::Overloaded,
                Origin::Gateway,
                "The gateway cannot look at its budgets at the moment, so it takes no calls that \
                 need them. Try again shortly.",
            ),
        }
    }

    /// Settles everything to what it came to. Called once, as the exchange
    /// ends, whichever way it ends.
    /// Gives the row of the table of calls under way, if there is one.
    pub(crate) fn settle_spending(&mut self) -> Option<Tag> {
        let mut spending = self.spending.take()?;
        let tag = spending.tag.take();
        let total = self.took(None);
        let mut settled = Vec::with_capacity(spending.draws.len());
        for (draw, attempt) in spending.draws {
            let amounts = match attempt {
                None => total,
                Some(_) => self.took(attempt),
            };
            let actual = amounts.of(draw.measure);
            settled.push((draw, attempt, actual));
        }
        if spending.slices.is_some() {
            slices::share_out(&mut settled);
        }
        let pairs = settled.iter();
        self.flow
            .counters
            .settle(&mut pairs.map(|(draw, _, actual)| (draw, *actual)));
        let freed = settled.iter().map(|(draw, _, _)| draw.counter);
        self.flow.lines.freed(freed);
        let rows = settled.into_iter();
        let rows = rows.map(|(draw, attempt, actual)| row(draw, attempt, Some(actual)));
        self.record.reservations = rows.collect();
        tag
    }

    /// What the call took: all of it, or one of its attempts.
    fn took(&self, attempt: Option<u32>) -> Amounts {
        let served = self.record.attempts.iter().position(|it| it.committed);
        let last = self.record.attempts.len().checked_sub(1);
        // The record's cost is that of all attempts together.
        let others = self.record.attempts.iter().filter_map(|it| it.cost_nanos);
        let others = others.fold(0_i64, i64::saturating_add);
        let own_cost = self.record.cost_nanos.unwrap_or(0).saturating_sub(others);
        let mut sum = Amounts::default();
        for (nth, tried) in self.record.attempts.iter().enumerate() {
            if attempt.is_some_and(|wanted| wanted as usize != nth) {
                continue;
            }
            // What the record tells is of the attempt that served, or of the
            // last one that tried.
            let own = served.or(last) == Some(nth);
            let usage = match (tried.usage, own) {
                (Some(usage), _) => usage,
                (None, true) => self.record.usage,
                (None, false) => continue,
            };
            sum.input = sum.input.saturating_add(usage.input_total());
            sum.output = sum.output.saturating_add(usage.output_total());
            let cost = match own {
                true => own_cost,
                false => tried.cost_nanos.unwrap_or(0),
            };
            sum.cost = sum.cost.saturating_add(cost);
        }
        sum
    }

    /// Puts what was or would have been refused into the record, the metrics
    /// and the warnings.
    pub(crate) fn note_breaches(&mut self, breaches: &[Breach]) {
        for breach in breaches {
            let verdict = match breach.hold {
                Hold::Shadow => "would_deny",
                Hold::Warn => "warn",
                Hold::Enforce => "deny",
            };
            let mode = breach.hold.name();
            let meter = self.flow.evidence.meter();
            meter.policy(&breach.quota, mode, verdict);
            self.record.decisions.push(told::decision(breach, verdict));
            if breach.hold == Hold::Warn {
                let code = told::code(breach.kind, breach.measure);
                self.warnings.push(format!("{}; {code}", breach.quota));
            }
        }
    }

    /// Puts what is told of rate limits into the headers of an answer.
    pub(crate) fn show_limits(&self, headers: &mut http::HeaderMap) {
        if let Some(spending) = &self.spending {
            told::headers(&spending.shown, self.now_us(), headers);
        }
    }
}

fn is_by_size(measure: Measure) -> bool {
    match measure {
        Measure::Requests | Measure::Concurrency => false,
        Measure::InputTokens | Measure::OutputTokens | Measure::Tokens | Measure::Cost => true,
    }
}

//! What a call may cost, and what it cost.
//!
//! Prices are looked up by the plan that the exchange began with and by the
//! moment of its arrival, so that a price that changes meanwhile changes
//! nothing.
//!
//! Deliberately not here: prices themselves (`meter`).

use std::sync::Arc;

use contract::{Fault, FaultKind, Operation, Origin, Usage};
use evidence::Decision;
use http::HeaderValue;
use memchr::memmem;
use meter::prices::{Bound, Found, May, NoPrice, Price, Query, Terms, Tier, Tiers};
use meter::{Amounts, Money};
use plan::ProviderPlan;
use routing::Candidate;

use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::purse::told;

/// Fewest output tokens that an answer is capped at to keep a call within its
/// cost: less is no answer.
const OUTPUT_MIN: u64 = 16;
/// Searches that a call may do with a tool of its provider.
const SEARCHES_MAX: u64 = 10;

/// A candidate and the most that a call to it can come to.
struct Worst {
    price: Found,
    bound: Bound,
    strict: bool,
}

/// What the caller wants to spend.
#[derive(Clone, Copy)]
struct Most {
    most: Money,
    /// The output may be capped for it.
    caps: bool,
}

impl Worst {
    fn money(&self, output: u64) -> Option<Money> {
        let bound = Bound {
            output,
            ..self.bound
        };
        worst(&self.price.price, &bound, self.strict)
    }

    /// The largest output that keeps the call within an amount; `None` if not
    /// even none does.
    fn affordable(&self, most: Money) -> Option<u64> {
        let fits = |output| self.money(output).is_some_and(|cost| cost <= most);
        if !fits(0) {
            return None;
        }
        let (mut fitting, mut beyond) = (0, self.bound.output.saturating_add(1));
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            match fits(middle) {
                true => fitting = middle,
                false => beyond = middle,
            }
        }
        Some(fitting)
    }
}

/// The most that a call can come to; `None` where nobody knows.
fn worst(price: &Price, bound: &Bound, strict: bool) -> Option<Money> {
    // A fee without a price is refused only where nothing may be underrated.
    // Else the record tells that it was not priced.
    price.worst(bound).or_else(|| {
        let without = Bound {
            searches: 0,
            ..*bound
        };
        price.worst(&without).filter(|_| !strict)
    })
}

impl Exchange {
    /// The same for this call.
    pub(crate) fn worst_of(&self, price: &Price, bound: &Bound) -> Option<Money> {
        worst(price, bound, self.plan.reservation.strict)
    }

    /// The price of a model at a provider, for this caller and call.
    pub(crate) fn price(&self, provider: &ProviderPlan, model: &str) -> Result<Found, NoPrice> {
        self.plan.prices.of(&self.price_query(provider, model))
    }

    fn price_query<'a>(&'a self, provider: &'a ProviderPlan, model: &'a str) -> Query<'a> {
        Query {
            provider: &provider.name,
            kind: provider.kind.name,
            model,
            region: provider.account.region.as_deref(),
            tenant: self.record.who.tenant.as_deref(),
            at_s: self.record.arrived_us / 1_000_000,
        }
    }

    /// The most that a call costs at the candidates that have a price and fit
    /// the caller's own bound. The others are left out; those without a price
    /// only where one `is_needed` of all of them. Sets the cap on the output
    /// where the bound needs one.
    ///
    /// # Errors
    /// None is left.
    pub(crate) fn priced(
        &mut self,
        asking: &mut Asking<'_>,
        candidates: &mut Arc<[Candidate]>,
        amounts: &mut Amounts,
        is_needed: bool,
    ) -> Result<(), Fault> {
        let most = self.metadata.number(access::metadata::Field::MaxCost);
        let most = most.map(|nanos| Money(i64::try_from(nanos).unwrap_or(i64::MAX)));
        let bound = self.cost_bound(asking, amounts);
        let mut kept = Vec::with_capacity(candidates.len());
        let mut why: Option<Fault> = None;
        let mut worst_cost = Money::ZERO;
        // Of one answer, as is the cap that goes to the provider.
        let mut output = bound.output;
        let worsts = self.worsts(candidates, bound);
        let order = self.plan.reservation.max_cost;
        let caps = order.caps(most.is_some_and(|most| {
            let mut fitting = worsts.iter().filter_map(|worst| worst.as_ref().ok());
            fitting.any(|worst| worst.money(bound.output).is_some_and(|cost| cost <= most))
        }));
        for (candidate, worst) in candidates.iter().zip(worsts) {
            if worst.is_err() && !is_needed {
                kept.push(candidate.clone());
                continue;
            }
            let most = most.map(|most| Most { most, caps });
            let fitted = worst.and_then(|worst| self.fit(&worst, most, &mut output));
            match fitted {
                Ok(cost) => {
                    worst_cost = worst_cost.max(cost);
                    kept.push(candidate.clone());
                }
                Err(fault) => {
                    let is_dear = fault.kind == FaultKind::OverBudget;
                    let reason = if is_dear { "max_cost" } else { "price unknown" };
                    self.leave_out(candidate, reason.to_owned());
                    let is_first = kept.is_empty() && why.is_none();
                    if is_dear && is_first && !order.goes_on() {
                        return Err(fault);
                    }
                    why.get_or_insert(fault);
                }
            }
        }
        if kept.is_empty() {
            let none = || crate::faults::internal("nobody can serve, and nobody knows why");
            return Err(why.unwrap_or_else(none));
        }
        if kept.len() < candidates.len() {
            *candidates = kept.into();
        }
        amounts.output = amounts.output.min(output.saturating_mul(bound.choices));
        amounts.cost = worst_cost.0;
        Ok(())
    }

    /// The worst case at each candidate, or why it is not known.
    fn worsts(&self, candidates: &[Candidate], bound: Bound) -> Vec<Result<Worst, Fault>> {
        let of_one = |candidate: &Candidate| {
            let provider = &self.plan.providers[candidate.provider];
            let found = self.price(provider, &candidate.model);
            let price = found.map_err(|none| unpriced(&none))?;
            Ok(Worst {
                price,
                bound,
                strict: self.plan.reservation.strict,
            })
        };
        candidates.iter().map(of_one).collect()
    }

    /// Fits a candidate into what the caller wants to spend: as it is, or with
    /// a smaller output. `output` is what one answer of all candidates may have.
    fn fit(&mut self, worst: &Worst, most: Option<Most>, output: &mut u64) -> Result<Money, Fault> {
        let unknown = || crate::faults::internal("a price without a bound");
        let asked = worst.bound.output.min(*output);
        let Some(cost) = worst.money(asked) else {
            return Err(no_bound());
        };
        let Some(Most { most, caps }) = most.filter(|it| cost > it.most) else {
            return Ok(cost);
        };
        let affordable = worst.affordable(most).filter(|_| asked > 0 && caps);
        match affordable.filter(|output| *output >= OUTPUT_MIN.min(asked)) {
            Some(affordable) => {
                self.cap_for_cost(affordable, most);
                *output = affordable;
                worst.money(affordable).ok_or_else(unknown)
            }
            None => Err(too_dear(cost, most)),
        }
    }

    /// The largest output that keeps a call, whose input is known by now,
    /// within the caller's own bound; `None` where there is none, or no price.
    pub(crate) fn output_within_cost(&self, input: &Usage) -> Option<u64> {
        let most = self.metadata.number(access::metadata::Field::MaxCost)?;
        let most = Money(i64::try_from(most).unwrap_or(i64::MAX));
        let attempt = self.record.attempts.last()?;
        let mut providers = self.plan.providers.iter();
        let provider = providers.find(|it| it.name == attempt.provider)?;
        let found = self.price(provider, &attempt.model).ok()?;
        let fits = |output| {
            let usage = Usage { output, ..*input };
            found.price.cost(&usage, &Terms::of(&usage)).total <= most
        };
        let (mut fitting, mut beyond) = (0, contract::usage::FIGURE_MAX);
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            match fits(middle) {
                true => fitting = middle,
                false => beyond = middle,
            }
        }
        Some(fitting)
    }

    fn cap_for_cost(&mut self, output: u64, most: Money) {
        self.output_cap = Some(self.output_cap.map_or(output, |cap| cap.min(output)));
        self.degraded = Some("budget");
        self.bounds.capped_for_cost = true;
        self.record.decisions.push(Decision {
            stage: "reserve".into(),
            verdict: "cap".into(),
            reason: "max_cost".into(),
            readings: vec![
                told::signed("max_cost_nanos", most.0),
                told::number("output_tokens_max", output),
            ],
            ..Decision::default()
        });
    }

    /// The bound of a call, by what its body speaks of. Where nothing may be
    /// underrated, everything is taken to be possible.
    pub(crate) fn cost_bound(&self, asking: &Asking<'_>, amounts: &Amounts) -> Bound {
        let choices = u64::from(asking.survey.choices.max(1));
        let plain = Bound {
            choices,
            ..Bound::new(amounts.input, amounts.output / choices)
        };
        let body = asking.doc.bytes();
        let says = |word: &str| memmem::find(body, word.as_bytes()).is_some();
        // Only a tool searches; what a text speaks of does not.
        let has_search = || says("_search") || says("Search");
        let has_tools = asking.survey.tools > 0 || says("web_search_options");
        let may_search = has_tools && (self.plan.reservation.strict || has_search());
        let searches = if may_search { SEARCHES_MAX } else { 0 };
        // Names that are written with escapes are not looked for: then
        // everything is possible.
        if self.plan.reservation.strict || hides_letters(body) {
            return Bound { searches, ..plain };
        }
        let tiers = match says("tier") || says("\"speed\"") {
            true => Tiers::ALL,
            false => Tiers::of(&[Tier::Standard]),
        };
        let audio = says("audio");
        let image = says("image") || says("IMAGE");
        Bound {
            searches,
            tiers,
            may: May {
                cache: says("cache"),
                cache_1h: says("\"1h\""),
                audio_in: audio,
                image_in: image,
                audio_out: audio || says("AUDIO"),
                image_out: image,
            },
            ..plain
        }
    }

    /// Prices what the call and its attempts took. Called once the usage is
    /// settled; a second call changes nothing.
    pub(crate) fn price_usage(&mut self) {
        if std::mem::replace(&mut self.is_priced, true) || !is_priced(self.route.operation) {
            return;
        }
        let served = self.record.attempts.iter().position(|it| it.committed);
        let own = served.or(self.record.attempts.len().checked_sub(1));
        let plan = self.plan.clone();
        let mut total: Option<Money> = None;
        let mut has_gaps = false;
        for nth in 0..self.record.attempts.len() {
            let attempt = &self.record.attempts[nth];
            let is_own = own == Some(nth);
            let usage = match (attempt.usage, is_own) {
                (Some(usage), _) => usage,
                (None, true) if self.record.usage != Usage::default() => self.record.usage,
                (None, _) => continue,
            };
            let mut providers = plan.providers.iter();
            let Some(provider) = providers.find(|it| it.name == attempt.provider) else {
                continue;
            };
            let query = self.price_query(provider, &attempt.model);
            let found = plan.prices.known(&query);
            let told = usage.told_cost_nanos.map(|nanos| {
                let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
                (Money(nanos), None)
            });
            let ours = found.map(|found| {
                let cost = found.price.cost(&usage, &Terms::of(&usage));
                has_gaps |= cost.unpriced;
                (cost.total, Some(found.price.version()))
            });
            let Some((cost, version)) = ours.or(told) else {
                continue;
            };
            total = Some(total.unwrap_or_default().plus(cost));
            let version = version.unwrap_or_else(|| "provider".to_owned());
            if is_own {
                self.record.price_version = Some(version.into());
            } else {
                self.record.attempts[nth].cost_nanos = Some(cost.0);
            }
        }
        self.record.cost_nanos = total.map(|total| total.0);
        if has_gaps {
            // A class without a price is not taken for free: it is told.
            self.record.decisions.push(Decision {
                stage: "price".into(),
                verdict: "incomplete".into(),
                reason: "class_without_price".into(),
                ..Decision::default()
            });
        }
    }
}

impl Exchange {
    /// Tells what a whole answer cost, in dollars.
    pub(crate) fn show_cost(&self, headers: &mut http::HeaderMap) {
        if let Some(nanos) = self.record.cost_nanos {
            let cost = HeaderValue::try_from(Money(nanos).to_string());
            headers.insert(crate::reply::COST, cost.expect("digits and a point"));
        }
    }
}

/// Whether letters of ASCII are written as escapes. No client does that to a
/// name of a field but to hide it.
fn hides_letters(body: &[u8]) -> bool {
    memmem::find_iter(body, b"\\u00").any(|at| {
        let digit = body.get(at + 4);
        digit.is_some_and(|digit| (b'4'..=b'7').contains(digit))
    })
}

fn is_priced(operation: Operation) -> bool {
    match operation {
        Operation::Chat | Operation::Embed => true,
        // Counting and listing are free everywhere.
        Operation::CountTokens | Operation::ListModels | Operation::GetModel => false,
    }
}

/// Nobody knows what a candidate costs.
pub(crate) fn unpriced(none: &NoPrice) -> Fault {
    Fault::new(
        FaultKind::Forbidden,
        Origin::Gateway,
        format!(
            "What `{}` costs is not known here, and this call is held to a budget or a cost, so it \
             is not made. Use another model, or ask the people who run the gateway to add its \
             price.",
            none.model
        ),
    )
    .because(none.to_string())
}

/// A part of what a call may take has no price.
fn no_bound() -> Fault {
    Fault::new(
        FaultKind::Forbidden,
        Origin::Gateway,
        "A part of what this call may use (such as a search tool) has no price here, and the call \
         is held to a budget or a cost, so it is not made. Leave that part out, or ask the people \
         who run the gateway to add its price.",
    )
}

/// The call does not fit what the caller wants to spend.
fn too_dear(cost: Money, most: Money) -> Fault {
    Fault::new(
        FaultKind::OverBudget,
        Origin::Gateway,
        format!(
            "This call may cost {cost} USD, which is {} USD more than its `max_cost` of {most}. \
             Send less, use a cheaper model, or allow more.",
            cost.minus(most)
        ),
    )
    .at("tollgate.max_cost")
}

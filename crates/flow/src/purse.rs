//! What a call holds of limits and budgets, from admission to its end.
//!
//! Deliberately not here: when it is taken and settled (`spending`).

pub(crate) mod slices;
pub(crate) mod told;

use evidence::Reservation;
use meter::{Admitted, Amounts, Draw, QuotaKind};
use store::Tag;

use slices::Terms;

/// What a call holds of limits and budgets.
#[derive(Default)]
pub(crate) struct Purse {
    /// What was taken, and for which attempt.
    pub(crate) draws: Vec<(Draw, Option<u32>)>,
    /// The worst case that was reserved.
    pub(crate) bound: Amounts,
    /// What the output is reserved by, where it is done in slices.
    pub(crate) slices: Option<Terms>,
    /// What is told of rate limits.
    pub(crate) shown: Vec<told::Shown>,
    /// The row of the table of calls under way.
    pub(crate) tag: Option<Tag>,
}

impl Purse {
    /// Whether something of it must outlive the process. Rate limits pass by
    /// themselves, so what a killed process held of them need not.
    pub(crate) fn is_spent(&self) -> bool {
        self.draws
            .iter()
            .any(|(draw, _)| draw.kind == QuotaKind::Budget)
    }

    /// The rows of the ledger, as long as nothing is known.
    pub(crate) fn rows(&self) -> Vec<Reservation> {
        let draws = self.draws.iter();
        draws
            .map(|(draw, attempt)| row(draw.clone(), *attempt, None))
            .collect()
    }

    /// Holds more: of a counter that is held already, in the same window, as
    /// more of the same, so that the rows are no more than the windows.
    pub(crate) fn add(&mut self, draw: &Draw, attempt: Option<u32>) {
        match self.same(draw, attempt) {
            Some(held) => held.amount = held.amount.saturating_add(draw.amount),
            None => self.draws.push((draw.clone(), attempt)),
        }
    }

    fn same(&mut self, draw: &Draw, attempt: Option<u32>) -> Option<&mut Draw> {
        let key = (draw.counter, draw.span, attempt);
        let mut held = self.draws.iter_mut();
        let held = held.find(|(it, of)| (it.counter, it.span, *of) == key);
        held.map(|(held, _)| held)
    }

    /// Holds what was admitted.
    pub(crate) fn take(&mut self, admitted: Admitted, attempt: Option<u32>, now_us: u64) {
        for draw in admitted.draws {
            if attempt.is_none() && draw.kind == QuotaKind::RateLimit {
                self.shown.extend(told::Shown::draw(&draw, now_us));
            }
            self.draws.push((draw, attempt));
        }
    }
}

/// A row of the ledger.
pub(crate) fn row(draw: Draw, attempt: Option<u32>, settled: Option<i64>) -> Reservation {
    Reservation {
        quota: draw.quota,
        kind: draw.kind.name().into(),
        measure: draw.measure.name().into(),
        scope: draw.scope,
        counter: draw.counter,
        from_us: draw.span.from_us,
        until_us: draw.span.until_us,
        after_us: draw.after_us,
        reserved: draw.amount,
        settled,
        level: draw.level,
        limit: draw.limit,
        attempt,
    }
}

//! The limits and budgets that may be about a call: those of the plan, and
//! those of the caller's own key.

use std::sync::Arc;

use meter::{Mine, Quotas};
use plan::Plan;

use crate::exchange::Exchange;

/// Both, held for as long as others are asked.
pub(super) struct Quoted {
    pub(super) plan: Arc<Plan>,
    own: Option<Arc<Quotas>>,
}

impl Quoted {
    pub(super) fn of(exchange: &Exchange) -> Self {
        Self {
            plan: exchange.plan.clone(),
            own: exchange.own_quotas.clone(),
        }
    }

    pub(super) fn mine(&self) -> Mine<'_> {
        Mine::of(&self.plan.quotas, self.own.as_deref())
    }
}

impl Exchange {
    /// The limits of the caller's own key, which was made at run time.
    pub(super) fn quotas_of_key(&self) -> Option<Arc<Quotas>> {
        self.life.as_ref()?;
        let all = self.flow.key_quotas.load();
        all.get(self.record.who.key_id.as_deref()?).cloned()
    }
}

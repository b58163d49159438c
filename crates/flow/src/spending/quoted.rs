//! The limits and budgets that may be about a call: those of the plan, and
//! those of the caller's own key.

use std::sync::Arc;

use access::KeyLife;
use contract::{Fault, FaultKind, Origin};
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
    /// The limits of a key's own, which was made at run time.
    ///
    /// # Errors
    /// It has some, and they are gone, as it ended this moment.
    pub(crate) fn quotas_of_key(
        &self,
        life: &KeyLife,
        id: &str,
    ) -> Result<Option<Arc<Quotas>>, Fault> {
        if !life.is_limited() {
            return Ok(None);
        }
        let own = self.flow.key_quotas.load().get(id).cloned();
        match own {
            Some(own) => Ok(Some(own)),
            None => Err(Fault::new(
                FaultKind::Overloaded,
                Origin::Gateway,
                "This key was changed while the call came in. Try again.",
            )),
        }
    }
}

//! What policy says of a call in the running gateway: for every key that works,
//! by the plan that its calls run under.
//!
//! Deliberately not here: who may know of which key (room `admin`).

use std::sync::Arc;

use access::{Consumer, LiveKeys};
use admin::{CallFacts, FindKey, Subject};
use arc_swap::ArcSwap;
use evidence::Side;
use plan::{InForce, Plan};
use serde_json::Value;

use super::cases::Case;
use super::{decide, print};

/// Finds keys in what is in force. Nothing is waited for.
pub(crate) fn find_key(plan: Arc<ArcSwap<InForce>>, live: Arc<ArcSwap<LiveKeys>>) -> FindKey {
    Arc::new(move |id, now_us| subject(&plan.load(), &live.load(), id, now_us))
}

/// The key with this id. As in a call, the plan in force says who calls; where
/// the share of a roll-out takes that caller, its candidate says it anew.
fn subject(in_force: &InForce, live: &LiveKeys, id: &str, now_us: u64) -> Option<Subject> {
    let found = in_force.plan.keys.named(live, id, now_us)?;
    let mut tenants = vec![found.tenant.clone()];
    let side =
        in_force
            .rollout
            .as_ref()
            .map(|rollout| match rollout.share.pick(found).is_candidate {
                true => (Side::Candidate, &rollout.candidate),
                false => (Side::InForce, &in_force.plan),
            });
    let (plan, consumer) = match side {
        Some((Side::Candidate, candidate)) => {
            let found = candidate.keys.named(live, id, now_us)?;
            tenants.push(found.tenant.clone());
            (candidate, found)
        }
        Some((Side::InForce, _)) | None => (&in_force.plan, found),
    };
    let (plan, consumer) = (plan.clone(), consumer.clone());
    let side = side.map(|(side, _)| side);
    Some(Subject {
        tenants,
        explain: Box::new(move |facts| explain(&plan, side, &consumer, facts)),
    })
}

fn explain(
    plan: &Plan,
    side: Option<Side>,
    consumer: &Consumer,
    facts: &CallFacts,
) -> Result<Value, String> {
    let case = Case::of(facts);
    let told = decide(plan, consumer, &case)?;
    let by = print::By {
        digest: &plan.digest,
        side,
    };
    Ok(print::explanation(Some(by), &case, &told))
}

#[cfg(test)]
mod tests;

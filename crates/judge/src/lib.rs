//! All decisions of an exchange composed: pure, used by the path of a
//! request, by replay and by what-if alike.
//!
//! Deliberately not here: IO, clocks, and anything that is not a function of
//! facts and readings.

use std::sync::Arc;

use access::Consumer;
use contract::{Fault, Operation, glob};
use dialects::ModelEntry;
use plan::Plan;
use routing::{Candidate, Known};

/// Version of the decision code. It rises whenever the same facts and
/// readings may give another decision.
pub const DECIDER: u32 = 1;

/// What is known of a call when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub consumer: &'a Consumer,
    /// What kind of call it is.
    pub operation: Operation,
    /// The model as the caller named it.
    pub model: &'a str,
}

/// Who is calling, by the key they present.
///
/// # Errors
/// `Unauthenticated`, with what to do about it.
pub fn identify<'p>(
    plan: &'p Plan,
    headers: &http::HeaderMap,
    from_loopback: bool,
) -> Result<&'p Arc<Consumer>, Fault> {
    plan.keys.identify(access::present(headers)?, from_loopback)
}

/// The candidates that may serve a call, best first.
///
/// # Errors
/// `UnknownModel` if nobody serves the model, or not for this caller: a model
/// that a caller may not use looks like one that does not exist.
pub fn candidates(plan: &Plan, facts: &Facts<'_>) -> Result<Arc<[Candidate]>, Fault> {
    let visible = |name: &str| facts.consumer.may_use(name);
    if !visible(facts.model) {
        return Err(plan.models.unknown(facts.model, visible));
    }
    plan.models
        .resolve(facts.model)
        .ok_or_else(|| plan.models.unknown(facts.model, visible))
}

/// The models that a caller may use, for listing, in order: those that the
/// plan knows by name, and those that the caller's key names.
pub fn models<'p>(plan: &'p Plan, consumer: &'p Consumer) -> Vec<ModelEntry<'p>> {
    let mut listed = plan.models.listed();
    for name in consumer.models.iter().flatten() {
        if glob::is_name(name)
            && let Some(known) = plan.models.known(name)
        {
            listed.insert(name, known);
        }
    }
    listed
        .into_iter()
        .filter(|(name, _)| consumer.may_use(name))
        .map(|(name, known)| entry(plan, name, known))
        .collect()
}

/// One model that a caller may use, by a name that need not be listed: what
/// a call could name is found.
///
/// # Errors
/// `UnknownModel`, as [`candidates`].
pub fn model<'p>(
    plan: &'p Plan,
    consumer: &Consumer,
    name: &'p str,
) -> Result<ModelEntry<'p>, Fault> {
    let visible = |name: &str| consumer.may_use(name);
    plan.models
        .known(name)
        .filter(|_| visible(name))
        .map(|known| entry(plan, name, known))
        .ok_or_else(|| plan.models.unknown(name, visible))
}

fn entry<'p>(plan: &'p Plan, name: &'p str, known: Known<'p>) -> ModelEntry<'p> {
    ModelEntry {
        id: name,
        owned_by: &plan.providers[known.provider].name,
        created_s: 0,
        card: known.card,
    }
}

//! All decisions of an exchange composed: pure, used by the path of a
//! request, by replay and by what-if alike.
//!
//! Deliberately not here: IO, clocks, and anything that is not a function of
//! facts and readings.

mod explain;
pub mod idempotency;
mod observe;
mod policy;

use std::net::IpAddr;
use std::sync::Arc;

use access::identity::Knock;
use access::jwt::{KeySets, Memory, Unaccepted};
use access::policy::Chain;
use access::{Consumer, KeyLife, LiveKeys, Shown};
use contract::{Fault, glob};
use dialects::ModelEntry;
use plan::Plan;
use routing::{Candidate, Known};

pub use explain::{Explanation, Line, explain};
pub use observe::{provider_for, watch};
pub use policy::{Admission, Excluded, admit, chain};

/// Version of the decision code. It rises whenever the same facts and
/// readings may give another decision.
pub const DECIDER: u32 = 1;

/// What is known of a call when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub consumer: &'a Consumer,
    /// The rules that it is held to.
    pub chain: &'a Chain,
    /// The model as the caller named it.
    pub model: &'a str,
}

/// What is read to tell who is calling.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// Keys that were made at run time.
    pub live: &'a LiveKeys,
    /// Keys of issuers.
    pub issuers: &'a KeySets,
    /// Wall time, microseconds since the Unix epoch.
    pub now_us: u64,
}

/// Who is calling.
#[derive(Debug)]
pub struct Identified {
    /// Who.
    pub consumer: Arc<Consumer>,
    /// The caller's address, beyond trusted proxies; `None` on a unix socket.
    pub address: Option<IpAddr>,
    /// What the key goes through, if it was made at run time.
    pub life: Option<Arc<KeyLife>>,
}

/// Who is calling, by what they show: a key of the plan, or one that was made
/// at run time and is in force `now_us`; a token; a certificate; or nothing,
/// where the listener allows that. `memory` only makes it fast.
///
/// # Errors
/// With what to do about it.
pub fn identify(
    plan: &Plan,
    knock: &Knock<'_>,
    readings: Readings<'_>,
    memory: &mut Memory,
) -> Result<Identified, Box<Unaccepted>> {
    if let Some(standing) = &knock.standing.observe {
        let found = observe::identify(plan, standing, knock, readings.live);
        return found.map_err(|fault| Box::new(Unaccepted { fault, ask: None }));
    }
    let mut life = None;
    let mut key_of = |key: &str, from_loopback: bool| {
        let shown = Shown {
            key,
            from_loopback,
            now_us: readings.now_us,
        };
        let found = plan.keys.identify_any(readings.live, &shown)?;
        life = found.life.cloned();
        Ok(found.consumer.clone())
    };
    let tokens = access::jwt::Readings {
        keys: readings.issuers,
        now_s: readings.now_us / 1_000_000,
        plan: &plan.digest,
    };
    let identity = plan.identity.identify(&mut key_of, knock, tokens, memory)?;
    Ok(Identified {
        consumer: identity.consumer,
        address: identity.address,
        life,
    })
}

/// The candidates that may serve a call, best first.
///
/// # Errors
/// `UnknownModel` if nobody serves the model, or not for this caller: a model
/// that a caller may not use looks like one that does not exist.
pub fn candidates(plan: &Plan, facts: &Facts<'_>) -> Result<Arc<[Candidate]>, Fault> {
    let visible = |name: &str| facts.consumer.may_use(name) && facts.chain.shows_model(name);
    if !facts.consumer.may_use(facts.model) {
        return Err(plan.models.unknown(facts.model, visible));
    }
    plan.models
        .resolve(facts.model)
        .ok_or_else(|| plan.models.unknown(facts.model, visible))
}

/// The models that a caller may use, for listing, in order: those that the
/// plan knows by name, and those that the caller's key names.
pub fn models<'p>(plan: &'p Plan, consumer: &'p Consumer, chain: &Chain) -> Vec<ModelEntry<'p>> {
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
        .filter(|(name, _)| consumer.may_use(name) && chain.shows_model(name))
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
    chain: &Chain,
    name: &'p str,
) -> Result<ModelEntry<'p>, Fault> {
    let visible = |name: &str| consumer.may_use(name) && chain.shows_model(name);
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

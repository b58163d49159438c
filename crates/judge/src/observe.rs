//! Calls that are only watched: who brings them, where they go, and what the
//! rules would say of them.

use std::sync::Arc;

use access::identity::Knock;
use access::observe::Observe;
use access::policy::{Chain, Verdict};
use access::{Facts, LiveKeys, Shown};
use contract::{DialectId, Fault, Operation};
use plan::{Plan, ProviderPlan};
use routing::Candidate;

use crate::Identified;
use crate::policy::{merge, place};

pub(crate) fn identify(
    plan: &Plan,
    standing: &Observe,
    knock: &Knock<'_>,
    live: &LiveKeys,
) -> Result<Identified, Fault> {
    let address = plan.identity.address(knock)?;
    // Wherever it is shown from, and whenever: it is ours.
    let is_ours = |key: &str| {
        let shown = Shown {
            key,
            from_loopback: true,
            now_us: 0,
        };
        let is_token = !plan.identity.issuers.0.is_empty() && access::jwt::is_token(key);
        is_token || plan.keys.identify_any(live, &shown).is_ok()
    };
    let digest = |key: &_| live.digest(key);
    let consumer = standing.identify(knock.headers, &digest, &is_ours)?;
    Ok(Identified {
        consumer,
        address,
        life: None,
    })
}

/// The provider that a watched call goes to: the one of the listener, or the
/// only one that speaks the dialect. Where two do, none is guessed: a key must
/// not reach a vendor that it does not belong to.
///
/// # Errors
/// With what to do about it.
pub fn provider_for<'p>(
    plan: &'p Plan,
    observe: &Observe,
    (dialect, operation): (DialectId, Operation),
) -> Result<(usize, &'p Arc<ProviderPlan>), Fault> {
    let speaks = |provider: &ProviderPlan| {
        let mut spoken = provider.dialects.iter();
        spoken.any(|it| it.id() == dialect && it.operations().contains(&operation))
    };
    let able = plan.providers.iter().enumerate();
    let mut able = able.filter(|(_, it)| match &observe.provider {
        Some(name) => it.name == *name && speaks(it),
        None => speaks(it),
    });
    match (able.next(), able.next(), &observe.provider) {
        (Some(found), None, _) => Ok(found),
        (Some(_), Some(_), _) => Err(Fault::unsupported(format!(
            "Several providers of this gateway speak the dialect `{}`, and a key must not reach \
             the wrong one. Ask the people who run the gateway to name one as `observe.provider` \
             of this listener.",
            dialect.0
        ))),
        (None, _, Some(name)) => Err(Fault::unsupported(format!(
            "This listener passes calls to the provider `{name}` as they are, and it does not \
             take this kind of call in the dialect `{}`. Use a listener for another provider.",
            dialect.0
        ))),
        (None, _, None) => Err(Fault::unsupported(format!(
            "No provider of this gateway takes this kind of call in the dialect `{}`, and this \
             listener passes calls on only as they are.",
            dialect.0
        ))),
    }
}

/// What the rules say of a call that goes on whatever they say. `candidate`
/// is where it goes, if that is known.
pub fn watch(
    plan: &Plan,
    chain: &Chain,
    facts: &Facts<'_>,
    candidate: Option<&Candidate>,
) -> Verdict {
    let mut verdict = chain.request(facts);
    if let Some(candidate) = candidate {
        merge(&mut verdict, chain.place(facts, &place(plan, candidate)));
    }
    verdict
}

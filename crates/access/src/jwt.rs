//! Tokens of identity providers (JWT, OpenID Connect): who a token names, and
//! which tenant, app, user and groups follow from its claims.
//!
//! A token is believed only as far as its issuer is configured: the algorithm
//! is one of those pinned for the issuer, the key is one that the issuer
//! publishes, and the audience is ours. Nothing that a token says about keys
//! (`jwk`, `jku`, `x5c`, `x5u`) is ever looked at. Deliberately not here:
//! encrypted tokens, shared secrets (`HS*`), and carrying requests for keys.

mod algorithm;
mod claims;
mod fetch;
mod keys;
mod memory;
mod strict;
mod token;

pub use algorithm::Algorithm;
pub use claims::{ClaimPath, Claims, NameFrom, Required};
pub use fetch::{Ages, Heard, Source, Step};
pub use keys::{Held, KeySet, KeySets};
pub use memory::Memory;
pub use token::is_token;

use std::sync::Arc;

use contract::{Fault, FaultKind, Origin, Retry};

use crate::addresses::Addresses;
use crate::consumer::Consumer;
use token::Refusal;

/// One issuer that is trusted.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name in the document.
    pub name: Arc<str>,
    /// What `iss` must say, exactly.
    pub issuer: Box<str>,
    /// Audiences, of which `aud` must name one.
    pub audience: Vec<Box<str>>,
    /// Algorithms that it signs with.
    pub algorithms: Vec<Algorithm>,
    /// How far its clock and ours may differ, seconds.
    pub skew_s: u64,
    /// What follows from its claims.
    pub claims: Claims,
    /// Claims that each token must have.
    pub required: Vec<Required>,
    /// Networks that its tokens may come from.
    pub addresses: Option<Addresses>,
    /// Where its keys come from.
    pub source: Arc<Source>,
}

/// All issuers that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Issuers(pub Vec<Issuer>);

/// Why a token was not accepted, and what may help.
#[derive(Debug)]
pub struct Unaccepted {
    /// For the caller and the evidence.
    pub fault: Fault,
    /// The source whose keys should be fetched now: the token may be signed
    /// with one that is newer than those at hand.
    pub ask: Option<Arc<str>>,
}

impl Unaccepted {
    fn of(refusal: Refusal, issuer: Option<&Issuer>) -> Box<Self> {
        let name = issuer.map_or("no known issuer", |issuer| &issuer.name);
        Box::new(Self {
            fault: refusal
                .fault()
                .because(format!("a token of {name}: {}", refusal.name())),
            ask: None,
        })
    }
}

/// What is read besides the token.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// The keys at hand.
    pub keys: &'a KeySets,
    /// Wall time, Unix seconds.
    pub now_s: u64,
    /// Digest of the plan that the issuers are of.
    pub plan: &'a Arc<str>,
}

impl Issuers {
    /// Who presents this token. `memory` only makes it fast: an empty one
    /// gives the same answer.
    ///
    /// # Errors
    /// `Unauthenticated`; or `Overloaded` where the keys of the issuer are
    /// not at hand, so that nothing can be said of the token.
    pub fn identify(
        &self,
        token: &str,
        readings: Readings<'_>,
        memory: &mut Memory,
    ) -> Result<Arc<Consumer>, Box<Unaccepted>> {
        let digest = Memory::digest(token, &readings);
        if let Some(known) = memory.known(&digest, readings.now_s)
            && let Some(issuer) = self.0.get(known.issuer)
        {
            self.fresh(issuer, readings)?;
            return Ok(known.consumer.clone());
        }
        let (nth, consumer, until_s) = self.verify(token, readings)?;
        memory.keep(&digest, nth, consumer.clone(), until_s);
        Ok(consumer)
    }

    fn verify(
        &self,
        token: &str,
        readings: Readings<'_>,
    ) -> Result<(usize, Arc<Consumer>, u64), Box<Unaccepted>> {
        let token = token::Token::read(token).map_err(|why| Unaccepted::of(why, None))?;
        let mut issuers = self.0.iter().enumerate();
        let (nth, issuer) = issuers
            .find(|(_, issuer)| token.issuer() == Some(&issuer.issuer))
            .ok_or_else(|| Unaccepted::of(Refusal::Issuer, None))?;
        let no = |refusal| Unaccepted::of(refusal, Some(issuer));
        let algorithm = token.algorithm(&issuer.algorithms).map_err(no)?;
        let keys = self.fresh(issuer, readings)?;
        match token.signed_by(algorithm, keys.set) {
            Ok(()) => {}
            Err(Refusal::UnknownKey) => return Err(unknown_key(issuer, &keys, readings.now_s)),
            Err(refusal) => return Err(no(refusal)),
        }
        let until_s = token
            .times(readings.now_s, issuer.skew_s)
            .and_then(|until_s| token.is_for(&issuer.audience).map(|()| until_s))
            .map_err(no)?;
        let consumer = issuer.consumer(&token).map_err(no)?;
        Ok((nth, Arc::new(consumer), until_s))
    }

    /// The keys of an issuer, as long as they may be relied upon.
    fn fresh<'a>(
        &self,
        issuer: &Issuer,
        readings: Readings<'a>,
    ) -> Result<keys::Fresh<'a>, Box<Unaccepted>> {
        let held = readings.keys.of(issuer.source.id());
        held.fresh(readings.now_s, issuer.source.stale_s())
            .map_err(|why| {
                let fault = no_keys().because(format!("keys of {}: {why}", issuer.name));
                Box::new(Unaccepted { fault, ask: None })
            })
    }
}

impl Issuer {
    fn consumer(&self, token: &token::Token<'_>) -> Result<Consumer, Refusal> {
        let claims = token.claims();
        for required in &self.required {
            if !required.is_met(claims) {
                return Err(Refusal::Claim(required.name()));
            }
        }
        let subject = claims::subject(claims)?;
        let told = self.claims.read(claims)?;
        Ok(Consumer {
            groups: told.groups,
            user: told.user,
            addresses: self.addresses.clone(),
            ..Consumer::new(
                crate::consumer::public_id(&self.name, subject),
                told.tenant,
                told.app,
            )
        })
    }
}

/// No key of the set is the one that the token names. If the set could be
/// newer, it is fetched, and the caller told to come again.
fn unknown_key(issuer: &Issuer, keys: &keys::Fresh<'_>, now_s: u64) -> Box<Unaccepted> {
    let may_be_newer = keys.may_ask(now_s);
    if !may_be_newer && !keys.in_trouble {
        return Unaccepted::of(Refusal::UnknownKey, Some(issuer));
    }
    let fault = Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "The token is signed with a key that the gateway does not have yet. It asks the issuer \
         for its keys now; send the request again shortly.",
    );
    let fault = fault.retry(Retry::After { ms: 1_000 }).because(format!(
        "a token of {} names a key that is not at hand",
        issuer.name
    ));
    Box::new(Unaccepted {
        fault,
        ask: may_be_newer.then(|| issuer.source.id().clone()),
    })
}

fn no_keys() -> Fault {
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "Tokens of this issuer cannot be checked at the moment, because the gateway has no \
         current keys of it. Try again shortly, or tell the people who run the gateway.",
    )
}

#[cfg(test)]
mod tests;

//! Who is calling: every kind of credential, and the places that they may be
//! shown from, composed.
//!
//! Deliberately not here: keys (`keys`, handed in as a look-up), tokens (`jwt`), certificates
//! (`certificate`) and networks (`addresses`) themselves.

use std::net::IpAddr;
use std::sync::Arc;

use contract::{Fault, FaultKind, Origin};
use http::HeaderMap;

use crate::addresses::{Addresses, Proxies};
use crate::certificate::{self, Holders, Peer};
use crate::consumer::Consumer;
use crate::credential;
use crate::jwt::{self, Issuers, Memory, Readings, Unaccepted};
use crate::observe::Observe;

/// The `identity` of a plan.
#[derive(Debug, Default)]
pub struct Trust {
    /// Issuers of tokens.
    pub issuers: Issuers,
    /// Whom client certificates stand for.
    pub holders: Holders,
    /// Proxies whose word about addresses counts.
    pub proxies: Proxies,
}

/// What a listener says about its callers. It belongs to the listener as it
/// was opened, not to the plan in force: a listener that moved in the document
/// must not take over the rights of another one before a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whom callers without any credential stand for; `None` refuses them.
    pub anonymous: Option<Anonymous>,
    /// Networks that it may be called from; `None` is everywhere.
    pub addresses: Option<Addresses>,
    /// It only watches calls that bring the key of their provider.
    pub observe: Option<Arc<Observe>>,
}

/// Whom callers without any credential stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous {
    /// Tenant.
    pub tenant: Arc<str>,
    /// Application.
    pub app: Arc<str>,
}

/// A call at the door: what is known before anything is believed.
#[derive(Clone, Copy, Debug)]
pub struct Knock<'a> {
    /// Headers of the request.
    pub headers: &'a HeaderMap,
    /// Address of the peer; `None` on a unix socket.
    pub peer: Option<IpAddr>,
    /// Its certificate, where the handshake brought one.
    pub certificate: Option<&'a Peer>,
    /// What the listener says.
    pub standing: &'a Standing,
}

/// Who calls, and from where.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Who.
    pub consumer: Arc<Consumer>,
    /// The caller's address, beyond trusted proxies; `None` on a unix socket.
    pub address: Option<IpAddr>,
}

/// A look-up of keys.
pub type KeyOf<'a> = dyn FnMut(&str, bool) -> Result<Arc<Consumer>, Fault> + 'a;

impl Trust {
    /// Who is calling. `key_of` looks a key up: the key, and whether the
    /// caller is on this machine.
    ///
    /// # Errors
    /// No credential, a wrong one, or one that does not count from there.
    pub fn identify(
        &self,
        key_of: &mut KeyOf<'_>,
        knock: &Knock<'_>,
        readings: Readings<'_>,
        memory: &mut Memory,
    ) -> Result<Identity, Box<Unaccepted>> {
        let address = self.address(knock).map_err(refused)?;
        // It must be valid, whatever else identifies the caller.
        let holder = match knock.certificate {
            None => None,
            Some(peer) => self
                .holders
                .identify(peer, readings.now_s)
                .map_err(refused)?,
        };
        if let Some(holder) = &holder {
            may_come_from(holder, address)?;
        }
        let shown = credential::shown(knock.headers).map_err(refused)?;
        let consumer = match (shown, holder) {
            (Some(token), _) if !self.issuers.0.is_empty() && jwt::is_token(token) => {
                self.issuers.identify(token, readings, memory)?
            }
            (Some(key), _) => {
                let is_local = address.is_none_or(|address| address.is_loopback());
                key_of(key, is_local).map_err(refused)?
            }
            (None, Some(holder)) => holder,
            (None, None) => match (knock.certificate, &knock.standing.anonymous) {
                (Some(_), _) => return Err(refused(certificate::unmapped())),
                (None, Some(who)) => Arc::new(Consumer::new(
                    "anonymous",
                    who.tenant.clone(),
                    who.app.clone(),
                )),
                (None, None) => return Err(refused(credential::missing())),
            },
        };
        may_come_from(&consumer, address)?;
        Ok(Identity { consumer, address })
    }

    /// Where a caller is, beyond trusted proxies; `None` on a unix socket.
    ///
    /// # Errors
    /// The listener cannot be called from there, or a proxy tells rubbish.
    pub fn address(&self, knock: &Knock<'_>) -> Result<Option<IpAddr>, Fault> {
        let address = self.proxies.caller(knock.peer, knock.headers)?;
        match &knock.standing.addresses {
            Some(addresses) if !addresses.allow(address) => {
                Err(elsewhere("This listener", address))
            }
            Some(_) | None => Ok(address),
        }
    }
}

fn may_come_from(consumer: &Consumer, address: Option<IpAddr>) -> Result<(), Box<Unaccepted>> {
    match &consumer.addresses {
        Some(addresses) if !addresses.allow(address) => {
            Err(refused(elsewhere("This credential", address)))
        }
        Some(_) | None => Ok(()),
    }
}

fn elsewhere(what: &str, address: Option<IpAddr>) -> Fault {
    let from = match address {
        Some(address) => address.to_string(),
        None => "a unix socket".to_owned(),
    };
    Fault::new(
        FaultKind::Forbidden,
        Origin::Client,
        format!(
            "{what} cannot be used from where you are. Call from a network that is on its list, \
             or ask the people who run the gateway to add yours."
        ),
    )
    .because(format!("called from {from}"))
}

fn refused(fault: Fault) -> Box<Unaccepted> {
    Box::new(Unaccepted { fault, ask: None })
}

#[cfg(test)]
mod tests;

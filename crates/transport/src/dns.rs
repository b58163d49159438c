//! Name resolution by the system, remembered for a few seconds. Not here:
//! the order in which addresses are tried beyond mixing their families.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

pub(crate) type Addresses = SmallVec<[IpAddr; 4]>;

/// A resolver with a small memory of names that resolved; failures are not
/// remembered.
pub(crate) struct Resolver {
    known: Mutex<HashMap<String, (Instant, Addresses)>>,
    ttl: Duration,
    names_max: usize,
}

impl Resolver {
    pub(crate) fn new(ttl: Duration, names_max: usize) -> Self {
        Self {
            known: Mutex::default(),
            ttl,
            names_max,
        }
    }

    /// The addresses of `host`, at least one, at most eight, IPv6 and IPv4
    /// by turns.
    ///
    /// # Errors
    /// That of the system's resolver, or that there is no address.
    pub(crate) async fn resolve(&self, host: &str) -> io::Result<Addresses> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(SmallVec::from_slice(&[address]));
        }
        if let Some(addresses) = self.recall(host) {
            return Ok(addresses);
        }
        let found = tokio::net::lookup_host((host, 0)).await?;
        let addresses = by_turns(found);
        if addresses.is_empty() {
            return Err(io::Error::other("the name has no address"));
        }
        self.remember(host, &addresses);
        Ok(addresses)
    }

    fn recall(&self, host: &str) -> Option<Addresses> {
        let known = self.known.lock().expect("no holder of this lock panics");
        let (until, addresses) = known.get(host)?;
        (Instant::now() < *until).then(|| addresses.clone())
    }

    fn remember(&self, host: &str, addresses: &Addresses) {
        let now = Instant::now();
        let mut known = self.known.lock().expect("no holder of this lock panics");
        if known.len() >= self.names_max {
            known.retain(|_, (until, _)| now < *until);
        }
        if known.len() < self.names_max {
            known.insert(host.to_owned(), (now + self.ttl, addresses.clone()));
        }
    }
}

/// The first family the system named leads, then both take turns, so that
/// one broken family costs one attempt (after RFC 8305, section 4).
fn by_turns(found: impl Iterator<Item = SocketAddr>) -> Addresses {
    let found: SmallVec<[IpAddr; 8]> = found.map(|address| address.ip()).collect();
    let Some(first) = found.first() else {
        return Addresses::new();
    };
    let leads = |ip: &&IpAddr| ip.is_ipv6() == first.is_ipv6();
    let mut own = found.iter().filter(leads);
    let mut other = found.iter().filter(|ip| !leads(ip));
    let mut mixed = Addresses::new();
    while mixed.len() < ADDRESSES_MAX {
        let before = mixed.len();
        mixed.extend(own.next().copied());
        mixed.extend(other.next().copied());
        if mixed.len() == before {
            break;
        }
    }
    mixed
}

#[cfg(test)]
mod tests;

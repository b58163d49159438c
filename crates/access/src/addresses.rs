//! Where a call comes from: lists of networks, and the address of a caller
//! behind proxies.
//!
//! A caller on a unix socket has no address. It counts as one on this
//! machine: a list that holds a loopback address lets it in.
//! Deliberately not here: sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use contract::Fault;
use http::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net};

/// Most hops that are read of a header, from the right.
const HOPS_MAX: usize = 32;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Networks that callers may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Arc<[IpNet]>);

impl Addresses {
    /// Reads a list of addresses and networks.
    ///
    /// # Errors
    /// The number of the entry that is none, and what is wrong with it.
    pub fn read<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, (usize, NotANetwork)> {
        let networks = texts.into_iter().enumerate();
        networks
            .map(|(nth, text)| network(text).map_err(|why| (nth, why)))
            .collect::<Result<Arc<[IpNet]>, _>>()
            .map(Self)
    }

    /// Whether a caller from there is let in; `None` is a unix socket.
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        match address.map(|address| address.to_canonical()) {
            Some(address) => self.0.iter().any(|network| network.contains(&address)),
            None => self.0.iter().any(|network| {
                network.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST))
                    || network.contains(&IpAddr::V6(Ipv6Addr::LOCALHOST))
            }),
        }
    }
}

/// Why a text names no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotANetwork {
    /// It is neither an address nor a network.
    Unreadable,
    /// It has bits set behind its prefix; this is the network they are in.
    HostBits(String),
}

/// An address or a network; IPv4 in the clothes of IPv6 becomes IPv4.
fn network(text: &str) -> Result<IpNet, NotANetwork> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| NotANetwork::Unreadable)?;
    if network.trunc() != network {
        return Err(NotANetwork::HostBits(network.trunc().to_string()));
    }
    let IpNet::V6(v6) = network else {
        return Ok(network);
    };
    let mapped = v6
        .addr()
        .to_ipv4_mapped()
        .zip(v6.prefix_len().checked_sub(96));
    Ok(
        match mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok()) {
            Some(v4) => IpNet::V4(v4),
            None => network,
        },
    )
}

/// The header in which proxies say who called them. One of them only: a proxy
/// hands the other one through as the caller wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HopsIn {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Proxies whose word about the caller's address counts.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Their networks.
    pub networks: Option<Addresses>,
    /// A peer on a unix socket is one, too.
    pub unix: bool,
    /// Where they say it.
    pub hops_in: HopsIn,
}

impl Proxies {
    /// The address of the caller: that of the peer, or where the peer is a
    /// trusted proxy, the last hop before the trusted ones.
    ///
    /// # Errors
    /// `BadRequest`: a trusted proxy sent hops that cannot be read.
    pub fn caller(
        &self,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<Option<IpAddr>, Fault> {
        let peer = peer.map(|address| address.to_canonical());
        let trusted = match peer {
            Some(address) => self.is_proxy(address),
            None => self.unix,
        };
        if !trusted {
            return Ok(peer);
        }
        let mut client = peer;
        for hop in self.hops(headers)?.iter().rev() {
            let address = match self.hops_in {
                HopsIn::XForwardedFor => hop_address(hop.trim()),
                HopsIn::Forwarded => forwarded_for(hop),
            };
            let address = address.ok_or_else(unreadable)?.to_canonical();
            client = Some(address);
            if !self.is_proxy(address) {
                break;
            }
        }
        Ok(client)
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        let networks = self.networks.as_ref();
        networks.is_some_and(|networks| networks.allow(Some(address)))
    }

    /// The hops as they are written, nearest last.
    fn hops<'a>(&self, headers: &'a HeaderMap) -> Result<Vec<&'a str>, Fault> {
        let (name, quotes) = match self.hops_in {
            HopsIn::XForwardedFor => (&X_FORWARDED_FOR, false),
            HopsIn::Forwarded => (&http::header::FORWARDED, true),
        };
        let mut hops = Vec::new();
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| unreadable())?;
            let mut quoted = false;
            hops.extend(text.split(|c| {
                quoted ^= quotes && c == '"';
                c == ',' && !quoted
            }));
            if hops.len() > HOPS_MAX {
                return Err(unreadable());
            }
        }
        Ok(hops)
    }
}

/// An address, perhaps with a port, as proxies write it.
fn hop_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// The one `for=` of an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            let value = value.trim();
            let value = match value.strip_prefix('"') {
                Some(rest) => rest.strip_suffix('"')?,
                None => value,
            };
            if found.replace(hop_address(value)?).is_some() {
                return None;
            }
        }
    }
    found
}

fn unreadable() -> Fault {
    Fault::bad_request(
        "The address of the caller cannot be read from what the proxies in front of the gateway \
         say. If you send `X-Forwarded-For` or `Forwarded` yourself, leave it out.",
    )
}

#[cfg(test)]
mod tests;

//! The credential of the admin listener, and patience with wrong ones.
//!
//! Deliberately not here: where the key is kept (room `gate`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use contract::Secret;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};

use crate::Call;
use crate::reply::Reply;

/// Wrong keys that a peer may send within [`WINDOW_US`].
const FAILURES_MAX: u32 = 10;
/// Time after which a peer's failures are forgotten.
const WINDOW_US: u64 = 60_000_000;
/// Peers whose failures are remembered; further ones share one memory.
const PEERS_MAX: usize = 1_024;
/// Longest key that is looked at, bytes.
const KEY_BYTES_MAX: usize = 512;

/// Headers by which a proxy says that it speaks for somebody else.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// The digest of the admin key; the key itself is not kept.
#[derive(Clone, Debug)]
pub struct AdminKey(blake3::Hash);

impl AdminKey {
    /// The digest of this key.
    pub fn new(key: &Secret<String>) -> Self {
        Self(digest(key.expose()))
    }

    /// Compares digests in constant time, so that the time of an answer says
    /// nothing about the key.
    fn is(&self, presented: &str) -> bool {
        presented.len() <= KEY_BYTES_MAX && self.0 == digest(presented)
    }
}

fn digest(key: &str) -> blake3::Hash {
    blake3::hash(key.as_bytes())
}

/// Whether the request comes from this machine for sure: from a unix socket or
/// a loopback address, not through a proxy, and to a name of this machine. The
/// last keeps out pages of a browser that point a name of theirs at loopback.
pub(crate) fn is_local(call: &Call) -> bool {
    let near = call
        .peer
        .is_none_or(|peer| peer.to_canonical().is_loopback());
    let direct = FORWARDED
        .iter()
        .all(|name| !call.headers.contains_key(*name));
    near && direct
        && call
            .headers
            .get(HOST)
            .is_none_or(|host| is_own_name(host.as_bytes()))
}

/// An IP address or `localhost`, with or without a port.
fn is_own_name(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Counts wrong keys by peer.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    peers: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since_us: u64,
}

impl Throttle {
    /// Lets the holder of the key in. A peer with too many wrong keys is told
    /// to wait, whatever it sends now; one on this machine is let in with the
    /// right key even then, so that a stray program cannot lock people out.
    pub(crate) fn admit(&self, key: &AdminKey, call: &Call) -> Result<(), Reply> {
        let peer = call.peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), network);
        let wait_us = self.wait_us(peer, call.now_us);
        let presented = present(call.headers);
        let is_right = presented.is_some_and(|presented| key.is(presented));
        if is_right && (wait_us == 0 || is_local(call)) {
            return Ok(());
        }
        if wait_us > 0 {
            return Err(too_many(wait_us));
        }
        if presented.is_some() {
            self.fail(peer, call.now_us);
        }
        Err(refused(presented.is_some()))
    }

    fn wait_us(&self, peer: IpAddr, now_us: u64) -> u64 {
        let peers = self.lock();
        let failures = match peers.get(&peer) {
            None if peers.len() >= PEERS_MAX => peers.get(&STRANGERS),
            failures => failures,
        };
        failures
            .filter(|failures| failures.count >= FAILURES_MAX)
            .map_or(0, |failures| {
                (failures.since_us + WINDOW_US).saturating_sub(now_us)
            })
    }

    fn fail(&self, peer: IpAddr, now_us: u64) {
        let mut peers = self.lock();
        let over = |failures: &Failures| failures.since_us + WINDOW_US <= now_us;
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, failures| !over(failures));
        }
        let is_known = peers.contains_key(&peer) || peers.len() < PEERS_MAX;
        let peer = if is_known { peer } else { STRANGERS };
        let fresh = Failures {
            count: 0,
            since_us: now_us,
        };
        let failures = peers.entry(peer).or_insert(fresh);
        if over(failures) {
            *failures = fresh;
        }
        failures.count += 1;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        // Nothing that can panic runs under this lock.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under this address all peers are counted for whom there is no room.
const STRANGERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// One caller usually holds a whole /64 of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(peer) => IpAddr::V4(peer),
        IpAddr::V6(peer) => IpAddr::V6(Ipv6Addr::from_bits(peer.to_bits() & !u128::from(u64::MAX))),
    }
}

fn present(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn refused(was_sent: bool) -> Reply {
    let what = if was_sent {
        "This is not the admin key."
    } else {
        "The admin API needs a key."
    };
    let message = format!(
        "{what} Send `Authorization: Bearer tg-admin-...` with the key that the gateway keeps in \
         the file `admin.key` of its data folder. Keys of applications do not work here."
    );
    Reply::fault(401, "unauthenticated", &message).with("www-authenticate", "Bearer")
}

fn too_many(wait_us: u64) -> Reply {
    let seconds = wait_us.div_ceil(1_000_000);
    let message = format!(
        "Too many wrong admin keys came from your address. Wait {seconds} seconds, then send the \
         right one."
    );
    Reply::fault(429, "too_many_failures", &message).with("retry-after", seconds.to_string())
}

//! Patience with wrong credentials: each peer has a bucket of guesses that
//! fills again slowly. A peer that has none left is told to wait, whatever it
//! sends; others are not concerned.
//!
//! Deliberately not here: what a right credential is (`auth`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use plan::Plan;

use crate::Call;
use crate::auth::{self, Actor, AdminKey};
use crate::reply::Reply;

/// Wrong credentials that a peer may send at once.
pub(crate) const GUESSES_MAX: u64 = 10;
/// Time in which it gets one more.
pub(crate) const GUESS_EVERY_US: u64 = 6_000_000;
/// Peers that are remembered; further ones share one bucket.
const PEERS_MAX: usize = 1_024;

/// Counts wrong credentials by peer.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// When the bucket of a peer will be full again. One that is full is
    /// forgotten.
    peers: Mutex<HashMap<IpAddr, u64>>,
}

impl Throttle {
    /// Lets the holder of a credential in. One on this machine is let in with
    /// the right one even when its bucket is empty, so that a stray program
    /// cannot lock people out.
    pub(crate) fn admit(&self, own: &AdminKey, plan: &Plan, call: &Call) -> Result<Actor, Reply> {
        let peer = call.peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), network);
        let wait_us = self.wait_us(peer, call.now_us);
        // Before the bucket is looked at, so that both ways take as long.
        let holder = auth::holder(call, own, &plan.operators);
        match holder {
            Some(actor) if wait_us == 0 || auth::is_local(call) => return Ok(actor),
            Some(_) | None if wait_us > 0 => return Err(too_many(wait_us)),
            Some(_) | None => {}
        }
        let was_sent = auth::presented(call.headers).is_some();
        if was_sent {
            self.fail(peer, call.now_us);
        }
        Err(auth::refused(was_sent))
    }

    fn wait_us(&self, peer: IpAddr, now_us: u64) -> u64 {
        let peers = self.lock();
        let full_us = match peers.get(&peer) {
            None if peers.len() >= PEERS_MAX => peers.get(&STRANGERS),
            full_us => full_us,
        };
        let missing_us = full_us.map_or(0, |full_us| full_us.saturating_sub(now_us));
        missing_us.saturating_sub((GUESSES_MAX - 1) * GUESS_EVERY_US)
    }

    fn fail(&self, peer: IpAddr, now_us: u64) {
        let mut peers = self.lock();
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, full_us| *full_us > now_us);
        }
        let is_known = peers.contains_key(&peer) || peers.len() < PEERS_MAX;
        let peer = if is_known { peer } else { STRANGERS };
        let full_us = peers.entry(peer).or_insert(now_us);
        *full_us = (*full_us).max(now_us) + GUESS_EVERY_US;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
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

fn too_many(wait_us: u64) -> Reply {
    let seconds = wait_us.div_ceil(1_000_000);
    let message = format!(
        "Too many wrong credentials came from your address. Wait {seconds} seconds, then send the \
         right one."
    );
    Reply::fault(429, "too_many_failures", &message).with("retry-after", seconds.to_string())
}

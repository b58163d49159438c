//! The ring of keys: only keyed digests are held, so a dump of memory or of a
//! plan does not give keys away, and a lookup takes the same time for a key
//! that exists and one that does not.
//!
//! A plan has the keys of its document ([`KeyRing`]). Keys that were made at
//! run time live beside it ([`LiveKeys`]), because they come and go without a
//! new plan.

mod live;
mod secret;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use contract::{Fault, FaultKind, Origin, Secret};

use crate::consumer::Consumer;

pub use live::{KeyLife, LiveKey, LiveKeys};
pub use secret::{ID_BYTES, KEY_PREFIX, SECRET_BYTES, key_id, secret_text};

/// Digests a key: the only work of a lookup beside two look-ups in maps.
fn digest(digest_key: &Secret<[u8; 32]>, key: &str) -> [u8; 32] {
    #[cfg(test)]
    tests::count_digest();
    *blake3::keyed_hash(digest_key.expose(), key.as_bytes()).as_bytes()
}

/// All keys of a plan.
#[derive(Debug)]
pub struct KeyRing {
    digest_key: Secret<[u8; 32]>,
    by_digest: HashMap<[u8; 32], Arc<Consumer>>,
    ids: HashSet<Arc<str>>,
    takes_live: bool,
}

/// What is known of a call when its key is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The key.
    pub key: &'a str,
    /// The caller is on this machine.
    pub from_loopback: bool,
    /// Wall time, microseconds since the Unix epoch.
    pub now_us: u64,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug)]
pub struct Identified<'a> {
    /// Who calls.
    pub consumer: &'a Arc<Consumer>,
    /// What the key goes through, if it was made at run time.
    pub life: Option<&'a Arc<KeyLife>>,
}

impl KeyRing {
    /// An empty ring, beside which keys may be made at run time. `digest_key`
    /// is random and lives as long as the ring.
    pub fn new(digest_key: [u8; 32]) -> Self {
        Self {
            digest_key: Secret::new(digest_key),
            by_digest: HashMap::new(),
            ids: HashSet::new(),
            takes_live: true,
        }
    }

    /// The same ring; only its own keys count from now on.
    #[must_use]
    pub fn without_live(mut self) -> Self {
        self.takes_live = false;
        self
    }

    /// Whether keys that were made at run time count.
    pub fn takes_live(&self) -> bool {
        self.takes_live
    }

    /// Adds a key. Returns `false` if the same key is there already: two
    /// consumers must not share one.
    pub fn add(&mut self, key: &Secret<String>, consumer: Consumer) -> bool {
        let digest = digest(&self.digest_key, key.expose());
        self.ids.insert(consumer.key_id.clone());
        self.by_digest.insert(digest, Arc::new(consumer)).is_none()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// Whether a key has this id.
    pub fn has_id(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Who may call, in no order.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_digest.values().map(|consumer| &**consumer)
    }

    /// Who calls with the key of this id, be it of the document or made at run
    /// time, if it works at this time.
    pub fn named<'k>(&'k self, live: &'k LiveKeys, id: &str, now_us: u64) -> Option<&'k Consumer> {
        if self.has_id(id) {
            return self.consumers().find(|consumer| *consumer.key_id == *id);
        }
        live.named(id, now_us).filter(|_| self.takes_live)
    }

    /// Who presents this key of the document.
    ///
    /// # Errors
    /// `Unauthenticated` if nobody does, or not from there.
    pub fn identify(&self, key: &str, from_loopback: bool) -> Result<&Arc<Consumer>, Fault> {
        let own = self.by_digest.get(&digest(&self.digest_key, key));
        let consumer = own.ok_or_else(unknown)?;
        near_enough(consumer, from_loopback)
    }

    /// Who presents this key, be it of the document or made at run time. Known
    /// or not, two digests are made and looked up, so nothing need be
    /// remembered of keys that do not exist.
    ///
    /// # Errors
    /// As [`KeyRing::identify`]. A key that expired or was revoked is not told
    /// from one that never was.
    pub fn identify_any<'k>(
        &'k self,
        live: &'k LiveKeys,
        shown: &Shown<'_>,
    ) -> Result<Identified<'k>, Fault> {
        let own = self.by_digest.get(&digest(&self.digest_key, shown.key));
        // The document wins: a live key with the id of one of its keys is
        // refused, so that a record's id means one key.
        let live = live
            .find(shown.key, shown.now_us)
            .filter(|live| self.takes_live && !self.has_id(&live.consumer.key_id));
        let (consumer, life) = match (own, live) {
            (Some(own), _) => (own, None),
            (None, Some(live)) => (&live.consumer, Some(&live.life)),
            (None, None) => return Err(unknown()),
        };
        near_enough(consumer, shown.from_loopback).map(|consumer| Identified { consumer, life })
    }
}

fn near_enough(consumer: &Arc<Consumer>, from_loopback: bool) -> Result<&Arc<Consumer>, Fault> {
    if consumer.loopback_only && !from_loopback {
        return Err(refused(
            "This is a development key, which works only on the machine the gateway runs on. \
             Configure a key for callers from elsewhere.",
        ));
    }
    Ok(consumer)
}

/// The refusal of a key that was revoked while its call waited: as of any key
/// that is not known.
pub fn revoked() -> Fault {
    unknown()
}

fn unknown() -> Fault {
    refused(
        "Incorrect API key provided: the gateway does not know it, or it expired or was revoked. \
         Check for a missing character, or ask the people who run the gateway for a key.",
    )
}

fn refused(public: &'static str) -> Fault {
    Fault::new(FaultKind::Unauthenticated, Origin::Client, public)
}

#[cfg(test)]
mod tests;

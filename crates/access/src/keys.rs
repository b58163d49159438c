//! The ring of keys: only keyed digests are held, so a dump of memory or of a
//! plan does not give keys away, and a lookup takes the same time for a key
//! that exists and one that does not.

use std::collections::HashMap;
use std::sync::Arc;

use contract::{Fault, FaultKind, Origin, Secret};

use crate::consumer::Consumer;

/// All keys of a plan.
#[derive(Debug)]
pub struct KeyRing {
    digest_key: Secret<[u8; 32]>,
    by_digest: HashMap<[u8; 32], Arc<Consumer>>,
}

impl KeyRing {
    /// An empty ring. `digest_key` is random and lives as long as the ring.
    pub fn new(digest_key: [u8; 32]) -> Self {
        Self {
            digest_key: Secret::new(digest_key),
            by_digest: HashMap::new(),
        }
    }

    /// Adds a key. Returns `false` if the same key is there already: two
    /// consumers must not share one.
    pub fn add(&mut self, key: &Secret<String>, consumer: Consumer) -> bool {
        let digest = self.digest(key.expose());
        self.by_digest.insert(digest, Arc::new(consumer)).is_none()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// Who may call, in no order.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.by_digest.values().map(|consumer| &**consumer)
    }

    /// Who presents this key.
    ///
    /// # Errors
    /// `Unauthenticated` if nobody does, or not from there.
    pub fn identify(&self, key: &str, from_loopback: bool) -> Result<&Arc<Consumer>, Fault> {
        let consumer = self.by_digest.get(&self.digest(key)).ok_or_else(|| {
            refused(
                "Incorrect API key provided: the gateway does not know it. Check for a missing \
                 character, or ask the people who run the gateway for a key.",
            )
        })?;
        if consumer.loopback_only && !from_loopback {
            return Err(refused(
                "This is a development key, which works only on the machine the gateway runs on. \
                 Configure a key for callers from elsewhere.",
            ));
        }
        Ok(consumer)
    }

    fn digest(&self, key: &str) -> [u8; 32] {
        *blake3::keyed_hash(self.digest_key.expose(), key.as_bytes()).as_bytes()
    }
}

fn refused(public: &'static str) -> Fault {
    Fault::new(FaultKind::Unauthenticated, Origin::Client, public)
}

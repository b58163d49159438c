//! Tokens of identity providers, as a worker deals with them: the keys of the
//! issuers, the tokens that were verified before, and the way to ask for
//! newer keys.
//!
//! Deliberately not here: believing a token, which `access` does.

use std::sync::{Arc, Mutex, PoisonError};

use access::jwt::{KeySets, Memory};
use arc_swap::ArcSwap;

/// Asks for the keys of a source, by its id, before they are due. It must
/// return at once.
pub type AskForKeys = Arc<dyn Fn(&Arc<str>) + Send + Sync>;

/// What a worker has for tokens.
pub struct Tokens {
    keys: Arc<ArcSwap<KeySets>>,
    ask: AskForKeys,
    /// Only the worker's own thread uses the lock.
    memory: Mutex<Memory>,
}

impl Tokens {
    /// With the keys in this cell, and this way to ask for newer ones.
    pub fn new(keys: Arc<ArcSwap<KeySets>>, ask: AskForKeys) -> Self {
        Self {
            keys,
            ask,
            memory: Mutex::default(),
        }
    }

    /// Works with the keys and the memory.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&KeySets, &mut Memory) -> T) -> T {
        let keys = self.keys.load();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        work(&keys, &mut memory)
    }

    /// Asks for the keys of a source.
    pub(crate) fn ask(&self, source: &Arc<str>) {
        (self.ask)(source);
    }
}

impl Default for Tokens {
    /// Without any issuer's keys.
    fn default() -> Self {
        Self::new(Arc::default(), Arc::new(|_| {}))
    }
}

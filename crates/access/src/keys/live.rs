//! Keys that were made at run time, as the path of a request sees them: an
//! immutable table that is swapped whole when a key is made, rotated or
//! revoked. What changes without a new table (that a key was revoked, when it
//! was last used) is a few atomics beside it.
//!
//! Deliberately not here: where keys are kept, and the atomics of a plan,
//! which has none.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};

use contract::Secret;

use super::digest;
use crate::consumer::Consumer;

/// How exact the time of the last use is. Between, a call only reads.
const USED_EVERY_US: u64 = 60_000_000;

/// The keys in force that were made at run time.
pub struct LiveKeys {
    digest_key: Secret<[u8; 32]>,
    by_digest: HashMap<[u8; 32], LiveKey>,
}

impl std::fmt::Debug for LiveKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveKeys({})", self.by_digest.len())
    }
}

/// One secret of a key.
#[derive(Clone, Debug)]
pub struct LiveKey {
    /// Who it belongs to.
    pub consumer: Arc<Consumer>,
    /// What the key goes through; one for all of its secrets.
    pub life: Arc<KeyLife>,
    /// From when on it does not work, microseconds since the Unix epoch.
    pub until_us: Option<u64>,
}

impl LiveKey {
    fn works(&self, now_us: u64) -> bool {
        self.until_us.is_none_or(|until_us| now_us < until_us) && !self.life.is_revoked()
    }
}

/// What a key goes through while calls with it are under way.
#[derive(Debug)]
pub struct KeyLife {
    cuts: bool,
    is_limited: AtomicBool,
    stage: AtomicU8,
    used_us: AtomicU64,
}

/// Stages of a key's life.
const IN_FORCE: u8 = 0;
const REVOKED: u8 = 1;
const CUT: u8 = 2;

impl KeyLife {
    /// A key in force. `cuts`: its open streams are meant to end when it is
    /// revoked, so they look for that even while nothing comes.
    pub fn new(cuts: bool) -> Self {
        Self {
            cuts,
            is_limited: AtomicBool::new(false),
            stage: AtomicU8::new(IN_FORCE),
            used_us: AtomicU64::new(0),
        }
    }

    /// Whether a revocation is meant to end open streams.
    pub fn cuts(&self) -> bool {
        self.cuts
    }

    /// Says whether the key has limits of its own. Who reads that it has must
    /// find them, or make no call.
    pub fn set_limited(&self, is_limited: bool) {
        self.is_limited.store(is_limited, Release);
    }

    /// Whether the key has limits of its own.
    pub fn is_limited(&self) -> bool {
        self.is_limited.load(Acquire)
    }

    /// Says that the key was revoked: no call begins with it any more.
    pub fn revoke(&self) {
        self.stage.fetch_max(REVOKED, Relaxed);
    }

    /// Says that the key was revoked and its open streams end, too.
    pub fn cut(&self) {
        self.stage.fetch_max(CUT, Relaxed);
    }

    /// Whether the key was revoked.
    pub fn is_revoked(&self) -> bool {
        self.stage.load(Relaxed) != IN_FORCE
    }

    /// Whether open streams end.
    pub fn is_cut(&self) -> bool {
        self.stage.load(Relaxed) == CUT
    }

    /// Notes a call at this time, at most once a minute.
    pub fn note_used(&self, now_us: u64) {
        let before = self.used_us.load(Relaxed);
        if now_us.saturating_sub(before) >= USED_EVERY_US {
            // Of two calls at once either time will do.
            self.used_us.store(now_us, Relaxed);
        }
    }

    /// When a call was last noted; 0 if none was.
    pub fn used_us(&self) -> u64 {
        self.used_us.load(Relaxed)
    }
}

impl LiveKeys {
    /// No keys. `digest_key` is the one that the kept digests were made with.
    pub fn new(digest_key: Secret<[u8; 32]>) -> Self {
        Self {
            digest_key,
            by_digest: HashMap::new(),
        }
    }

    /// These keys, by the digests of their secrets.
    #[must_use]
    pub fn with(&self, by_digest: HashMap<[u8; 32], LiveKey>) -> Self {
        Self {
            digest_key: self.digest_key.clone(),
            by_digest,
        }
    }

    /// The digest under which a secret is kept.
    pub fn digest(&self, secret: &Secret<String>) -> [u8; 32] {
        digest(&self.digest_key, secret.expose())
    }

    /// How many secrets there are.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    pub(super) fn find(&self, key: &str, now_us: u64) -> Option<&LiveKey> {
        self.by_digest
            .get(&digest(&self.digest_key, key))
            .filter(|live| live.works(now_us))
    }

    /// Who has a secret of the key with this id that works. All secrets are
    /// looked at, so this is not for the path of a request.
    pub(super) fn named(&self, id: &str, now_us: u64) -> Option<&Consumer> {
        let mut all = self.by_digest.values();
        all.find(|live| *live.consumer.key_id == *id && live.works(now_us))
            .map(|live| &*live.consumer)
    }
}

impl Default for LiveKeys {
    /// For a gateway in which no key can be made at run time.
    fn default() -> Self {
        Self::new(Secret::new([0; 32]))
    }
}

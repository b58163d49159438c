//! Tokens that were verified: so that a signature is checked once, not with
//! every call. What is remembered holds for one plan and the keys of that
//! moment, and never longer than the token itself. Several plans can be in
//! force side by side.

use std::collections::HashMap;
use std::sync::Arc;

use super::Readings;
use crate::consumer::Consumer;

/// Most tokens that are remembered. At the limit those that ended are
/// forgotten, and if that is not enough, all.
const TOKENS_MAX: usize = 8_192;

/// The memory. Tokens are held as digests only.
#[derive(Debug, Default)]
pub struct Memory {
    by_digest: HashMap<[u8; 32], Known>,
    /// The latest time that was seen, to tell which tokens have ended.
    now_s: u64,
}

/// One verified token.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) issuer: usize,
    pub(super) consumer: Arc<Consumer>,
    until_s: u64,
}

impl Memory {
    /// What a token is remembered by: itself, the plan, and the keys.
    pub(super) fn digest(token: &str, readings: &Readings<'_>) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&readings.keys.number().to_le_bytes());
        hasher.update(readings.plan.as_bytes());
        hasher.update(&[0]);
        hasher.update(token.as_bytes());
        hasher.finalize()
    }

    /// A token that was verified and has not ended.
    pub(super) fn known(&mut self, digest: &blake3::Hash, now_s: u64) -> Option<&Known> {
        self.now_s = self.now_s.max(now_s);
        let known = self.by_digest.get(digest.as_bytes());
        known.filter(|known| now_s < known.until_s)
    }

    /// Remembers a verified token.
    pub(super) fn keep(
        &mut self,
        digest: &blake3::Hash,
        issuer: usize,
        consumer: Arc<Consumer>,
        until_s: u64,
    ) {
        if self.by_digest.len() >= TOKENS_MAX {
            let now_s = self.now_s;
            self.by_digest.retain(|_, known| now_s < known.until_s);
        }
        if self.by_digest.len() >= TOKENS_MAX {
            self.by_digest.clear();
        }
        let known = Known {
            issuer,
            consumer,
            until_s,
        };
        self.by_digest.insert(*digest.as_bytes(), known);
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }
}

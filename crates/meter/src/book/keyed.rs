//! How counters are found: they are digests already, so one multiplication by
//! a secret of the process spreads them, where a hash of any bytes costs ten
//! times as much. A call asks some sixty times under five nested scopes.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The secret.
#[derive(Clone, Debug)]
pub(super) struct Keyed(u64, u64);

impl Default for Keyed {
    fn default() -> Self {
        let random = RandomState::new();
        Self(random.hash_one(0_u8), random.hash_one(1_u8))
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding {
            key: (self.0, self.1),
            folded: 0,
        }
    }
}

/// One counter, folded.
pub(super) struct Folding {
    key: (u64, u64),
    folded: u64,
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte) ^ u128::from(self.folded) << 8);
        }
    }

    fn write_u128(&mut self, counter: u128) {
        let (low, high) = (counter as u64, (counter >> 64) as u64);
        let product = u128::from(low ^ self.key.0) * u128::from(high ^ self.key.1);
        self.folded = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.folded
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn counters_that_differ_little_are_spread_and_secrets_differ() {
        let (one, other) = (Keyed::default(), Keyed::default());
        let counters = (0..1_000_u128).map(|nth| nth << (nth % 100));
        let hashes: HashSet<u64> = counters.map(|it| one.hash_one(it)).collect();
        assert!(hashes.len() > 900, "{}", hashes.len());
        let low: HashSet<u64> = hashes.iter().map(|hash| hash % 1_024).collect();
        assert!(low.len() > 500, "{}", low.len());
        assert_ne!(one.hash_one(7_u128), other.hash_one(7_u128));
    }
}

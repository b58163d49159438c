//! How many tokens a provider tells for each one that was counted here,
//! learned from its own figures.
//!
//! Vendors without a public vocabulary differ from a local count by a factor
//! that is much the same from call to call. It is a running mean in integers
//! that no single figure can bend: what is far off is passed over, the rest
//! moves it by a small step.
//!
//! Deliberately not here: where factors are kept, and what is counted.

/// The parts of a factor of one.
pub const ONE: u32 = 1_024;
/// Calls before a factor is believed.
pub const CALLS_MIN: u32 = 16;
/// The weight of a call is one in so many, once as many were seen.
const CALLS_COUNTED: u32 = 32;
/// Vocabularies differ by no more than this many times; a figure beyond it
/// tells of something else (a stored conversation, a search).
const TIMES_MAX: u64 = 4;
/// The fewest tokens of a count that says something: in a shorter text the
/// frame around it weighs more than its words.
pub const COUNTED_MIN: u64 = 64;

/// What was learned so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    calls: u32,
    parts: u32,
}

impl Default for Learned {
    /// Nothing.
    fn default() -> Self {
        Self {
            calls: 0,
            parts: ONE,
        }
    }
}

impl Learned {
    /// As it is kept in one number; 0 stands for nothing.
    pub fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::default(),
            bits => Self {
                calls: (bits >> 32) as u32,
                parts: bits as u32,
            },
        }
    }

    /// The number that [`Self::from_bits`] reads.
    pub fn to_bits(self) -> u64 {
        u64::from(self.calls) << 32 | u64::from(self.parts)
    }

    /// After a call of which the provider told so many tokens where so many
    /// were counted.
    #[must_use]
    pub fn after(self, told: u64, counted: u64) -> Self {
        let is_odd = counted < COUNTED_MIN
            || told > counted.saturating_mul(TIMES_MAX)
            || told.saturating_mul(TIMES_MAX) < counted;
        if is_odd {
            return self;
        }
        let one = u128::from(ONE);
        let parts = u128::from(told) * one / u128::from(counted);
        let parts = u32::try_from(parts).expect("within four times one");
        // One call says at most twice, and at least half of what is believed.
        let parts = parts.clamp(self.parts / 2, self.parts.saturating_mul(2));
        let calls = (self.calls + 1).min(CALLS_COUNTED);
        let step = (i64::from(parts) - i64::from(self.parts)) / i64::from(calls);
        let moved = u32::try_from(i64::from(self.parts) + step);
        Self {
            calls,
            parts: moved.unwrap_or(ONE).clamp(ONE / 4, ONE * 4),
        }
    }

    /// The factor, once enough calls have told of it.
    pub fn factor(self) -> Option<TokenFactor> {
        (self.calls >= CALLS_MIN).then_some(TokenFactor(self.parts))
    }
}

/// Tokens of a provider for one that was counted, in parts of [`ONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFactor(pub u32);

impl Default for TokenFactor {
    /// What is counted is what there is.
    fn default() -> Self {
        Self(ONE)
    }
}

impl TokenFactor {
    /// Tokens of the provider, rounded up.
    pub fn of(self, counted: u64) -> u64 {
        let product = u128::from(counted) * u128::from(self.0);
        u64::try_from(product.div_ceil(u128::from(ONE))).unwrap_or(u64::MAX)
    }
}

/// A count and so many percent of it, rounded up.
pub fn with_margin(counted: u64, percent: u32) -> u64 {
    let product = u128::from(counted) * (100 + u128::from(percent));
    u64::try_from(product.div_ceil(100)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

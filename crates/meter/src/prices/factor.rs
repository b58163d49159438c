//! What a price is multiplied with: discounts, and surcharges of regions.

use std::fmt;

use crate::Money;

/// Millionths in one.
const ONE: u64 = 1_000_000;
/// The largest factor.
const MOST: u64 = 1_000 * ONE;

/// A factor in millionths, from 0.000001 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor(u64);

impl Factor {
    /// No change.
    pub const ONE: Self = Self(ONE);

    /// Reads a decimal factor: `0.85`, `1.1`.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is no factor; write a number from 0.000001 to 1000, such as `0.85`",
                text.chars().take(60).collect::<String>()
            )
        };
        let nanos = Money::parse(text).map_err(|_| wrong())?.0;
        let millionths = u64::try_from(nanos / 1_000).map_err(|_| wrong())?;
        match nanos % 1_000 == 0 && (1..=MOST).contains(&millionths) {
            true => Ok(Self(millionths)),
            false => Err(wrong()),
        }
    }

    /// Both, one after the other; rounded up.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let both = u128::from(self.0) * u128::from(other.0);
        let both = both.div_ceil(u128::from(ONE));
        Self(u64::try_from(both).unwrap_or(u64::MAX).max(1))
    }

    pub(super) fn millionths(self) -> u128 {
        u128::from(self.0)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / ONE, self.0 % ONE);
        match part {
            0 => write!(f, "{whole}"),
            part => write!(f, "{whole}.{}", format!("{part:06}").trim_end_matches('0')),
        }
    }
}

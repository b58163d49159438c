//! Money in integers: nano-dollars (1 USD = 1,000,000,000).
//!
//! A price per million tokens of 0.0375 USD is 37.5 nano-dollars a token, so
//! prices are kept as nano-dollars per million units and divided once, at the
//! end of a sum.

use std::fmt;
use std::iter::Sum;

/// Nano-dollars in a dollar.
const NANOS: i64 = 1_000_000_000;
/// Decimal places of a nano-dollar.
const PLACES: usize = 9;

/// An amount in nano-dollars. Negative amounts are credits and debts.
/// Arithmetic saturates: an absurd amount stays absurd and never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub i64);

/// A text is no amount of dollars.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an amount of dollars; write digits with at most {PLACES} decimal places, such as `12.50`"
)]
pub struct MoneyError {
    text: String,
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// More than anybody has.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount of nano-dollars that may be too large for one.
    pub fn saturated(nanos: i128) -> Self {
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Reads a decimal number of dollars exactly: `12`, `0.25`, `-3.5`.
    ///
    /// # Errors
    /// Anything else: exponents, signs other than `-`, more than nine decimal
    /// places, more than fits.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let wrong = || MoneyError {
            text: text.chars().take(60).collect(),
        };
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) || part.len() > PLACES {
            return Err(wrong());
        }
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        let part: i64 = format!("{part:0<PLACES$}").parse().map_err(|_| wrong())?;
        let nanos = whole.checked_mul(NANOS).and_then(|it| it.checked_add(part));
        nanos.map(|nanos| Self(nanos * sign)).ok_or_else(wrong)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// Dollars, exact, with at least two decimal places and no zeros behind them:
/// `0.00`, `1.25`, `0.000000375`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        let (whole, part) = (all / NANOS.unsigned_abs(), all % NANOS.unsigned_abs());
        let part = format!("{part:09}");
        let kept = part.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{whole}.{}", &part[..kept])
    }
}

#[cfg(test)]
mod tests;

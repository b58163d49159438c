//! When a budget runs out, at the pace of its window so far.
//!
//! The method is a straight line: what is settled and reserved since the
//! window began, spread evenly over that time, goes on. It knows nothing of
//! nights and weekends, and says nothing before a hundredth of the window has
//! passed. All in integers.
//!
//! Deliberately not here: where the figures come from.

use meter::Span;

/// The method in a word, for reports.
pub const METHOD: &str = "linear";
/// The part of a window that must have passed.
const EARLY: u64 = 100;

/// What is to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// It is used up.
    Exhausted,
    /// It is used up at this moment, before its window ends.
    At(u64),
    /// It lasts until its window ends.
    Lasts,
    /// Too little of the window has passed.
    Early,
    /// The window has no begin, or moves: there is no pace.
    NoWindow,
}

impl Forecast {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::At(_) => "runs_out",
            Self::Lasts => "lasts",
            Self::Early => "too_early",
            Self::NoWindow => "no_window",
        }
    }

    /// When it is used up, if it will be.
    pub fn at_us(self) -> Option<u64> {
        match self {
            Self::At(at_us) => Some(at_us),
            Self::Exhausted | Self::Lasts | Self::Early | Self::NoWindow => None,
        }
    }
}

/// What is to be expected of a window of which so much is used.
pub fn forecast(now_us: u64, span: Span, used: i128, limit: i128) -> Forecast {
    if used >= limit {
        return Forecast::Exhausted;
    }
    if span.from_us == 0 || span.until_us == u64::MAX {
        return Forecast::NoWindow;
    }
    if used <= 0 {
        return Forecast::Lasts;
    }
    let passed = now_us.saturating_sub(span.from_us);
    let length = span.until_us.saturating_sub(span.from_us);
    if passed == 0 || passed < length / EARLY {
        return Forecast::Early;
    }
    // The first microsecond at which the line reaches the limit.
    let reached = i128::from(passed).checked_mul(limit);
    let after = reached.map(|it| (it + used - 1) / used);
    let after = after.and_then(|it| u64::try_from(it).ok());
    match after.and_then(|after| span.from_us.checked_add(after)) {
        Some(at_us) if at_us < span.until_us => Forecast::At(at_us.max(now_us)),
        Some(_) | None => Forecast::Lasts,
    }
}

#[cfg(test)]
mod tests;

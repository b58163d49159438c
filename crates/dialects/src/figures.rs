//! The figures of a usage report. Providers send odd ones, and an answer must
//! never break on its bill: a figure that is none (negative, fractional, a
//! text, absurd) is left out and noted, and counts as not told.
//!
//! Deliberately not here: what any format calls its figures.

use contract::usage::FIGURE_MAX;

use crate::json::{Json, Kind};

/// The most that a provider may say an answer cost, nano-dollars: a million
/// dollars. More is a mistake.
const COST_NANOS_MAX: u64 = 1_000_000_000_000_000;
/// Decimal places of a dollar in nano-dollars.
const PLACES: i64 = 9;
/// Nano-dollars in ten ticks, the unit of some vendors: 1e-10 dollars.
const TICKS_PER_NANO: u64 = 10;

/// Reads figures, and notes those that are none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// One was none.
    pub(crate) flawed: bool,
}

impl Figures {
    /// A count; `null` is not told.
    pub(crate) fn count(&mut self, value: Json<'_>) -> Option<u64> {
        self.noted(value, whole(value).filter(|count| *count <= FIGURE_MAX))
    }

    /// A part of a count that is told elsewhere; 0 where it is not told.
    pub(crate) fn part(&mut self, value: Json<'_>) -> u64 {
        self.count(value).unwrap_or(0)
    }

    /// Dollars, as nano-dollars. A fraction of one is a whole one.
    pub(crate) fn dollars(&mut self, value: Json<'_>) -> Option<u64> {
        let text = (value.kind() == Kind::Number).then(|| value.raw());
        let nanos = text.and_then(nanos).filter(|it| *it <= COST_NANOS_MAX);
        self.noted(value, nanos)
    }

    /// Ticks of 1e-10 dollars, as nano-dollars.
    pub(crate) fn ticks(&mut self, value: Json<'_>) -> Option<u64> {
        let nanos = whole(value).map(|ticks| ticks.div_ceil(TICKS_PER_NANO));
        self.noted(value, nanos.filter(|it| *it <= COST_NANOS_MAX))
    }

    /// An object of figures, or a list of them.
    pub(crate) fn group<'a>(&mut self, value: Json<'a>, kind: Kind) -> Option<Json<'a>> {
        self.noted(value, (value.kind() == kind).then_some(value))
    }

    fn noted<T>(&mut self, value: Json<'_>, read: Option<T>) -> Option<T> {
        self.flawed |= read.is_none() && !value.is_null();
        read
    }
}

/// A whole number; `12.0` is one.
fn whole(value: Json<'_>) -> Option<u64> {
    value.u64().or_else(|| {
        let text = (value.kind() == Kind::Number).then(|| value.raw())?;
        let (digits, zeros) = text.split_once('.')?;
        let is_whole = zeros.bytes().all(|digit| digit == b'0');
        is_whole.then(|| digits.parse().ok()).flatten()
    })
}

/// Nano-dollars of dollars in decimal, without the detour of a float.
fn nanos(text: &str) -> Option<u64> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (units, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [units, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let shift = exponent
        .checked_add(PLACES)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let value: u128 = digits.parse().ok()?;
    let power = u32::try_from(shift.unsigned_abs())
        .ok()
        .and_then(|places| 10_u128.checked_pow(places));
    let nanos = match (shift >= 0, power) {
        (true, power) => value.checked_mul(power?)?,
        (false, Some(power)) => value.div_ceil(power),
        (false, None) => 1,
    };
    u64::try_from(nanos).ok()
}

#[cfg(test)]
mod tests;

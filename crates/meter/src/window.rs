//! Windows of time: fixed, sliding, and by the calendar of a time zone.
//!
//! The window is part of a counter's key, so no job has to reset anything,
//! and what was reserved in a window is settled in that window.

use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _, Unit, Zoned};

/// Pieces of a sliding window. The oldest piece counts whole until all of it
/// has left, so never more than the limit fits into any stretch of the
/// window's length, and what was used comes back at most a sixteenth late.
pub const SLIDING_PIECES: u64 = 16;

/// How time is cut.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Windows of this many seconds, one behind another, counted from
    /// `anchor_s` (Unix seconds).
    Fixed {
        /// Length, seconds; at least 1.
        length_s: u64,
        /// A moment at which one of them begins.
        anchor_s: u64,
    },
    /// The last so many milliseconds before each moment.
    Sliding {
        /// Length, milliseconds; at least [`SLIDING_PIECES`].
        length_ms: u64,
    },
    /// Days, weeks or months of a calendar.
    Calendar {
        /// Which.
        unit: CalendarUnit,
        /// Where midnight is taken.
        zone: TimeZone,
    },
    /// All of time: what is spent never comes back.
    Forever,
}

/// A stretch of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarUnit {
    /// From midnight to midnight.
    Day,
    /// From Monday (ISO 8601).
    Week,
    /// From the first.
    Month,
}

impl CalendarUnit {
    /// The word in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A window that holds a moment: `from_us <= moment < until_us`, microseconds
/// since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub from_us: u64,
    /// Its end; [`u64::MAX`] where it has none.
    pub until_us: u64,
}

impl Span {
    /// No time: what is taken is not given back and not settled.
    pub const NONE: Self = Self {
        from_us: 0,
        until_us: 0,
    };
    /// All of time.
    pub const ALWAYS: Self = Self {
        from_us: 0,
        until_us: u64::MAX,
    };

    /// Whether a moment lies in it.
    pub fn holds(&self, now_us: u64) -> bool {
        (self.from_us..self.until_us).contains(&now_us)
    }
}

impl Window {
    /// The window, or the piece of a sliding one, that holds a moment.
    pub fn span(&self, now_us: u64) -> Span {
        match self {
            Self::Fixed { length_s, anchor_s } => {
                let length = length_s.max(&1).saturating_mul(1_000_000);
                fixed(now_us, length, anchor_s.saturating_mul(1_000_000))
            }
            Self::Sliding { length_ms } => {
                let piece = length_ms.saturating_mul(1_000) / SLIDING_PIECES;
                fixed(now_us, piece.max(1), 0)
            }
            Self::Calendar { unit, zone } => {
                // A moment that no calendar holds is in one window for ever.
                calendar(now_us, *unit, zone).unwrap_or(Span::ALWAYS)
            }
            Self::Forever => Span::ALWAYS,
        }
    }

    /// Length of the whole window in microseconds, where it is the same for
    /// every one.
    pub fn sliding_us(&self) -> Option<u64> {
        match self {
            Self::Sliding { length_ms } => Some(length_ms.saturating_mul(1_000)),
            Self::Fixed { .. } | Self::Calendar { .. } | Self::Forever => None,
        }
    }
}

fn fixed(now_us: u64, length: u64, anchor: u64) -> Span {
    let into = match now_us.checked_sub(anchor) {
        Some(since) => since % length,
        // Before the anchor, counted backwards.
        None => (length - (anchor - now_us) % length) % length,
    };
    let from_us = now_us.saturating_sub(into);
    Span {
        from_us,
        until_us: from_us.saturating_add(length),
    }
}

fn calendar(now_us: u64, unit: CalendarUnit, zone: &TimeZone) -> Option<Span> {
    let moment = Timestamp::from_microsecond(i64::try_from(now_us).ok()?).ok()?;
    let now = moment.to_zoned(zone.clone());
    let (from, until) = match unit {
        CalendarUnit::Day => {
            let from = now.start_of_day().ok()?;
            (from.clone(), from.checked_add(1.day()).ok()?)
        }
        CalendarUnit::Week => {
            let back = now.weekday().since(Weekday::Monday);
            let monday = now.date().checked_sub(i64::from(back).days()).ok()?;
            let from = monday.to_zoned(zone.clone()).ok()?;
            (from.clone(), from.checked_add(1.week()).ok()?)
        }
        CalendarUnit::Month => {
            let first = now.date().first_of_month();
            let from = first.to_zoned(zone.clone()).ok()?;
            (from.clone(), from.checked_add(1.month()).ok()?)
        }
    };
    Some(Span {
        from_us: micros(&from)?,
        until_us: micros(&until)?,
    })
}

fn micros(zoned: &Zoned) -> Option<u64> {
    let exact = zoned.round(Unit::Microsecond).ok()?;
    u64::try_from(exact.timestamp().as_microsecond()).ok()
}

/// The time zone of an IANA name. The database is built in, so that every
/// machine reads the same.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// A moment with its time zone, such as `2026-12-01T00:00:00Z`, in
/// microseconds since the Unix epoch.
pub fn moment(text: &str) -> Option<u64> {
    let moment: Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_microsecond()).ok()
}

#[cfg(test)]
mod tests;

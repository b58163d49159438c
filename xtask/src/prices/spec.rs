//! A price in the making.

use std::collections::BTreeMap;
use std::fmt;

use super::amount::dollars;

/// Classes, in the order in which they are written.
const CLASSES: [&str; 11] = [
    "in",
    "read",
    "write",
    "write1h",
    "audio-in",
    "image-in",
    "out",
    "reasoning",
    "audio-out",
    "request",
    "search",
];
/// Classes that are billed as another where they have no price of their own.
const STAND_INS: [(&str, &str); 4] = [
    ("audio-in", "in"),
    ("image-in", "in"),
    ("reasoning", "out"),
    ("audio-out", "out"),
];
/// Tiers, in the order in which they are written.
pub(super) const TIERS: [&str; 5] = ["", "flex", "priority", "fast", "batch"];

/// Nano-dollars by class, as they are written.
pub(super) type Rates = BTreeMap<&'static str, u64>;

/// For whom and since when a price holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) region: Option<String>,
    pub(super) from: Option<String>,
}

/// A price: rates by tier (its place in [`TIERS`]) and length.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spec {
    pub(super) levels: BTreeMap<(usize, u64), Rates>,
    pub(super) uplifts: BTreeMap<String, String>,
}

impl Spec {
    pub(super) fn base(&self) -> Rates {
        self.levels.get(&(0, 0)).cloned().unwrap_or_default()
    }

    pub(super) fn set(&mut self, level: (usize, u64), class: &'static str, nanos: u64) {
        self.levels.entry(level).or_default().insert(class, nanos);
    }

    /// Takes out what no vendor means: zeros, which stand for "not told", and writes to a cache
    /// that cost less than the input they are; and what says nothing: prices that the class which
    /// stands in has as well, and levels that are those below them.
    pub(super) fn clean(mut self) -> Self {
        for rates in self.levels.values_mut() {
            rates.retain(|_, nanos| *nanos > 0);
            let input = rates.get("in").copied().unwrap_or(0);
            rates.retain(|class, nanos| !class.starts_with("write") || *nanos >= input);
        }
        for (class, other) in STAND_INS {
            let says_more = |rates: &Rates| {
                let mine = rates.get(class);
                mine.is_some_and(|mine| rates.get(other) != Some(mine))
            };
            if !self.levels.values().any(says_more) {
                self.levels.values_mut().for_each(|rates| {
                    rates.remove(class);
                });
            }
        }
        self.levels
            .retain(|level, rates| *level == (0, 0) || !rates.is_empty());
        self
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, ((tier, above), rates)) in self.levels.iter().enumerate() {
            let mut words = Vec::new();
            if nth > 0 {
                words.push("|".to_owned());
            }
            if *tier > 0 {
                words.push(TIERS[*tier].to_owned());
            }
            if *above > 0 {
                words.push(format!(">{above}"));
            }
            for class in CLASSES {
                words.extend(
                    rates
                        .get(class)
                        .map(|nanos| format!("{class}={}", dollars(*nanos))),
                );
            }
            if nth == 0 {
                words.extend(
                    self.uplifts
                        .iter()
                        .map(|(region, factor)| format!("{region}*{factor}")),
                );
            }
            let gap = if nth > 0 { " " } else { "" };
            write!(f, "{gap}{}", words.join(" "))?;
        }
        Ok(())
    }
}

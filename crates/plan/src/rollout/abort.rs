//! When a roll-out goes by itself: bounds on what its calls come to, decided
//! from counted figures in integers, so that the same figures always give the
//! same answer.
//!
//! Deliberately not here: counting, and time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Seconds over which figures count, where nothing else is said.
const WINDOW_S: u64 = 300;
/// The shortest and the longest such time.
const WINDOW_S_MIN: u64 = 1;
const WINDOW_S_MAX: u64 = 86_400;
/// Fewest calls that are judged, where nothing else is said.
const CALLS_MIN: u64 = 50;
const CALLS_MIN_MAX: u64 = 1_000_000;
/// The whole, for rates.
const MILLION: u64 = 1_000_000;
/// The same once, for ratios.
const ONCE: u64 = 1_000;
/// Longest latency as a bound, milliseconds.
const MS_MAX: f64 = 3_600_000.0;
/// Largest ratio as a bound.
const TIMES_MAX: f64 = 100.0;

const WINDOW: &str = "window_s";
const CALLS: &str = "calls_min";

/// When a roll-out goes by itself. Written as an object of numbers by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, f64>", into = "BTreeMap<String, f64>")]
pub struct Abort {
    /// In the order of [`NAMES`], each name at most once.
    bounds: Vec<(Bound, u64)>,
    window_s: u64,
    calls_min: u64,
}

/// A bound on one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound {
    name: &'static str,
    of: Measure,
    against: Against,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Denied,
    Errors,
    Cancelled,
    Latency(Quantile),
    FirstToken(Quantile),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantile {
    P95,
    P99,
}

/// What a bound is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    /// Nothing: millionths of a rate, or microseconds.
    Nothing,
    /// The rate of the plan in force: so many millionths above it.
    OverInForce,
    /// The latency of the plan in force: so many thousandths of it.
    TimesInForce,
}

const fn bound(name: &'static str, of: Measure, against: Against) -> Bound {
    Bound { name, of, against }
}

/// Every bound there is.
const NAMES: [Bound; 14] = [
    bound("deny_rate", Measure::Denied, Against::Nothing),
    bound("deny_rate_over", Measure::Denied, Against::OverInForce),
    bound("error_rate", Measure::Errors, Against::Nothing),
    bound("error_rate_over", Measure::Errors, Against::OverInForce),
    bound("cancelled_rate", Measure::Cancelled, Against::Nothing),
    bound(
        "cancelled_rate_over",
        Measure::Cancelled,
        Against::OverInForce,
    ),
    bound(
        "latency_p95_ms",
        Measure::Latency(Quantile::P95),
        Against::Nothing,
    ),
    bound(
        "latency_p95_times",
        Measure::Latency(Quantile::P95),
        Against::TimesInForce,
    ),
    bound(
        "latency_p99_ms",
        Measure::Latency(Quantile::P99),
        Against::Nothing,
    ),
    bound(
        "latency_p99_times",
        Measure::Latency(Quantile::P99),
        Against::TimesInForce,
    ),
    bound(
        "first_token_p95_ms",
        Measure::FirstToken(Quantile::P95),
        Against::Nothing,
    ),
    bound(
        "first_token_p95_times",
        Measure::FirstToken(Quantile::P95),
        Against::TimesInForce,
    ),
    bound(
        "first_token_p99_ms",
        Measure::FirstToken(Quantile::P99),
        Against::Nothing,
    ),
    bound(
        "first_token_p99_times",
        Measure::FirstToken(Quantile::P99),
        Against::TimesInForce,
    ),
];

/// What the calls of both sides came to within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Under the plan in force.
    pub in_force: SideFigures,
    /// Under the candidate.
    pub candidate: SideFigures,
}

/// What the calls of one side came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideFigures {
    /// Calls that ended.
    pub calls: u64,
    /// Of these, refused by the gateway.
    pub denied: u64,
    /// Of these, failed by a provider or by the gateway.
    pub errors: u64,
    /// Of these, given up by their callers.
    #[serde(default)]
    pub cancelled: u64,
    /// From arrival to the last byte, of calls that were not refused; where
    /// the caller gave up, until then.
    pub latency: Spread,
    /// From arrival to the first token; where the caller of a stream gave up
    /// before it, until then.
    pub first_token: Spread,
}

impl SideFigures {
    /// Calls that nobody gave up. How the others would have ended is unknown,
    /// so they must not thin out what failed.
    fn answered(&self) -> u64 {
        self.calls.saturating_sub(self.cancelled)
    }
}

/// How times are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// 95 % are at most this.
    pub p95: Range,
    /// 99 % are at most this.
    pub p99: Range,
}

/// A time as exactly as it was counted: at least one bound, less than the
/// other. Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// It is at least this.
    pub from_us: u64,
    /// It is at most this.
    pub to_us: u64,
}

/// A bound that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// Its name.
    pub bound: String,
    /// What happened, for people.
    pub text: String,
}

impl Abort {
    /// Seconds over which figures count.
    pub fn window_s(&self) -> u64 {
        self.window_s
    }

    /// The first bound that the figures break. A side with fewer calls than
    /// the minimum breaks none and is no measure for the other; and what is
    /// exactly at its bound, or may be below it, does not break it.
    pub fn broken(&self, figures: &Figures) -> Option<Breach> {
        let broken = |(bound, limit): &(Bound, u64)| self.breaks(*bound, *limit, figures);
        self.bounds.iter().find_map(broken)
    }

    fn breaks(&self, bound: Bound, limit: u64, figures: &Figures) -> Option<Breach> {
        let (tried, known) = (&figures.candidate, &figures.in_force);
        let what = match bound.of {
            Measure::Denied => {
                let rate = |side: &SideFigures| (side.denied, side.answered());
                self.rate(bound.against, limit, (rate(tried), rate(known)))
            }
            Measure::Errors => {
                let rate = |side: &SideFigures| (side.errors, side.answered());
                self.rate(bound.against, limit, (rate(tried), rate(known)))
            }
            Measure::Cancelled => {
                let rate = |side: &SideFigures| (side.cancelled, side.calls);
                self.rate(bound.against, limit, (rate(tried), rate(known)))
            }
            Measure::Latency(quantile) => {
                let time = |side: &SideFigures| time(&side.latency, quantile);
                self.time(bound.against, limit, (time(tried), time(known)))
            }
            Measure::FirstToken(quantile) => {
                let time = |side: &SideFigures| time(&side.first_token, quantile);
                self.time(bound.against, limit, (time(tried), time(known)))
            }
        };
        what.map(|what| Breach {
            bound: bound.name.to_owned(),
            text: format!(
                "{} is above {}: {what} within {} s",
                bound.name,
                bound.shown(limit),
                self.window_s
            ),
        })
    }

    /// Rates are told as (part, whole), those of the candidate first.
    fn rate(
        &self,
        against: Against,
        limit: u64,
        ((part, whole), (known_part, known_whole)): ((u64, u64), (u64, u64)),
    ) -> Option<String> {
        if whole < self.calls_min {
            return None;
        }
        let [wide_part, wide_whole] = [part, whole].map(u128::from);
        let (limit, million) = (u128::from(limit), u128::from(MILLION));
        match against {
            Against::Nothing => (wide_part * million > limit * wide_whole)
                .then(|| format!("{part} of {whole} calls")),
            Against::OverInForce | Against::TimesInForce => {
                if known_whole < self.calls_min {
                    return None;
                }
                let [wide_known_part, wide_known_whole] = [known_part, known_whole].map(u128::from);
                let allowed = wide_known_part * million + limit * wide_known_whole;
                (wide_part * wide_known_whole * million > allowed * wide_whole).then(|| {
                    format!(
                        "{part} of {whole} calls, and {known_part} of {known_whole} under the \
                         plan in force"
                    )
                })
            }
        }
    }

    /// Times are told as (how many, time), those of the candidate first.
    fn time(
        &self,
        against: Against,
        limit: u64,
        ((count, time), (known_count, known)): ((u64, Range), (u64, Range)),
    ) -> Option<String> {
        if count < self.calls_min {
            return None;
        }
        let least = time.from_us / 1_000;
        match against {
            Against::Nothing => {
                (time.from_us > limit).then(|| format!("at least {least} ms over {count} calls"))
            }
            Against::OverInForce | Against::TimesInForce => {
                if known_count < self.calls_min {
                    return None;
                }
                let allowed = u128::from(known.to_us) * u128::from(limit);
                (u128::from(time.from_us) * u128::from(ONCE) > allowed).then(|| {
                    format!(
                        "at least {least} ms over {count} calls, and at most {} ms over \
                         {known_count} under the plan in force",
                        known.to_us / 1_000
                    )
                })
            }
        }
    }
}

fn time(spread: &Spread, quantile: Quantile) -> (u64, Range) {
    let time = match quantile {
        Quantile::P95 => spread.p95,
        Quantile::P99 => spread.p99,
    };
    (spread.count, time)
}

impl Bound {
    /// How many units of a bound one of what people write is, and the least
    /// and the most of what they may write.
    fn unit(self) -> (u64, f64, f64) {
        match (self.of, self.against) {
            (Measure::Denied | Measure::Errors | Measure::Cancelled, _) => (MILLION, 0.0, 1.0),
            (Measure::Latency(_) | Measure::FirstToken(_), Against::Nothing) => {
                (1_000, 1.0, MS_MAX)
            }
            (
                Measure::Latency(_) | Measure::FirstToken(_),
                Against::OverInForce | Against::TimesInForce,
            ) => (ONCE, 1.0, TIMES_MAX),
        }
    }

    fn shown(self, limit: u64) -> f64 {
        limit as f64 / self.unit().0 as f64
    }
}

impl TryFrom<BTreeMap<String, f64>> for Abort {
    type Error = String;

    fn try_from(mut written: BTreeMap<String, f64>) -> Result<Self, String> {
        let whole = |name: &str, value: Option<f64>, (usual, least, most): (u64, u64, u64)| {
            let value = value.unwrap_or(usual as f64);
            match value.fract() == 0.0 && (least as f64..=most as f64).contains(&value) {
                true => Ok(value as u64),
                false => Err(format!(
                    "`{name}` is {value}. Write a whole number from {least} to {most}."
                )),
            }
        };
        let window = (WINDOW_S, WINDOW_S_MIN, WINDOW_S_MAX);
        let window_s = whole(WINDOW, written.remove(WINDOW), window)?;
        let calls_min = whole(CALLS, written.remove(CALLS), (CALLS_MIN, 1, CALLS_MIN_MAX))?;
        let mut bounds = Vec::new();
        for bound in NAMES {
            let Some(value) = written.remove(bound.name) else {
                continue;
            };
            let (unit, least, most) = bound.unit();
            if !(least..=most).contains(&value) {
                return Err(format!(
                    "`{}` is {value}. Write a number from {least} to {most}.",
                    bound.name
                ));
            }
            bounds.push((bound, (value * unit as f64).round() as u64));
        }
        let names = || {
            let names: Vec<&str> = NAMES.iter().map(|bound| bound.name).collect();
            names.join(", ")
        };
        if let Some(unknown) = written.keys().next() {
            return Err(format!(
                "`{unknown}` is no condition. Write one of {}, {WINDOW}, {CALLS}.",
                names()
            ));
        }
        if bounds.is_empty() {
            return Err(format!(
                "No condition is stated. Write at least one of {}.",
                names()
            ));
        }
        Ok(Self {
            bounds,
            window_s,
            calls_min,
        })
    }
}

impl From<Abort> for BTreeMap<String, f64> {
    fn from(abort: Abort) -> Self {
        let bounds = abort.bounds.iter();
        let named = bounds.map(|(bound, limit)| (bound.name.to_owned(), bound.shown(*limit)));
        named
            .chain([
                (WINDOW.to_owned(), abort.window_s as f64),
                (CALLS.to_owned(), abort.calls_min as f64),
            ])
            .collect()
    }
}

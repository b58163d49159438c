//! A quota: how much of what, in which time, counted by whom, and what
//! happens at its end. Rate limits and budgets are both quotas.

use std::sync::Arc;

use contract::glob;
use smallvec::SmallVec;

use crate::subject::{Dimension, Subject};
use crate::window::Window;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Calls.
    Requests,
    /// Tokens of the input, all classes.
    InputTokens,
    /// Tokens of the output, all classes.
    OutputTokens,
    /// Tokens of input and output.
    Tokens,
    /// Money, in nano-dollars.
    Cost,
    /// Calls at the same time, for as long as they or their streams last.
    Concurrency,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 6] = [
        Self::Requests,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Tokens,
        Self::Cost,
        Self::Concurrency,
    ];

    /// The name in documents, records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Concurrency => "concurrency",
        }
    }

    /// The measure of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// How much a call takes, or took, of everything that is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Nano-dollars.
    pub cost: i64,
}

impl Amounts {
    /// How much of one measure; never negative. A call is one request, and
    /// holds one permit while it lasts.
    pub fn of(&self, measure: Measure) -> i64 {
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        match measure {
            Measure::Requests | Measure::Concurrency => 1,
            Measure::InputTokens => tokens(self.input),
            Measure::OutputTokens => tokens(self.output),
            Measure::Tokens => tokens(self.input.saturating_add(self.output)),
            Measure::Cost => self.cost.max(0),
        }
    }
}

/// How a limit spreads over time.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// The generic cell rate algorithm: `limit` in each `period_us`, evenly,
    /// with `burst` at once (ITU-T I.371).
    Gcra {
        /// Microseconds.
        period_us: u64,
        /// How many may come together; at least 1.
        burst: u64,
    },
    /// So much in a window.
    Window(Window),
    /// So much at the same time.
    Permits,
}

impl Pace {
    /// Its shape, for the identity of counters.
    fn shape(&self) -> String {
        match self {
            Self::Gcra { .. } => "gcra".to_owned(),
            Self::Window(Window::Fixed { length_s, anchor_s }) => {
                format!("fixed {length_s} {anchor_s}")
            }
            Self::Window(Window::Sliding { length_ms }) => format!("sliding {length_ms}"),
            Self::Window(Window::Calendar { unit, zone }) => {
                let zone = zone.iana_name().unwrap_or("fixed offset");
                format!("calendar {} {zone}", unit.name())
            }
            Self::Window(Window::Forever) => "forever".to_owned(),
            Self::Permits => "permits".to_owned(),
        }
    }
}

/// How much a quota does about what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hold {
    /// What it would refuse is written to the record and counted.
    Shadow,
    /// As `Shadow`, and the answer carries a warning.
    Warn,
    /// It refuses.
    #[default]
    Enforce,
}

impl Hold {
    /// The name in documents, records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

/// Whether a quota is a rate limit, which passes (429), or a budget, which is
/// spent (402).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaKind {
    /// A rate limit.
    RateLimit,
    /// A budget.
    Budget,
}

impl QuotaKind {
    /// The word in records, metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Budget => "budget",
        }
    }

    /// The kind of a word.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = [Self::RateLimit, Self::Budget].into_iter();
        all.find(|it| it.name() == name)
    }
}

/// Another limit for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// The limit meanwhile.
    pub limit: i64,
    /// From when, microseconds since the Unix epoch.
    pub from_us: u64,
    /// Until when.
    pub until_us: u64,
}

/// What happens when a share of a budget is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The share, in thousandths of the limit.
    pub at: u32,
    /// What is done.
    pub action: Action,
}

/// What a threshold does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is told once in each window.
    Alert,
    /// Calls go to this model instead.
    Degrade(Arc<str>),
    /// Answers are capped at so many tokens.
    Shorten(u32),
    /// Calls are answered by this template, and no model is called.
    Answer(Arc<str>),
    /// Calls are refused.
    Refuse,
}

impl Action {
    /// The word in documents, records and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Degrade(_) => "degrade",
            Self::Shorten(_) => "shorten",
            Self::Answer(_) => "answer",
            Self::Refuse => "refuse",
        }
    }
}

/// Waiting instead of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Longest wait, milliseconds.
    pub wait_ms: u64,
    /// Most calls that wait for one counter.
    pub length: u32,
    /// Use cases (names or globs) that come before all others.
    pub first: Vec<String>,
    /// Use cases that come behind all others.
    pub last: Vec<String>,
}

impl Queue {
    /// The tier of a use case: 0 comes first.
    pub fn tier(&self, use_case: &str) -> u8 {
        let is_in = |list: &[String]| list.iter().any(|wanted| glob::matches(wanted, use_case));
        match (is_in(&self.first), is_in(&self.last)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        }
    }
}

/// Which calls it is about, and by what they are counted apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Each combination of values of these has a counter of its own.
    pub by: Vec<Dimension>,
    /// Only calls with one of these values (names or globs) in each of these.
    pub only: Vec<(Dimension, Vec<String>)>,
}

impl Scope {
    /// Whether a call is one of those.
    pub fn takes(&self, subject: &Subject<'_>) -> bool {
        self.only.iter().all(|(dimension, values)| {
            let value = subject.value(*dimension);
            values.iter().any(|wanted| glob::matches(wanted, value))
        })
    }

    /// Whether it speaks of attempts.
    pub fn is_of_attempt(&self) -> bool {
        let only = self.only.iter().map(|(dimension, _)| dimension);
        self.by.iter().chain(only).any(|it| it.is_of_attempt())
    }

    /// Whether calls of several tenants may share a counter.
    pub fn is_shared(&self) -> bool {
        let is_own = |it: &Dimension| matches!(it, Dimension::Tenant | Dimension::Key);
        let one_tenant = self.only.iter().any(|(dimension, values)| {
            let one = values.len() == 1 && values.iter().all(|it| glob::is_name(it));
            *dimension == Dimension::Tenant && one
        });
        !one_tenant && !self.by.iter().any(is_own)
    }

    /// The counter of a call, for people: `tenant=acme, user=ann`.
    pub fn text(&self, subject: &Subject<'_>) -> String {
        let parts = self.by.iter().map(|dimension| {
            let value = subject.value(*dimension);
            format!("{}={value}", dimension.name())
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// What a quota is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaSpec {
    /// Its name in messages, records and metrics.
    pub name: Arc<str>,
    /// Rate limit or budget.
    pub kind: QuotaKind,
    /// What is counted.
    pub measure: Measure,
    /// How much: calls, tokens, nano-dollars or permits.
    pub limit: i64,
    /// Over which time.
    pub pace: Pace,
    /// Of whom.
    pub scope: Scope,
    /// What it does.
    pub hold: Hold,
    /// Other limits for a while; of several in force the last counts.
    pub overrides: Vec<Override>,
    /// What happens before it is used up, lowest share first.
    pub thresholds: Vec<Threshold>,
    /// Waiting instead of a refusal.
    pub queue: Option<Queue>,
    /// The limit follows what is usual; [`Self::limit`] is the least that it
    /// may be.
    pub usual: Option<Usual>,
}

/// A limit that is so many times what is usual: what a longer window holds,
/// as much of it as falls to a shorter one.
#[derive(Clone, Debug)]
pub struct Usual {
    /// What counts the longer window; of the same scope.
    pub baseline: Arc<Quota>,
    /// How many times the usual, in thousandths.
    pub times: u64,
    /// Length of the shorter window as a part of the longer one, in millionths.
    pub share: u64,
}

impl PartialEq for Usual {
    fn eq(&self, other: &Self) -> bool {
        let all = |it: &Self| (it.baseline.digest, it.times, it.share);
        all(self) == all(other)
    }
}

impl Usual {
    /// The limit, where the longer window holds so much.
    pub fn limit(&self, level: i64) -> i64 {
        let usual = i128::from(level) * i128::from(self.share) / 1_000_000;
        let limit = usual.saturating_mul(i128::from(self.times)) / 1_000;
        i64::try_from(limit).unwrap_or(i64::MAX)
    }
}

/// A quota, ready to be asked.
#[derive(Debug)]
pub struct Quota {
    spec: QuotaSpec,
    digest: u128,
    of_attempt: bool,
}

impl std::ops::Deref for Quota {
    type Target = QuotaSpec;

    fn deref(&self) -> &QuotaSpec {
        &self.spec
    }
}

impl Quota {
    /// Of this.
    pub fn new(spec: QuotaSpec) -> Self {
        // What a counter counts. The limit is not part of it, so that a budget
        // that is changed in mid-window keeps what was spent.
        let mut hasher = blake3::Hasher::new();
        let by = spec.scope.by.iter().map(|it| it.name());
        let shape = spec.pace.shape();
        let words = [spec.name.as_ref(), spec.measure.name(), &shape];
        for word in words.into_iter().chain(by) {
            write(&mut hasher, word);
        }
        Self {
            digest: digest(&hasher),
            of_attempt: spec.scope.is_of_attempt(),
            spec,
        }
    }

    /// Whether it is taken for each attempt.
    pub fn is_of_attempt(&self) -> bool {
        self.of_attempt
    }

    /// The counter of a call: the same on every machine and after every
    /// restart.
    pub fn counter(&self, subject: &Subject<'_>) -> u128 {
        if self.scope.by.is_empty() {
            return self.digest;
        }
        // Put together and hashed at once, which costs less than piece by
        // piece: a call asks for many counters.
        let mut words = SmallVec::<[u8; 256]>::from_slice(&self.digest.to_le_bytes());
        for dimension in &self.scope.by {
            let word = subject.value(*dimension);
            words.extend_from_slice(&(word.len() as u64).to_le_bytes());
            words.extend_from_slice(word.as_bytes());
        }
        half(&blake3::hash(&words))
    }

    /// The limit at a moment, overrides included.
    pub fn limit_at(&self, now_us: u64) -> i64 {
        let mut over = self.overrides.iter().rev();
        over.find(|it| (it.from_us..it.until_us).contains(&now_us))
            .map_or(self.limit, |it| it.limit)
    }
}

/// Lengths keep `a`, `bc` apart from `ab`, `c`.
fn write(hasher: &mut blake3::Hasher, word: &str) {
    hasher.update(&(word.len() as u64).to_le_bytes());
    hasher.update(word.as_bytes());
}

fn digest(hasher: &blake3::Hasher) -> u128 {
    half(&hasher.finalize())
}

fn half(hash: &blake3::Hash) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(half)
}

#[cfg(test)]
mod tests;

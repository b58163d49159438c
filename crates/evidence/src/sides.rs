//! What the calls of a roll-out come to, on each side: how they ended and how
//! long they took, on plain atomics, and the same within a window of time.
//!
//! Deliberately not here: what the figures lead to.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use contract::FaultKind;

use crate::record::{Outcome, Record};

/// The plan that a call of a roll-out ran under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The plan in force.
    InForce,
    /// The candidate.
    Candidate,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::InForce, Self::Candidate];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Candidate => "candidate",
        }
    }
}

/// How a call ended, as far as a plan is judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Ok,
    /// The gateway refused it, or cut its answer off: by identity, rules or
    /// limits, or since it was no sound call.
    Denied,
    /// A provider or the gateway failed, or the provider refused it.
    Error,
    /// The caller went away.
    Cancelled,
}

impl End {
    /// All.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Denied, Self::Error, Self::Cancelled];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }

    /// How the call of a record ended.
    pub fn of(record: &Record) -> Self {
        if record.outcome == Outcome::Cancelled {
            return Self::Cancelled;
        }
        if record.outcome == Outcome::Lost {
            return Self::Error;
        }
        let Some(fault) = &record.fault else {
            return Self::Ok;
        };
        let kind = FaultKind::ALL
            .into_iter()
            .find(|kind| kind.name() == fault.kind);
        match kind {
            Some(
                FaultKind::BadRequest
                | FaultKind::Unsupported
                | FaultKind::Blocked
                | FaultKind::Unauthenticated
                | FaultKind::OverBudget
                | FaultKind::Forbidden
                | FaultKind::UnknownModel
                | FaultKind::UnknownPath
                | FaultKind::MethodNotAllowed
                | FaultKind::TooLarge
                | FaultKind::UnsupportedMedia
                | FaultKind::Conflict
                | FaultKind::RateLimited,
            ) => Self::Denied,
            Some(FaultKind::Cancelled) => Self::Cancelled,
            Some(
                FaultKind::UpstreamBusy
                | FaultKind::UpstreamRefused
                | FaultKind::UpstreamBroken
                | FaultKind::Overloaded
                | FaultKind::Timeout
                | FaultKind::Internal,
            )
            // A word that is not in the taxonomy is a bug of ours.
            | None => Self::Error,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::Denied => 1,
            Self::Error => 2,
            Self::Cancelled => 3,
        }
    }
}

/// The calls of both sides since a roll-out began.
#[derive(Debug, Default)]
pub struct Sides {
    in_force: Counters,
    candidate: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    ends: [AtomicU64; End::ALL.len()],
    latency: Times,
    first_token: Times,
}

/// Times, counted in steps of at most a sixteenth.
#[derive(Debug)]
struct Times(Box<[AtomicU64]>);

/// Times below this are not told apart, microseconds.
const LEAST_US: u64 = 1 << LEAST_BITS;
const LEAST_BITS: u32 = 10;
/// Steps between a time and its double, as bits.
const STEP_BITS: u32 = 4;
const STEPS: u64 = 1 << STEP_BITS;
/// Doublings of the least time; the last step holds what is beyond: 19 hours.
const DOUBLINGS: u64 = 26;
const BUCKETS: usize = (DOUBLINGS * STEPS) as usize + 1;

impl Default for Times {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Times {
    fn count(&self, us: u64) {
        self.0[bucket(us)].fetch_add(1, Relaxed);
    }

    fn now(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Relaxed)).collect()
    }
}

fn bucket(us: u64) -> usize {
    if us < LEAST_US {
        return 0;
    }
    let doublings = us.ilog2() - LEAST_BITS;
    let step = (us >> (us.ilog2() - STEP_BITS)) & (STEPS - 1);
    let bucket = 1 + u64::from(doublings) * STEPS + step;
    (bucket as usize).min(BUCKETS - 1)
}

/// The times that a bucket holds: from the first to the second.
fn times(bucket: usize) -> (u64, u64) {
    let Some(nth) = (bucket as u64).checked_sub(1) else {
        return (0, LEAST_US - 1);
    };
    let (doublings, step) = (nth / STEPS, nth % STEPS);
    let shift = doublings + u64::from(LEAST_BITS - STEP_BITS);
    let from = (STEPS + step) << shift;
    match bucket == BUCKETS - 1 {
        true => (from, u64::MAX),
        false => (from, ((STEPS + step + 1) << shift) - 1),
    }
}

impl Sides {
    /// Counts a call that ended.
    pub(crate) fn count(&self, side: Side, end: End, record: &Record) {
        let counters = match side {
            Side::InForce => &self.in_force,
            Side::Candidate => &self.candidate,
        };
        match end {
            // A caller who gave up waited for at least so long: a plan under
            // which nothing ever comes has no other times.
            End::Ok | End::Error | End::Cancelled => counters.latency.count(record.duration_us),
            // What was refused at once says nothing about the others.
            End::Denied => {}
        }
        let in_vain =
            || (end == End::Cancelled && record.request.stream).then_some(record.duration_us);
        if let Some(us) = record.first_token_us().or_else(in_vain) {
            counters.first_token.count(us);
        }
        // Last: a call that is among the ends has its times.
        counters.ends[end.index()].fetch_add(1, Release);
    }

    /// What they come to now.
    pub fn now(&self) -> SidesCount {
        let of = |counters: &Counters| SideCount {
            ends: counters.ends.each_ref().map(|count| count.load(Acquire)),
            latency: counters.latency.now(),
            first_token: counters.first_token.now(),
        };
        SidesCount {
            in_force: of(&self.in_force),
            candidate: of(&self.candidate),
        }
    }
}

/// The calls of both sides at a moment, or within a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidesCount {
    /// Under the plan in force.
    pub in_force: SideCount,
    /// Under the candidate.
    pub candidate: SideCount,
}

/// The calls of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideCount {
    ends: [u64; End::ALL.len()],
    latency: Vec<u64>,
    first_token: Vec<u64>,
}

impl SidesCount {
    /// What came since an earlier moment.
    fn since(&self, earlier: &Self) -> Self {
        Self {
            in_force: self.in_force.since(&earlier.in_force),
            candidate: self.candidate.since(&earlier.candidate),
        }
    }
}

impl SideCount {
    fn since(&self, earlier: &Self) -> Self {
        let less = |now: &[u64], then: &[u64]| -> Vec<u64> {
            let pairs = now.iter().zip(then);
            pairs.map(|(now, then)| now.saturating_sub(*then)).collect()
        };
        let mut ends = self.ends;
        for (end, then) in ends.iter_mut().zip(earlier.ends) {
            *end = end.saturating_sub(then);
        }
        Self {
            ends,
            latency: less(&self.latency, &earlier.latency),
            first_token: less(&self.first_token, &earlier.first_token),
        }
    }

    /// Calls that ended.
    pub fn calls(&self) -> u64 {
        self.ends.iter().sum()
    }

    /// Calls that ended so.
    pub fn ended(&self, end: End) -> u64 {
        self.ends[end.index()]
    }

    /// From arrival to the last byte, of calls that were not denied. Where the
    /// caller gave up it is the time until then, so at most what it would have
    /// been.
    pub fn latency(&self) -> Quantiles<'_> {
        Quantiles(&self.latency)
    }

    /// From arrival to the first token; the same holds of streams that were
    /// given up before it.
    pub fn first_token(&self) -> Quantiles<'_> {
        Quantiles(&self.first_token)
    }
}

/// Times to look quantiles up in.
#[derive(Clone, Copy, Debug)]
pub struct Quantiles<'a>(&'a [u64]);

impl Quantiles<'_> {
    /// How many times there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time that so many percent are at most: it lies from the first to
    /// the second, microseconds. Zeros where there are none.
    pub fn percent(&self, percent: u64) -> (u64, u64) {
        let all = u128::from(self.count());
        let mut seen = 0u128;
        for (bucket, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            seen += u128::from(*count);
            if seen * 100 >= all * u128::from(percent) {
                return times(bucket);
            }
        }
        (0, 0)
    }
}

/// Marks that a window keeps within its length: its figures reach back by at
/// most this part more than they say.
const MARKS: u64 = 12;

/// The last stretch of time of a roll-out's counts.
#[derive(Debug)]
pub struct Window {
    length_us: u64,
    /// Moments and what was counted then, oldest first.
    marks: VecDeque<(u64, SidesCount)>,
}

impl Window {
    /// A window of this length, which begins with nothing counted.
    pub fn new(length_us: u64) -> Self {
        Self {
            length_us,
            marks: VecDeque::new(),
        }
    }

    /// What was counted within the window, now that it comes to `now`.
    pub fn take(&mut self, now_us: u64, now: SidesCount) -> SidesCount {
        // None: it reaches back to before time began.
        let begin_us = now_us.checked_sub(self.length_us);
        let is_before = |mark_us: u64| begin_us.is_some_and(|begin_us| mark_us <= begin_us);
        // The first mark is the youngest from before the window, if any is.
        while self.marks.get(1).is_some_and(|mark| is_before(mark.0)) {
            self.marks.pop_front();
        }
        let within = match self.marks.front() {
            Some((mark_us, mark)) if is_before(*mark_us) => now.since(mark),
            Some(_) | None => now.clone(),
        };
        let is_due = self
            .marks
            .back()
            .is_none_or(|(mark_us, _)| now_us.saturating_sub(*mark_us) >= self.length_us / MARKS);
        if is_due {
            self.marks.push_back((now_us, now));
        }
        within
    }
}

#[cfg(test)]
mod tests;

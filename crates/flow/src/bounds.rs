//! What the whole of one call is held to.
//!
//! Deliberately not here: what comes of it, before the answer begins
//! (`in_time`) and in a stream (`stream`).

use std::sync::Arc;
use std::task::Context;

use contract::seams::{Alarm, Clock, Ticks};

/// What a call is held to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// When its time is over.
    pub(crate) until: Option<Ticks>,
    /// The time it has, milliseconds.
    pub(crate) latency_ms: u64,
    /// Alternatives that were asked for: a cap on the output is for each.
    pub(crate) choices: u64,
    /// The cap on the output is there for the caller's cost.
    pub(crate) capped_for_cost: bool,
    /// Most tokens of reasoning of one alternative.
    pub(crate) reasoning: Option<u64>,
    /// Whether the model reasoned more than it may was looked at.
    pub(crate) is_judged: bool,
    /// A bound ended a call to a provider, or its answer, before its end.
    pub(crate) cut: bool,
    /// Which one ended a stream.
    pub(crate) cut_by: Option<Reason>,
}

/// Rings when the time of a call is over.
pub(crate) struct Timer {
    until: Ticks,
    clock: Arc<dyn Clock>,
    alarm: Box<dyn Alarm>,
}

impl Timer {
    pub(crate) fn new(until: Ticks, clock: Arc<dyn Clock>) -> Self {
        let alarm = clock.alarm(until);
        Self {
            until,
            clock,
            alarm,
        }
    }

    /// Whether the time is over; looks again when it is.
    pub(crate) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        while self.alarm.poll_ring(cx).is_ready() {
            if self.clock.now() >= self.until {
                return true;
            }
            self.alarm.set(self.until);
        }
        false
    }
}

/// Which bound ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its time.
    Latency,
    /// What it may cost.
    Cost,
    /// The cap on its output, which the provider did not keep to.
    Cap,
    /// What the model may reason.
    Reasoning,
    /// A limit or budget that holds no more of it.
    Budget,
}

impl Reason {
    /// The name in records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Latency => "max_latency",
            Self::Cost => "max_cost",
            Self::Cap => "max_tokens",
            Self::Reasoning => "reasoning_tokens",
            Self::Budget => "budget",
        }
    }
}

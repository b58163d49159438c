//! What a call whose output is reserved in slices holds.
//!
//! Deliberately not here: when a slice is taken (`spending`).

use meter::Admitted;
use meter::prices::Bound;

/// What the output of a stream is reserved by. Tokens are of all answers of
/// the call together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Output tokens of a slice.
    pub(crate) slice: u64,
    /// Most output tokens of the call.
    pub(crate) most: u64,
    /// Its cost is counted.
    pub(crate) costs: bool,
    /// What its cost goes by.
    pub(crate) bound: Bound,
}

impl Terms {
    /// The bound of so much output.
    pub(crate) fn of(&self, output: u64) -> Bound {
        let choices = self.bound.choices.max(1);
        Bound {
            output: output.div_ceil(choices),
            ..self.bound
        }
    }
}

/// What was taken for a slice.
#[derive(Debug)]
pub(crate) struct More {
    /// Of the caller's counters.
    pub(crate) of_caller: Admitted,
    /// Of those of the attempt.
    pub(crate) of_attempt: Admitted,
}

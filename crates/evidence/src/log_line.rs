//! Which exchanges get a log line.
//!
//! Deliberately not here: rendering (`json`) and writing (`store::LineWriter`).

use crate::id::RequestId;

/// Which exchanges get a log line: one line of JSON each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLine {
    /// None.
    #[default]
    Off,
    /// One in so many, chosen by the request id, so that every node and tool
    /// picks the same ones.
    Sampled(u64),
    /// All.
    Full,
}

impl LogLine {
    /// Whether this exchange gets a line.
    pub fn wants(self, id: &RequestId) -> bool {
        match self {
            Self::Off => false,
            Self::Sampled(n) => id.sampled(n),
            Self::Full => true,
        }
    }
}

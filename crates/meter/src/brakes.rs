//! Brakes that look at one call by itself.
//!
//! Deliberately not here: brakes that count over calls, which are quotas.

use std::sync::Arc;

use crate::quota::{Hold, Scope};

/// The most that one call may reason.
#[derive(Clone, Debug)]
pub struct ReasoningBrake {
    /// Name in records and metrics.
    pub name: Arc<str>,
    /// Whose calls.
    pub scope: Scope,
    /// What it does about what it finds.
    pub hold: Hold,
    /// Reasoning tokens of one answer.
    pub tokens: u64,
}

//! What stays with a call that has an idempotency key.
//!
//! Deliberately not here: what becomes of the key (`idempotency`).

use http::HeaderValue;
use store::{Asked, Capture, KeptReply, LiveClaim, RepliesError, ReplyLane, Settled};

/// What a call owes to its key.
pub(crate) struct Idempotent {
    /// Until it is settled.
    pub(crate) live: Option<LiveClaim>,
    /// Largest answer that is kept; none where answers are not.
    pub(crate) retains: Option<usize>,
    /// Attempts of which the provider saw nothing.
    pub(crate) unsent: Vec<usize>,
    /// The head of the answer, where it is to be kept.
    pub(crate) head: Option<KeptReply>,
    /// Its body so far.
    pub(crate) body: Option<Capture>,
    /// The way to the store.
    pub(crate) lane: ReplyLane,
    /// The store's word that the end is kept.
    pub(crate) kept: Option<Asked<Settled, RepliesError>>,
}

/// The answer of an earlier call.
pub(crate) struct Replayed {
    /// Id of that call.
    pub(crate) by: HeaderValue,
    /// What it answered.
    pub(crate) reply: KeptReply,
}

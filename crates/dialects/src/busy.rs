//! What a provider says within an answer when it cannot go on for now. Each
//! way of saying it comes to the same fault as the status that the vendors
//! give before an answer: 429 for a limit, 503 or 529 for an overload.
//!
//! Deliberately not here: statuses, which the providers' room classifies.

use contract::{Fault, FaultKind, Origin, Retry};

/// The wait told to callers, since no header can tell one here, milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// The provider limits how much it is asked: its 429.
pub(crate) fn limited(private: String) -> Fault {
    Fault::new(
        FaultKind::UpstreamBusy,
        Origin::Provider,
        "The provider's rate limit is reached, so it broke the answer off. Wait a moment and try \
         again.",
    )
    .retry(Retry::After { ms: RETRY_AFTER_MS })
    .because(private)
}

/// The provider is overloaded: its 503 or 529. The caller did not ask too
/// much, so it is not told to slow down by a 429.
pub(crate) fn overloaded(private: String) -> Fault {
    Fault::upstream_broken(
        "The provider is overloaded and broke the answer off. Wait a moment and try again.",
    )
    .retry(Retry::After { ms: RETRY_AFTER_MS })
    .because(private)
}

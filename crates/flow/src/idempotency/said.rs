//! What callers are told of idempotency keys.
//!
//! Deliberately not here: when which of it is told.

use contract::{Fault, FaultKind, Origin, Retry};
use store::{Crowded, ReplyRow};

/// Pause before a repeat may find that the first call has ended.
const AGAIN_MS: u64 = 2_000;

fn conflicts(public: String) -> Fault {
    Fault::new(FaultKind::Conflict, Origin::Client, public).at("idempotency-key")
}

pub(super) fn malformed() -> Fault {
    Fault::bad_request(
        "`idempotency-key` must be there once and hold 1 to 255 printable ASCII characters. Make \
         a new random one, such as a UUID, for each call, and send the same one when you repeat \
         that call.",
    )
    .at("idempotency-key")
}

pub(super) fn conflict(by: &str) -> Fault {
    conflicts(format!(
        "`idempotency_conflict`: this idempotency key was used for another request (`{by}`): the \
         path or the body differs. Nothing was sent. Send the same body byte for byte to repeat \
         that call, or make a new key for a new one."
    ))
}

pub(super) fn not_retained(by: &str, status: u16) -> Fault {
    conflicts(format!(
        "`completed_not_retained`: the first call with this idempotency key (`{by}`) was answered \
         with status {status}, and this gateway has not kept its answer. Nothing was sent a second \
         time. To ask again, which is a new call, make a new key."
    ))
}

pub(super) fn unknown(by: &str) -> Fault {
    conflicts(format!(
        "`outcome_unknown`: the first call with this idempotency key (`{by}`) was cut off, so the \
         provider may have carried it out. Nothing was sent a second time. If a second call does \
         no harm, make a new key."
    ))
}

pub(super) fn still_running(row: &ReplyRow) -> Fault {
    let by = &row.by;
    Fault::new(
        FaultKind::Timeout,
        Origin::Gateway,
        format!(
            "`still_running`: the first call with this idempotency key (`{by}`) still runs. Nothing \
             was sent a second time. Repeat later with the same key."
        ),
    )
    .retry(Retry::After { ms: AGAIN_MS })
}

pub(super) fn crowded(crowded: Crowded) -> Fault {
    match crowded {
        Crowded::ThisCall => Fault::new(
            FaultKind::RateLimited,
            Origin::Gateway,
            "Too many repeats wait for the first call with this idempotency key. Nothing was sent \
             a second time. Repeat later, one at a time.",
        ),
        Crowded::AllCalls => Fault::new(
            FaultKind::Overloaded,
            Origin::Gateway,
            "Too many repeats wait for the first calls with their idempotency keys. Nothing was \
             sent a second time. Repeat shortly with the same key.",
        ),
    }
    .retry(Retry::After { ms: AGAIN_MS })
}

pub(super) fn full() -> Fault {
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "The gateway keeps as many idempotency keys as it may, so it cannot promise that a repeat \
         of this call is not a second one. Nothing was sent. Try again later, or leave \
         `idempotency-key` out; operators can raise `idempotency.keys_max` or shorten \
         `idempotency.ttl`.",
    )
}

pub(super) fn unavailable() -> Fault {
    Fault::new(
        FaultKind::Overloaded,
        Origin::Gateway,
        "The gateway cannot look up idempotency keys at the moment, so it cannot promise that this \
         is not a second call. Nothing was sent. Repeat shortly with the same key.",
    )
}

//! The real `tollgate` process over loopback: started, called, signalled,
//! killed and replaced as an operator would.
//!
//! No test asserts a duration and none sleeps to let something happen: what
//! is waited for is a condition, and [`HANG`] only ends a test that hangs.
//! Deliberately not here: what a single room does, which its own tests say.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, says why, and lives in real time"
)]

mod approvals;
mod cancel;
mod client;
mod database;
mod explain;
mod first_run;
mod gateway;
mod handover;
mod idempotency;
mod identity;
#[path = "../../../../testbed/src/issuer.rs"]
#[expect(
    unreachable_pub,
    reason = "the testbed publishes it; here it is taken in as it is"
)]
mod issuer;
mod labels;
mod leaving;
mod ledger;
mod lending;
mod limits;
mod listeners;
mod mtls;
mod observe;
mod operator;
mod plans;
#[path = "../../../store-remote/src/postgres/tests/server.rs"]
mod postgres;
mod records;
mod reload;
mod replicas;
mod rollout;
mod rubbish;
mod shared;
mod shared_replies;
mod spend;
mod upstream;
#[path = "../../../store-remote/src/valkey/tests/server.rs"]
mod valkey;
mod virtual_keys;

use std::time::{Duration, Instant};

/// Ends a test that hangs.
const HANG: Duration = Duration::from_secs(20);

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: it never came to be");
        std::thread::sleep(Duration::from_millis(5));
    }
}

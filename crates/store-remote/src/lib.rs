//! Counters that several replicas share: leases of limits and budgets, kept in
//! a Valkey or Redis server.
//!
//! A replica holds shares of each counter and admits calls within them, so the
//! path of a call waits for no other machine as long as they last. Over all
//! replicas what is settled, reserved and leased is never more than the limit,
//! but for what calls come to beyond what was reserved for them.
//!
//! Deliberately not here: the arithmetic of limits (`meter`), when counters
//! are asked (`flow`), and the ledger.

mod call;
mod counters;
mod line;
#[cfg(test)]
mod model;
mod replica;
mod shares;
mod valkey;

pub use counters::{Figures, LeaseFigures, SharedCounters};
pub use replica::{OnUnavailable, SharedOptions};
pub use valkey::{UrlFault, ValkeyUrl};

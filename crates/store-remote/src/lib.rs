//! What several replicas share: counters by leases, kept in a Valkey or Redis
//! server, and a PostgreSQL database, which keeps the replies of calls that may
//! be repeated.
//!
//! A replica holds shares of each counter and admits calls within them, so the
//! path of a call waits for no other machine as long as they last. Over all
//! replicas what is settled, reserved and leased is never more than the limit,
//! but for what calls come to beyond what was reserved for them.
//!
//! Deliberately not here: the arithmetic of limits (`meter`), when counters
//! are asked (`flow`), and the journal of each gateway (`store`).

#![expect(
    clippy::disallowed_methods,
    reason = "this room waits for servers in real time"
)]

mod call;
mod counters;
pub mod ledger;
mod line;
#[cfg(test)]
mod model;
pub mod postgres;
mod replica;
mod replies;
mod shares;
mod valkey;

pub use counters::{Figures, LeaseFigures, SharedCounters};
pub use replica::{OnUnavailable, SharedOptions};
pub use replies::PostgresReplies;
pub use valkey::{UrlFault, ValkeyUrl};

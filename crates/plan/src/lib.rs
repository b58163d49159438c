//! What is in force: `tollgate.yaml` becomes a [`Document`], and a document
//! becomes an immutable [`Plan`]. A plan has no sockets, locks or atomics;
//! each exchange loads it once.
//!
//! Pure. Deliberately not here: reading files and variables (they come in
//! through [`Sources`]), watching them, and chance.

mod check;
mod compile;
mod diagnostic;
mod digest;
mod discover;
mod document;
mod idempotency;
mod interpolate;
mod keep;
mod load;
mod path;
mod plan;
mod reference;
mod role;
mod rollout;
mod show;
mod tokenizers;
mod yaml;

/// The date of the public contract, as a number.
pub const CONTRACT: u32 = access::metadata::CURRENT.number;

pub use compile::{
    ClientCa, Compiled, DrainTimes, EdgeLimits, EvidenceSettings, Given, Listener, SharedCounters,
    SharedDatabase, TlsFiles, Where, compile, key_quotas, shared_database,
};
pub use diagnostic::{Diagnostic, Severity, render, to_json};
pub use discover::{Discovery, SANDBOX_MODEL, discover};
pub use document::*;
pub use idempotency::Idempotency;
pub use interpolate::Sources;
pub use keep::{Kept, keep};
pub use load::{Draft, read};
pub use plan::{
    LossPolicy, MaxCost, OperationBytes as OperationLimits, Operator, Plan, ProviderPlan,
    Reservation, Settings, Times,
};
pub use reference::{reference, rule_pages};
pub use role::Role;
pub use rollout::{
    Abort, Breach, Figures, InForce, Pick, Range, Rollout, Share, SideFigures, Spread,
};
pub use show::{show, show_json};
pub use tokenizers::Tokenizers;

#[cfg(test)]
mod tests;

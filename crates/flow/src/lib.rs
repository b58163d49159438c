//! The one path of a request: every endpoint, every dialect, streaming or
//! not, refusals included, leaves through here with exactly one record.
//!
//! `flow` composes the decisions of `judge`, the formats of `dialects` and
//! the vendors of `providers`, and carries prepared calls across the `Wire`
//! seam. Deliberately not here: sockets, the real clock, and any decision of
//! its own.

mod approval;
mod arrived;
mod asking;
mod attempt;
mod bounds;
mod count;
mod cut_off;
mod estimate;
mod exchange;
mod faults;
mod handles;
mod held;
mod idempotency;
mod in_time;
mod inspect;
mod keyed;
mod local;
mod metadata;
mod observe;
mod path;
mod policy;
mod prepare;
mod pricing;
mod purse;
mod reasoning;
mod reply;
mod rollout;
mod settled;
mod spending;
mod stream;
mod tokens;
mod whole;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use access::LiveKeys;
use arc_swap::ArcSwap;
use contract::seams::{Clock, Dice, Wire};
use evidence::Evidence;
use meter::{Counters, Quotas};
use plan::InForce;
use providers::Loans;
use store::{ApprovalLane, Inflight, ReplyLane};

pub use estimate::factors::Factors;
pub use exchange::{Caller, Exchange};
pub use handles::Handles;
pub use reply::{Cut, Reply, ReplyBody, ReplyStream};
pub use spending::alerts::Alerts;
pub use spending::lines::Lines;
pub use tokens::{AskForKeys, Tokens};

/// What every exchange of a worker needs.
pub struct Flow {
    /// The plan in force, and the candidate of a roll-out; each exchange loads
    /// it once.
    pub plan: Arc<ArcSwap<InForce>>,
    /// Keys that were made at run time; read once by each exchange.
    pub keys: Arc<ArcSwap<LiveKeys>>,
    /// Tokens of identity providers.
    pub tokens: Tokens,
    /// The way to upstreams.
    pub wire: Arc<dyn Wire>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub dice: Arc<dyn Dice>,
    /// Where records go.
    pub evidence: Evidence,
    /// Temporary keys of providers; read for each call that is signed.
    pub loans: Arc<ArcSwap<Loans>>,
    /// The way to approvals; where there is none, what needs one is refused.
    pub approvals: Option<ApprovalLane>,
    /// Where limits and budgets are counted.
    pub counters: Arc<dyn Counters>,
    /// Limits and budgets that keys have of their own, by their ids.
    pub key_quotas: Arc<ArcSwap<HashMap<String, Arc<Quotas>>>>,
    /// Calls that wait for room.
    pub lines: Arc<Lines>,
    /// Who is told of budgets.
    pub alerts: Arc<Alerts>,
    /// Where an exchange is noted before its first byte goes upstream, so that
    /// a process that is killed forgets nothing that was reserved.
    pub inflight: Option<Arc<dyn Inflight>>,
    /// The way to the replies of earlier calls; where there is none, a call
    /// with an idempotency key is refused.
    pub replies: Option<ReplyLane>,
    /// What the figures of providers have taught about counts of tokens.
    pub factors: Arc<Factors>,
    /// Metric handles that were resolved before.
    pub handles: Handles,
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flow")
    }
}

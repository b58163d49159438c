//! Approvals: which calls wait for people, and what those said.
//! [`SqliteApprovals`] keeps them in a file of the data folder, and
//! [`MemoryApprovals`] in memory; [`conformance`] holds both to one behaviour.
//! [`ApprovalLane`] asks either on a thread of its own, so that the path of a
//! request never waits for the disk in its own thread.
//!
//! Deliberately not here: what needs an approval, and who may vote at all.

pub mod conformance;
mod lane;
mod memory;
mod row;
mod sqlite;

pub use lane::{ApprovalLane, Asked};
pub use memory::MemoryApprovals;
pub use row::{ApprovalRow, ApprovalState, NeedRow, Vote};
pub use sqlite::SqliteApprovals;

/// Most approvals of one page.
pub const APPROVALS_PAGE_MAX: u32 = 1_000;

/// How many approvals may be open (pending, or approved and not used), and
/// how many are kept at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalLimits {
    /// Open ones of a key.
    pub per_key: u64,
    /// Open ones of a tenant.
    pub per_tenant: u64,
    /// Open ones of all tenants.
    pub open: u64,
    /// All that are kept; the oldest that ended make room.
    pub kept: u64,
}

impl Default for ApprovalLimits {
    fn default() -> Self {
        Self {
            per_key: 50,
            per_tenant: 200,
            open: 2_000,
            kept: 20_000,
        }
    }
}

impl ApprovalLimits {
    /// Whether there is room for one more.
    fn check(&self, open: Open) -> Result<(), ApprovalsError> {
        for (whose, open, most) in [
            ("this key", open.of_key, self.per_key),
            ("this tenant", open.of_tenant, self.per_tenant),
            ("all tenants", open.of_all, self.open),
        ] {
            if open >= most {
                return Err(ApprovalsError::Full(whose, most));
            }
        }
        Ok(())
    }
}

/// How many approvals are open.
#[derive(Clone, Copy, Debug)]
struct Open {
    of_key: u64,
    of_tenant: u64,
    of_all: u64,
}

/// Which calls wait for people, and what those said.
pub trait Approvals: Send + Sync {
    /// Keeps a question. It is durable when this returns. If the same caller
    /// has asked the same already and that is open, that one is returned.
    ///
    /// # Errors
    /// `Full` at a limit.
    fn ask(&self, row: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError>;

    /// One approval.
    ///
    /// # Errors
    /// The store cannot be read.
    fn find(&self, id: &str) -> Result<Option<ApprovalRow>, ApprovalsError>;

    /// Keeps what somebody said. It is durable when this returns. A denial
    /// also withdraws what was approved and is not used.
    ///
    /// # Errors
    /// `Unknown`, `Own` where the voter is who asked, `Twice` where they have
    /// voted, `Over` where there is nothing left to say.
    fn vote(&self, id: &str, vote: &Vote) -> Result<ApprovalRow, ApprovalsError>;

    /// Uses an approval for the call with the id `by`, which works once: the
    /// second call gets `false`. It is durable when this returns.
    ///
    /// # Errors
    /// The store cannot be written.
    fn spend(&self, id: &str, by: &str, now_us: u64) -> Result<bool, ApprovalsError>;

    /// A page of approvals, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError>;

    /// How many are pending.
    ///
    /// # Errors
    /// The store cannot be read.
    fn pending(&self, now_us: u64) -> Result<u64, ApprovalsError>;
}

/// Which approvals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only those with a lower number.
    pub before: Option<u64>,
    /// Most of them; at most [`APPROVALS_PAGE_MAX`].
    pub limit: u32,
    /// Only this tenant.
    pub tenant: Option<String>,
    /// Only those in this state.
    pub state: Option<ApprovalState>,
    /// The time at which the state is meant.
    pub now_us: u64,
}

impl ApprovalFilter {
    fn shows(&self, row: &ApprovalRow) -> bool {
        self.tenant.as_ref().is_none_or(|it| *it == row.tenant)
            && self.state.is_none_or(|it| it == row.state(self.now_us))
    }

    fn limit(&self) -> usize {
        self.limit.min(APPROVALS_PAGE_MAX) as usize
    }
}

/// Why a store of approvals did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalsError {
    /// There is no such approval.
    #[error("there is no such approval")]
    Unknown,
    /// Whoever asked cannot approve.
    #[error("whoever asked for an approval cannot give it")]
    Own,
    /// One person votes once.
    #[error("this credential has approved it already, and another one must")]
    Twice,
    /// Nothing is pending any more.
    #[error("this approval is {} and cannot be changed", .0.name())]
    Over(ApprovalState),
    /// There are as many open ones as may be.
    #[error("{1} approvals of {0} are open, which is the most")]
    Full(&'static str, u64),
    /// Too many questions wait for the store.
    #[error("the store of approvals has too much to do")]
    Busy,
    /// The file is not one of approvals, or of a version that is not known.
    #[error("{0}")]
    Foreign(String),
    /// SQLite failed.
    #[error("the store of approvals failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The disk failed.
    #[error("the store of approvals failed: {0}")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;

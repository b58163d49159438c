//! Replies: what came of calls that may be repeated under an idempotency key.
//! [`SqliteReplies`] keeps them in a file of the data folder, and
//! [`MemoryReplies`] in memory; another crate has one for replicas.
//! [`conformance`] holds all to one behaviour.
//! [`ReplyLane`] asks any of them on a thread of its own, so that the path of a
//! request never waits for the disk in its own thread.
//!
//! A key belongs to an app of a tenant: the same text of another one is
//! another key. Neither its text nor the request is kept, only their digests.
//!
//! Deliberately not here: what a repeat is told, and when a call that failed
//! may run again.

mod capture;
pub mod conformance;
mod lane;
mod memory;
mod row;
mod sqlite;

pub use capture::{Capture, Room};
pub use lane::{Crowded, LaneClaimed, LiveClaim, ReplyLane, Seat};
pub use memory::MemoryReplies;
pub use row::{KeptReply, ReplyKey, ReplyRow, ReplyState};
pub use sqlite::SqliteReplies;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Keys of all tenants.
    pub keys: u64,
    /// Keys of one tenant.
    pub keys_per_tenant: u64,
    /// Bytes of all kept replies.
    pub bytes: u64,
}

impl ReplyLimits {
    /// Whether there is room for one more key.
    ///
    /// # Errors
    /// There is none; which limit it is.
    pub fn check(&self, all: Held, tenant: Held) -> Result<(), RepliesError> {
        if all.keys >= self.keys {
            return Err(RepliesError::Full("all tenants", self.keys));
        }
        if tenant.keys >= self.keys_per_tenant {
            return Err(RepliesError::Full("this tenant", self.keys_per_tenant));
        }
        Ok(())
    }
}

/// A call that wants to be the first with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyClaim {
    /// The key.
    pub key: ReplyKey,
    /// BLAKE3 of all that is asked.
    pub request: [u8; 32],
    /// Id of the call.
    pub by: String,
    /// The process that runs it.
    pub owner: String,
    /// Now.
    pub now_us: u64,
    /// How long it counts as running unless that is renewed.
    pub lease_us: u64,
    /// How long the key is kept after its call has ended.
    pub ttl_us: u64,
    /// A call whose outcome nobody knows may be run again.
    pub retakes_unknown: bool,
    /// How much is kept.
    pub limits: ReplyLimits,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The call is the first. That is durable.
    First,
    /// There was one before.
    Found(ReplyRow),
}

/// How a call with a key ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyEnd {
    /// It was answered.
    Completed {
        /// Status of the answer.
        status: u16,
        /// The answer, where it is to be kept.
        reply: Option<KeptReply>,
    },
    /// Nothing came of it, so the key is free again.
    Released,
    /// It may have been carried out.
    Unknown,
}

/// What came of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is kept, with the reply if there was one.
    Kept,
    /// It is kept, but there was no room for the reply.
    WithoutReply,
    /// There was nothing to end: it ended before, or another call has the key.
    Gone,
}

/// How much is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Keys.
    pub keys: u64,
    /// Bytes of kept replies.
    pub bytes: u64,
}

/// What came of calls that may be repeated. Each method is one step that
/// another process sees whole or not at all, so a store over a network can
/// implement it with one transaction or script each; it may block, since
/// [`ReplyLane`] asks on a thread of its own.
pub trait Replies: Send + Sync {
    /// Takes the key, if no call has it, or its time is over, or (where the
    /// claim says so) nobody knows what became of the same call. It is durable
    /// when this returns.
    ///
    /// # Errors
    /// `Full` at a limit; those whose time is over have made room before.
    fn claim(&self, claim: &ReplyClaim) -> Result<Claimed, RepliesError>;

    /// Whether a call with this key runs.
    ///
    /// # Errors
    /// The store cannot be read.
    fn is_running(&self, key: &ReplyKey, now_us: u64) -> Result<bool, RepliesError>;

    /// Ends the call `by` with this key, also one whose lease is over. It is
    /// durable when this returns; only the first end counts.
    ///
    /// # Errors
    /// The store cannot be written.
    fn settle(
        &self,
        key: &ReplyKey,
        by: &str,
        end: &ReplyEnd,
        at: (u64, ReplyLimits),
    ) -> Result<Settled, RepliesError>;

    /// Calls of this process go on.
    ///
    /// # Errors
    /// The store cannot be written.
    fn renew(&self, owner: &str, now_us: u64, lease_us: u64) -> Result<(), RepliesError>;

    /// Removes at most so many whose time is over, oldest first; how many.
    ///
    /// # Errors
    /// The store cannot be written.
    fn forget(&self, now_us: u64, most: u64) -> Result<u64, RepliesError>;

    /// How much is there.
    ///
    /// # Errors
    /// The store cannot be read.
    fn held(&self) -> Result<Held, RepliesError>;
}

/// Why a store of replies did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RepliesError {
    /// There are as many keys as may be.
    #[error("{1} idempotency keys of {0} are kept, which is the most")]
    Full(&'static str, u64),
    /// Too much waits for the store.
    #[error("the store of replies has too much to do")]
    Busy,
    /// The file is not one of replies, or of a version that is not known.
    #[error("{0}")]
    Foreign(String),
    /// SQLite failed.
    #[error("the store of replies failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The disk failed.
    #[error("the store of replies failed: {0}")]
    Io(#[from] std::io::Error),
    /// A store over the network failed, or did not answer in time.
    #[error("the store of replies failed: {0}")]
    Remote(RemoteFault),
}

/// What a store over the network did of what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFault {
    /// Nothing: it was not asked, or refused.
    #[error("{0}")]
    NotDone(String),
    /// Nobody knows.
    #[error("{0}")]
    Unknown(String),
}

impl RepliesError {
    /// Whether what was asked may have been done all the same.
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Self::Full(..) | Self::Busy | Self::Foreign(_) => false,
            Self::Remote(RemoteFault::NotDone(_)) => false,
            Self::Sqlite(_) | Self::Io(_) | Self::Remote(RemoteFault::Unknown(_)) => true,
        }
    }
}

impl crate::Unasked for RepliesError {
    fn busy() -> Self {
        Self::Busy
    }
}

#[cfg(test)]
mod tests;

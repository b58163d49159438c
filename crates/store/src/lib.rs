//! Stores, named by the question they answer. [`Journal`] is the append-only
//! truth of every exchange: [`SegmentLog`] keeps it on disk, [`MemoryJournal`]
//! in memory, and [`conformance`] holds both to one behaviour. [`RecordIndex`]
//! is a SQLite index over a journal that may lag and can be rebuilt at will.
//! [`Keys`] are the virtual keys that were made at run time, [`Approvals`] the
//! calls that wait for people. [`Inflight`] is what is under way, so that a
//! process that is killed forgets none of it.
//! calls that wait for people, [`Replies`] what came of calls that may be
//! repeated.
//!
//! This is an IO room: it touches the disk, threads and the real clock.
//! Deliberately not here: the format of a record. Payloads are bytes, and the
//! columns of the index come from an [`Extract`] function that is handed in.

#![expect(
    clippy::disallowed_methods,
    reason = "this room owns threads and the real clock"
)]

pub mod approvals;
mod asked;
pub mod cabinet;
pub mod changes;
pub mod conformance;
mod desk;
pub mod index;
pub mod inflight;
pub mod journal;
pub mod keys;
pub mod lines;
pub mod log;
pub mod memory;
pub mod options;
mod private;
pub mod process;
pub mod reader;
mod recover;
pub mod replies;
pub mod segment;
pub mod shelf;
mod sqlite;
pub mod verify;
mod writer;

pub use approvals::{
    ApprovalFilter, ApprovalLane, ApprovalLimits, ApprovalRow, ApprovalState, Approvals,
    ApprovalsError, MemoryApprovals, NeedRow, SqliteApprovals, Vote,
};
pub use asked::{Asked, Unasked};
pub use cabinet::Cabinet;
pub use changes::{ChangeError, ChangeLog};
pub use index::{
    Extract, Filter, Found, IndexError, IndexOptions, IndexStatus, Leg, LimitHit, RecordIndex, Row,
};
pub use inflight::{
    DeadTable, Inflight, InflightError, InflightHealth, InflightLanes, InflightOptions,
    InflightRow, InflightState, InflightTable, TABLES_MAX, Tables, Tag,
};
pub use journal::{
    Cursor, Entry, EntryKind, Full, Head, Health, Journal, Place, ReadError, Receipt, Slot, Ticket,
};
pub use keys::{
    Copied, KeyCounts, KeyFilter, KeyRow, KeyState, Keys, KeysCopy, KeysError, MemoryKeys,
    OnRevoke, SecretRow, SqliteKeys,
};
pub use lines::LineWriter;
pub use log::{COPY_MARK, SegmentLog};
pub use memory::MemoryJournal;
pub use options::{Durability, LogOptions};
pub use reader::{Check, Reader};
pub use recover::LogError;
pub use replies::{
    Capture, Claimed, Crowded, KeptReply, LaneClaimed, LiveClaim, MemoryReplies, Replies,
    RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyLane, ReplyLimits, ReplyRow, ReplyState,
    Settled, SqliteReplies,
};
pub use shelf::{Edit, MirroredShelf, Shelf};
pub use verify::{Finding, Report, verify};

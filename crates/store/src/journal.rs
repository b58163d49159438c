//! The journal: what happened, in order, never changed afterwards. The trait,
//! its words, and the slot that makes an append infallible.
//!
//! Deliberately not here: any backend, and the meaning of a payload.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// An append-only journal of byte payloads with a hash chain.
pub trait Journal: Send + Sync + 'static {
    /// May one more entry be written? A slot is taken before the work begins
    /// whose outcome must be recorded, so that the append itself cannot fail.
    fn try_slot(&self) -> Result<Slot, Full>;
    /// The last entry that readers can see.
    fn head(&self) -> Head;
    /// How it is doing.
    fn health(&self) -> Health;
    /// Reads forward from sequence `from` (1 is the first). `hint` is the
    /// [`Entry::after`] of the entry before it, which saves the search.
    fn cursor(&self, from: u64, hint: Option<Place>) -> Result<Box<dyn Cursor>, ReadError>;
    /// The one entry at `place`, which must carry `sequence`.
    fn entry_at(&self, place: Place, sequence: u64) -> Result<Entry, ReadError>;
    /// Waits until everything sent before this call is visible to readers.
    /// `false` if `wait` passed first.
    fn flush(&self, wait: Duration) -> bool;
}

/// A position in a journal that moves forward.
pub trait Cursor: Send {
    /// The next entry; `None` at the present end, after which a later call
    /// may find more.
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError>;
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the journal, from 1, without holes.
    pub sequence: u64,
    /// What the payload is.
    pub kind: EntryKind,
    /// The bytes as they were sent.
    pub payload: Vec<u8>,
    /// BLAKE3 over the previous entry's hash, sequence, kind and payload.
    pub hash: [u8; 32],
    /// Where it lies.
    pub place: Place,
    /// Where the entry after it will lie, if in the same segment.
    pub after: Place,
}

impl Entry {
    /// The journal's head when this entry was its last.
    pub fn head(&self) -> Head {
        Head {
            sequence: self.sequence,
            hash: self.hash,
        }
    }
}

/// What the payload of an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Bytes of the caller.
    Record,
    /// A note of the journal itself that a torn tail was cut off; see
    /// [`crate::segment::Gap`].
    Gap,
    /// Bytes of the caller of which only the first
    /// [`crate::segment::PAYLOAD_BYTES_MAX`] were kept.
    Clipped,
}

/// Where an entry lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first sequence of its segment, which is also the segment's name.
    pub segment: u64,
    /// Offset of the entry in the segment, in bytes.
    pub offset: u64,
}

/// The end of a journal: enough to notice any later change of what lies
/// before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Sequence of the last entry; 0 when empty.
    pub sequence: u64,
    /// Its hash; zeros when empty.
    pub hash: [u8; 32],
}

/// How a journal is doing. All counts are since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Set while writes fail and are being retried.
    pub failing: Option<Failing>,
    /// Writes or syncs that failed.
    pub errors: u64,
    /// Last sequence handed in.
    pub sent: u64,
    /// Last sequence visible to readers.
    pub written: u64,
    /// Last sequence known to survive a power loss.
    pub synced: u64,
    /// Slots that are taken: exchanges under way and entries not yet written.
    pub slots_in_use: u64,
    /// Limit of `slots_in_use`.
    pub slots_max: u64,
    /// Bytes that wait to be written.
    pub queued_bytes: u64,
    /// Slots refused because the queue was full.
    pub refused: u64,
    /// Slots dropped without an entry. Each is a bug of the caller.
    pub abandoned: u64,
    /// Entries of which only a part was kept; see [`EntryKind::Clipped`].
    pub clipped: u64,
    /// Entries that came after the journal was closed and are lost.
    pub lost_after_close: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

impl Health {
    /// Entries that were handed in and are not yet visible.
    pub fn queued(&self) -> u64 {
        self.sent.saturating_sub(self.written)
    }
}

/// Writes fail and are being retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when, in microseconds since the Unix epoch.
    pub since_unix_us: u64,
    /// The error, for operators.
    pub error: String,
}

/// No slot is free: the journal cannot promise to record one more exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal is full: {in_use} of {max} slots are taken, {queued_bytes} bytes wait")]
pub struct Full {
    /// Slots taken.
    pub in_use: u64,
    /// Limit of slots.
    pub max: u64,
    /// Bytes that wait to be written.
    pub queued_bytes: u64,
}

/// Why a journal could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system failed.
    #[error("reading the journal failed at {what}: {source}")]
    Io {
        /// Which file.
        what: String,
        /// The error.
        source: std::io::Error,
    },
    /// The bytes are not what was written.
    #[error("the journal is damaged in segment {segment} at byte {offset}: {why}")]
    Damaged {
        /// Segment.
        segment: u64,
        /// Offset in it.
        offset: u64,
        /// What does not fit.
        why: &'static str,
    },
    /// The entries are not there (removed, or never written).
    #[error("the journal does not hold sequence {sequence}; it begins at {first}")]
    Missing {
        /// The sequence asked for.
        sequence: u64,
        /// The first one that exists.
        first: u64,
    },
}

/// The receiving side of a slot; implemented by each backend.
pub trait Intake: Send + Sync {
    /// Takes the payload and frees the slot in its own time. Never blocks on
    /// the disk, never fails. Returns the sequence.
    fn take(&self, payload: &[u8]) -> u64;
    /// Frees a slot that was not used.
    fn give_back(&self);
    /// Whether `sequence` has reached the durability that is configured;
    /// otherwise keeps the waker until then.
    fn poll_durable(&self, sequence: u64, waker: &Waker) -> bool;
    /// Whether `sequence` is visible to readers, and so survives the death of
    /// the process. Cheap: no lock is taken.
    fn is_written(&self, sequence: u64) -> bool;
}

/// The right to append one entry. Dropping it unused gives it back and is
/// counted in [`Health::abandoned`].
pub struct Slot {
    intake: Option<Arc<dyn Intake>>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

impl Slot {
    /// A slot of this backend, which has already counted it as taken.
    pub fn new(intake: Arc<dyn Intake>) -> Self {
        Self {
            intake: Some(intake),
        }
    }

    /// Appends one entry. Never blocks and never fails, so a `Drop` may call
    /// it. The ticket may be ignored.
    pub fn send(mut self, payload: &[u8]) -> Ticket {
        let intake = self
            .intake
            .take()
            .expect("a slot holds its intake until it is used, and send consumes it");
        let sequence = intake.take(payload);
        Ticket { sequence, intake }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(intake) = self.intake.take() {
            intake.give_back();
        }
    }
}

/// The receipt of an appended entry: a future that is ready once the entry is
/// as durable as configured. With `batch` it is ready at once. While writes
/// fail it waits, so the caller sets the deadline.
pub struct Ticket {
    sequence: u64,
    intake: Arc<dyn Intake>,
}

impl Ticket {
    /// The entry's sequence.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The same entry, to be asked after later.
    pub fn receipt(&self) -> Receipt {
        Receipt {
            sequence: self.sequence,
            intake: self.intake.clone(),
        }
    }
}

/// Which entry of which journal: it outlives its [`Ticket`], and belongs to
/// the journal that took the entry, whichever one is written by now.
#[derive(Clone)]
pub struct Receipt {
    sequence: u64,
    intake: Arc<dyn Intake>,
}

impl Receipt {
    /// Whether readers see the entry. An entry that came after the close is
    /// never written.
    pub fn is_written(&self) -> bool {
        self.sequence > 0 && self.intake.is_written(self.sequence)
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({})", self.sequence)
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({})", self.sequence)
    }
}

impl Future for Ticket {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.intake.poll_durable(self.sequence, cx.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

//! The desk between the callers and the writer thread: bounded slots, one
//! buffer of framed entries, and the words by which a caller wakes the writer
//! or waits for it.
//!
//! Waking costs a system call, so nobody wakes a writer that looks by itself
//! every few milliseconds; it is woken only when it has parked, when much is
//! queued, or when somebody waits for durability.
//!
//! Deliberately not here: files and the hash chain.

use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::journal::{EntryKind, Failing, Full, Head, Health, Intake};
use crate::options::{Durability, LogOptions};
use crate::segment::{self, PAYLOAD_BYTES_MAX};

/// Capacity of the queue's buffer that is kept when traffic ebbs, in bytes.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

pub(crate) struct Desk {
    options: LogOptions,
    slots_in_use: AtomicU64,
    queued_bytes: AtomicU64,
    closed: AtomicBool,
    pending: Mutex<Pending>,
    done: Mutex<Done>,
    /// The sequence of `done.head`, for those who ask often.
    written: AtomicU64,
    progressed: Condvar,
    writer: OnceLock<Thread>,
    pub(crate) tally: Tally,
}

/// Counts since the log was opened.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) errors: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    refused: AtomicU64,
    abandoned: AtomicU64,
    clipped: AtomicU64,
    lost_after_close: AtomicU64,
}

struct Pending {
    framed: Vec<u8>,
    /// Entries in `framed` that hold a slot.
    slots: u64,
    next: u64,
    writer: Writer,
    /// Somebody waits: the writer shall not nap before the next write.
    hurry: bool,
    stopping: bool,
    /// The writer has gone; nothing more will be written.
    gone: bool,
}

/// What the writer thread is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Awake; it will look again by itself.
    Awake,
    /// Asleep for one flush interval.
    Napping,
    /// Asleep until woken.
    Parked,
}

struct Done {
    head: Head,
    synced: u64,
    failing: Option<Failing>,
    /// Tickets that wait, by sequence.
    waiting: BTreeMap<u64, Waker>,
}

/// What the writer takes from the desk.
pub(crate) struct Batch {
    pub(crate) framed: Vec<u8>,
    pub(crate) slots: u64,
}

/// What the writer shall do next.
pub(crate) enum Next {
    /// Write this.
    Write(Batch),
    /// Nothing came for a while; sync if that is due, then call again.
    Idle,
    /// Everything is written and nothing more will come.
    Stop,
}

impl Desk {
    pub(crate) fn new(options: LogOptions, head: Head) -> Self {
        Self {
            options,
            slots_in_use: AtomicU64::new(0),
            queued_bytes: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            pending: Mutex::new(Pending {
                framed: Vec::new(),
                slots: 0,
                next: head.sequence + 1,
                writer: Writer::Awake,
                hurry: false,
                stopping: false,
                gone: false,
            }),
            done: Mutex::new(Done {
                head,
                synced: head.sequence,
                failing: None,
                waiting: BTreeMap::new(),
            }),
            written: AtomicU64::new(head.sequence),
            progressed: Condvar::new(),
            writer: OnceLock::new(),
            tally: Tally::default(),
        }
    }

    // For callers.

    pub(crate) fn try_slot(&self) -> Result<(), Full> {
        let in_use = self.slots_in_use.fetch_add(1, Relaxed);
        let queued_bytes = self.queued_bytes.load(Relaxed);
        let full = in_use >= self.options.slots_max || queued_bytes >= self.options.queue_bytes_max;
        if full || self.closed.load(Relaxed) {
            self.slots_in_use.fetch_sub(1, Relaxed);
            self.tally.refused.fetch_add(1, Relaxed);
            return Err(Full {
                in_use,
                max: self.options.slots_max,
                queued_bytes,
            });
        }
        Ok(())
    }

    pub(crate) fn head(&self) -> Head {
        self.done().head
    }

    pub(crate) fn health(&self) -> Health {
        let sent = self.pending().next - 1;
        let done = self.done();
        Health {
            failing: done.failing.clone(),
            errors: self.tally.errors.load(Relaxed),
            sent,
            written: done.head.sequence,
            synced: done.synced,
            slots_in_use: self.slots_in_use.load(Relaxed),
            slots_max: self.options.slots_max,
            queued_bytes: self.queued_bytes.load(Relaxed),
            refused: self.tally.refused.load(Relaxed),
            abandoned: self.tally.abandoned.load(Relaxed),
            clipped: self.tally.clipped.load(Relaxed),
            lost_after_close: self.tally.lost_after_close.load(Relaxed),
            bytes_written: self.tally.bytes_written.load(Relaxed),
        }
    }

    /// Waits until all that was sent before is written. `false` after `wait`.
    pub(crate) fn flush(&self, wait: Duration) -> bool {
        let target = {
            let mut pending = self.pending();
            let target = pending.next - 1;
            if self.done().head.sequence < target {
                pending.hurry = true;
                self.wake(pending);
            }
            target
        };
        let deadline = Instant::now() + wait;
        let mut done = self.done();
        while done.head.sequence < target {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.progressed.wait_timeout(done, left);
            done = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Refuses new slots and tells the writer to end once all is written.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        let mut pending = self.pending();
        pending.stopping = true;
        self.wake(pending);
    }

    /// Waits until no slot is out. `false` after `wait`.
    pub(crate) fn settle(&self, wait: Duration) -> bool {
        self.closed.store(true, Relaxed);
        let deadline = Instant::now() + wait;
        let mut done = self.done();
        while self.slots_in_use.load(Relaxed) > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            // A slot given back unused tells nobody, so look now and then.
            let look = left.min(Duration::from_millis(20));
            let waited = self.progressed.wait_timeout(done, look);
            done = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Wakes the writer if it sleeps. Ends the lock before the system call.
    fn wake(&self, mut pending: MutexGuard<'_, Pending>) {
        let asleep = pending.writer != Writer::Awake;
        pending.writer = Writer::Awake;
        drop(pending);
        if let Some(writer) = self.writer.get().filter(|_| asleep) {
            writer.unpark();
        }
    }

    // For the writer thread.

    pub(crate) fn attach(&self, writer: Thread) {
        // The one writer thread attaches once, before it takes anything.
        let _ = self.writer.set(writer);
    }

    /// Sleeps as the traffic asks, then takes what is queued. `spare` is an
    /// empty buffer to swap in. Returns [`Next::Idle`] at most once per
    /// `linger`, and parks after that until something comes.
    pub(crate) fn next(&self, spare: Vec<u8>, idle_since: &mut Option<Instant>) -> Next {
        let nap = Duration::from_millis(self.options.flush_ms);
        let mut napped = false;
        loop {
            let mut pending = self.pending();
            pending.writer = Writer::Awake;
            let much = pending.framed.len() >= self.options.flush_bytes;
            let eager = self.options.durability != Durability::Batch;
            if !pending.framed.is_empty()
                && (napped || much || eager || pending.hurry || pending.stopping)
            {
                *idle_since = None;
                return Next::Write(take(&mut pending, spare));
            }
            if pending.stopping && pending.framed.is_empty() {
                pending.gone = true;
                return Next::Stop;
            }
            if pending.framed.is_empty() {
                pending.hurry = false;
                match *idle_since {
                    None => *idle_since = Some(Instant::now()),
                    Some(since) if since.elapsed().as_millis() >= self.options.linger_ms.into() => {
                        *idle_since = None;
                        pending.framed.shrink_to(BUFFER_BYTES_KEPT);
                        return Next::Idle;
                    }
                    Some(_) => {}
                }
            }
            pending.writer = Writer::Napping;
            drop(pending);
            std::thread::park_timeout(nap);
            napped = true;
        }
    }

    /// Sleeps until something is queued or the log closes. A short nap after
    /// it lets a batch gather, which is [`Desk::next`]'s to do.
    pub(crate) fn park(&self) {
        let mut pending = self.pending();
        if pending.framed.is_empty() && !pending.stopping && !pending.hurry {
            pending.writer = Writer::Parked;
            drop(pending);
            std::thread::park();
        }
    }

    /// The writer failed and will try again; waits that long or until the log
    /// closes. `false` once it has closed.
    pub(crate) fn failed(&self, error: &std::io::Error, now_unix_us: u64, wait: Duration) -> bool {
        self.tally.errors.fetch_add(1, Relaxed);
        {
            let mut done = self.done();
            let since = done.failing.take().map(|failing| failing.since_unix_us);
            done.failing = Some(Failing {
                since_unix_us: since.unwrap_or(now_unix_us),
                error: error.to_string(),
            });
            self.progressed.notify_all();
        }
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut pending = self.pending();
            pending.writer = Writer::Awake;
            if pending.stopping || left.is_zero() {
                return !pending.stopping;
            }
            pending.writer = Writer::Napping;
            drop(pending);
            std::thread::park_timeout(left);
        }
    }

    /// A batch is visible, and on the medium if `synced`.
    pub(crate) fn wrote(&self, head: Head, batch_bytes: u64, slots: u64, synced: bool) {
        self.tally.bytes_written.fetch_add(batch_bytes, Relaxed);
        self.queued_bytes.fetch_sub(batch_bytes, Relaxed);
        let mut done = self.done();
        done.head = head;
        // Before the slots are free: a row of an exchange under way is free
        // then too, so there is one for each slot.
        self.written.store(head.sequence, Release);
        self.slots_in_use.fetch_sub(slots, Relaxed);
        done.failing = None;
        if synced {
            done.synced = head.sequence;
        }
        self.tell(done);
    }

    /// Everything written so far is on the medium.
    pub(crate) fn synced(&self) {
        let mut done = self.done();
        done.synced = done.head.sequence;
        done.failing = None;
        self.tell(done);
    }

    /// Whether the close was asked for.
    pub(crate) fn closing(&self) -> bool {
        self.pending().stopping
    }

    /// The writer gives up a batch that cannot be written before the close.
    pub(crate) fn lost(&self, batch: &Batch) {
        self.tally.lost_after_close.fetch_add(batch.slots, Relaxed);
        self.slots_in_use.fetch_sub(batch.slots, Relaxed);
    }

    fn tell(&self, mut done: MutexGuard<'_, Done>) {
        let reached = self.reached(&done);
        let later = done.waiting.split_off(&reached.saturating_add(1));
        let ready = std::mem::replace(&mut done.waiting, later);
        drop(done);
        self.progressed.notify_all();
        ready.into_values().for_each(Waker::wake);
    }

    /// The last sequence that is as durable as configured.
    fn reached(&self, done: &Done) -> u64 {
        match self.options.durability {
            Durability::Batch => u64::MAX,
            Durability::Written => done.head.sequence,
            Durability::Synced => done.synced,
        }
    }

    // Nothing that can panic runs under these locks, save for the allocator.

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(pending: &mut Pending, mut spare: Vec<u8>) -> Batch {
    if spare.capacity() > BUFFER_BYTES_KEPT && pending.framed.len() < BUFFER_BYTES_KEPT {
        spare.shrink_to(BUFFER_BYTES_KEPT);
    }
    Batch {
        framed: std::mem::replace(&mut pending.framed, spare),
        slots: std::mem::take(&mut pending.slots),
    }
}

impl Intake for Desk {
    fn take(&self, payload: &[u8]) -> u64 {
        let (payload, kind) = match payload.get(..PAYLOAD_BYTES_MAX) {
            Some(head) if head.len() < payload.len() => {
                self.tally.clipped.fetch_add(1, Relaxed);
                (head, EntryKind::Clipped)
            }
            Some(_) | None => (payload, EntryKind::Record),
        };
        let bytes = (segment::ENTRY_HEAD_BYTES + payload.len()) as u64;
        let mut pending = self.pending();
        if pending.gone {
            drop(pending);
            self.tally.lost_after_close.fetch_add(1, Relaxed);
            self.slots_in_use.fetch_sub(1, Relaxed);
            return 0;
        }
        let sequence = pending.next;
        pending.next += 1;
        pending.slots += 1;
        segment::frame(&mut pending.framed, sequence, kind, payload);
        // Added before the lock ends, so the writer cannot subtract it first.
        self.queued_bytes.fetch_add(bytes, Relaxed);
        let wake = match pending.writer {
            Writer::Awake => false,
            Writer::Parked => true,
            Writer::Napping => {
                self.options.durability != Durability::Batch
                    || pending.framed.len() >= self.options.flush_bytes
            }
        };
        if wake {
            self.wake(pending);
        }
        sequence
    }

    fn give_back(&self) {
        self.tally.abandoned.fetch_add(1, Relaxed);
        self.slots_in_use.fetch_sub(1, Relaxed);
    }

    fn poll_durable(&self, sequence: u64, waker: &Waker) -> bool {
        let mut done = self.done();
        let ready = sequence <= self.reached(&done);
        if !ready {
            done.waiting.insert(sequence, waker.clone());
        }
        ready
    }

    fn is_written(&self, sequence: u64) -> bool {
        sequence <= self.written.load(Acquire)
    }
}

//! A process that may be killed between any two things that it does to the
//! outside: what it does later reaches nobody, and what was written stays.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use contract::seams::{Clock, Going, Inbound, Outbound, Wire, WireFault, WireFaultKind};
use store::journal::{Intake, Ticket};
use store::{
    Cursor, Entry, EntryKind, Full, Head, Health, Inflight, InflightError, InflightHealth,
    InflightRow, InflightTable, Journal, Place, ReadError, Slot, Tag,
};

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::ledger::Who;

/// Whether a process lives, and how much it may still do.
pub(super) struct Life {
    alive: AtomicBool,
    left: AtomicU64,
}

impl Life {
    /// A process that dies before it does one thing more than so many.
    pub(super) fn new(acts: u64) -> Arc<Self> {
        Arc::new(Self {
            alive: AtomicBool::new(true),
            left: AtomicU64::new(acts),
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(SeqCst)
    }

    /// It does something; `false`: it is dead.
    pub(super) fn acts(&self) -> bool {
        if !self.is_alive() {
            return false;
        }
        match self.left.load(SeqCst) {
            0 => self.alive.store(false, SeqCst),
            left => self.left.store(left - 1, SeqCst),
        }
        self.is_alive()
    }
}

/// What is on the disk: entries, of which those up to `written` survive.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) entries: Vec<Vec<u8>>,
    written: usize,
}

impl Disk {
    /// The process died: what was only gathered is gone.
    pub(super) fn crash(&mut self) {
        self.entries.truncate(self.written);
    }

    /// Writes an entry at once.
    pub(super) fn write(&mut self, payload: Vec<u8>) {
        self.entries.push(payload);
        self.written = self.entries.len();
    }
}

/// The journal of one process.
#[derive(Clone)]
pub(super) struct LifeJournal(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) life: Arc<Life>,
    /// Draws when gathered entries are written.
    pub(super) chance: Mutex<Chance>,
    pub(super) in_use: AtomicU64,
}

/// Nothing that can panic runs under these locks.
pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal for LifeJournal {
    fn try_slot(&self) -> Result<Slot, Full> {
        self.0.in_use.fetch_add(1, SeqCst);
        Ok(Slot::new(self.0.clone()))
    }

    fn head(&self) -> Head {
        Head {
            sequence: lock(&self.0.disk).entries.len() as u64,
            hash: [0; 32],
        }
    }

    fn health(&self) -> Health {
        Health {
            slots_in_use: self.0.in_use.load(SeqCst),
            ..Health::default()
        }
    }

    fn cursor(&self, from: u64, _: Option<Place>) -> Result<Box<dyn Cursor>, ReadError> {
        let all = lock(&self.0.disk).entries.clone();
        let first = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(Box::new(Pages { all, next: first }))
    }

    fn entry_at(&self, _: Place, sequence: u64) -> Result<Entry, ReadError> {
        let found = self.cursor(sequence, None)?.next_entry()?;
        found.ok_or(ReadError::Missing { sequence, first: 1 })
    }

    fn flush(&self, _: Duration) -> bool {
        true
    }
}

impl Intake for Shared {
    fn take(&self, payload: &[u8]) -> u64 {
        if !self.life.acts() {
            return 0;
        }
        self.in_use.fetch_sub(1, SeqCst);
        let mut disk = lock(&self.disk);
        disk.entries.push(payload.to_vec());
        if lock(&self.chance).one_in(2) {
            disk.written = disk.entries.len();
        }
        disk.entries.len() as u64
    }

    fn give_back(&self) {
        self.in_use.fetch_sub(1, SeqCst);
    }

    fn poll_durable(&self, _: u64, _: &Waker) -> bool {
        true
    }

    fn is_written(&self, sequence: u64) -> bool {
        sequence <= lock(&self.disk).written as u64
    }
}

struct Pages {
    all: Vec<Vec<u8>>,
    next: usize,
}

impl Cursor for Pages {
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let Some(payload) = self.all.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let place = Place {
            segment: 1,
            offset: self.next as u64,
        };
        Ok(Some(Entry {
            sequence: self.next as u64,
            kind: EntryKind::Record,
            payload: payload.clone(),
            hash: [0; 32],
            place,
            after: place,
        }))
    }
}

/// The table of calls under way of one process, on a store that is down at
/// times.
pub(super) struct LifeInflight {
    pub(super) table: Arc<InflightTable>,
    pub(super) life: Arc<Life>,
    pub(super) clock: SimClock,
    /// When the store is down, milliseconds since the start of the run.
    pub(super) down: Vec<(u64, u64)>,
    /// A mistake: what could not be written goes here, and counts as written.
    pub(super) elsewhere: Option<Arc<InflightTable>>,
}

impl LifeInflight {
    fn check(&self) -> Result<(), InflightError> {
        if !self.life.acts() {
            return Err(InflightError::Closed);
        }
        let now_ms = self.clock.now().0 / 1_000_000;
        let mut down = self.down.iter();
        match down.any(|(from, until)| (*from..*until).contains(&now_ms)) {
            true => Err(InflightError::Io {
                what: "the disk".into(),
                source: std::io::Error::other("simulated"),
            }),
            false => Ok(()),
        }
    }
}

impl Inflight for LifeInflight {
    fn begin(&self, row: &[u8]) -> Result<Tag, InflightError> {
        match (self.check(), &self.elsewhere) {
            (Ok(()), _) => self.table.begin(row),
            (Err(_), Some(elsewhere)) if self.life.is_alive() => elsewhere.begin(row),
            (Err(error), _) => Err(error),
        }
    }

    fn amend(&self, tag: &mut Tag, row: &[u8]) -> Result<(), InflightError> {
        match (self.check(), &self.elsewhere) {
            (Ok(()), _) => self.table.amend(tag, row),
            (Err(_), Some(_)) if self.life.is_alive() => Ok(()),
            (Err(error), _) => Err(error),
        }
    }

    fn end(&self, tag: Tag, row: &[u8], ticket: &Ticket) {
        // While the store is down, the row stays what it was.
        if self.life.acts() {
            self.table.end(tag, row, ticket);
        }
    }

    fn cancel(&self, tag: Tag) {
        if self.life.acts() {
            self.table.cancel(tag);
        }
    }

    fn health(&self) -> InflightHealth {
        self.table.health()
    }

    fn others(&self) -> Result<Vec<InflightRow>, InflightError> {
        Ok(Vec::new())
    }
}

/// A wire that a dead process sends nothing over.
pub(super) struct LifeWire<W> {
    pub(super) inner: Arc<W>,
    pub(super) life: Arc<Life>,
    /// Told when the head of an answer has come.
    pub(super) on_head: Box<dyn Fn(usize) + Send + Sync>,
}

impl<W: Wire> Wire for LifeWire<W> {
    fn send(&self, outbound: Outbound) -> Going<'_, Result<Inbound, WireFault>> {
        if !self.life.acts() {
            return Box::pin(async {
                Err(WireFault {
                    kind: WireFaultKind::Connect,
                    detail: "the process is dead".into(),
                    sent: false,
                })
            });
        }
        let who = Who::parse(&outbound.endpoint.id);
        let sent = self.inner.send(outbound);
        Box::pin(async move {
            let inbound = sent.await?;
            if let Some(who) = who {
                (self.on_head)(who.exchange);
            }
            Ok(inbound)
        })
    }
}

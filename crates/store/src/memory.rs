//! A journal in memory: for tests and for a gateway that was told to keep
//! nothing. Same chain, same bounds, no disk.
//!
//! Deliberately not here: durability; an entry is as durable as it gets at
//! once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::journal::{
    Cursor, Entry, EntryKind, Full, Head, Health, Intake, Journal, Place, ReadError, Slot,
};
use crate::segment::{self, PAYLOAD_BYTES_MAX};

/// A bounded journal in memory.
pub struct MemoryJournal {
    shared: Arc<Shared>,
}

struct Shared {
    slots_max: u64,
    entries_max: u64,
    kept: Mutex<Kept>,
    refused: AtomicU64,
    abandoned: AtomicU64,
}

#[derive(Default)]
struct Kept {
    entries: Vec<Entry>,
    slots_in_use: u64,
    bytes: u64,
    clipped: u64,
}

impl MemoryJournal {
    /// A journal of at most `entries_max` entries, of which at most
    /// `slots_max` may be promised at once.
    pub fn new(slots_max: u64, entries_max: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                slots_max,
                entries_max,
                kept: Mutex::default(),
                refused: AtomicU64::new(0),
                abandoned: AtomicU64::new(0),
            }),
        }
    }
}

impl Shared {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Nothing that can panic runs under this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, sequence: u64) -> Option<Entry> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.kept().entries.get(index).cloned()
    }
}

impl Journal for MemoryJournal {
    fn try_slot(&self) -> Result<Slot, Full> {
        let mut kept = self.shared.kept();
        let promised = kept.entries.len() as u64 + kept.slots_in_use;
        if kept.slots_in_use >= self.shared.slots_max || promised >= self.shared.entries_max {
            self.shared.refused.fetch_add(1, Relaxed);
            return Err(Full {
                in_use: kept.slots_in_use,
                max: self.shared.slots_max,
                queued_bytes: 0,
            });
        }
        kept.slots_in_use += 1;
        Ok(Slot::new(self.shared.clone()))
    }

    fn head(&self) -> Head {
        let kept = self.shared.kept();
        kept.entries.last().map_or(Head::default(), |entry| Head {
            sequence: entry.sequence,
            hash: entry.hash,
        })
    }

    fn health(&self) -> Health {
        let kept = self.shared.kept();
        let written = kept.entries.len() as u64;
        Health {
            sent: written,
            written,
            slots_in_use: kept.slots_in_use,
            slots_max: self.shared.slots_max,
            refused: self.shared.refused.load(Relaxed),
            abandoned: self.shared.abandoned.load(Relaxed),
            clipped: kept.clipped,
            bytes_written: kept.bytes,
            ..Health::default()
        }
    }

    fn cursor(&self, from: u64, _: Option<Place>) -> Result<Box<dyn Cursor>, ReadError> {
        if from == 0 {
            return Err(ReadError::Missing {
                sequence: 0,
                first: 1,
            });
        }
        Ok(Box::new(MemoryCursor {
            shared: self.shared.clone(),
            next: from,
        }))
    }

    fn entry_at(&self, _: Place, sequence: u64) -> Result<Entry, ReadError> {
        self.shared
            .entry(sequence)
            .ok_or(ReadError::Missing { sequence, first: 1 })
    }

    fn flush(&self, _: Duration) -> bool {
        true
    }
}

impl Intake for Shared {
    fn take(&self, payload: &[u8]) -> u64 {
        let mut kept = self.kept();
        let prev = kept.entries.last().map_or([0; 32], |entry| entry.hash);
        let sequence = kept.entries.len() as u64 + 1;
        let (payload, kind) = match payload.get(..PAYLOAD_BYTES_MAX) {
            Some(head) if head.len() < payload.len() => (head, EntryKind::Clipped),
            Some(_) | None => (payload, EntryKind::Record),
        };
        let place = |sequence| Place {
            segment: 1,
            offset: sequence,
        };
        kept.clipped += u64::from(kind == EntryKind::Clipped);
        kept.bytes += payload.len() as u64;
        kept.entries.push(Entry {
            sequence,
            kind,
            payload: payload.to_vec(),
            hash: segment::chain(&prev, sequence, kind, payload),
            place: place(sequence),
            after: place(sequence + 1),
        });
        kept.slots_in_use -= 1;
        sequence
    }

    fn give_back(&self) {
        self.kept().slots_in_use -= 1;
        self.abandoned.fetch_add(1, Relaxed);
    }

    fn poll_durable(&self, _: u64, _: &Waker) -> bool {
        true
    }

    fn is_written(&self, _: u64) -> bool {
        true
    }
}

struct MemoryCursor {
    shared: Arc<Shared>,
    next: u64,
}

impl Cursor for MemoryCursor {
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let entry = self.shared.entry(self.next);
        self.next += u64::from(entry.is_some());
        Ok(entry)
    }
}

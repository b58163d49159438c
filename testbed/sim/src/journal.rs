//! The journal of the simulation: the one in memory, or one that loses or
//! doubles entries for the mutants that do.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use store::journal::Intake;
use store::{Cursor, Entry, Full, Head, Health, Journal, MemoryJournal, Place, ReadError, Slot};

use crate::mutant::Mutant;

/// A journal that may be told to make a mistake.
pub(crate) struct SimJournal {
    inner: Arc<MemoryJournal>,
    mutant: Mutant,
    taken: AtomicU64,
}

impl SimJournal {
    /// A journal of so many slots.
    pub(crate) fn new(slots: u64, mutant: Mutant) -> Self {
        // A doubled record needs a slot of its own.
        let slots = slots
            * if mutant == Mutant::DoubledRecord {
                2
            } else {
                1
            };
        Self {
            inner: Arc::new(MemoryJournal::new(slots, 1_024)),
            mutant,
            taken: AtomicU64::new(0),
        }
    }
}

impl Journal for SimJournal {
    fn try_slot(&self) -> Result<Slot, Full> {
        let slot = self.inner.try_slot()?;
        let nth = self.taken.fetch_add(1, Relaxed);
        let lost = self.mutant == Mutant::DroppedRecord && nth.is_multiple_of(3);
        let second = match self.mutant {
            Mutant::DoubledRecord => Some(self.inner.try_slot()?),
            _ => None,
        };
        if !lost && second.is_none() {
            return Ok(slot);
        }
        Ok(Slot::new(Arc::new(Bent {
            slots: Mutex::new((Some(slot).filter(|_| !lost), second)),
        })))
    }

    fn head(&self) -> Head {
        self.inner.head()
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn cursor(&self, from: u64, hint: Option<Place>) -> Result<Box<dyn Cursor>, ReadError> {
        self.inner.cursor(from, hint)
    }

    fn entry_at(&self, place: Place, sequence: u64) -> Result<Entry, ReadError> {
        self.inner.entry_at(place, sequence)
    }

    fn flush(&self, wait: Duration) -> bool {
        self.inner.flush(wait)
    }
}

/// A slot that writes twice, or not at all.
struct Bent {
    slots: Mutex<(Option<Slot>, Option<Slot>)>,
}

impl Intake for Bent {
    fn take(&self, payload: &[u8]) -> u64 {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, second) = std::mem::take(&mut *slots);
        let sent = [first, second].into_iter().flatten();
        sent.map(|slot| slot.send(payload).sequence())
            .last()
            .unwrap_or(0)
    }

    fn give_back(&self) {}

    fn poll_durable(&self, _: u64, _: &Waker) -> bool {
        true
    }

    fn is_written(&self, _: u64) -> bool {
        true
    }
}

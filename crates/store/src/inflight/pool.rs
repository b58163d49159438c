//! Which slots of a table are free, and when an ended one is free again.
//!
//! Deliberately not here: the bytes of a slot (`cells`).

use std::collections::VecDeque;

use super::InflightError;
use crate::journal::Receipt;

/// A slot without an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) index: u32,
    /// Of its latest cell; 0 if nothing was ever written.
    pub(super) generation: u64,
}

/// The slots of a table.
pub(super) struct Pool {
    /// Free; the file still has a row that the journal has too.
    dirty: Vec<Spot>,
    /// Free, and so says the file.
    clean: Vec<Spot>,
    /// Ended; free once the journal has written the entry.
    ending: VecDeque<(Spot, Receipt)>,
    /// Slots from this one on were never used.
    fresh: u32,
    /// Where the journal was when it was last looked at.
    now: u64,
    slots_max: u32,
    is_closed: bool,
}

impl Pool {
    pub(super) fn new(slots_max: u32, now: u64) -> Self {
        Self {
            dirty: Vec::new(),
            clean: Vec::new(),
            ending: VecDeque::new(),
            fresh: 0,
            now,
            slots_max,
            is_closed: false,
        }
    }

    /// A slot for a new exchange, and where the journal is. One that was used
    /// a moment ago comes first.
    pub(super) fn take(&mut self) -> Result<(Spot, u64), InflightError> {
        if self.is_closed {
            return Err(InflightError::Closed);
        }
        self.reap();
        let spot = self.dirty.pop().or_else(|| self.clean.pop());
        let spot = spot.or_else(|| self.fresh()).or_else(|| {
            self.reap_all();
            self.dirty.pop()
        });
        let Some(spot) = spot else {
            let (rows, ending) = self.counts();
            return Err(InflightError::Full {
                in_use: (rows + ending) as u64,
                max: self.slots_max.into(),
            });
        };
        Ok((spot, self.now))
    }

    /// A slot that was never used.
    fn fresh(&mut self) -> Option<Spot> {
        let index = self.fresh;
        (index < self.slots_max).then(|| {
            self.fresh += 1;
            Spot {
                index,
                generation: 0,
            }
        })
    }

    /// Frees what ended and is written, in order.
    fn reap(&mut self) {
        let is_written = |(_, receipt): &mut (Spot, Receipt)| receipt.is_written();
        while let Some((spot, _)) = self.ending.pop_front_if(is_written) {
            self.dirty.push(spot);
        }
    }

    /// As [`Pool::reap`], also behind one of a journal that is stuck.
    fn reap_all(&mut self) {
        let dirty = &mut self.dirty;
        self.ending.retain(|(spot, receipt)| {
            let is_written = receipt.is_written();
            if is_written {
                dirty.push(*spot);
            }
            !is_written
        });
    }

    /// An exchange that ended.
    pub(super) fn end(&mut self, spot: Spot, receipt: Receipt) {
        self.ending.push_back((spot, receipt));
    }

    /// A slot whose file may still have a row that must not count.
    pub(super) fn give_back_dirty(&mut self, spot: Spot) {
        self.dirty.push(spot);
    }

    /// A slot of which the file has no row.
    pub(super) fn give_back_clean(&mut self, spot: Spot) {
        self.clean.push(spot);
    }

    /// Notes where the journal is. Returns how many slots are dirty.
    pub(super) fn look(&mut self, now: u64) -> usize {
        self.reap_all();
        self.now = self.now.max(now);
        self.dirty.len()
    }

    /// One to clean.
    pub(super) fn take_dirty(&mut self) -> Option<Spot> {
        self.dirty.pop()
    }

    /// Slots of exchanges under way, and ended ones.
    pub(super) fn counts(&self) -> (usize, usize) {
        let free = self.dirty.len() + self.clean.len();
        let ending = self.ending.len();
        (self.fresh as usize - free - ending, ending)
    }

    /// Gives out nothing any more. Returns whether nothing is left that the
    /// journal does not have.
    pub(super) fn close(&mut self) -> bool {
        self.is_closed = true;
        self.reap_all();
        self.counts() == (0, 0)
    }
}

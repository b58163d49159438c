//! A body that is kept while it passes: within its own limit, and within one
//! for all that pass at the same time.
//!
//! Deliberately not here: where it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Most bytes of all bodies that are captured and not yet written.
const CAPTURED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes of a body so far.
#[derive(Debug)]
pub struct Capture {
    bytes: Vec<u8>,
    max: usize,
    room: Room,
}

/// Room for bytes, given back when dropped.
#[derive(Debug)]
pub struct Room {
    all: Arc<AtomicUsize>,
    taken: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.taken, Relaxed);
    }
}

impl Room {
    fn take(&mut self, more: usize) -> bool {
        let fits = |taken: usize| {
            taken
                .checked_add(more)
                .filter(|it| *it <= CAPTURED_BYTES_MAX)
        };
        let taken = self.all.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if taken {
            self.taken += more;
        }
        taken
    }
}

impl Capture {
    /// Nothing yet, of at most `max` bytes; `all` counts what is captured.
    pub(super) fn new(max: usize, all: Arc<AtomicUsize>) -> Self {
        Self {
            bytes: Vec::new(),
            max,
            room: Room { all, taken: 0 },
        }
    }

    /// Takes in what passes. `false`: there is no room, and it is of no more
    /// use.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if self.bytes.len() + bytes.len() > self.max || !self.room.take(bytes.len()) {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// All of it, and the room that it takes until it is dropped.
    pub fn finish(self) -> (Vec<u8>, Room) {
        (self.bytes, self.room)
    }
}

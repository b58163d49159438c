//! Following: records as they are written, read from the journal at the
//! reader's own pace. A slow reader holds nobody up and misses nothing.
//!
//! Deliberately not here: waiting, which belongs to the listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use store::{Cursor, Filter};

use crate::params::Question;
use crate::reading::{self, Shelf};
use crate::records;
use crate::reply::Reply;
use crate::tail;

/// Most followers at once.
pub const FOLLOWERS_MAX: usize = 16;
/// Most entries that one step reads.
const STEP_ENTRIES_MAX: usize = 512;

/// A reader that follows the journal.
pub struct Follow {
    shelf: Shelf,
    filter: Filter,
    /// The next sequence to read.
    next: u64,
    cursor: Option<Box<dyn Cursor>>,
    _seat: Seat,
}

/// What a step gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Lines of JSON; none if nothing new passed the filter.
    Lines(Bytes),
    /// A last line that says what went wrong.
    Failed(Bytes),
}

impl Follow {
    pub(crate) fn new(shelf: Shelf, question: Question, seat: Seat) -> Self {
        let after = question.filter.after.unwrap_or_else(|| shelf.head());
        Self {
            shelf,
            next: after.saturating_add(1),
            filter: question.filter,
            cursor: None,
            _seat: seat,
        }
    }

    /// Whether there are entries that were not read yet. Never waits.
    pub fn has_news(&self) -> bool {
        self.shelf.head() >= self.next
    }

    /// Reads some of them. May read the disk.
    pub fn step(&mut self) -> Step {
        let mut lines = String::new();
        match self.read(&mut lines) {
            Ok(()) => Step::Lines(lines.into()),
            Err(fault) => {
                let mut last = lines.into_bytes();
                last.extend_from_slice(&fault.body);
                last.push(b'\n');
                Step::Failed(last.into())
            }
        }
    }

    fn read(&mut self, lines: &mut String) -> Result<(), Reply> {
        let fault = |error| reading::journal_fault(&error);
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => {
                let (from, hint) = tail::near(&self.shelf, self.next);
                tail::cursor(&self.shelf, from, hint).map_err(fault)?
            }
        };
        for _ in 0..STEP_ENTRIES_MAX {
            let Some(entry) = cursor.next_entry().map_err(fault)? else {
                // The head never promises what cannot be read; if it does
                // nevertheless, going on to it would repeat this for ever.
                self.next = self.next.max(self.shelf.head().saturating_add(1));
                break;
            };
            let is_new = entry.sequence >= self.next;
            self.next = self.next.max(entry.sequence + 1);
            let Some(record) = is_new.then(|| reading::record(&entry)).flatten() else {
                continue;
            };
            let found = reading::found(&entry, &record);
            if tail::lets_through(&self.filter, found.sequence, found.recorded_us, &found.row) {
                lines.push_str(&records::line(&found));
                lines.push('\n');
            }
        }
        self.cursor = Some(cursor);
        Ok(())
    }
}

/// The places of followers.
#[derive(Debug, Default)]
pub(crate) struct Seats(Arc<AtomicUsize>);

/// One taken place.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seats {
    pub(crate) fn take(&self) -> Result<Seat, Reply> {
        let more = |taken: usize| (taken < FOLLOWERS_MAX).then_some(taken + 1);
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        {
            Ok(_) => Ok(Seat(self.0.clone())),
            Err(_) => Err(Reply::fault(
                503,
                "too_many_followers",
                &format!("{FOLLOWERS_MAX} readers follow the records already. End one of them."),
            )),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

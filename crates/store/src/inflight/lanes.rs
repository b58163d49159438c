//! The tables of one process: as many as threads write at once, each in a file
//! of its own. Two threads that write one file wait for each other in the
//! kernel, whichever part of it they write.
//!
//! A thread begins rows in its own table, and in another one where that is
//! full; a row is amended and ended in the table where it was begun.
//! Deliberately not here: the table itself (`table`).

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::dead::Tables;
use super::{
    Inflight, InflightError, InflightHealth, InflightOptions, InflightRow, InflightTable, Tag,
};
use crate::journal::Ticket;

/// Most tables of one process.
pub const TABLES_MAX: usize = 16;

/// Threads are numbered as they come.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of this thread.
fn thread() -> usize {
    let known = THREAD.try_with(|number| {
        let known = number.get();
        let number_is = known.unwrap_or_else(|| THREADS.fetch_add(1, Relaxed));
        number.set(Some(number_is));
        number_is
    });
    // Only while the thread ends; any table is right.
    known.unwrap_or_default()
}

/// The exchanges under way of this process, in tables that threads do not
/// share.
#[derive(Debug)]
pub struct InflightLanes {
    tables: Box<[InflightTable]>,
}

impl InflightLanes {
    /// Makes `count` tables in `dir`, at least 1 and at most [`TABLES_MAX`],
    /// which have room for [`InflightOptions::slots_max`] rows together. The
    /// rest is as for [`InflightTable::create`].
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(
        dir: &Path,
        id: [u8; 16],
        mark: u64,
        (count, options): (usize, InflightOptions),
    ) -> Result<Self, InflightError> {
        let count = count.clamp(1, TABLES_MAX);
        let share = options.slots_max.div_ceil(count as u32);
        let options = InflightOptions { slots_max: share };
        let tables = (0..count).map(|nth| {
            let mut id = id;
            id[0] = id[0].wrapping_add(nth as u8);
            InflightTable::create(dir, id, mark, options)
        });
        Ok(Self {
            tables: tables.collect::<Result<_, _>>()?,
        })
    }

    /// As [`InflightTable::tidy`].
    pub fn tidy(&self, now: u64) {
        self.tables.iter().for_each(|table| table.tidy(now));
    }

    /// As [`InflightTable::close`], of all tables.
    pub fn close(&self) -> bool {
        let left = self.tables.iter().filter(|table| !table.close());
        left.count() == 0
    }

    /// As [`InflightTable::rows`], of all tables.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn rows(&self) -> Result<Vec<InflightRow>, InflightError> {
        let mut all = Vec::new();
        for table in &self.tables {
            all.extend(table.rows()?);
        }
        Ok(all)
    }

    fn own(&self) -> usize {
        thread() % self.tables.len()
    }

    /// Where a row was begun; a table that says so, if in none of these.
    fn table_of(&self, tag: &Tag) -> &InflightTable {
        let mut tables = self.tables.iter();
        let found = tables.find(|table| table.is_own(tag));
        found.unwrap_or(&self.tables[0])
    }
}

impl Inflight for InflightLanes {
    fn begin(&self, row: &[u8]) -> Result<Tag, InflightError> {
        let own = self.own();
        let (before, after) = self.tables.split_at(own);
        let others = after.iter().chain(before);
        let mut full = None;
        for table in others {
            match table.try_begin(row) {
                Err(InflightError::Full { .. }) => full = Some(table),
                done => return done.inspect_err(|error| table.note_refused(error)),
            }
        }
        let health = self.health();
        let error = InflightError::Full {
            in_use: health.rows + health.ending,
            max: health.slots_max,
        };
        full.unwrap_or(&self.tables[own]).note_refused(&error);
        Err(error)
    }

    fn amend(&self, tag: &mut Tag, row: &[u8]) -> Result<(), InflightError> {
        self.table_of(tag).amend(tag, row)
    }

    fn end(&self, tag: Tag, row: &[u8], ticket: &Ticket) {
        self.table_of(&tag).end(tag, row, ticket);
    }

    fn cancel(&self, tag: Tag) {
        self.table_of(&tag).cancel(tag);
    }

    fn health(&self) -> InflightHealth {
        let each = self.tables.iter().map(InflightTable::health);
        each.fold(InflightHealth::default(), |sum, one| InflightHealth {
            rows: sum.rows + one.rows,
            ending: sum.ending + one.ending,
            slots_max: sum.slots_max + one.slots_max,
            refused: sum.refused + one.refused,
            errors: sum.errors + one.errors,
            dropped: sum.dropped + one.dropped,
        })
    }

    fn others(&self) -> Result<Vec<InflightRow>, InflightError> {
        let own: Vec<&Path> = self.tables.iter().filter_map(InflightTable::path).collect();
        match own.first().and_then(|path| path.parent()) {
            Some(dir) => Tables::new(dir).rows_beside(&own),
            None => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;

//! The table of this process: in a file, or in memory for tests and the
//! simulation. The code is the same; only where the bytes go differs.
//!
//! No lock is held while anything is written: a slot belongs to whoever took
//! it from the pool.
//! Deliberately not here: the tables of other processes (`dead`).

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cells::{self, CellState, Header, InMemory, Medium, ROW_BYTES_MAX, Written};
use super::dead::{self, Tables};
use super::pool::{Pool, Spot};
use super::{Inflight, InflightError, InflightHealth, InflightOptions, InflightRow, Tag};
use crate::journal::{Receipt, Ticket};
use crate::private;

/// Room of a thread to put a row together that is kept, in bytes.
const BUFFER_BYTES_KEPT: usize = 16 * 1_024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The exchanges under way of this process.
pub struct InflightTable {
    medium: Box<dyn Medium>,
    /// The file, which is locked; none in memory.
    path: Option<PathBuf>,
    pool: Mutex<Pool>,
    slots_max: u64,
    refused: AtomicU64,
    errors: AtomicU64,
    /// Shared with the tags, and by that their proof of where they belong.
    dropped: Arc<AtomicU64>,
}

impl std::fmt::Debug for InflightTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InflightTable({:?})", self.path)
    }
}

impl InflightTable {
    /// Makes the table of this process in `dir` and locks it. `id` is new in
    /// each process; `mark` is where the journal ends that its records come
    /// to, or anything before that.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(
        dir: &Path,
        id: [u8; 16],
        mark: u64,
        options: InflightOptions,
    ) -> Result<Self, InflightError> {
        private::dir(dir, dead::is_ours).map_err(InflightError::io(dir))?;
        let mut name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        // Between its making and its lock the file looks like one of a dead
        // process, and whoever is looking then may take it away.
        for _ in 0..TRIES_MAX {
            let path = dir.join(format!("{name}.{}", dead::EXTENSION));
            let file = private::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(InflightError::io(&path))?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => {
                    return Self::begun(Box::new(file), Some(path), mark, options);
                }
                Ok(()) | Err(TryLockError::WouldBlock) => name.push('a'),
                Err(TryLockError::Error(error)) => return Err(InflightError::io(&path)(error)),
            }
        }
        let taken = io::Error::other("every new file was taken away by another process");
        Err(InflightError::io(dir)(taken))
    }

    /// One in memory.
    pub fn in_memory(options: InflightOptions) -> Self {
        Self::on(Box::<InMemory>::default(), None, 0, options)
    }

    pub(super) fn begun(
        medium: Box<dyn Medium>,
        path: Option<PathBuf>,
        mark: u64,
        options: InflightOptions,
    ) -> Result<Self, InflightError> {
        let table = Self::on(medium, path, mark, options);
        Header::NEW
            .write(&*table.medium)
            .map_err(InflightError::io(table.place()))?;
        Ok(table)
    }

    fn on(
        medium: Box<dyn Medium>,
        path: Option<PathBuf>,
        mark: u64,
        options: InflightOptions,
    ) -> Self {
        Self {
            medium,
            path,
            pool: Mutex::new(Pool::new(options.slots_max, mark)),
            slots_max: options.slots_max.into(),
            refused: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            dropped: Arc::default(),
        }
    }

    /// The rows as they lie there: what a recovery would find if the process
    /// were killed now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows(&self) -> Result<Vec<InflightRow>, InflightError> {
        cells::rows(&*self.medium).map_err(InflightError::io(self.place()))
    }

    /// Takes rows away that the journal has, and notes where it is for those
    /// to come, so that a recovery need not read all of it. To be called now and then,
    /// off the path of an exchange. `now` is a sequence that the journal had
    /// reached before the call.
    pub fn tidy(&self, now: u64) {
        let dirty = self.pool().look(now);
        for _ in 0..dirty {
            let Some(spot) = self.pool().take_dirty() else {
                return;
            };
            match self.write((spot.index, spot.generation + 1), Written::FREE) {
                Ok(()) => self.pool().give_back_clean(spot.next()),
                Err(_) => {
                    self.pool().give_back_dirty(spot);
                    return;
                }
            }
        }
    }

    /// Begins nothing any more, and removes the file if the journal has all
    /// that is in it; otherwise the next process finds it. Returns whether
    /// nothing was left.
    pub fn close(&self) -> bool {
        let is_done = self.pool().close();
        if let Some(path) = self.path.as_ref().filter(|_| is_done) {
            // One that stays says nothing, and the next process removes it.
            let _ = std::fs::remove_file(path);
        }
        is_done
    }

    fn write(&self, cell: (u32, u64), written: Written) -> Result<(), InflightError> {
        if written.row.len() > ROW_BYTES_MAX {
            return Err(too_long(written.row));
        }
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        let written = cells::write(&*self.medium, &mut buffer, cell, written);
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            // Fails only while the thread ends, when there is nothing to keep.
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
        written.map_err(|error| {
            self.errors.fetch_add(1, Relaxed);
            InflightError::io(self.place())(error)
        })
    }

    /// Begins a row; a refusal is not counted.
    pub(super) fn try_begin(&self, row: &[u8]) -> Result<Tag, InflightError> {
        if row.len() > ROW_BYTES_MAX {
            return Err(too_long(row));
        }
        let (spot, since) = self.pool().take()?;
        let generation = spot.generation + 1;
        let begun = Written {
            state: CellState::Begun,
            since,
            row,
        };
        if let Err(error) = self.write((spot.index, generation), begun) {
            self.pool().give_back_dirty(spot);
            return Err(error);
        }
        Ok(Tag {
            index: spot.index,
            generation,
            since,
            dropped: Some(self.dropped.clone()),
        })
    }

    /// Counts a refusal; what failed on the disk is counted where it did.
    pub(super) fn note_refused(&self, why: &InflightError) {
        if !matches!(why, InflightError::Io { .. }) {
            self.refused.fetch_add(1, Relaxed);
        }
    }

    /// The file; none in memory.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Takes a tag that ends; `None` if it is of another table.
    fn claim(&self, tag: &mut Tag) -> Option<(Spot, u64)> {
        self.is_own(tag).then(|| {
            tag.dropped = None;
            let spot = Spot {
                index: tag.index,
                generation: tag.generation,
            };
            (spot, tag.since)
        })
    }

    pub(super) fn is_own(&self, tag: &Tag) -> bool {
        let dropped = tag.dropped.as_ref();
        dropped.is_some_and(|dropped| Arc::ptr_eq(dropped, &self.dropped))
    }

    fn end_with(&self, mut tag: Tag, row: &[u8], receipt: Receipt) {
        let Some((spot, since)) = self.claim(&mut tag) else {
            self.errors.fetch_add(1, Relaxed);
            return;
        };
        let cell = (spot.index, spot.generation + 1);
        if receipt.is_written() {
            let is_free = self.write(cell, Written::FREE).is_ok();
            let mut pool = self.pool();
            match is_free {
                true => pool.give_back_clean(spot.next()),
                false => pool.give_back_dirty(spot),
            }
            return;
        }
        let ended = Written {
            state: CellState::Ended,
            since,
            row,
        };
        let spot = match self.write(cell, ended) {
            Ok(()) => spot.next(),
            Err(error) => {
                let is_counted = matches!(error, InflightError::Io { .. });
                self.errors.fetch_add(u64::from(!is_counted), Relaxed);
                spot
            }
        };
        self.pool().end(spot, receipt);
    }

    fn place(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("memory"))
    }

    // Nothing that can panic runs under this lock, save for the allocator.

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most names that are tried for a new file.
const TRIES_MAX: u32 = 16;

/// Whether the file has this name still.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let here = file.metadata().ok();
    let there = std::fs::symlink_metadata(path).ok();
    here.zip(there)
        .is_some_and(|(here, there)| (here.dev(), here.ino()) == (there.dev(), there.ino()))
}

fn too_long(row: &[u8]) -> InflightError {
    InflightError::TooLong {
        bytes: row.len(),
        max: ROW_BYTES_MAX,
    }
}

impl Spot {
    /// After one more write.
    fn next(self) -> Self {
        Self {
            generation: self.generation + 1,
            ..self
        }
    }
}

impl Inflight for InflightTable {
    fn begin(&self, row: &[u8]) -> Result<Tag, InflightError> {
        let begun = self.try_begin(row);
        begun.inspect_err(|error| self.note_refused(error))
    }

    fn amend(&self, tag: &mut Tag, row: &[u8]) -> Result<(), InflightError> {
        if !self.is_own(tag) {
            return Err(InflightError::Foreign);
        }
        let generation = tag.generation + 1;
        let begun = Written {
            state: CellState::Begun,
            since: tag.since,
            row,
        };
        let written = self.write((tag.index, generation), begun);
        match &written {
            Ok(()) => tag.generation = generation,
            Err(InflightError::TooLong { .. }) => {
                self.refused.fetch_add(1, Relaxed);
            }
            Err(_) => {}
        }
        written
    }

    fn end(&self, tag: Tag, row: &[u8], ticket: &Ticket) {
        self.end_with(tag, row, ticket.receipt());
    }

    fn cancel(&self, mut tag: Tag) {
        let Some((spot, _)) = self.claim(&mut tag) else {
            self.errors.fetch_add(1, Relaxed);
            return;
        };
        let written = self.write((spot.index, spot.generation + 1), Written::FREE);
        let mut pool = self.pool();
        match written {
            Ok(()) => pool.give_back_clean(spot.next()),
            Err(_) => pool.give_back_dirty(spot),
        }
    }

    fn health(&self) -> InflightHealth {
        let (rows, ending) = self.pool().counts();
        InflightHealth {
            rows: rows as u64,
            ending: ending as u64,
            slots_max: self.slots_max,
            refused: self.refused.load(Relaxed),
            errors: self.errors.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }

    fn others(&self) -> Result<Vec<InflightRow>, InflightError> {
        let Some((own, dir)) = self
            .path
            .as_ref()
            .and_then(|own| own.parent().map(|dir| (own, dir)))
        else {
            return Ok(Vec::new());
        };
        Tables::new(dir).rows_beside(&[own])
    }
}

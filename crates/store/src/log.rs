//! The segment log: a [`Journal`] on disk. One folder, one writer thread.
//!
//! `open` finds the end of the last segment. A torn tail, as a killed process
//! or a power cut leaves it, is copied aside, cut off and journalled as a gap.
//! While writes fail the log keeps trying and its queue fills; then admission
//! says [`Full`], and nothing that was promised is dropped.
//!
//! What survives: a process death loses at most what was sent and not yet
//! written (`flush_ms` with `Durability::Batch`); a power cut loses at most
//! what was not yet synced (`sync_ms`).
//!
//! Deliberately not here: the writing itself (`writer`) and retention.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::desk::Desk;
use crate::journal::{Cursor, Entry, Full, Head, Health, Journal, Place, ReadError, Slot};
use crate::options::LogOptions;
use crate::private;
use crate::reader::{self, Check, Reader};
use crate::recover::{self, LogError};
use crate::writer::{self, Files, OnDisk};

/// File in the folder that is locked while a process has the log open.
const LOCK_FILE: &str = "lock";
/// File in the folder of a lane that is being copied into another journal.
pub const COPY_MARK: &str = "copied-from";
/// Longest wait for the last write when a log is dropped without
/// [`SegmentLog::close`].
const DROP_WAIT: Duration = Duration::from_secs(2);

/// A journal in a folder of segment files.
pub struct SegmentLog {
    dir: PathBuf,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    /// Held for as long as the log is open.
    _lock: File,
}

impl SegmentLog {
    /// Opens or creates the log in `dir` and starts its writer thread.
    pub fn open(dir: &Path, options: LogOptions) -> Result<Self, LogError> {
        Self::open_with(dir, options, OnDisk)
    }

    /// As [`SegmentLog::open`], on these files.
    pub(crate) fn open_with(
        dir: &Path,
        options: LogOptions,
        files: impl Files,
    ) -> Result<Self, LogError> {
        private::dir(dir, is_ours).map_err(LogError::io(dir))?;
        let lock = lock(dir)?;
        tighten(dir)?;
        let end = recover::recover(dir, &options, writer::unix_us())?;
        let desk = Arc::new(Desk::new(options.clone(), end.head));
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread
            .spawn({
                let (desk, dir) = (desk.clone(), dir.to_owned());
                move || writer::run(&desk, dir, options, end, files)
            })
            .map_err(LogError::io(Path::new("its writer thread")))?;
        desk.attach(thread.thread().clone());
        Ok(Self {
            dir: dir.to_owned(),
            desk,
            thread: Some(thread),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Refuses new slots, waits until those that are out have been used, and
    /// writes and syncs everything. What could not be written after `wait` is
    /// lost and returned as a count.
    pub fn close(mut self, wait: Duration) -> u64 {
        self.end(wait)
    }

    fn end(&mut self, wait: Duration) -> u64 {
        if let Some(thread) = self.thread.take() {
            self.desk.settle(wait);
            self.desk.close();
            // A panic of the writer shows as entries that never came.
            let _ = thread.join();
        }
        let health = self.desk.health();
        health.lost_after_close
    }
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        // Slots that are still out are counted as lost when they are used.
        self.desk.flush(DROP_WAIT);
        self.end(Duration::ZERO);
    }
}

impl Journal for SegmentLog {
    fn try_slot(&self) -> Result<Slot, Full> {
        self.desk.try_slot()?;
        Ok(Slot::new(self.desk.clone()))
    }

    fn head(&self) -> Head {
        self.desk.head()
    }

    fn health(&self) -> Health {
        self.desk.health()
    }

    fn cursor(&self, from: u64, hint: Option<Place>) -> Result<Box<dyn Cursor>, ReadError> {
        let reader = match hint {
            Some(place) => Reader::resume(&self.dir, from, place, Check::Checksum)?,
            None => Reader::open(&self.dir, from, Check::Checksum)?,
        };
        Ok(Box::new(reader))
    }

    fn entry_at(&self, place: Place, sequence: u64) -> Result<Entry, ReadError> {
        reader::entry_at(&self.dir, place, sequence)
    }

    fn flush(&self, wait: Duration) -> bool {
        self.desk.flush(wait)
    }
}

/// Whether a name in the folder of a journal is one that journals give: the
/// lock, a segment, a torn tail, the mark of a copy.
fn is_ours(name: &str) -> bool {
    name == LOCK_FILE
        || name.ends_with(".seg")
        || name.contains(".torn-")
        || name.starts_with(COPY_MARK)
}

/// Files of an older version could be read by others.
fn tighten(dir: &Path) -> Result<(), LogError> {
    let entries = std::fs::read_dir(dir).map_err(LogError::io(dir))?;
    for entry in entries {
        let entry = entry.map_err(LogError::io(dir))?;
        if entry.file_name().to_str().is_some_and(is_ours) {
            let path = entry.path();
            private::file(&path).map_err(LogError::io(&path))?;
        }
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK_FILE);
    let file = private::create(&path).map_err(LogError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse {
            dir: dir.display().to_string(),
        }),
        Err(TryLockError::Error(error)) => Err(LogError::io(&path)(error)),
    }
}

#[cfg(test)]
mod tests;

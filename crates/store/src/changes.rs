//! A log of changes that people make: a [`SegmentLog`] that is opened for each
//! entry, so that two processes that hand over to one another can both write
//! to one chain, and whose entry is safe on disk before the call returns.
//!
//! Deliberately not here: what an entry says, and anything that happens more
//! often than people change things.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::{Entry, Journal, ReadError};
use crate::log::SegmentLog;
use crate::options::{Durability, LogOptions};
use crate::reader::{Check, Reader};
use crate::recover::LogError;
use crate::segment::{self, PAYLOAD_BYTES_MAX};

/// Longest wait for another process that writes an entry.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Pause between two looks whether the other process has finished.
const LOCK_LOOK: Duration = Duration::from_millis(10);
/// Longest wait for the disk.
const WRITE_WAIT: Duration = Duration::from_secs(10);
/// Size at which a new segment is begun. Each entry reads the last segment,
/// because it must follow what is there.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// Why an entry was not written.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] LogError),
    /// The disk did not take the entry.
    #[error("the entry could not be written to {0} in time")]
    Write(String),
    /// The entry is longer than any entry may be.
    #[error("the entry has {0} bytes, more than the {PAYLOAD_BYTES_MAX} of an entry")]
    TooLarge(usize),
}

/// A log of changes in a folder.
#[derive(Debug)]
pub struct ChangeLog {
    dir: PathBuf,
    node: [u8; 16],
    /// Held while an entry is written.
    writing: Mutex<()>,
}

impl ChangeLog {
    /// The log in `dir`, which is made with the first entry. `node` names this
    /// node in the header of a new log.
    pub fn new(dir: &Path, node: [u8; 16]) -> Self {
        Self {
            dir: dir.to_owned(),
            node,
            writing: Mutex::new(()),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends an entry and waits until it would survive a power cut. Returns
    /// its sequence.
    ///
    /// # Errors
    /// It was not written, or nobody knows whether it was.
    pub fn append(&self, payload: &[u8]) -> Result<u64, ChangeError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(ChangeError::TooLarge(payload.len()));
        }
        // A writer that panicked left whole entries only.
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.open()?;
        let in_time = || ChangeError::Write(self.dir.display().to_string());
        let slot = log.try_slot().map_err(|_| in_time())?;
        let sequence = slot.send(payload).sequence();
        let is_written = log.flush(WRITE_WAIT);
        match log.close(Duration::ZERO) {
            0 if is_written => Ok(sequence),
            _ => Err(in_time()),
        }
    }

    fn open(&self) -> Result<SegmentLog, LogError> {
        let until = Instant::now() + LOCK_WAIT;
        loop {
            let options = LogOptions {
                node: self.node,
                durability: Durability::Synced,
                flush_ms: 0,
                linger_ms: 0,
                slots_max: 1,
                segment_bytes: SEGMENT_BYTES,
                ..LogOptions::default()
            };
            match SegmentLog::open(&self.dir, options) {
                Err(LogError::InUse { .. }) if Instant::now() < until => {
                    std::thread::sleep(LOCK_LOOK);
                }
                opened => return opened,
            }
        }
    }

    /// Shows entries before the sequence `before`, newest first, until `see`
    /// has enough.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn newest_first(
        &self,
        before: u64,
        see: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let segments = match segment::list(&self.dir) {
            Ok(segments) => segments,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                let what = self.dir.display().to_string();
                return Err(ReadError::Io { what, source });
            }
        };
        let mut end = before;
        for first in segments.into_iter().rev() {
            if first >= end {
                continue;
            }
            let mut reader = Reader::open(&self.dir, first, Check::Chain)?;
            let mut entries = Vec::new();
            while let Some(entry) = crate::journal::Cursor::next_entry(&mut reader)? {
                if entry.sequence >= end {
                    break;
                }
                entries.push(entry);
            }
            if entries.iter().rev().any(|entry| see(entry).is_break()) {
                return Ok(());
            }
            end = first;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

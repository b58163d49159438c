//! The checkpoint of the ledger in the data folder, and whether it is of the
//! journal that lies there.
//!
//! Deliberately not here: what it says (`evidence::ledger`).

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use evidence::Ledger;
use store::{Check, Cursor as _, ReadError, Reader};

/// File of the data folder.
pub(super) const FILE: &str = "ledger.checkpoint";

/// What is there instead of a checkpoint that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Nothing.
    Absent,
    /// This is wrong with it.
    Wrong(String),
}

/// The checkpoint at `path` and a reader that stands behind it, if the
/// journal in `dir` has the entry it speaks of.
pub(super) fn load(path: &Path, dir: &Path) -> Result<(Ledger, Reader), Unusable> {
    let wrong = |why: &dyn std::fmt::Display| Unusable::Wrong(why.to_string());
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unusable::Absent,
        _ => wrong(&error),
    })?;
    let ledger = Ledger::decode(&bytes).map_err(|error| wrong(&error))?;
    let head = ledger.head();
    let from = head.sequence.max(1);
    let mut reader = Reader::open(dir, from, Check::Checksum).map_err(|error| wrong(&error))?;
    if head.sequence > 0 {
        let entry = reader.next_entry().map_err(|error| wrong(&error))?;
        if entry.is_none_or(|entry| entry.head() != head) {
            return Err(wrong(&"it is not of this journal"));
        }
    }
    Ok((ledger, reader))
}

/// Puts a checkpoint in place of the one before.
pub(super) fn save(path: &Path, ledger: &Ledger) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    // Not synced: one that a power cut tears is passed over.
    file.write_all(&ledger.encode())?;
    std::fs::rename(&beside, path)
}

/// A reader of all that the journal in `dir` has from this sequence on.
pub(in crate::records) fn reader(dir: &Path, from: u64) -> Result<Reader, ReadError> {
    match Reader::open(dir, from, Check::Checksum) {
        Err(ReadError::Missing { first, .. }) if first > from => {
            Reader::open(dir, first, Check::Checksum)
        }
        other => other,
    }
}

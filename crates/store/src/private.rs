//! Files and folders that only the user of the gateway reads: records tell
//! who asked what, and when.
//!
//! What is made here is made so. What was made before by an older version, or
//! was copied about, is tightened when it is opened, but only what belongs to
//! this process's own user: a folder that is shared on purpose, and the file
//! of somebody else, stay as they are.
//! Deliberately not here: which files are those of a journal or an index.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// For a file: its owner reads and writes.
const FILE_MODE: u32 = 0o600;
/// For a folder: its owner enters.
const DIR_MODE: u32 = 0o700;

/// Makes a folder and what is above it. One that is there is tightened if all
/// that it holds is known to `is_ours`; one that holds something else is
/// shared, and one that holds nothing was made by somebody for us.
pub(crate) fn dir(path: &Path, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)?;
    let mut holds_any = false;
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if !name.to_str().is_some_and(&is_ours) {
            return Ok(());
        }
        holds_any = true;
    }
    match holds_any {
        true => tighten(path, DIR_MODE),
        false => Ok(()),
    }
}

/// How a file is opened that nobody else is to read, should it be made.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// As [`File::create`].
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let file = options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    tighten(path, FILE_MODE)?;
    Ok(file)
}

/// Tightens a file, if it is there.
pub(crate) fn file(path: &Path) -> io::Result<()> {
    match tighten(path, FILE_MODE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Takes away what others may do. A link is followed by nobody here.
fn tighten(path: &Path, mode: u32) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let is_open = found.mode() & 0o777 & !mode != 0;
    if is_open && is_own(&found) && !found.is_symlink() {
        let kept = found.mode() & mode;
        fs::set_permissions(path, Permissions::from_mode(kept))?;
    }
    Ok(())
}

fn is_own(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests;

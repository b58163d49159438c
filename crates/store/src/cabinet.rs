//! A folder of small files that are replaced whole: written beside, synced and
//! moved into place, under a lock that holds between processes.
//!
//! Deliberately not here: what the files say.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::private;

/// Largest file, bytes.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Longest name of a file, bytes.
const NAME_BYTES_MAX: usize = 64;
const LOCK_FILE: &str = "lock";
/// How a file that is being written ends.
const DRAFT: &str = ".draft";
/// Longest wait for another process.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Pause between two looks whether the other process has finished.
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// A folder of small files.
#[derive(Debug)]
pub struct Cabinet {
    dir: PathBuf,
}

/// Nobody else writes while this is held.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

impl Cabinet {
    /// The cabinet in `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        private::dir(dir, |_| true)?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Waits until no other process writes.
    ///
    /// # Errors
    /// One does for longer than is bearable, or the file system failed.
    pub fn lock(&self) -> io::Result<Held> {
        let file = private::create(&self.dir.join(LOCK_FILE))?;
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(LOCK_LOOK);
                }
                Err(TryLockError::WouldBlock) => {
                    let what = format!("{} is in use by another process", self.dir.display());
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, what));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// The content of a file, if it is there.
    ///
    /// # Errors
    /// It cannot be read or is too large.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path(name)?) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > FILE_BYTES_MAX {
            true => Err(io::Error::other("the file is larger than 8 MiB")),
            false => Ok(Some(bytes)),
        }
    }

    /// Replaces a file; it is whole or as before, whatever happens.
    ///
    /// # Errors
    /// It was not written.
    pub fn write(&self, _held: &Held, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("the file would be larger than 8 MiB"));
        }
        let draft = self.dir.join(format!("{name}{DRAFT}"));
        let mut file = private::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        // The new name must survive a power cut too.
        File::open(&self.dir)?.sync_all()
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, _held: &Held, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Removes files until at most so many are left, the ones that were
    /// written longest ago first.
    ///
    /// # Errors
    /// The folder cannot be read, or a file cannot be removed.
    pub fn thin_out(&self, _held: &Held, files_max: usize) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            // What is being written, and the lock, are no files here.
            if name.to_str().is_some_and(|name| self.path(name).is_ok()) {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        let surplus = files.len().saturating_sub(files_max);
        for (_, path) in files.iter().take(surplus) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// A name may hold nothing that leads out of the folder.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        match is_plain(name) {
            true => Ok(self.dir.join(name)),
            false => Err(not_plain()),
        }
    }
}

/// Whether this can be the name of a small file: letters, digits, `.`, `_` and
/// `-`, and nothing that leads out of a folder or means something in one.
pub fn is_plain(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && !name.ends_with(DRAFT)
        && name != LOCK_FILE
        && name.bytes().all(fits)
}

/// What is said of a name that is not plain.
pub fn not_plain() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "this is no name of a file here",
    )
}

#[cfg(test)]
mod tests {
    //! Cases of the cabinet.

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_replaced_whole_and_read_by_their_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(&home.path().join("plans")).unwrap();
        assert_eq!(cabinet.read("a.json").unwrap(), None);
        let held = cabinet.lock().unwrap();
        for text in ["one", "two"] {
            cabinet.write(&held, "a.json", text.as_bytes()).unwrap();
            assert_eq!(cabinet.read("a.json").unwrap().unwrap(), text.as_bytes());
        }
        let path = home.path().join("plans/a.json");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        cabinet.remove(&held, "a.json").unwrap();
        cabinet.remove(&held, "a.json").unwrap();
        assert_eq!(cabinet.read("a.json").unwrap(), None);
        drop(held);
        drop(cabinet.lock().unwrap());
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(home.path()).unwrap();
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "lock",
            "a\0b",
            "a.draft",
            ".a",
            &"x".repeat(65),
        ] {
            let error = cabinet.read(name).expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }
}

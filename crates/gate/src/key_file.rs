//! Keys that last: made once, kept in a file of the data folder that only the
//! gateway's user can read.
//!
//! Deliberately not here: keys from the configuration, and comparing.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use contract::Secret;

/// Random bytes of a key.
const KEY_BYTES: usize = 24;
/// Longest key file that is read, bytes.
const FILE_BYTES_MAX: u64 = 1_024;
/// Shortest key that is accepted, characters after the prefix.
const KEY_CHARS_MIN: usize = 16;

/// A kind of key: where it lies, and how it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyFile {
    /// File in the data folder.
    name: &'static str,
    /// How the key begins.
    prefix: &'static str,
}

/// The key of the admin API. The command line on the same machine finds it.
pub(crate) const ADMIN: KeyFile = KeyFile {
    name: "admin.key",
    prefix: "tg-admin-",
};

/// The key of callers on this machine, where the configuration has none.
pub(crate) const DEVELOPMENT: KeyFile = KeyFile {
    name: "development.key",
    prefix: "tg-dev-",
};

impl KeyFile {
    /// Where the key of a data folder lies.
    pub(crate) fn path(self, data_dir: &Path) -> PathBuf {
        data_dir.join(self.name)
    }

    /// A key that nobody keeps.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn fresh(self) -> io::Result<Secret<String>> {
        let mut random = [0; KEY_BYTES];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Secret::new(format!("{}{digits}", self.prefix)))
    }

    /// The key of a data folder; made if there is none, with the folder.
    ///
    /// # Errors
    /// The file cannot be read or written, or does not hold a key.
    pub(crate) fn load_or_make(self, data_dir: &Path) -> io::Result<Secret<String>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)?;
        let path = self.path(data_dir);
        match self.make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        // A file that was copied about may have been opened to others.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        self.read(&path)
    }

    fn read(self, path: &Path) -> io::Result<Secret<String>> {
        let wrong = |why: String| {
            let message = format!(
                "{} {why}. Remove it and start again: a new key is made.",
                path.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        if fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(wrong("is too large for a key".to_owned()));
        }
        let text = Secret::new(fs::read_to_string(path)?);
        let key = text.expose().trim();
        match key.strip_prefix(self.prefix) {
            Some(rest) if rest.len() >= KEY_CHARS_MIN => Ok(Secret::new(key.to_owned())),
            Some(_) | None => Err(wrong(format!("does not hold a key (`{}..`)", self.prefix))),
        }
    }

    /// Writes the key beside its place and moves it there, so that nobody ever
    /// reads half a key; a link is no place for one.
    fn make(self, path: &Path) -> io::Result<Secret<String>> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let key = self.fresh()?;
        let draft = path.with_extension(format!("key.{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        let written = writeln!(file, "{}", key.expose()).and_then(|()| file.sync_all());
        // Links instead of renaming: a key that came first stays.
        let placed = written.and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft)?;
        placed.map(|()| key)
    }
}

#[cfg(test)]
mod tests {
    //! Cases of the key files.

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        for kind in [ADMIN, DEVELOPMENT] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("data");
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let key = kind.load_or_make(&dir).unwrap();
            assert!(key.expose().starts_with(kind.prefix));
            assert_eq!(key.expose().len(), kind.prefix.len() + 2 * KEY_BYTES);
            assert_eq!((mode(&dir), mode(&kind.path(&dir))), (0o700, 0o600));
            fs::set_permissions(kind.path(&dir), Permissions::from_mode(0o644)).unwrap();
            let again = kind.load_or_make(&dir).unwrap();
            assert_eq!(again.expose(), key.expose());
            assert_eq!(mode(&kind.path(&dir)), 0o600);
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "tg-admin-",
            "tg-0123456789012345678901234567890",
            &"x".repeat(2_000),
        ] {
            for kind in [ADMIN, DEVELOPMENT] {
                let dir = tempfile::tempdir().unwrap();
                fs::write(kind.path(dir.path()), text).unwrap();
                let error = kind.load_or_make(dir.path()).expect_err(text);
                assert!(error.to_string().contains("Remove it"), "{error}");
            }
        }
    }
}

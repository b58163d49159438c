//! The admin key of a data directory: made once, kept in a file that only the
//! gateway's user can read, so that the command line on the same machine
//! finds it.
//!
//! Deliberately not here: keys from the configuration, and comparing.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use contract::Secret;

/// Random bytes of a key.
const KEY_BYTES: usize = 24;
/// Longest key file that is read, bytes.
const FILE_BYTES_MAX: u64 = 1_024;
/// Shortest key that is accepted, characters after the prefix.
const KEY_CHARS_MIN: usize = 16;
const PREFIX: &str = "tg-admin-";

/// Where the key of a data directory lies.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.key")
}

/// The key of a data directory; made if there is none. `true` if it was made.
///
/// # Errors
/// The file cannot be read or written, or does not hold a key.
pub(crate) fn load_or_make(data_dir: &Path) -> io::Result<(Secret<String>, bool)> {
    let path = path(data_dir);
    match make(&path) {
        Ok(key) => return Ok((key, true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // A file that was copied about may have been opened to others.
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok((read(&path)?, false))
}

fn read(path: &Path) -> io::Result<Secret<String>> {
    let wrong = |why: &str| {
        let message = format!(
            "{} {why}. Remove it and start again: a new key is made.",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(wrong("is too large for a key"));
    }
    let text = Secret::new(fs::read_to_string(path)?);
    let key = text.expose().trim();
    match key.strip_prefix(PREFIX) {
        Some(rest) if rest.len() >= KEY_CHARS_MIN => Ok(Secret::new(key.to_owned())),
        Some(_) | None => Err(wrong("does not hold an admin key (`tg-admin-..`)")),
    }
}

/// Writes the key beside its place and moves it there, so that nobody ever
/// reads half a key; a link is no place for one.
fn make(path: &Path) -> io::Result<Secret<String>> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut random = [0; KEY_BYTES];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = Secret::new(format!("{PREFIX}{digits}"));
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

#[cfg(test)]
mod tests {
    //! Cases of the key file.

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let (key, is_new) = load_or_make(dir.path()).unwrap();
        assert!(is_new && key.expose().starts_with(PREFIX));
        assert_eq!(key.expose().len(), PREFIX.len() + 2 * KEY_BYTES);
        fs::set_permissions(path(dir.path()), Permissions::from_mode(0o644)).unwrap();
        let (again, is_new) = load_or_make(dir.path()).unwrap();
        assert!(!is_new && again.expose() == key.expose());
        let mode = fs::metadata(path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "tg-admin-",
            "tg-0123456789012345678901234567890",
            &"x".repeat(2_000),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(path(dir.path()), text).unwrap();
            let error = load_or_make(dir.path()).expect_err(text);
            assert!(error.to_string().contains("Remove it"), "{error}");
        }
    }
}

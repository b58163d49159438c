//! The key of the digests of virtual keys: 32 random bytes in a file of the
//! data folder. Without it, nobody who reads the store can tell which secrets
//! it knows, and the secrets cannot be found again either.
//!
//! Deliberately not here: the store.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use contract::Secret;

/// Its file.
const FILE: &str = "keys.key";
/// Only the gateway's user reads it.
const MODE: u32 = 0o600;

/// The key of a data folder; made if there is none and `may_make` says that
/// nothing depends on one that was lost.
pub(super) fn load_or_make(data_dir: &Path, may_make: bool) -> io::Result<Secret<[u8; 32]>> {
    let path = data_dir.join(FILE);
    let is_there = path.symlink_metadata().is_ok();
    if !is_there && !may_make {
        let what = format!(
            "{} is missing, and without it no virtual key of this folder can be recognised. Bring \
             it back from a backup, or move keys.sqlite away and make the keys anew.",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    if !is_there {
        match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    // A file that was copied about may have been opened to others.
    fs::set_permissions(&path, Permissions::from_mode(MODE))?;
    let bytes = fs::read(&path)?;
    let key: [u8; 32] = bytes.try_into().map_err(|_| {
        let what = format!(
            "{} is not 32 bytes long. Bring it back from a backup.",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, what)
    })?;
    Ok(Secret::new(key))
}

/// Written beside its place and linked there, so that nobody ever reads half a
/// key, and of two processes at once the first wins.
fn make(path: &Path) -> io::Result<Secret<[u8; 32]>> {
    let mut key = [0; 32];
    super::fill(&mut key)?;
    let key = Secret::new(key);
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(&draft)?;
    let written = file.write_all(key.expose()).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    placed?;
    // The name must last as long as the digests that depend on it.
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(key)
}

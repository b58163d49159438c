//! Random and lasting keys, and the folder they last in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contract::Secret;

/// File of the data folder with the key of plan digests.
const DIGEST_KEY_FILE: &str = "digest.key";
/// For what such a key is made of the secret that replicas share.
const DIGEST_PURPOSE: &str = "tollgate 2026-11 digests of plans of several replicas";

/// 32 random bytes.
pub(super) fn random() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(key)
}

/// The key of plan digests: made once, kept in the data folder, so that the
/// same document has the same digest after a restart. Gateways that shall
/// show equal digests share this file.
///
/// # Errors
/// The folder cannot be made, or the file is not a key.
pub(super) fn digest_key(data_dir: &Path) -> io::Result<[u8; 32]> {
    make_dir(data_dir)?;
    let path = data_dir.join(DIGEST_KEY_FILE);
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            let what = format!("{} is not 32 bytes long; remove it", path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(&path),
        Err(error) => Err(error),
    }
}

/// The key of plan digests that replicas share, so that a secret that is the
/// same for all of them is the same in the digests of all.
///
/// # Errors
/// The folder cannot be made.
pub(super) fn shared_digest_key(secret: &Secret<String>, data_dir: &Path) -> io::Result<[u8; 32]> {
    make_dir(data_dir)?;
    Ok(blake3::derive_key(
        DIGEST_PURPOSE,
        secret.expose().as_bytes(),
    ))
}

/// Only we look into the data folder.
fn make_dir(data_dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
}

/// Writes beside the path first, so that nobody ever reads half a key.
fn make_key(path: &Path) -> io::Result<[u8; 32]> {
    let key = random()?;
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(key)
}

/// The platform's data folder: what the service manager gives, else the
/// user's.
pub(super) fn default_data_dir(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let given = |name: &str| {
        env(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(state) = given("STATE_DIRECTORY") {
        return state;
    }
    let below_home = match cfg!(target_os = "macos") {
        true => "Library/Application Support",
        false => ".local/share",
    };
    given("XDG_DATA_HOME")
        .or_else(|| given("HOME").map(|home| home.join(below_home)))
        .map_or_else(
            || PathBuf::from("tollgate-data"),
            |base| base.join("tollgate"),
        )
}

//! The name of a data folder among those that share a database: random, made
//! once, and kept.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// File of the data folder.
const FILE: &str = "node.id";

/// The name of this data folder; made if it has none.
///
/// # Errors
/// The file cannot be read or written, or holds something else.
pub(super) fn of(data_dir: &Path) -> io::Result<[u8; 16]> {
    match find(data_dir)? {
        Some(name) => Ok(name),
        None => make(data_dir, &data_dir.join(FILE)),
    }
}

/// The name of this data folder, if it has one.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub(super) fn find(data_dir: &Path) -> io::Result<Option<[u8; 16]>> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => read(text.trim()).map(Some).ok_or_else(|| {
            io::Error::other(format!(
                "{} does not hold the name of a data folder. Put it back from a copy; with it \
                 removed, all records of this folder are brought again, each once.",
                path.display()
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn make(data_dir: &Path, path: &Path) -> io::Result<[u8; 16]> {
    let name = super::node_id();
    let draft = data_dir.join(format!("{FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    let digits: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = writeln!(file, "{digits}").and_then(|()| file.sync_all());
    // Links instead of renaming: a name that came first stays.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(name),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => of(data_dir),
        Err(error) => Err(error),
    }
}

fn read(text: &str) -> Option<[u8; 16]> {
    let is_plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_plain.then(|| u128::from_str_radix(text, 16).ok())??;
    Some(number.to_be_bytes())
}

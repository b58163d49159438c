//! Variables and files of this machine, and which files were asked for.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use plan::Sources;

/// Largest file that a configuration may refer to, bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Variables of the process, and files relative to a folder.
pub(super) struct Machine {
    folder: PathBuf,
    asked: RefCell<Vec<PathBuf>>,
}

impl Machine {
    /// Relative paths start at `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            asked: RefCell::default(),
        }
    }

    /// The files that were asked for, there or not.
    pub(super) fn into_asked(self) -> Vec<PathBuf> {
        let mut asked = self.asked.into_inner();
        asked.sort_unstable();
        asked.dedup();
        asked
    }
}

impl Sources for Machine {
    fn env(&self, name: &str) -> Option<String> {
        variable(name)
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let path = self.folder.join(path);
        self.asked.borrow_mut().push(path.clone());
        read_text(&path)
    }
}

/// The same for a document that came by the admin API: whoever sent it may not
/// name files all over the machine.
pub(super) struct Fenced<'a>(pub(super) &'a Machine);

impl Sources for Fenced<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name)
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let is_below = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        match is_below {
            true => self.0.file(path),
            false => Err(
                "a document that comes by the admin API may name files in the folder of the \
                 configuration and below it only"
                    .to_owned(),
            ),
        }
    }
}

/// A variable of the process. One that is not Unicode is as good as none.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The text of a file, if it is not too large.
///
/// # Errors
/// Why not, in a few words.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err("it is larger than 4 MiB".to_owned()),
        false => Ok(text),
    }
}

//! The tables in a folder: those of dead processes, to be brought into the
//! journal, and those of living ones, to be looked at.
//!
//! Deliberately not here: what becomes of a row.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::cells::{self, Found, Header};
use super::table::is_at;
use super::{InflightError, InflightRow};
use crate::private;

/// What the files are called.
pub(super) const EXTENSION: &str = "tbl";

/// Whether a name in the folder is one that tables give.
pub(super) fn is_ours(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == EXTENSION)
}

/// The folder of the tables of all processes that share a data directory.
#[derive(Clone, Debug)]
pub struct Tables {
    dir: PathBuf,
}

impl Tables {
    /// Of this folder, which need not be there.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The tables whose process has ended, each locked until it is dropped.
    /// One that cannot be had is an error of its own. The table of this
    /// process counts as one that lives.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn dead(&self) -> Result<Vec<Result<DeadTable, InflightError>>, InflightError> {
        let found = self.paths()?.into_iter();
        Ok(found
            .filter_map(|path| DeadTable::lock(path).transpose())
            .collect())
    }

    /// The rows of all tables save those at `own`, and those that are in the
    /// journal already.
    pub(super) fn rows_beside(&self, own: &[&Path]) -> Result<Vec<InflightRow>, InflightError> {
        let mut all = Vec::new();
        for path in self.paths()? {
            let file = match File::open(&path) {
                _ if own.contains(&path.as_path()) => continue,
                Ok(file) => file,
                // Its process has just ended, or it was brought in.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(InflightError::io(&path)(error)),
            };
            let header = header(&file, &path)?;
            let rows = cells::rows(&file).map_err(InflightError::io(&path))?;
            if !header.is_recovered {
                all.extend(rows);
            }
        }
        Ok(all)
    }

    fn paths(&self) -> Result<Vec<PathBuf>, InflightError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(InflightError::io(&self.dir)(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry.map_err(InflightError::io(&self.dir))?;
            if entry.file_name().to_str().is_some_and(is_ours) {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// The header of a table; one that is damaged says nothing.
fn header(file: &File, path: &Path) -> Result<Header, InflightError> {
    match Header::read(file).map_err(InflightError::io(path))? {
        Found::Header(header) => Ok(header),
        Found::Nothing => Ok(Header::NEW),
        Found::Newer(format) => Err(InflightError::Newer {
            file: path.display().to_string(),
            format,
        }),
    }
}

/// The table of a process that has ended. Locked until it is dropped.
#[derive(Debug)]
pub struct DeadTable {
    path: PathBuf,
    file: File,
    header: Header,
}

impl DeadTable {
    /// `None` if its process lives, or it has just been taken away.
    fn lock(path: PathBuf) -> Result<Option<Self>, InflightError> {
        let opened = private::options().read(true).write(true).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(InflightError::io(&path)(error)),
        };
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(InflightError::io(&path)(error)),
        }
        let header = header(&file, &path)?;
        Ok(Some(Self { path, file, header }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// None of these rows of the table has its record in the journal at or
    /// before this sequence.
    pub fn mark(&self, rows: &[InflightRow]) -> u64 {
        let oldest = rows.iter().map(|row| row.since).min();
        oldest.unwrap_or(u64::MAX).min(self.header.mark)
    }

    /// Each exchange that was under way, or whose record may not be in the
    /// journal, as it was written last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows(&self) -> Result<Vec<InflightRow>, InflightError> {
        cells::rows(&self.file).map_err(InflightError::io(&self.path))
    }

    /// Moves the mark back, because the journal ends before it (a power cut
    /// took its end): what is appended to it from now on comes after this.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn move_mark_back(&mut self, to: u64) -> Result<(), InflightError> {
        let mark = self.header.mark.min(to);
        self.rewrite(Header {
            mark,
            ..self.header
        })
    }

    /// Notes that the journal has all rows, so that nobody counts them as
    /// under way any more. The next process looks at them once more all the
    /// same, should this one end before [`DeadTable::remove`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_recovered(&mut self) -> Result<(), InflightError> {
        self.rewrite(Header {
            is_recovered: true,
            ..self.header
        })
    }

    /// Removes it, because the journal has all rows, as safe as they were.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(self) -> Result<(), InflightError> {
        // Still locked, so that nobody else reads what is being removed.
        std::fs::remove_file(&self.path).map_err(InflightError::io(&self.path))
    }

    fn rewrite(&mut self, header: Header) -> Result<(), InflightError> {
        let next = Header {
            generation: self.header.generation + 1,
            ..header
        };
        next.write(&self.file)
            .map_err(InflightError::io(&self.path))?;
        self.header = next;
        Ok(())
    }
}

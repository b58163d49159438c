//! Files that a database keeps, with a copy in a folder of what was read and
//! written of them here, so that they can be read while the database is away.
//!
//! Deliberately not here: changes without the database. There are none.

use std::io;
use std::sync::Arc;

use super::{Decide, Edit, Shelf};
use crate::cabinet::Cabinet;

/// Most files of a copy; those that nobody needed for longest go first.
pub(super) const COPY_FILES_MAX: usize = 256;

/// Folder of a data folder with the copy.
pub const COPY_DIR: &str = "plans-copy";

/// Files with a copy.
pub struct MirroredShelf {
    pub(super) truth: Arc<dyn Shelf>,
    copy: Cabinet,
    always: &'static str,
}

impl MirroredShelf {
    /// These files, copied to this folder. From the first change on, the file
    /// `always` is among them: where the copy has it and the truth does not,
    /// the truth lost it, and counts as away until it is brought back.
    pub fn new(truth: Arc<dyn Shelf>, copy: Cabinet, always: &'static str) -> Self {
        Self {
            truth,
            copy,
            always,
        }
    }

    fn is_emptied(&self) -> io::Result<bool> {
        Ok(self.copy.read(self.always)?.is_some() && self.truth.read(self.always)?.is_none())
    }

    fn emptied(&self) -> io::Error {
        io::Error::other(format!(
            "the database has no {}, though this replica has a copy of it: bring the database \
             back from a backup, or name the right one and its schema; or, if it is meant to be \
             empty, stop the replicas, and remove the folder {} from the data folder of each",
            self.always, COPY_DIR
        ))
    }

    /// Takes something into the copy.
    fn note(&self, edits: &[Edit]) -> io::Result<()> {
        let held = self.copy.lock()?;
        for edit in edits {
            match edit {
                Edit::Write(name, bytes) => self.copy.write(&held, name, bytes)?,
                Edit::Remove(name) => self.copy.remove(&held, name)?,
            }
        }
        self.copy.thin_out(&held, COPY_FILES_MAX)
    }
}

impl Shelf for MirroredShelf {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let found = match self.truth.read(name) {
            Ok(found) => found,
            // What cannot be asked now is as it was. Who must know whether it
            // can be asked looks at `last_change`.
            Err(error) => return self.copy.read(name)?.ok_or(error).map(Some),
        };
        if found.is_none() && self.is_emptied()? {
            return self.copy.read(name);
        }
        if let Some(bytes) = &found
            && self.copy.read(name)?.as_ref() != Some(bytes)
        {
            self.note(&[Edit::Write(name.to_owned(), bytes.clone())])?;
        }
        Ok(found)
    }

    fn change(&self, name: &str, decide: &mut Decide<'_>) -> io::Result<()> {
        let mut last = Vec::new();
        self.truth.change(name, &mut |bytes| {
            if bytes.is_none() && self.is_emptied()? {
                return Err(self.emptied());
            }
            last = decide(bytes)?;
            Ok(last.clone())
        })?;
        // What was changed is changed; the copy follows with the next read.
        drop(self.note(&last));
        Ok(())
    }

    fn last_change(&self) -> io::Result<Option<u64>> {
        let last = self.truth.last_change()?;
        match last.is_none_or(|last| last == 0) && self.is_emptied()? {
            true => Err(self.emptied()),
            false => Ok(last),
        }
    }
}

//! Small files that change together, each change whole or not at all: a folder
//! ([`Cabinet`]) for one gateway, a database for several, and a database with
//! a copy in a folder ([`MirroredShelf`]). [`conformance`] holds all of them to
//! one behaviour.
//!
//! Deliberately not here: what the files say.

pub mod conformance;
mod mirrored;

pub use mirrored::{COPY_DIR, MirroredShelf};

use std::io;

use crate::cabinet::Cabinet;

/// What becomes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It holds this from now on.
    Write(String, Vec<u8>),
    /// It is not there any more, if it ever was.
    Remove(String),
}

/// Says what becomes of the files, told what one of them holds.
pub type Decide<'a> = dyn FnMut(Option<&[u8]>) -> io::Result<Vec<Edit>> + 'a;

/// Small files.
pub trait Shelf: Send + Sync {
    /// What a file holds, if it is there.
    ///
    /// # Errors
    /// It cannot be read, or this is no name of a file.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Has `decide` say what becomes of the files, told what `name` holds, and
    /// does it, in that order. Nobody changes any of them in between; where
    /// somebody did, `decide` is asked again. What is done is durable when
    /// this returns.
    ///
    /// # Errors
    /// Those of `decide`, which change nothing; or the files cannot be
    /// written.
    fn change(&self, name: &str, decide: &mut Decide<'_>) -> io::Result<()>;

    /// The number of the last change, whoever made it, where changes are
    /// numbered. It is asked of what decides, never of a copy.
    ///
    /// # Errors
    /// It cannot be read.
    fn last_change(&self) -> io::Result<Option<u64>>;
}

impl Shelf for Cabinet {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Cabinet::read(self, name)
    }

    fn change(&self, name: &str, decide: &mut Decide<'_>) -> io::Result<()> {
        let held = self.lock()?;
        let edits = decide(Cabinet::read(self, name)?.as_deref())?;
        for edit in &edits {
            match edit {
                Edit::Write(name, bytes) => self.write(&held, name, bytes)?,
                Edit::Remove(name) => self.remove(&held, name)?,
            }
        }
        Ok(())
    }

    fn last_change(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;

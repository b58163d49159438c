//! The ratchet: known excesses of size, each with its reason. Nothing in it may grow, and what is
//! no longer needed must go.
//!
//! ```toml
//! [[file]]                      # or [[function]], [[arguments]]
//! path = "crates/gate/src/x.rs"
//! name = "assemble"             # functions and arguments only
//! is = 84                       # the size it may have
//! reason = "One sentence."
//! ```

#[cfg(test)]
mod tests;

use toml::{Table, Value};

use super::Finding;
use crate::source::House;

const PATH: &str = "xtask/ratchet.toml";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Function,
    Arguments,
}

/// One measured size that is above its limit.
pub(super) struct Size {
    pub(super) kind: Kind,
    /// Name of the function; empty for a file.
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) is: usize,
    pub(super) limit: usize,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::File, Kind::Function, Kind::Arguments];

    fn table(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Function => "function",
            Kind::Arguments => "arguments",
        }
    }
}

/// The entries, and which of them a size has met.
pub(super) struct Ratchet {
    entries: Vec<Entry>,
}

struct Entry {
    kind: Kind,
    path: String,
    name: String,
    is: usize,
    met: bool,
}

impl Ratchet {
    /// Reads the ratchet of a house; a house without the file has no excesses.
    pub(super) fn of(house: &House) -> Result<Ratchet, Finding> {
        let Some(file) = house.files.iter().find(|file| file.path == PATH) else {
            return Ok(Ratchet {
                entries: Vec::new(),
            });
        };
        let broken = |what: String| Finding::new(PATH, 1, what);
        let table: Table = file
            .text
            .parse()
            .map_err(|why| broken(format!("is not TOML: {why}")))?;
        if let Some(key) = table
            .keys()
            .find(|key| !Kind::ALL.iter().any(|kind| kind.table() == *key))
        {
            return Err(broken(format!(
                "`{key}` is none of file, function, arguments"
            )));
        }
        let mut entries = Vec::new();
        for kind in Kind::ALL {
            let rows = table
                .get(kind.table())
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            for row in rows {
                entries.push(Entry::of(kind, row).map_err(broken)?);
            }
        }
        Ok(Ratchet { entries })
    }

    /// What is wrong with a size above its limit, given the entries.
    pub(super) fn judge(&mut self, path: &str, size: &Size) -> Option<Finding> {
        let entry = self
            .entries
            .iter_mut()
            .find(|e| e.kind == size.kind && e.path == path && e.name == size.name);
        let of_what = match size.kind {
            Kind::File => format!("the file has {} lines", size.is),
            Kind::Function => format!("`{}` has {} lines", size.name, size.is),
            Kind::Arguments => format!("`{}` takes {} arguments", size.name, size.is),
        };
        let what = match entry {
            Some(entry) => {
                entry.met = true;
                if size.is <= entry.is {
                    return None;
                }
                format!(
                    "{of_what}, and {PATH} holds it at {}: nothing there may grow",
                    entry.is
                )
            }
            None => format!(
                "{of_what}, the limit is {}; split it by meaning",
                size.limit
            ),
        };
        Some(Finding::new(path, size.line, what))
    }

    /// Entries that no excess needs any more.
    pub(super) fn unused(&self) -> impl Iterator<Item = Finding> {
        self.entries.iter().filter(|entry| !entry.met).map(|entry| {
            let what = format!(
                "the entry for {} {} is no longer needed; delete it",
                entry.path, entry.name
            );
            Finding::new(PATH, 1, what)
        })
    }
}

impl Entry {
    fn of(kind: Kind, row: &Value) -> Result<Entry, String> {
        let text = |key: &str| {
            row.get(key)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        let path = text("path");
        let name = text("name");
        let is = row
            .get("is")
            .and_then(Value::as_integer)
            .and_then(|is| usize::try_from(is).ok());
        let Some(is) = is.filter(|_| !path.is_empty()) else {
            return Err(format!(
                "an entry of `{}` lacks `path` or `is`",
                kind.table()
            ));
        };
        if text("reason").trim().is_empty() {
            return Err(format!("the entry for {path} {name} lacks its `reason`"));
        }
        if (kind == Kind::File) != name.is_empty() {
            return Err(format!(
                "the entry for {path}: functions and arguments have a `name`, files do not"
            ));
        }
        Ok(Entry {
            kind,
            path,
            name,
            is,
            met: false,
        })
    }
}

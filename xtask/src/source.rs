//! The sources of the repository as the checks read them: a Rust file split into code and prose,
//! with its test-only items marked.
//!
//! This is a text scan, not a parser: it knows literals, comments, brackets and attributes, which
//! is enough for rules about size, names and paths, and it builds in a second. Not here: any rule.

mod lex;
mod outline;
mod paths;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use outline::functions;
pub(crate) use paths::{inline_modules, paths};

/// Folders that hold nothing written by hand.
const SKIPPED_FOLDERS: [&str; 6] = [
    "target",
    "node_modules",
    ".git",
    ".venv",
    "__pycache__",
    "tollgate-data",
];

/// Ends of file names that hold text worth reading.
const TEXT_SUFFIXES: [&str; 13] = [
    "rs", "toml", "md", "yaml", "yml", "sh", "py", "js", "mjs", "ts", "html", "css", "run",
];

/// Text files above this size are data, not words of ours.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Every text file of the repository, with paths relative to its root and `/` between parts.
#[derive(Default)]
pub(crate) struct House {
    pub(crate) files: Vec<File>,
}

/// One text file.
pub(crate) struct File {
    /// Relative to the root of the repository, `/` between parts.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Present for Rust sources.
    pub(crate) rust: Option<Rust>,
}

/// A Rust source in three views of the same length, so that an offset means the same in each.
pub(crate) struct Rust {
    /// Comments and the insides of literals blanked out.
    pub(crate) code: String,
    /// `code` without the items that exist only under `cfg(test)`.
    pub(crate) shipped: String,
    /// The text without the items that exist only under `cfg(test)`, comments and literals kept.
    pub(crate) shipped_text: String,
}

impl House {
    /// Reads the repository at `root`.
    pub(crate) fn read(root: &Path) -> Result<House, String> {
        let mut names = Vec::new();
        walk(root, root, &mut names)?;
        names.sort();
        let mut house = House::default();
        for name in names {
            // A file that is not UTF-8 is a fixture of broken bytes, not a text.
            if let Ok(text) = std::fs::read_to_string(root.join(&name)) {
                house.add(&name, text);
            }
        }
        Ok(house)
    }

    /// Adds one file by its relative path.
    pub(crate) fn add(&mut self, path: &str, text: impl Into<String>) {
        let text = text.into();
        let rust = path.ends_with(".rs").then(|| Rust::of(&text));
        self.files.push(File {
            path: path.to_owned(),
            text,
            rust,
        });
    }

    /// The Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&File, &Rust)> {
        self.files
            .iter()
            .filter_map(|file| file.rust.as_ref().map(|rust| (file, rust)))
    }
}

impl File {
    /// The crate under `crates/` this file belongs to, if any.
    pub(crate) fn room(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Tests, benches and fixtures: sources that never ship.
    pub(crate) fn is_test(&self) -> bool {
        let below_crate = self.path.strip_prefix("testbed/").unwrap_or(&self.path);
        below_crate.split('/').any(|part| {
            matches!(
                part,
                "tests" | "tests.rs" | "benches" | "fixtures" | "examples"
            )
        })
    }
}

impl Rust {
    fn of(text: &str) -> Rust {
        let code = lex::code(text);
        let test_items = outline::test_items(&code);
        let shipped = outline::without(&code, &test_items);
        let shipped_text = outline::without(text, &test_items);
        Rust {
            code,
            shipped,
            shipped_text,
        }
    }
}

/// Line of a byte offset, counted from one.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

/// Whether a byte can be part of an identifier.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The root of the workspace: where `cargo xtask` was built from, or the first parent with a lock.
pub(crate) fn root() -> Result<PathBuf, String> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().map_err(|e| format!("no current folder: {e}"))?,
    };
    start
        .ancestors()
        .find(|folder| folder.join("xtask").is_dir() && folder.join("Cargo.lock").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| "run this inside the repository, as `cargo xtask`".to_owned())
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // `file_type` does not follow links, so a link can lead neither outside nor in a circle.
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                walk(root, &path, names)?;
            }
        } else if kind.is_file() && is_text(&name, &entry) {
            let relative = path
                .strip_prefix(root)
                .expect("the walk starts at the root");
            names.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

fn is_text(name: &str, entry: &std::fs::DirEntry) -> bool {
    let suffix = name.rsplit('.').next().unwrap_or(name);
    TEXT_SUFFIXES.contains(&suffix)
        && name != "package-lock.json"
        && entry
            .metadata()
            .is_ok_and(|meta| meta.len() <= TEXT_BYTES_MAX)
}

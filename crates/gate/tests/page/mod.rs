//! Pages of the book that hold a generated table. The table stands between
//! `<!-- generated:NAME -->` and `<!-- /generated -->`; what is around it is
//! written by hand. `TOLLGATE_BLESS=1` writes the table into the page.
//!
//! Any crate whose tests hold a page may include this file. Deliberately not
//! here: what the tables say.

use std::fs;
use std::path::{Path, PathBuf};

/// A path below the root of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

/// The text of a page.
pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Holds a page to its table.
pub(crate) fn hold(page: &str, name: &str, table: &str) {
    let old = text(page);
    let open = format!("<!-- generated:{name} -->\n");
    let (before, rest) = old
        .split_once(&open)
        .unwrap_or_else(|| panic!("{page} has no `{}`", open.trim()));
    let (_, after) = rest
        .split_once("<!-- /generated -->")
        .unwrap_or_else(|| panic!("{page}: the table {name} has no end"));
    let new = format!("{before}{open}\n{table}\n<!-- /generated -->{after}");
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        fs::write(path(page), &new).unwrap_or_else(|error| panic!("{page}: {error}"));
    } else {
        assert!(
            old == new,
            "{page} is stale: run TOLLGATE_BLESS=1 cargo test -p {}",
            env!("CARGO_PKG_NAME")
        );
    }
}

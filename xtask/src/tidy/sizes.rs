//! Sizes: lines of a file, lines of a function, arguments of a function.
//!
//! What only tests see is apart: test files, and items under `cfg(test)`. Closures do not count,
//! nor does a receiver: the rule is about what a caller has to write. Known excesses stand in
//! `xtask/ratchet.toml` and may only shrink.

#[cfg(test)]
mod tests;

use super::Finding;
use super::ratchet::{Kind, Ratchet, Size};
use super::table::{ARGUMENTS_MAX, FILE_LINES_MAX, FUNCTION_LINES_MAX};
use crate::source::{File, House, Rust, functions, line_of};

/// Every size above its limit that the ratchet does not hold, and every stale ratchet entry.
pub(super) fn check(house: &House) -> Vec<Finding> {
    let mut ratchet = match Ratchet::of(house) {
        Ok(ratchet) => ratchet,
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    for (file, rust) in house.rust().filter(|(file, _)| !file.is_test()) {
        for size in sizes(file, rust) {
            findings.extend(ratchet.judge(&file.path, &size));
        }
    }
    findings.extend(ratchet.unused());
    findings
}

fn sizes(file: &File, rust: &Rust) -> Vec<Size> {
    let mut found = Vec::new();
    let size = |kind, name: &str, line, is, limit| Size {
        kind,
        name: name.to_owned(),
        line,
        is,
        limit,
    };
    let lines = shipped_lines(file, rust);
    found.push(size(Kind::File, "", 1, lines, FILE_LINES_MAX));
    for function in functions(&rust.shipped) {
        let line = line_of(&rust.shipped, function.at);
        let name = function.name.as_str();
        found.push(size(
            Kind::Function,
            name,
            line,
            function.lines,
            FUNCTION_LINES_MAX,
        ));
        found.push(size(
            Kind::Arguments,
            name,
            line,
            function.arguments,
            ARGUMENTS_MAX,
        ));
    }
    found.retain(|size| size.is > size.limit);
    found
}

/// Lines of the file but those that lie wholly in test items.
fn shipped_lines(file: &File, rust: &Rust) -> usize {
    let pairs = file.text.lines().zip(rust.shipped_text.lines());
    pairs
        .filter(|(written, shipped)| written.trim().is_empty() || !shipped.trim().is_empty())
        .count()
}

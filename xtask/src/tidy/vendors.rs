//! Law 5: nobody outside a vendor's own file, its list line and its fixtures names that vendor.
//!
//! Comments and strings count as much as names: what a comment explains about one vendor belongs
//! in that vendor's file. Free are list lines (`mod x;`, `&x::KIND,`), code blocks of doc
//! comments, tests, and the grants of `table.rs`.

#[cfg(test)]
mod tests;

use super::Finding;
use super::table::{NOT_VENDORS, TABLE, VENDOR_FREE, VENDOR_GRANTS, VENDORS, Vendor, VendorGrant};
use crate::source::{House, is_word};

/// Every vendor named where it has no business.
pub(super) fn check(house: &House) -> Vec<Finding> {
    check_with(house, VENDOR_GRANTS)
}

fn check_with(house: &House, grants: &[VendorGrant]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = vec![false; grants.len()];
    let covered = |path: &str| !VENDOR_FREE.iter().any(|free| path.starts_with(free));
    for (file, rust) in house
        .rust()
        .filter(|(file, _)| covered(&file.path) && !file.is_test())
    {
        let mut in_example = false;
        for (nth, line) in rust.shipped_text.lines().enumerate() {
            if is_doc_fence(line) {
                in_example = !in_example;
            }
            if in_example && line.trim_start().starts_with("//") || is_list_line(line) {
                continue;
            }
            for (vendor, word) in named(line) {
                if owns(&file.path, vendor) {
                    continue;
                }
                match grants
                    .iter()
                    .position(|grant| grant.covers(&file.path, word))
                {
                    Some(grant) => used[grant] = true,
                    None => {
                        let what = format!(
                            "names the vendor `{word}` outside its own file; say it without the name, or move it there (law 5)"
                        );
                        findings.push(Finding::new(&file.path, nth + 1, what));
                    }
                }
            }
        }
    }
    let has_table = house.files.iter().any(|file| file.path == TABLE);
    for (grant, _) in grants
        .iter()
        .zip(used)
        .filter(|(_, used)| has_table && !used)
    {
        let what = format!(
            "nobody uses the vendor grant for {} ({}); delete it",
            grant.path, grant.reason
        );
        findings.push(Finding::new(TABLE, 1, what));
    }
    findings
}

impl VendorGrant {
    fn covers(&self, path: &str, word: &str) -> bool {
        let here = if self.path.ends_with('/') {
            path.starts_with(self.path)
        } else {
            path == self.path
        };
        here && (self.words.is_empty() || self.words.contains(&word))
    }
}

/// A vendor's own file or folder carries one of its words in the name. The file of a provider that
/// hosts the models of others may name those others too.
fn owns(path: &str, vendor: &Vendor) -> bool {
    let carries =
        |below: &str, vendor: &Vendor| vendor.words.iter().any(|word| below.contains(word));
    if let Some(below) = path.strip_prefix("crates/providers/src/") {
        let mut hosts = VENDORS.iter().filter(|vendor| vendor.hosts_others);
        return carries(below, vendor) || hosts.any(|host| carries(below, host));
    }
    path.strip_prefix("crates/dialects/src/")
        .is_some_and(|below| carries(below, vendor))
}

fn is_doc_fence(line: &str) -> bool {
    let line = line.trim_start();
    let doc = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"));
    doc.is_some_and(|doc| doc.trim_start().starts_with("```"))
}

/// `mod x;` and `&x::KIND,` (or `&x::DIALECT,`): the two lines a new vendor adds in the face of a room.
fn is_list_line(line: &str) -> bool {
    let line = line.split("//").next().unwrap_or(line).trim();
    let declared = line.strip_prefix("pub ").unwrap_or(line);
    let declared = declared.strip_prefix("pub(crate) ").unwrap_or(declared);
    if let Some(name) = declared
        .strip_prefix("mod ")
        .and_then(|rest| rest.strip_suffix(';'))
    {
        return name.bytes().all(is_word);
    }
    let entry = line.trim_start_matches('&').trim_end_matches(',');
    entry
        .strip_suffix("::KIND")
        .or_else(|| entry.strip_suffix("::DIALECT"))
        .is_some_and(|module| module.bytes().all(is_word))
}

/// Vendors a line names, each with the word it used.
fn named(line: &str) -> Vec<(&'static Vendor, &'static str)> {
    let mut text = line.to_owned();
    for other in NOT_VENDORS {
        text = text.replace(other, &" ".repeat(other.len()));
    }
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for vendor in VENDORS {
        for word in vendor.words {
            if lower
                .match_indices(word)
                .any(|(at, _)| is_whole(text.as_bytes(), at, word.len()))
            {
                found.push((vendor, *word));
            }
        }
    }
    found
}

/// Whether the match is a word of its own, also as a hump of a camel-case name: `FromOpenAi` names
/// a vendor, `coherent` does not.
fn is_whole(line: &[u8], at: usize, length: usize) -> bool {
    let starts = match at.checked_sub(1).map(|n| line[n]) {
        Some(before) if before.is_ascii_alphabetic() => {
            line[at].is_ascii_uppercase() && before.is_ascii_lowercase()
        }
        Some(_) | None => true,
    };
    let last = line[at + length - 1];
    let ends = match line.get(at + length) {
        Some(after) if after.is_ascii_lowercase() => false,
        Some(after) if after.is_ascii_uppercase() => last.is_ascii_lowercase(),
        Some(_) | None => true,
    };
    starts && ends
}

//! Paths (`a::b::c`) in a Rust source: those of `use` trees, spread out, and those written inline.
//!
//! Not here: what a path means. The checks resolve it against their own tables.

use super::is_word;
use super::outline::{group_end, next_word, skip_spaces, word_at};

/// One path as written, with its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    /// `crate`, `self` and `super` are kept; a glob ends in `*`.
    pub(crate) segments: Vec<String>,
    /// The name a `use` binds; `None` for an inline path, a glob or `as _`.
    pub(crate) binds: Option<String>,
    /// Offset of its first byte (of the `use` for a tree).
    pub(crate) at: usize,
    /// Names of the inline modules around it, outermost first.
    pub(crate) inside: Vec<String>,
}

/// All paths of two or more segments, and every `use`.
pub(crate) fn paths(code: &str) -> Vec<PathUse> {
    let modules = inline_modules(code);
    let around = |at: usize| -> Vec<String> {
        let holds = |module: &&Inline| module.body.contains(&at);
        modules
            .iter()
            .filter(holds)
            .map(|module| module.name.clone())
            .collect()
    };
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let starts = is_word(bytes[at]) && (at == 0 || !is_word(bytes[at - 1]));
        if !starts {
            at += 1;
            continue;
        }
        let word = word_at(code, at);
        if word == "use" && code[at + 3..].starts_with(|c: char| c.is_whitespace() || c == ':') {
            let end = code[at..].find(';').map_or(bytes.len(), |n| at + n);
            for (segments, binds) in spread(&code[at + 3..end]) {
                found.push(PathUse {
                    segments,
                    binds,
                    at,
                    inside: around(at),
                });
            }
            at = end;
            continue;
        }
        let (segments, end) = inline_path(code, at);
        let narrows = previous_word(code, at) == "in"; // `pub(in crate::x)` names no dependency.
        if segments.len() > 1 && !narrows {
            found.push(PathUse {
                segments,
                binds: None,
                at,
                inside: around(at),
            });
        }
        at = end.max(at + 1);
    }
    found
}

/// An inline module and the range of its body.
pub(crate) struct Inline {
    pub(crate) name: String,
    pub(crate) body: std::ops::Range<usize>,
}

/// Modules written as `mod name { .. }`, outer before inner.
pub(crate) fn inline_modules(code: &str) -> Vec<Inline> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = next_word(code, at, "mod") {
        at = start + 3;
        let name_at = skip_spaces(bytes, at);
        let name = word_at(code, name_at);
        let open = skip_spaces(bytes, name_at + name.len());
        if !name.is_empty() && bytes.get(open) == Some(&b'{') {
            found.push(Inline {
                name: name.to_owned(),
                body: open..group_end(bytes, open),
            });
        }
    }
    found
}

fn inline_path(code: &str, start: usize) -> (Vec<String>, usize) {
    let bytes = code.as_bytes();
    let mut segments = Vec::new();
    let mut at = start;
    loop {
        let word = word_at(code, at);
        if word.is_empty() {
            return (segments, at);
        }
        segments.push(word.to_owned());
        at += word.len();
        let colons = skip_spaces(bytes, at);
        if !code[colons..].starts_with("::") {
            return (segments, at);
        }
        at = skip_spaces(bytes, colons + 2);
    }
}

fn previous_word(code: &str, at: usize) -> &str {
    let before = code[..at].trim_end();
    let start = before
        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
        .map_or(0, |n| n + 1);
    before.get(start..).unwrap_or("")
}

type Spread = Vec<(Vec<String>, Option<String>)>;

/// Every leaf of a `use` tree with the name it binds.
fn spread(tree: &str) -> Spread {
    let squeezed = tree.trim().trim_start_matches("::");
    let mut leaves = Vec::new();
    spread_into(squeezed, &[], &mut leaves);
    leaves
}

fn spread_into(tree: &str, prefix: &[String], leaves: &mut Spread) {
    let tree = tree.trim();
    if tree.is_empty() {
        return;
    }
    if let Some(open) = tree.find('{') {
        let mut path = prefix.to_vec();
        path.extend(segments_of(&tree[..open]));
        let close = group_end(tree.as_bytes(), open);
        for part in split_commas(&tree[open + 1..close.saturating_sub(1).max(open + 1)]) {
            spread_into(part, &path, leaves);
        }
        return;
    }
    let (written, alias) = match tree.split_once(" as ") {
        Some((written, alias)) => (written, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let mut path = prefix.to_vec();
    path.extend(segments_of(written));
    // `use a::b::{self}` binds `b`; a lone `self` or `super` stays.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let binds = alias
        .or_else(|| path.last().cloned())
        .filter(|name| name != "*" && name != "_");
    leaves.push((path, binds));
}

fn segments_of(path: &str) -> impl Iterator<Item = String> {
    path.split("::")
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
}

fn split_commas(list: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let mut start = 0;
    let mut parts = Vec::new();
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

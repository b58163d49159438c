//! Words: every Rust file opens with what it is; no empty module names, no unfinished code, no
//! lint silenced without a reason, no path of one machine.

#[cfg(test)]
mod tests;

use super::Finding;
use super::table::{EMPTY_NAMES, MACHINE_FOLDERS};
use crate::source::{File, House, Rust, inline_modules, is_word, line_of};

/// Every file that breaks one of these rules.
pub(super) fn check(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &house.files {
        findings.extend(machine_paths(file));
    }
    for (file, rust) in house.rust() {
        findings.extend(opening(file));
        findings.extend(module_names(file, rust));
        findings.extend(unfinished(file, rust));
        findings.extend(silenced(file, rust));
    }
    findings
}

fn opening(file: &File) -> Option<Finding> {
    let first = file
        .text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("");
    let says_something = first
        .strip_prefix("//!")
        .is_some_and(|rest| !rest.trim().is_empty());
    let what = "open the file with `//!`: what it is, and what is deliberately not here";
    (!says_something).then(|| Finding::new(&file.path, 1, what))
}

fn module_names(file: &File, rust: &Rust) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |name: &str, line: usize| {
        if EMPTY_NAMES.contains(&name) {
            let what = format!(
                "`{name}` says nothing about what is inside; name the module after its subject"
            );
            found.push(Finding::new(&file.path, line, what));
        }
    };
    for part in file.path.split('/') {
        refuse(part.strip_suffix(".rs").unwrap_or(part), 1);
    }
    for module in inline_modules(&rust.code) {
        refuse(&module.name, line_of(&rust.code, module.body.start));
    }
    found
}

/// Macros and marks of unfinished code. Macros are sought in code, the mark in comments too.
fn unfinished(file: &File, rust: &Rust) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in ["todo", "unimplemented"] {
        for at in words(&rust.code, name) {
            if rust.code[at + name.len()..].trim_start().starts_with('!') {
                let what = format!(
                    "`{name}!` is unfinished code; finish it, or return a fault that says so"
                );
                found.push(Finding::new(&file.path, line_of(&rust.code, at), what));
            }
        }
    }
    let mark = concat!("FIX", "ME");
    for at in words(&file.text, mark) {
        let what = format!("`{mark}` hides work in a comment; do it, or open an issue");
        found.push(Finding::new(&file.path, line_of(&file.text, at), what));
    }
    found
}

/// Attributes that silence a lint or a test.
fn silenced(file: &File, rust: &Rust) -> Vec<Finding> {
    let mut found = Vec::new();
    let code = rust.code.as_str();
    for (hash, _) in code.match_indices('#') {
        let attribute = code[hash + 1..].trim_start_matches('!').trim_start();
        let Some(inside) = attribute.strip_prefix('[') else {
            continue;
        };
        let inside = inside.trim_start();
        let first: String = inside
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let body = &inside[..attribute_length(inside)];
        let what = match first.as_str() {
            "ignore" => "an ignored test tests nothing; repair it or delete it",
            "allow" => {
                "use `#[expect(lint, reason = \"..\")]`, which reports itself when it is no longer needed"
            }
            "expect" if !body.contains("reason") => "say why: `#[expect(lint, reason = \"..\")]`",
            _ => continue,
        };
        found.push(Finding::new(&file.path, line_of(code, hash), what));
    }
    found
}

fn attribute_length(inside: &str) -> usize {
    let mut depth = 1_usize;
    for (at, c) in inside.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    inside.len()
}

/// Folders of one machine, in any text file.
fn machine_paths(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    for (head, tail) in MACHINE_FOLDERS {
        let folder = format!("{head}{tail}");
        for (at, _) in file.text.match_indices(&folder) {
            // A folder in the middle of a longer path or address is another folder.
            let before = at.checked_sub(1).map(|n| file.text.as_bytes()[n]);
            let continues = before.is_some_and(|b| {
                is_word(b) || matches!(b, b'.' | b'}' | b')' | b'-' | b'~' | b'*')
            });
            if !continues {
                let what = format!(
                    "`{folder}` is a folder of one machine; take it from the environment, the configuration or `std::env::temp_dir`"
                );
                found.push(Finding::new(&file.path, line_of(&file.text, at), what));
            }
        }
    }
    found
}

/// Offsets of a whole word.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let bytes = text.as_bytes();
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let end = at + word.len();
            (*at == 0 || !is_word(bytes[at - 1]))
                && bytes.get(end).is_none_or(|byte| !is_word(*byte))
        })
}

//! Functions and test-only items of a Rust source, found by brackets.
//!
//! Not here: types and expressions. Input is always `lex::code`, where no bracket hides in a
//! literal or a comment.

use std::ops::Range;

use super::is_word;

/// A function with a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Offset of `fn`.
    pub(crate) at: usize,
    /// From the line of `fn` to the line of the closing brace; one for a bare signature.
    pub(crate) lines: usize,
    /// What a caller writes between the brackets: a receiver does not count.
    pub(crate) arguments: usize,
}

const ITEM_WORDS: [&str; 14] = [
    "fn", "mod", "impl", "struct", "use", "const", "static", "type", "pub", "enum", "trait",
    "async", "unsafe", "extern",
];

/// Every named function, in order.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = next_word(code, at, "fn") {
        at = start + 2;
        let name_at = skip_spaces(bytes, at);
        let name: String = word_at(code, name_at).to_owned();
        if name.is_empty() {
            continue; // A function pointer type: `fn(u8)`.
        }
        let mut open = skip_spaces(bytes, name_at + name.len());
        if bytes.get(open) == Some(&b'<') {
            open = skip_spaces(bytes, angle_end(bytes, open));
        }
        if bytes.get(open) != Some(&b'(') {
            continue; // A macro's pattern, such as `fn $name`.
        }
        let close = group_end(bytes, open);
        let inside = &code[open + 1..close.saturating_sub(1).max(open + 1)];
        let end = body_end(bytes, close);
        let lines = 1 + bytes[start..end]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let lines = if bytes.get(end.saturating_sub(1)) == Some(&b'}') {
            lines
        } else {
            1
        };
        found.push(Function {
            name,
            at: start,
            lines,
            arguments: count_arguments(inside),
        });
    }
    found
}

/// Ranges of items under `#[cfg(test)]`; the whole file under `#![cfg(test)]`.
pub(super) fn test_items(code: &str) -> Vec<Range<usize>> {
    let bytes = code.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(hash) = code[at..].find('#').map(|n| at + n) {
        at = hash + 1;
        let inner = bytes.get(at) == Some(&b'!');
        let open = skip_spaces(bytes, at + usize::from(inner));
        if bytes.get(open) != Some(&b'[') {
            continue;
        }
        let close = group_end(bytes, open);
        if !only_under_test(&code[open + 1..close.saturating_sub(1)]) {
            continue;
        }
        if inner {
            return std::iter::once(0..code.len()).collect();
        }
        let end = item_end(code, close);
        found.push(hash..end);
        at = end;
    }
    found
}

/// The text with the ranges replaced by spaces; line ends stay.
pub(super) fn without(text: &str, ranges: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in &mut bytes[range.clone()] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(bytes).expect("ranges begin and end at ASCII brackets")
}

fn only_under_test(attribute: &str) -> bool {
    let squeezed: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
    squeezed == "cfg(test)"
        || squeezed.starts_with("cfg(all(test,")
        || (squeezed.starts_with("cfg(all(")
            && squeezed.contains(",test")
            && !squeezed.contains("not(test"))
}

/// End of the item that follows an attribute: its closing brace, its `;`, or for a field, a
/// variant or an argument its comma.
fn item_end(code: &str, mut at: usize) -> usize {
    let bytes = code.as_bytes();
    at = skip_spaces(bytes, at);
    while bytes.get(at) == Some(&b'#') {
        let open = skip_spaces(bytes, at + 1);
        at = skip_spaces(bytes, group_end(bytes, open));
    }
    let first = word_at(code, at);
    let is_item = ITEM_WORDS.contains(&first) || first == "macro_rules";
    while at < bytes.len() {
        match bytes[at] {
            b'{' => {
                at = group_end(bytes, at);
                if first != "use" {
                    return at;
                }
            }
            b'(' | b'[' => at = group_end(bytes, at),
            b';' => return at + 1,
            b',' if !is_item => return at + 1,
            b'}' | b')' | b']' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// From behind the arguments to behind the body, or behind the `;` of a bare signature.
fn body_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'{' => return group_end(bytes, at),
            b'(' | b'[' => at = group_end(bytes, at),
            b';' => return at + 1,
            b'}' | b')' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn count_arguments(inside: &str) -> usize {
    let mut depth = 0_i32;
    let mut pieces = vec![String::new()];
    let mut last = ' ';
    for c in inside.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if last != '-' && last != '=' => depth -= 1,
            _ => {}
        }
        last = c;
        if c == ',' && depth == 0 {
            pieces.push(String::new());
        } else {
            pieces.last_mut().expect("never empty").push(c);
        }
    }
    pieces
        .iter()
        .filter(|piece| !piece.trim().is_empty() && !is_receiver(piece))
        .count()
}

fn is_receiver(piece: &str) -> bool {
    let pattern = piece.split(':').next().unwrap_or(piece);
    pattern
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == "self")
}

/// Behind the bracket that closes the one at `open`; the end of the text if none does.
pub(super) fn group_end(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return offset + 1;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

fn angle_end(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'<' => depth += 1,
            b'>' if !matches!(bytes[offset - 1], b'-' | b'=') => {
                depth -= 1;
                if depth == 0 {
                    return offset + 1;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

/// Offset of the next whole word.
pub(super) fn next_word(code: &str, from: usize, word: &str) -> Option<usize> {
    let bytes = code.as_bytes();
    let mut at = from;
    while let Some(start) = code.get(at..)?.find(word).map(|n| at + n) {
        let end = start + word.len();
        let bounded = (start == 0 || !is_word(bytes[start - 1]))
            && bytes.get(end).is_none_or(|byte| !is_word(*byte));
        if bounded {
            return Some(start);
        }
        at = end;
    }
    None
}

pub(super) fn skip_spaces(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The identifier that starts at `at`; empty if none does.
pub(super) fn word_at(code: &str, at: usize) -> &str {
    let rest = &code.as_bytes()[at.min(code.len())..];
    let length = rest.iter().take_while(|byte| is_word(**byte)).count();
    if rest.first().is_some_and(u8::is_ascii_digit) {
        ""
    } else {
        &code[at..at + length]
    }
}

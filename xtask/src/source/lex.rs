//! Blanks comments and the insides of literals, so that later scans see only code.
//!
//! Not here: tokens. The output is text of the same length and with the same line ends.

use super::is_word;

/// The code of a Rust source: comments become spaces, literals keep only their quotes.
pub(super) fn code(text: &str) -> String {
    let source = text.as_bytes();
    let mut out = source.to_vec();
    let mut at = 0;
    while at < source.len() {
        let end = match source[at] {
            b'/' if source.get(at + 1) == Some(&b'/') => line_end(source, at),
            b'/' if source.get(at + 1) == Some(&b'*') => block_end(source, at),
            b'"' => {
                let end = string_end(source, at);
                blank(&mut out[at + 1..end.saturating_sub(1).max(at + 1)]);
                at = end;
                continue;
            }
            b'r' if starts_word(source, at) && raw_hashes(source, at).is_some() => {
                let hashes = raw_hashes(source, at).expect("checked by the guard");
                let end = raw_end(source, at + 2 + hashes, hashes);
                blank(&mut out[at..end]);
                at = end;
                continue;
            }
            b'\'' => match char_end(source, at) {
                Some(end) => {
                    blank(&mut out[at..end]);
                    at = end;
                    continue;
                }
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        blank(&mut out[at..end]);
        at = end;
    }
    String::from_utf8(out).expect("whole characters are replaced by spaces")
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn line_end(source: &[u8], at: usize) -> usize {
    source[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(source.len(), |n| at + n)
}

/// Block comments nest in Rust.
fn block_end(source: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at + 1 < source.len() {
        match &source[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    source.len()
}

fn string_end(source: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < source.len() {
        match source[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    source.len()
}

/// `r`, `br` and `cr` start a literal; the `r` at the end of a name does not.
fn starts_word(source: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|n| source[n]);
    match before(1) {
        Some(b'b' | b'c') => before(2).is_none_or(|byte| !is_word(byte)),
        Some(byte) => !is_word(byte),
        None => true,
    }
}

/// Count of `#` between `r` and the quote; `None` for a name or a raw identifier.
fn raw_hashes(source: &[u8], at: usize) -> Option<usize> {
    let hashes = source[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    (source.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn raw_end(source: &[u8], mut at: usize, hashes: usize) -> usize {
    while at < source.len() {
        let closing = source[at] == b'"'
            && source.len() - at > hashes
            && source[at + 1..=at + hashes]
                .iter()
                .all(|byte| *byte == b'#');
        if closing {
            return at + 1 + hashes;
        }
        at += 1;
    }
    source.len()
}

/// End of a character literal; `None` for a lifetime or a label.
fn char_end(source: &[u8], at: usize) -> Option<usize> {
    let first = *source.get(at + 1)?;
    if first == b'\\' {
        // The escaped byte itself may be a quote, so the search starts behind it.
        let close = source
            .get(at + 3..)?
            .iter()
            .position(|byte| *byte == b'\'')?;
        return Some(at + 3 + close + 1);
    }
    let width = match first {
        0x00..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    };
    (source.get(at + 1 + width) == Some(&b'\'')).then_some(at + width + 2)
}

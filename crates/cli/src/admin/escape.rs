//! Texts of strangers on a terminal: everything that a terminal could act
//! upon, or that hides or turns text, is shown as an escape.
//!
//! Deliberately not here: layout.

use std::fmt::Write;

/// A text of at most `chars_max` characters that can do nothing but be read.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, c) in text.chars().enumerate() {
        if n == chars_max {
            out.push('…');
            break;
        }
        if is_dangerous(c) {
            write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string cannot fail");
        } else {
            out.push(c);
        }
    }
    out
}

/// JSON whose strings can do nothing but be read; it means the same. `json` is
/// compact, so such characters stand only within its strings.
pub(crate) fn json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_dangerous(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A text as the value of a parameter, or as one segment of a path: all but the
/// unreserved characters of RFC 3986, 2.3, percent-encoded.
pub(crate) fn query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// Controls (C0, DEL, C1), marks and overrides of the bidirectional algorithm,
/// line and paragraph separators, characters without width, invisible tags.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

//! A small writer of JSON into memory.
//!
//! Deliberately not here: serde. A record is written once, top to bottom, and
//! the escapes must be stricter than those of JSON.

use std::fmt::Write;

/// Writes one JSON value.
pub(super) struct Writer {
    out: String,
    /// A comma is due before the next member.
    comma: bool,
}

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: String::with_capacity(bytes),
            comma: false,
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.out.push('{');
        self.comma = false;
        members(self);
        self.out.push('}');
        self.comma = true;
    }

    pub(super) fn field(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.separate();
        self.quoted(name);
        self.out.push(':');
        value(self);
        self.comma = true;
    }

    /// A list, left out when empty.
    pub(super) fn list<T>(&mut self, name: &str, items: &[T], each: impl Fn(&mut Self, &T)) {
        if items.is_empty() {
            return;
        }
        self.field(name, |w| {
            w.out.push('[');
            w.comma = false;
            for item in items {
                w.separate();
                each(w, item);
                w.comma = true;
            }
            w.out.push(']');
        });
    }

    pub(super) fn string(&mut self, value: &str) {
        self.quoted(value);
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.field(name, |w| w.quoted(value));
    }

    pub(super) fn nonempty(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    pub(super) fn option_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(super) fn num(&mut self, name: &str, value: u64) {
        self.field(name, |w| w.display(value));
    }

    pub(super) fn nonzero(&mut self, name: &str, value: u64) {
        if value != 0 {
            self.num(name, value);
        }
    }

    pub(super) fn option(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.num(name, value);
        }
    }

    pub(super) fn int(&mut self, name: &str, value: i64) {
        self.field(name, |w| w.display(value));
    }

    pub(super) fn option_int(&mut self, name: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.int(name, value);
        }
    }

    /// A flag, left out when false.
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        if value {
            self.field(name, |w| w.out.push_str("true"));
        }
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        write!(self.out, "{value}").expect("writing to a string cannot fail");
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        let plain = |byte: u8| {
            (b' '..0x7f).contains(&byte) && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
        };
        if text.bytes().all(plain) {
            self.out.push_str(text);
        } else {
            text.chars().for_each(|c| self.escaped(c));
        }
        self.out.push('"');
    }

    fn escaped(&mut self, c: char) {
        match c {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            c if dangerous(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(self.out, "\\u{unit:04x}").expect("writing to a string cannot fail");
                }
            }
            c => self.out.push(c),
        }
    }
}

/// Characters that a terminal, a page or a line-based tool may act upon.
pub fn dangerous(c: char) -> bool {
    matches!(c,
        '<' | '>' | '&'
        // C0, DEL and C1 controls: terminal escapes.
        | '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Marks, overrides and isolates of the bidirectional algorithm, the
        // line and paragraph separators, zero-width characters, the BOM.
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tags: invisible copies of ASCII.
        | '\u{e0000}'..='\u{e007f}')
}

//! The one scan of a body: strict RFC 8259 grammar, valid UTF-8, bounded
//! depth and node count, paired surrogates, and (for requests) unique keys.

use memchr::memchr2;

use super::unescape;
use super::view::Kind;

/// What the scan refuses beyond malformed JSON.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Deepest nesting of arrays and objects.
    pub depth_max: u16,
    /// Most values and keys in one document.
    pub nodes_max: u32,
    /// Refuse an object that names a key twice.
    pub unique_keys: bool,
}

impl Rules {
    /// For bodies of callers: ambiguity is refused.
    pub const REQUEST: Rules = Rules {
        depth_max: 128,
        nodes_max: 2_000_000,
        unique_keys: true,
    };
    /// For bodies of providers, which are read but not enforced.
    pub const ANSWER: Rules = Rules {
        depth_max: 128,
        nodes_max: 4_000_000,
        unique_keys: false,
    };
}

/// Bytes of JSON for each value or key, by which room is made before a scan.
const BYTES_PER_NODE: usize = 16;
/// Room for nodes that is made at first, at least and at most; more is made
/// as they come, so that a long string costs no room.
const NODES_AT_FIRST_MIN: usize = 16;
const NODES_AT_FIRST_MAX: usize = 256;

/// Why a body is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub kind: FlawKind,
    /// Byte offset in the body.
    pub offset: usize,
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawKind {
    /// The body is empty.
    Empty,
    /// The body ends within a value.
    Truncated,
    /// A byte that JSON does not allow here.
    Unexpected,
    /// Something follows the value.
    Trailing,
    /// A malformed number.
    Number,
    /// A control character inside a string.
    Control,
    /// A malformed escape in a string.
    Escape,
    /// A `\u` escape names half a surrogate pair.
    LoneSurrogate,
    /// Not UTF-8.
    Utf8,
    /// Nested too deeply.
    Depth,
    /// Too many values.
    Nodes,
    /// An object names a key twice.
    DuplicateKey,
}

impl Flaw {
    /// What is wrong, in words, without the place.
    pub fn message(&self) -> &'static str {
        match self.kind {
            FlawKind::Empty => "the body is empty where a JSON object is expected",
            FlawKind::Truncated => "the JSON ends within a value",
            FlawKind::Unexpected => "a character that JSON does not allow here",
            FlawKind::Trailing => "text follows the end of the JSON value",
            FlawKind::Number => "a malformed number",
            FlawKind::Control => "an unescaped control character inside a string",
            FlawKind::Escape => "a malformed escape inside a string",
            FlawKind::LoneSurrogate => {
                "half a surrogate pair in a \\u escape, which is not a character"
            }
            FlawKind::Utf8 => "bytes that are not UTF-8",
            FlawKind::Depth => "arrays and objects nested too deeply",
            FlawKind::Nodes => "too many values in one document",
            FlawKind::DuplicateKey => "an object that names a key twice",
        }
    }

    /// Line and column (both from one, columns in bytes) of the place.
    pub fn line_column(&self, text: &[u8]) -> (usize, usize) {
        let before = &text[..self.offset.min(text.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
        (line, column)
    }
}

/// One value or key: its span, its kind, and where its next sibling is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Index of the first node behind this one and all its children.
    pub(super) next: u32,
    pub(super) kind: Kind,
}

/// The scan of a document: its values and keys in document order. In an
/// object, each key is a string node followed by its value.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    pub(super) nodes: Vec<Node>,
    open: Vec<u32>,
}

impl Tape {
    /// Scans a document.
    ///
    /// # Errors
    /// The first flaw found.
    pub fn scan(text: &[u8], rules: &Rules) -> Result<Self, Flaw> {
        let mut tape = Self::default();
        tape.rescan(text, rules)?;
        Ok(tape)
    }

    /// Scans another document, reusing the memory of this tape.
    ///
    /// # Errors
    /// The first flaw found; the tape is then empty.
    pub fn rescan(&mut self, text: &[u8], rules: &Rules) -> Result<(), Flaw> {
        self.nodes.clear();
        self.open.clear();
        let room = (text.len() / BYTES_PER_NODE).clamp(NODES_AT_FIRST_MIN, NODES_AT_FIRST_MAX);
        self.nodes.reserve(room);
        let result = Scanner {
            text,
            rules,
            at: 0,
            checks_controls: has_control(text),
            tape: self,
        }
        .document();
        if result.is_err() {
            self.nodes.clear();
        }
        result
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    rules: &'t Rules,
    at: usize,
    /// Whether there is any control character at all, so that strings must be
    /// searched for one. In a body without line breaks there is none.
    checks_controls: bool,
    tape: &'t mut Tape,
}

/// What the grammar expects next.
#[derive(Clone, Copy)]
enum Expect {
    Value,
    FirstItemOrEnd,
    FirstKeyOrEnd,
    Key,
    CommaOrEnd,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Flaw> {
        if u32::try_from(self.text.len()).is_err() {
            return Err(self.flaw(FlawKind::Nodes));
        }
        if let Err(error) = simdutf8::compat::from_utf8(self.text) {
            return Err(Flaw {
                kind: FlawKind::Utf8,
                offset: error.valid_up_to(),
            });
        }
        self.space();
        if self.at == self.text.len() {
            return Err(self.flaw(FlawKind::Empty));
        }
        self.values()?;
        self.space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.flaw(FlawKind::Trailing))
        }
    }

    fn values(&mut self) -> Result<(), Flaw> {
        let mut expect = Expect::Value;
        loop {
            self.space();
            let Some(&byte) = self.text.get(self.at) else {
                return Err(self.flaw(FlawKind::Truncated));
            };
            expect = match (expect, byte) {
                (Expect::FirstItemOrEnd, b']') | (Expect::FirstKeyOrEnd, b'}') => {
                    self.close(byte)?;
                    Expect::CommaOrEnd
                }
                (Expect::Value | Expect::FirstItemOrEnd, _) => self.value(byte)?,
                (Expect::FirstKeyOrEnd | Expect::Key, b'"') => {
                    self.string()?;
                    self.space();
                    self.byte(b':')?;
                    Expect::Value
                }
                (Expect::FirstKeyOrEnd | Expect::Key, _) => {
                    return Err(self.flaw(FlawKind::Unexpected));
                }
                (Expect::CommaOrEnd, b',') => {
                    self.at += 1;
                    if self.in_object() {
                        Expect::Key
                    } else {
                        Expect::Value
                    }
                }
                (Expect::CommaOrEnd, b']' | b'}') => {
                    self.close(byte)?;
                    Expect::CommaOrEnd
                }
                (Expect::CommaOrEnd, _) => return Err(self.flaw(FlawKind::Unexpected)),
            };
            if self.tape.open.is_empty() {
                return Ok(());
            }
        }
    }

    fn value(&mut self, byte: u8) -> Result<Expect, Flaw> {
        match byte {
            b'"' => self.string()?,
            b'{' => {
                self.open(Kind::Object)?;
                return Ok(Expect::FirstKeyOrEnd);
            }
            b'[' => {
                self.open(Kind::Array)?;
                return Ok(Expect::FirstItemOrEnd);
            }
            b't' => self.word(b"true", Kind::True)?,
            b'f' => self.word(b"false", Kind::False)?,
            b'n' => self.word(b"null", Kind::Null)?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return Err(self.flaw(FlawKind::Unexpected)),
        }
        Ok(Expect::CommaOrEnd)
    }

    fn open(&mut self, kind: Kind) -> Result<(), Flaw> {
        if self.tape.open.len() >= usize::from(self.rules.depth_max) {
            return Err(self.flaw(FlawKind::Depth));
        }
        let index = self.push(kind, self.at, self.at + 1)?;
        self.tape.open.push(index);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, byte: u8) -> Result<(), Flaw> {
        let wanted = if byte == b'}' {
            Kind::Object
        } else {
            Kind::Array
        };
        let Some(&index) = self.tape.open.last() else {
            return Err(self.flaw(FlawKind::Unexpected));
        };
        let slot = index as usize;
        if self.tape.nodes[slot].kind != wanted {
            return Err(self.flaw(FlawKind::Unexpected));
        }
        self.at += 1;
        self.tape.open.pop();
        let next = self.tape.nodes.len() as u32;
        let node = &mut self.tape.nodes[slot];
        node.end = self.at as u32;
        node.next = next;
        if wanted == Kind::Object && self.rules.unique_keys {
            self.unique_keys(slot)?;
        }
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.tape
            .open
            .last()
            .is_some_and(|&index| self.tape.nodes[index as usize].kind == Kind::Object)
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) -> Result<u32, Flaw> {
        let index = self.tape.nodes.len() as u32;
        if index >= self.rules.nodes_max {
            return Err(self.flaw(FlawKind::Nodes));
        }
        self.tape.nodes.push(Node {
            start: start as u32,
            end: end as u32,
            next: index + 1,
            kind,
        });
        Ok(index)
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Flaw> {
        let rest = &self.text[self.at..];
        if !rest.starts_with(word) {
            let kind = if word.starts_with(rest) {
                FlawKind::Truncated
            } else {
                FlawKind::Unexpected
            };
            return Err(self.flaw(kind));
        }
        self.push(kind, self.at, self.at + word.len())?;
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.flaw(FlawKind::Number)),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        {
            return Err(self.flaw(FlawKind::Number));
        }
        self.push(Kind::Number, start, self.at)?;
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.flaw(FlawKind::Number))
        } else {
            Ok(())
        }
    }

    /// A string; long ones are skipped by `memchr`.
    fn string(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        let mut kind = Kind::String;
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(run) = run_length(rest) else {
                return Err(Flaw {
                    kind: FlawKind::Truncated,
                    offset: self.text.len(),
                });
            };
            if self.checks_controls && has_control(&rest[..run]) {
                let within = rest[..run]
                    .iter()
                    .position(|&byte| byte < 0x20)
                    .unwrap_or(0);
                return Err(Flaw {
                    kind: FlawKind::Control,
                    offset: self.at + within,
                });
            }
            self.at += run;
            if self.text[self.at] == b'"' {
                self.at += 1;
                self.push(kind, start, self.at)?;
                return Ok(());
            }
            kind = Kind::EscapedString;
            self.at += unescape::measure(self.text, self.at)?;
        }
    }

    fn unique_keys(&self, object: usize) -> Result<(), Flaw> {
        let nodes = &self.tape.nodes;
        let end = nodes[object].next as usize;
        let mut keys: smallvec::SmallVec<[u32; 24]> = smallvec::SmallVec::new();
        let mut at = object + 1;
        while at < end {
            keys.push(at as u32);
            at = nodes[at + 1].next as usize;
        }
        let spelled = |index: u32| {
            let node = nodes[index as usize];
            &self.text[node.start as usize + 1..node.end as usize - 1]
        };
        let duplicate = |index: u32| Flaw {
            kind: FlawKind::DuplicateKey,
            offset: nodes[index as usize].start as usize,
        };
        let escaped = keys
            .iter()
            .any(|&key| nodes[key as usize].kind == Kind::EscapedString);
        if keys.len() > 24 || escaped {
            let mut seen = std::collections::HashSet::with_capacity(keys.len());
            for &key in &keys {
                if !seen.insert(unescape::text(spelled(key))) {
                    return Err(duplicate(key));
                }
            }
            return Ok(());
        }
        for (position, &later) in keys.iter().enumerate() {
            for &earlier in &keys[..position] {
                if spelled(earlier) == spelled(later) {
                    return Err(duplicate(later));
                }
            }
        }
        Ok(())
    }

    fn byte(&mut self, wanted: u8) -> Result<(), Flaw> {
        match self.peek() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.flaw(FlawKind::Unexpected)),
            None => Err(self.flaw(FlawKind::Truncated)),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn flaw(&self, kind: FlawKind) -> Flaw {
        Flaw {
            kind,
            offset: self.at,
        }
    }
}

/// Whether this may stand between the quotes of a string: the rules of the
/// scan for one string alone.
pub(super) fn is_string_text(text: &[u8]) -> bool {
    if has_control(text) || simdutf8::basic::from_utf8(text).is_err() {
        return false;
    }
    let mut at = 0;
    while let Some(run) = run_length(&text[at..]) {
        at += run;
        match unescape::measure(text, at) {
            Ok(length) if text[at] == b'\\' => at += length,
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

/// Bytes before the next quote or backslash. The first few are looked at in
/// words of eight, because most strings are short and a `memchr` call costs
/// more.
fn run_length(rest: &[u8]) -> Option<usize> {
    const WORDS: usize = 3;
    let (words, tail) = rest.as_chunks::<8>();
    for (index, word) in words.iter().take(WORDS).enumerate() {
        let found = quotes_and_backslashes(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(index * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    if words.len() > WORDS {
        let at = WORDS * 8;
        return memchr2(b'"', b'\\', &rest[at..]).map(|index| at + index);
    }
    tail.iter()
        .position(|&byte| byte == b'"' || byte == b'\\')
        .map(|index| words.len() * 8 + index)
}

/// A word whose lowest set bit lies in the first byte that is a quote or a
/// backslash; zero if there is none.
fn quotes_and_backslashes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // A byte becomes zero where it equals the one looked for; borrowing can
    // only spoil bytes above the first such byte.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64))
}

/// Whether there is a byte below a space. The smallest byte tells, and the
/// compiler finds it sixteen bytes at a time.
fn has_control(run: &[u8]) -> bool {
    run.iter().fold(u8::MAX, |least, &byte| least.min(byte)) < 0x20
}

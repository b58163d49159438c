//! Input tokens of a request body, from the scan that was made of it anyway.
//!
//! Two grains: by classes of bytes, cheap enough for every call, and by words
//! or a vocabulary, for the few whose provider told no usage. Both look at 16 KB at most; what
//! lies beyond counts like what was looked at.

use std::borrow::Cow;

use dialects::json::Doc;
use meter::Vocabulary;

/// Bytes of text that are looked at; the rest is taken to be alike.
pub(super) const LOOKED_AT_BYTES_MAX: usize = 16 * 1024;
/// Pieces of a longer text that are looked at.
const PARTS: usize = 3;
/// A shorter piece says little.
const PIECE_BYTES_MIN: usize = 64;
/// Longer strings without a space near their start are files in base64.
const FILE_BYTES_MIN: usize = 4 * 1024;
/// Bytes of a string that tell whether it is a file.
const FILE_HEAD_BYTES: usize = 128;
/// Bytes of one token: of ASCII, and of other scripts.
const ASCII_BYTES: u64 = 4;
const OTHER_BYTES: u64 = 3;

/// By classes of bytes.
pub(crate) fn by_bytes(doc: &Doc) -> Counted {
    let bytes = doc.bytes();
    let is_plain = bytes.len() <= LOOKED_AT_BYTES_MAX && bytes.is_ascii();
    count(doc, |text| {
        let others = if is_plain {
            0
        } else {
            meter::bound::beyond_ascii(text)
        };
        let ascii = text.len() as u64 - others;
        ascii.div_ceil(ASCII_BYTES) + others.div_ceil(OTHER_BYTES)
    })
}

/// By a vocabulary, or else by words.
pub(crate) fn by_texts(doc: &Doc, by: Option<&Vocabulary>) -> Counted {
    count(doc, |text| super::text_tokens(&unescaped(text), by))
}

/// Tokens that were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// All of them.
    pub(crate) tokens: u64,
    /// Files are among them, whose tokens are not known.
    pub(crate) has_files: bool,
}

/// The text of a string as it stands in JSON; one that was cut in the middle
/// of an escape is taken as it stands.
fn unescaped(text: &[u8]) -> Cow<'_, str> {
    let plain = String::from_utf8_lossy(text);
    if !text.contains(&b'\\') {
        return plain;
    }
    let quoted = Doc::answer([b"\"", text, b"\""].concat().into());
    let read = quoted.ok().and_then(|doc| {
        let text = doc.root().str()?;
        Some(text.into_owned())
    });
    read.map_or(plain, Cow::Owned)
}

fn count(doc: &Doc, tokens_of: impl Fn(&[u8]) -> u64) -> Counted {
    let mut sample = Sample::default();
    for span in doc.strings_over(2) {
        let text = &doc.bytes()[span.start + 1..span.end - 1];
        match is_file(text) {
            true => sample.tokens += super::TOKENS_PER_IMAGE,
            false => sample.take(text, &tokens_of),
        }
    }
    Counted {
        tokens: sample.total(),
        has_files: sample.tokens > 0,
    }
}

/// What was looked at, and how much was not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Bytes of all texts together, as far as that is known.
    spread_over: usize,
    /// Bytes of those that came.
    seen: usize,
    looked_at: usize,
    left: usize,
    counted: u64,
    /// Tokens of what is no text.
    pub(super) tokens: u64,
}

impl Sample {
    /// Counts a text as far as there is room.
    pub(super) fn take(&mut self, text: &[u8], tokens_of: impl Fn(&[u8]) -> u64) {
        let room = LOOKED_AT_BYTES_MAX - self.looked_at;
        let (look, rest) = text.split_at(text.len().min(room));
        if !look.is_empty() {
            self.counted += tokens_of(look);
            self.looked_at += look.len();
        }
        self.left += rest.len();
    }

    /// Spread over texts of so many bytes in all.
    pub(super) fn over(bytes: usize) -> Self {
        Self {
            spread_over: bytes,
            ..Self::default()
        }
    }

    /// Counts a text as far as it has a share of the room, which is spread
    /// evenly: of a longer one a piece of its head, its middle and its end,
    /// since one may be unlike.
    pub(super) fn take_parts(&mut self, text: &str, tokens_of: impl Fn(&str) -> u64) {
        let room = self.share_of(text.len());
        if text.len() <= room {
            self.looked_at += text.len();
            self.counted += tokens_of(text);
            return;
        }
        let parts = match room {
            ..PIECE_BYTES_MIN => 0,
            _ => (room / PIECE_BYTES_MIN).min(PARTS),
        };
        let before = self.looked_at;
        for nth in 0..parts {
            let piece = room / parts;
            let from = text.floor_char_boundary((text.len() - piece) / (parts - 1).max(1) * nth);
            let until = text.floor_char_boundary(from + piece);
            self.looked_at += until - from;
            self.counted += tokens_of(&text[from..until]);
        }
        self.left += text.len() - (self.looked_at - before);
    }

    /// How much of the next text may be looked at. What short ones did not
    /// take is there for those behind them.
    fn share_of(&mut self, bytes: usize) -> usize {
        self.seen += bytes;
        if self.spread_over <= LOOKED_AT_BYTES_MAX {
            return LOOKED_AT_BYTES_MAX.saturating_sub(self.looked_at);
        }
        let due = self.seen as u128 * LOOKED_AT_BYTES_MAX as u128 / self.spread_over as u128;
        usize::try_from(due).map_or(0, |due| due.saturating_sub(self.looked_at))
    }

    /// Tokens of all of it.
    pub(super) fn total(self) -> u64 {
        let rest = match self.looked_at {
            0 => 0,
            looked_at => {
                let product = u128::from(self.counted) * self.left as u128;
                u64::try_from(product.div_ceil(looked_at as u128)).unwrap_or(u64::MAX)
            }
        };
        self.tokens
            .saturating_add(self.counted)
            .saturating_add(rest)
    }
}

/// Whether a string is a file in base64, which is not counted by its bytes.
fn is_file(text: &[u8]) -> bool {
    text.len() >= FILE_BYTES_MIN
        && text[..FILE_HEAD_BYTES]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-:;,.\\".contains(byte))
}

#[cfg(test)]
mod tests;

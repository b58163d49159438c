//! Vocabularies of models, in the public `.tiktoken` form: each line is a
//! token in base64 and its rank. A text is cut into pieces by a pattern that
//! the vendor published with the vocabulary, and in each piece the pair of
//! lowest rank is merged until none is left (byte pair encoding).
//!
//! Only the count of tokens is wanted here, so nothing is encoded. Special
//! tokens are text: what a caller writes is no command. Deliberately not here:
//! files, and which model has which vocabulary.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

/// Most tokens of a vocabulary: the largest public ones have 200,000.
pub const TOKENS_MAX: usize = 400_000;
/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 1_024;
/// Longest piece that is merged as one; a longer one, such as a word without
/// end, is cut, and may come to a token more for each cut.
const PIECE_BYTES_MAX: usize = 256;
/// Compiled size of a pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How a text is cut before anything is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// That of `cl100k_base`.
    Cl100kBase,
    /// That of `o200k_base`.
    O200kBase,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cl100kBase, Self::O200kBase];

    /// The name of the vocabulary it was published with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
        }
    }

    /// Without the look-ahead at the end of spaces, which [`pieces`] does.
    fn pattern(self) -> &'static str {
        match self {
            Self::Cl100kBase => concat!(
                r"'(?i:[sdmt]|ll|ve|re)",
                r"|[^\r\n\p{L}\p{N}]?\p{L}+",
                r"|\p{N}{1,3}",
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
                r"|\s+$",
                r"|\s*[\r\n]",
                r"|\s+",
            ),
            Self::O200kBase => concat!(
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*",
                r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
                r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+",
                r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
                r"|\p{N}{1,3}",
                r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"|\s*[\r\n]+",
                r"|\s+",
            ),
        }
    }
}

/// A vocabulary.
pub struct Vocabulary {
    ranks: HashMap<Box<[u8]>, u32>,
    split: Regex,
    digest: Box<str>,
}

/// What is wrong with a file of tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyFault {
    /// A line is no token and rank.
    #[error("line {0} is no token in base64 with its rank")]
    Line(usize),
    /// A token stands there twice.
    #[error("the token of line {0} stands there before")]
    Twice(usize),
    /// There are too many.
    #[error("there are more than {TOKENS_MAX} tokens")]
    TooMany,
    /// A byte has no token, so not every text could be counted.
    #[error("the byte {0:#04x} has no token")]
    Byte(u8),
    /// The pattern could not be compiled.
    #[error("the pattern cannot be used: {0}")]
    Pattern(String),
}

impl Vocabulary {
    /// Reads the text of a `.tiktoken` file.
    ///
    /// # Errors
    /// The first line that is wrong, or what is missing.
    pub fn parse(text: &str, split: Split) -> Result<Self, VocabularyFault> {
        let mut ranks = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            if ranks.len() == TOKENS_MAX {
                return Err(VocabularyFault::TooMany);
            }
            let (token, rank) = read(line).ok_or(VocabularyFault::Line(at + 1))?;
            if ranks.insert(token, rank).is_some() {
                return Err(VocabularyFault::Twice(at + 1));
            }
        }
        let missing = (0..=u8::MAX).find(|byte| !ranks.contains_key(&[*byte][..]));
        if let Some(byte) = missing {
            return Err(VocabularyFault::Byte(byte));
        }
        let pattern = regex::RegexBuilder::new(split.pattern())
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        let digest = blake3::hash(text.as_bytes()).to_hex();
        Ok(Self {
            ranks,
            split: pattern.map_err(|error| VocabularyFault::Pattern(error.to_string()))?,
            digest: format!("{}:{}", split.name(), &digest[..16]).into(),
        })
    }

    /// What tells it apart from others: its pattern, and the digest of its
    /// tokens.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Tokens of a text.
    pub fn tokens(&self, text: &str) -> u64 {
        let mut parts = Vec::new();
        let pieces = pieces(&self.split, text);
        let chunks = pieces.flat_map(|piece| piece.as_bytes().chunks(PIECE_BYTES_MAX));
        chunks.map(|chunk| self.merged(chunk, &mut parts)).sum()
    }

    /// How many tokens are left of a piece when all that can be is merged.
    fn merged(&self, piece: &[u8], parts: &mut Vec<(usize, Option<u32>)>) -> u64 {
        if self.ranks.contains_key(piece) {
            return 1;
        }
        // Each part by where it begins, with the rank it would have together
        // with the next one. The last one is the end.
        let rank = |from: usize, until: Option<usize>| {
            let pair = piece.get(from..until?)?;
            self.ranks.get(pair).copied()
        };
        parts.clear();
        let len = piece.len();
        parts.extend((0..=len).map(|at| (at, rank(at, (at + 2 <= len).then_some(at + 2)))));
        loop {
            let ranked = parts.iter().enumerate();
            let ranked = ranked.filter_map(|(at, (_, rank))| rank.map(|rank| (rank, at)));
            let Some((_, at)) = ranked.min() else {
                return (parts.len() - 1) as u64;
            };
            parts.remove(at + 1);
            let begin = |at: usize| parts.get(at).map(|(begin, _)| *begin);
            let (own, before) = (begin(at + 2), begin(at + 1));
            parts[at].1 = rank(parts[at].0, own);
            if let Some(at) = at.checked_sub(1) {
                parts[at].1 = rank(parts[at].0, before);
            }
        }
    }
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vocabulary({}, {})", self.digest, self.ranks.len())
    }
}

fn read(line: &str) -> Option<(Box<[u8]>, u32)> {
    let (token, rank) = line.trim().split_once(' ')?;
    let token = STANDARD.decode(token).ok()?;
    let fits = (1..=TOKEN_BYTES_MAX).contains(&token.len());
    Some((token.into(), rank.parse().ok().filter(|_| fits)?))
}

/// The pieces of a text. Of several spaces the last one belongs to what stands
/// behind them, which the published patterns say by `\s+(?!\S)`.
fn pieces<'t>(split: &Regex, text: &'t str) -> impl Iterator<Item = &'t str> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let found = split.find_at(text, from)?;
        let piece = found.as_str();
        let last = piece.char_indices().next_back()?;
        let is_space = piece.chars().all(char::is_whitespace);
        let is_line = piece.ends_with(['\r', '\n']);
        let gives = is_space && !is_line && last.0 > 0 && found.end() < text.len();
        let end = match gives {
            true => found.start() + last.0,
            false => found.end(),
        };
        let piece = &text[found.start()..end];
        from = end;
        Some(piece)
    })
}

#[cfg(test)]
mod tests;

//! A toy tokenizer: words with their leading space, long words in pieces of eight characters.
//!
//! One definition serves usage, `max_tokens`, streamed deltas and logprobs, so they agree.

const LONGEST: usize = 8;

/// Splits text into tokens; joining them gives the text back.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut chars, mut in_word) = (0, 0, false);
    for (at, c) in text.char_indices() {
        let space = c.is_whitespace();
        let full = chars == LONGEST;
        if at > start && ((space && in_word) || full) {
            out.push(&text[start..at]);
            (start, chars, in_word) = (at, 0, false);
        }
        in_word |= !space;
        chars += 1;
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

pub(crate) fn count(text: &str) -> u64 {
    split(text).len() as u64
}

/// At most `limit` tokens of `text`, and whether something was cut.
pub(crate) fn cut(text: &str, limit: u64) -> (&str, bool) {
    let pieces = split(text);
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    if pieces.len() <= keep {
        return (text, false);
    }
    let end = pieces[..keep].iter().map(|p| p.len()).sum();
    (&text[..end], true)
}

//! Upper bounds of what a call may take, before it is made.

/// Tokens that a message costs besides its text.
const TOKENS_PER_TURN: u64 = 8;
/// Bytes of ASCII in a token, at the least in nearly every text: English has
/// four, code three, digits two.
const ASCII_BYTES_PER_TOKEN: u64 = 2;

/// Tokens of what a body names and does not hold: an image or a file by its
/// address or id, a stored conversation, a cache.
pub const TOKENS_PER_REFERENCE: u64 = 4_096;
/// Fields that name such things.
const REFERENCES: [&[u8]; 10] = [
    b"\"image_url\"",
    b"\"file_url\"",
    b"\"file_id\"",
    b"\"file_data\"",
    b"\"fileData\"",
    b"\"fileUri\"",
    b"\"cachedContent\"",
    b"\"previous_response_id\"",
    b"\"conversation\"",
    b"\"s3Location\"",
];

/// How many things a body names and does not hold.
pub fn references(body: &[u8]) -> u64 {
    let named = REFERENCES.iter();
    named
        .map(|field| memchr::memmem::find_iter(body, field).count() as u64)
        .sum()
}

/// Tokens that a body of JSON cannot exceed in nearly every text: two bytes of
/// ASCII for a token, and two tokens for three bytes of the rest (a character
/// of Chinese, Japanese or Korean has three bytes and is one or two tokens).
pub fn input_estimate(body: &[u8], turns: u32) -> u64 {
    let beyond = body.iter().filter(|byte| !byte.is_ascii()).count() as u64;
    let ascii = body.len() as u64 - beyond;
    ascii
        .div_ceil(ASCII_BYTES_PER_TOKEN)
        .saturating_add((beyond * 2).div_ceil(3))
        .saturating_add(u64::from(turns).saturating_mul(TOKENS_PER_TURN))
        .saturating_add(references(body).saturating_mul(TOKENS_PER_REFERENCE))
}

/// Tokens that a body cannot exceed in any text: vocabularies over bytes have
/// no token that is shorter than one byte.
pub fn input_strict(body: &[u8], turns: u32) -> u64 {
    let turns = u64::from(turns).saturating_mul(TOKENS_PER_TURN);
    let references = references(body).saturating_mul(TOKENS_PER_REFERENCE);
    (body.len() as u64)
        .saturating_add(turns)
        .saturating_add(references)
}

/// Output tokens of a call: as many as one answer may have, for each answer
/// that was asked for.
pub fn output(cap: u64, choices: u32) -> u64 {
    cap.saturating_mul(u64::from(choices.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_above_the_truth_of_public_vocabularies() {
        // Counted with o200k: 9, 14 and 21 tokens.
        for (text, tokens) in [
            ("The quick brown fox jumps over the lazy dog", 9),
            ("敏捷的棕色狐狸跳过了懒狗，然后睡着了", 14),
            ("3.14159265358979323846264338327950288", 13),
        ] {
            assert!(input_estimate(text.as_bytes(), 1) >= tokens, "{text}");
            assert!(input_strict(text.as_bytes(), 1) >= input_estimate(text.as_bytes(), 1));
        }
        assert_eq!(input_estimate(b"", 0), 0);
    }

    #[test]
    fn absurd_figures_saturate() {
        assert_eq!(output(u64::MAX, 5), u64::MAX);
        assert_eq!(output(100, 0), 100);
        assert_eq!(output(100, 3), 300);
    }
}

//! Upper bounds of what a call may take, before it is made.

/// Tokens that a message costs besides its text.
const TOKENS_PER_TURN: u64 = 8;
/// Bytes of ASCII in a token, at the least in nearly every text: English has
/// four, code three, digits two.
const ASCII_BYTES_PER_TOKEN: u64 = 2;

/// Tokens of what a body names and does not hold: an image or a file by its
/// address or id, a stored conversation, a cache.
pub const TOKENS_PER_REFERENCE: u64 = 4_096;
/// Fields that name such things, from their first quotation mark on.
const REFERENCES: [&[u8]; 10] = [
    b"image_url\"",
    b"file_url\"",
    b"file_id\"",
    b"file_data\"",
    b"fileData\"",
    b"fileUri\"",
    b"cachedContent\"",
    b"previous_response_id\"",
    b"conversation\"",
    b"s3Location\"",
];

/// How many things a body names and does not hold.
pub fn references(body: &[u8]) -> u64 {
    let names = memchr::memchr_iter(b'"', body).filter(|at| {
        let name = &body[at + 1..];
        // Most names begin with another letter.
        let may_be = name.first().is_some_and(|first| b"cfips".contains(first));
        may_be && REFERENCES.iter().any(|field| name.starts_with(field))
    });
    names.count() as u64
}

/// Bytes that are not ASCII. Every body is weighed, so they are counted many
/// at once, in sums that a byte holds.
pub fn beyond_ascii(text: &[u8]) -> u64 {
    if text.is_ascii() {
        return 0;
    }
    let sum = |piece: &[u8]| {
        piece
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(byte >> 7))
    };
    let pieces = text.chunks(usize::from(u8::MAX));
    pieces.map(|piece| u64::from(sum(piece))).sum()
}

/// Tokens that a body of JSON cannot exceed in nearly every text: two bytes of
/// ASCII for a token, and two tokens for three bytes of the rest (a character
/// of Chinese, Japanese or Korean has three bytes and is one or two tokens).
pub fn input_estimate(body: &[u8], turns: u32) -> u64 {
    let beyond = beyond_ascii(body);
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
    fn what_a_body_names_is_counted() {
        let body = br#"{"image_url": {"url": "x"}, "a": ["file_id", "fileUri"], "file": "id"}"#;
        assert_eq!(references(body), 3);
        // As text, with its quotation marks escaped, it names nothing.
        assert_eq!(references(br#"{"a": "say \"file_id\" to me"}"#), 0);
        for field in REFERENCES {
            assert_eq!(references(&[b"\"", field].concat()), 1);
        }
        assert_eq!(references(b"\""), 0);
    }

    #[test]
    fn bytes_beyond_ascii_are_counted_in_texts_of_any_length() {
        for length in [0, 1, 31, 254, 255, 256, 1_000] {
            let text: Vec<u8> = (0..length).map(|nth| (nth % 3) as u8 * 100).collect();
            let one_by_one = text.iter().filter(|byte| !byte.is_ascii()).count();
            assert_eq!(beyond_ascii(&text), one_by_one as u64);
            assert_eq!(beyond_ascii(&vec![0xff; length]), length as u64);
        }
    }

    #[test]
    fn absurd_figures_saturate() {
        assert_eq!(output(u64::MAX, 5), u64::MAX);
        assert_eq!(output(100, 0), 100);
        assert_eq!(output(100, 3), 300);
    }
}

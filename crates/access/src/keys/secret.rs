//! What a virtual key looks like: `tg-<8 characters of its id>-<43 of its
//! secret>`. The prefix is found by scanners for leaked secrets, and the id
//! tells people which key they look at.
//!
//! Deliberately not here: randomness, which is handed in.

use contract::Secret;

/// How every key of this gateway begins.
pub const KEY_PREFIX: &str = "tg-";
/// Random bytes of an id.
pub const ID_BYTES: usize = 5;
/// Random bytes of a secret: 256 bits.
pub const SECRET_BYTES: usize = 32;

/// Digits of ids: no letters that look like digits, and none in upper case.
const ID_DIGITS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Digits of secrets. A double click selects them whole.
const SECRET_DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits to the base of 62 that 256 bits need.
const SECRET_CHARS: usize = 43;

/// The public id of a key.
pub fn key_id(random: &[u8; ID_BYTES]) -> String {
    let bits = random
        .iter()
        .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..8)
        .rev()
        .map(|nth| char::from(ID_DIGITS[(bits >> (5 * nth) & 31) as usize]))
        .collect()
}

/// The text that a caller sends.
pub fn secret_text(id: &str, random: &Secret<[u8; SECRET_BYTES]>) -> Secret<String> {
    let mut number = Secret::new(*random.expose());
    let mut text = String::with_capacity(KEY_PREFIX.len() + id.len() + 1 + SECRET_CHARS);
    text.push_str(KEY_PREFIX);
    text.push_str(id);
    text.push('-');
    for _ in 0..SECRET_CHARS {
        let (rest, digit) = divide(number.expose());
        number = Secret::new(rest);
        text.push(char::from(SECRET_DIGITS[usize::from(digit)]));
    }
    Secret::new(text)
}

/// A number by 62, and what is left over.
fn divide(number: &[u8; SECRET_BYTES]) -> ([u8; SECRET_BYTES], u8) {
    let mut left = 0u16;
    let quotient = number.map(|byte| {
        let all = left << 8 | u16::from(byte);
        left = all % 62;
        // `left` was below 62, so the quotient is below 256.
        (all / 62) as u8
    });
    (quotient, left as u8)
}

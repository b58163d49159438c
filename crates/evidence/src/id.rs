//! Request ids: UUIDs of version 7 (RFC 9562), so that ids sort by time.
//!
//! Deliberately not here: the clock and the dice; both are handed in.

use std::fmt;
use std::str::FromStr;

/// Length of the text form.
pub const TEXT_BYTES: usize = 36;

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Positions of the hyphens in the text form.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The id of one exchange.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// An id for this moment. 48 bits of milliseconds, 12 bits of the fraction
    /// of the millisecond (method 3 of RFC 9562, section 6.2), 62 bits of
    /// `roll`.
    pub fn mint(unix_us: u64, roll: u64) -> Self {
        let ms = unix_us / 1_000;
        let fraction = (unix_us % 1_000) * 4_096 / 1_000;
        let high = (ms << 16) | 0x7000 | fraction;
        let low = (roll & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        Self(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }

    /// An id from its 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The text form, lower case with hyphens, without an allocation.
    pub fn text(&self) -> IdText {
        let mut text = [b'-'; TEXT_BYTES];
        let mut at = 0;
        for byte in self.0 {
            if HYPHENS.contains(&at) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        IdText(text)
    }

    /// Whether this id falls into a sample of one in `n`. Deterministic, so
    /// that every node and every later tool picks the same exchanges.
    pub fn sampled(&self, n: u64) -> bool {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]) & 0x3fff_ffff_ffff_ffff;
        // Fibonacci hashing spreads ids that were not minted from good dice.
        n > 0 && (low.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16).is_multiple_of(n)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// The text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request id: expected 32 hexadecimal digits, with or without hyphens")]
pub struct NotAnId;

impl FromStr for RequestId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut bytes = [0u8; 16];
        let mut digits = 0;
        for (at, c) in text.bytes().enumerate() {
            if c == b'-' && text.len() == TEXT_BYTES && HYPHENS.contains(&at) {
                continue;
            }
            let digit = char::from(c).to_digit(16).ok_or(NotAnId)?;
            let byte = bytes.get_mut(digits / 2).ok_or(NotAnId)?;
            *byte = (*byte << 4) | u8::try_from(digit).map_err(|_| NotAnId)?;
            digits += 1;
        }
        if digits == 32 {
            Ok(Self(bytes))
        } else {
            Err(NotAnId)
        }
    }
}

/// The text form of a [`RequestId`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdText([u8; TEXT_BYTES]);

impl IdText {
    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits and hyphens are ASCII")
    }

    /// As ASCII bytes, for header values.
    pub fn as_bytes(&self) -> &[u8; TEXT_BYTES] {
        &self.0
    }
}

#[cfg(test)]
mod tests;

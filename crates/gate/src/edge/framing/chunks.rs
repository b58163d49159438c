//! The chunked body of HTTP/1.1, followed byte by byte so that the end of the
//! message is where hyper sees it and nowhere else.
//!
//! Stricter than RFC 9112: no white space in the size line, extensions
//! bounded, trailer fields refused (nothing in the house reads them).
//! Deliberately not here: the data itself, which is only skipped.

use super::violation::Rule;

/// Longest chunk size in digits: 15, so that a sum of sizes cannot wrap.
const SIZE_DIGITS_MAX: u8 = 15;

/// Where in the body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the hexadecimal digits.
    Size { value: u64, digits: u8 },
    /// In the extensions of a chunk of this size.
    Extension { value: u64 },
    /// At the LF of the size line.
    SizeLineFeed { value: u64 },
    /// In the data, with this many bytes to come.
    Data { left: u64 },
    /// At the CR after the data.
    DataReturn,
    /// At the LF after the data.
    DataLineFeed,
    /// At the CR of the empty line after the last chunk.
    LastReturn,
    /// At its LF.
    LastLineFeed,
    /// Behind the body.
    End,
}

/// A chunked body in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of extensions seen so far in this body. A limit for each line
    /// alone would let a caller send a megabyte of extensions for a kilobyte
    /// of data.
    extension_bytes: u32,
}

impl Chunks {
    /// At the first byte of a body.
    pub(super) fn new() -> Self {
        Self {
            at: At::Size {
                value: 0,
                digits: 0,
            },
            extension_bytes: 0,
        }
    }

    /// Whether the last byte of the body was seen.
    pub(super) fn is_end(&self) -> bool {
        self.at == At::End
    }

    /// Follows `input` up to the end of the body, of the input, or to the byte
    /// that breaks a rule. Gives the number of good bytes, and the rule. The
    /// state stays before the bad byte.
    pub(super) fn advance(&mut self, input: &[u8], extension_max: u32) -> (usize, Option<Rule>) {
        let mut i = 0usize;
        while i < input.len() && !self.is_end() {
            if let At::Data { left } = self.at {
                let here = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(input.len() - i);
                i += here;
                let left = left - here as u64;
                self.at = if left == 0 {
                    At::DataReturn
                } else {
                    At::Data { left }
                };
                continue;
            }
            match self.step(input[i], extension_max) {
                Ok(at) => self.at = at,
                Err(rule) => return (i, Some(rule)),
            }
            i += 1;
        }
        (i, None)
    }

    /// The state behind one byte outside the data.
    fn step(&mut self, byte: u8, extension_max: u32) -> Result<At, Rule> {
        match (self.at, byte) {
            (At::Size { value, digits }, b) if b.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Rule::InvalidChunkSize);
                }
                let digit = char::from(b)
                    .to_digit(16)
                    .expect("it is a hexadecimal digit");
                let value = value << 4 | u64::from(digit);
                Ok(At::Size {
                    value,
                    digits: digits + 1,
                })
            }
            (At::Size { digits: 0, .. }, _) => Err(Rule::InvalidChunkSize),
            (At::Size { value, .. }, b'\r') => Ok(At::SizeLineFeed { value }),
            (At::Size { value, .. }, b';') => Ok(At::Extension { value }),
            (At::Size { .. }, b'\n') => Err(Rule::ChunkDelimiter),
            (At::Size { .. }, _) => Err(Rule::InvalidChunkSize),
            (At::Extension { value }, b'\r') => Ok(At::SizeLineFeed { value }),
            (At::Extension { .. }, b'\n') => Err(Rule::ChunkDelimiter),
            (At::Extension { value }, b) => {
                if b < 0x20 && b != b'\t' || b == 0x7f || self.extension_bytes >= extension_max {
                    return Err(Rule::ChunkExtensionTooLong);
                }
                self.extension_bytes += 1;
                Ok(At::Extension { value })
            }
            (At::SizeLineFeed { value: 0 }, b'\n') => Ok(At::LastReturn),
            (At::SizeLineFeed { value }, b'\n') => Ok(At::Data { left: value }),
            (At::DataReturn, b'\r') => Ok(At::DataLineFeed),
            (At::DataLineFeed, b'\n') => Ok(At::Size {
                value: 0,
                digits: 0,
            }),
            (At::LastReturn, b'\r') => Ok(At::LastLineFeed),
            (At::LastReturn, b'\n') => Err(Rule::ChunkDelimiter),
            (At::LastReturn, _) => Err(Rule::TrailersRefused),
            (At::LastLineFeed, b'\n') => Ok(At::End),
            (At::SizeLineFeed { .. } | At::DataReturn | At::DataLineFeed | At::LastLineFeed, _) => {
                Err(Rule::ChunkDelimiter)
            }
            (At::Data { .. } | At::End, _) => unreachable!("advance handles data and the end"),
        }
    }
}

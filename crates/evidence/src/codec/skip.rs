//! Passing over what is not asked for. The ledger reads every record and wants
//! little of each, so this costs a few steps for an item where a decoder that
//! reads what it passes takes a hundred.
//!
//! Deliberately not here: judging. What is not plain (chunked texts, deep
//! nesting, damage) is left to the decoder; texts are not checked for UTF-8.

use minicbor::Decoder;
use minicbor::decode::Error;

/// Lists within lists that are followed here.
const DEPTH_MAX: usize = 16;
/// Elements that are left of a list whose length is not told.
const UNTOLD: u64 = u64::MAX;
/// Ends a list whose length is not told.
const BREAK: u8 = 0xff;

/// Passes over the next item.
pub(super) fn over(d: &mut Decoder<'_>) -> Result<(), Error> {
    match end_of(d.input(), d.position()) {
        Some(end) => {
            d.set_position(end);
            Ok(())
        }
        None => d.skip(),
    }
}

/// Where the item ends that begins at `at`; `None` if that is for the decoder
/// to say.
fn end_of(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Elements that are left of each list around the item.
    let mut left = [0_u64; DEPTH_MAX];
    let mut depth = 0;
    loop {
        let head = *bytes.get(at)?;
        at += 1;
        if head == BREAK {
            depth = usize::checked_sub(depth, 1)?;
            if left[depth] != UNTOLD {
                return None;
            }
        } else {
            let (kind, value) = (head >> 5, argument(bytes, head & 0x1f, &mut at)?);
            match (kind, value) {
                (2 | 3 | 6, UNTOLD) | (0 | 1, UNTOLD) => return None,
                // Bytes and texts.
                (2 | 3, length) => {
                    at = at.checked_add(usize::try_from(length).ok()?)?;
                    if at > bytes.len() {
                        return None;
                    }
                }
                (4 | 5, 0) => {}
                // Arrays and maps.
                (4 | 5, elements) => {
                    *left.get_mut(depth)? = match (elements, kind) {
                        (UNTOLD, _) => UNTOLD,
                        (pairs, 5) => pairs.checked_mul(2)?,
                        (elements, _) => elements,
                    };
                    depth += 1;
                    continue;
                }
                // A tag belongs to the item behind it.
                (6, _) => continue,
                // Numbers and simple values.
                (_, _) => {}
            }
        }
        // An item ends here, and with it the lists whose last one it is.
        loop {
            let Some(around) = usize::checked_sub(depth, 1) else {
                return Some(at);
            };
            match left[around] {
                UNTOLD => break,
                1 => depth = around,
                more => {
                    left[around] = more - 1;
                    break;
                }
            }
        }
    }
}

/// The number that a head tells: a value, a length or a count.
fn argument(bytes: &[u8], told: u8, at: &mut usize) -> Option<u64> {
    let length = match told {
        0..=23 => return Some(u64::from(told)),
        24..=27 => 1 << (told - 24),
        31 => return Some(UNTOLD),
        _ => return None,
    };
    let number = bytes.get(*at..*at + length)?;
    *at += length;
    Some(
        number
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests;

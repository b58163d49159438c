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
    // Elements that are left of the list that is gone through, and of those
    // around it; the first is one of one element, which is the item.
    let (mut left, mut depth) = (1, 0);
    let mut around = [0_u64; DEPTH_MAX];
    loop {
        if left == 0 {
            let Some(outer) = usize::checked_sub(depth, 1) else {
                return Some(at);
            };
            (left, depth) = (around[outer], outer);
            continue;
        }
        let head = *bytes.get(at)?;
        at += 1;
        if head == BREAK {
            depth = usize::checked_sub(depth, 1).filter(|_| left == UNTOLD)?;
            left = around[depth];
            continue;
        }
        let value = match head & 0x1f {
            small @ 0..=23 => u64::from(small),
            told => argument(bytes, told, &mut at)?,
        };
        left -= u64::from(left != UNTOLD);
        match (head >> 5, value) {
            (0..=3 | 6, UNTOLD) => return None,
            // Bytes and texts.
            (2 | 3, length) => {
                let length = usize::try_from(length).ok()?;
                at = at.checked_add(length).filter(|end| *end <= bytes.len())?;
            }
            // Arrays and maps.
            (4 | 5, elements) => {
                *around.get_mut(depth)? = left;
                depth += 1;
                left = match (elements, head >> 5) {
                    (pairs, 5) if pairs != UNTOLD => pairs.checked_mul(2)?,
                    (elements, _) => elements,
                };
            }
            // A tag belongs to the item behind it.
            (6, _) => left += u64::from(left != UNTOLD),
            // Numbers and simple values.
            (_, _) => {}
        }
    }
}

/// The number behind a head that does not hold it: a value, a length or a
/// count.
fn argument(bytes: &[u8], told: u8, at: &mut usize) -> Option<u64> {
    let length = match told {
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

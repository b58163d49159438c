//! Real chance: a fast generator for each thread, seeded by the operating
//! system. Not for secrets: its future can be computed from its past.

use std::cell::Cell;

use contract::seams::Dice;

/// Dice for spreading load, jitter and identifiers that need not be secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDice;

impl RealDice {
    /// Dice; each thread that rolls seeds its own generator once.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Dice for RealDice {
    fn roll(&self) -> u64 {
        STATE.with(|state| {
            let (bits, next) = step(state.get());
            state.set(next);
            bits
        })
    }
}

thread_local! {
    static STATE: Cell<[u64; 4]> = Cell::new(seed());
}

/// Four words of the operating system's randomness, never all zero (the one
/// state the generator cannot leave).
fn seed() -> [u64; 4] {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).expect("the operating system supplies random bytes");
    let mut words = [0_u64; 4];
    for (word, part) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(part.try_into().expect("chunks are eight bytes"));
    }
    words[0] |= 1;
    words
}

/// One step of xoshiro256++ (Blackman and Vigna, 2019).
fn step(mut s: [u64; 4]) -> (u64, [u64; 4]) {
    let bits = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
    let t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3].rotate_left(45);
    (bits, s)
}

#[cfg(test)]
mod tests;

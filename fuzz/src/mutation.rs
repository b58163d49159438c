//! Seeded mutation of inputs: the same seed makes the same inputs on every machine.
//!
//! Not here: feedback from coverage, which is libFuzzer's part.

/// Inputs never grow beyond this many bytes.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Words of the formats we read; whole words reach places that single bytes rarely do.
const WORDS: [&[u8]; 40] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"null",
    b"true",
    b"false",
    b"-0",
    b"1e999",
    b"18446744073709551616",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"data:",
    b"data: ",
    b"data: [DONE]\n\n",
    b"event: ",
    b"id: ",
    b"retry: 1",
    b": ping\n",
    b"\"model\":",
    b"\"stream\":true",
    b"\"content\":",
    b"\"type\":",
    b"\x00\x00\x00\x10",
    b"\xff\xff\xff\xff",
];

/// A small generator of numbers; its quality is enough for choosing mutations, and for nothing else.
pub struct Dice(u64);

impl Dice {
    /// The same seed, the same draws.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A draw below `bound`; zero when `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = bound as u64;
        mixed.checked_rem(bound).map_or(0, |draw| draw as usize)
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

/// One to six changes to a copy of one of the seeds.
pub fn mutate(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let pick = dice.below(seeds.len());
    let mut input = seeds.get(pick).cloned().unwrap_or_default();
    for _ in 0..=dice.below(6) {
        change(&mut input, seeds, dice);
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let some = 1 + dice.below(16);
    let end = (at + some).min(input.len());
    match dice.below(10) {
        0 => flip(input, at, 1 << dice.below(8)),
        1 => flip(input, at, dice.byte()),
        2 => input.insert(at, dice.byte()),
        3 => drop(input.drain(at..end)),
        4 => input.truncate(at),
        5 => {
            let chunk = input[at..end].to_vec();
            input.splice(at..at, chunk);
        }
        6 => {
            let word = WORDS[dice.below(WORDS.len())];
            input.splice(at..at, word.iter().copied());
        }
        7 => {
            let word = WORDS[dice.below(WORDS.len())];
            input.splice(at..end, word.iter().copied());
        }
        8 => {
            // Depth and length: the same word many times over.
            let word = WORDS[dice.below(WORDS.len())];
            input.splice(at..at, word.repeat(1 << dice.below(12)));
        }
        9.. => {
            // The tail of another seed behind the head of this one.
            let pick = dice.below(seeds.len());
            let other = seeds.get(pick).map_or(&[][..], Vec::as_slice);
            let from = dice.below(other.len() + 1);
            input.splice(at.., other[from..].iter().copied());
        }
    }
}

fn flip(input: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= bits;
    }
}

//! The generator's known answers, and that rolls differ.

use std::collections::HashSet;

use contract::seams::Dice;

use super::{RealDice, step};

#[test]
fn the_generator_gives_the_published_sequence() {
    // The reference implementation of xoshiro256++ seeded with 1, 2, 3, 4.
    let mut state = [1, 2, 3, 4];
    let mut rolls = Vec::new();
    for _ in 0..4 {
        let (bits, next) = step(state);
        rolls.push(bits);
        state = next;
    }
    assert_eq!(
        rolls,
        [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386
        ]
    );
}

#[test]
fn rolls_differ_within_and_between_threads() {
    let roll = || (0..100).map(|_| RealDice::new().roll()).collect::<Vec<_>>();
    let mut all: HashSet<u64> = roll().into_iter().collect();
    all.extend(std::thread::spawn(roll).join().unwrap());
    assert_eq!(all.len(), 200);
}

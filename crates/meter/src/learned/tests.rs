//! Factors that are learned.

use proptest::prelude::*;

use super::*;

fn after(calls: u32, told: u64, counted: u64) -> Learned {
    (0..calls).fold(Learned::default(), |it, _| it.after(told, counted))
}

#[test]
fn a_factor_is_believed_after_enough_calls() {
    assert_eq!(after(CALLS_MIN - 1, 130, 100).factor(), None);
    let learned = after(CALLS_MIN, 130, 100).factor().expect("learned");
    assert_eq!(learned.of(1_000), 1_300);
    // Long texts and short ones of one vocabulary agree.
    let long = after(CALLS_MIN, 1_300_000, 1_000_000).factor();
    assert_eq!(long, Some(learned));
}

#[test]
fn one_odd_figure_bends_nothing() {
    let learned = after(100, 130, 100);
    // A stored conversation, a search, a figure of nonsense.
    for told in [1_000_000, 401, 24, 0, u64::MAX] {
        assert_eq!(learned.after(told, 100), learned, "{told}");
    }
    let bent = learned.after(400, 100).factor().expect("learned").0;
    let before = learned.factor().expect("learned").0;
    assert!(bent > before && bent - before <= before / 32, "{bent}");
    // Nor does it matter which call was the odd one.
    let first = after(1, 400, 100);
    let first = (0..60).fold(first, |it, _| it.after(130, 100));
    let parts = first.factor().expect("learned").0;
    assert!(parts.abs_diff(before) <= before / 16, "{parts} {before}");
}

#[test]
fn it_follows_a_provider_that_counts_anew() {
    let learned = after(100, 130, 100);
    let learned = (0..200).fold(learned, |it, _| it.after(80, 100));
    let parts = learned.factor().expect("learned").0;
    assert!(parts.abs_diff(80 * ONE / 100) <= 32, "{parts}");
}

#[test]
fn a_short_text_teaches_nothing() {
    assert_eq!(after(100, 100, 63), Learned::default());
}

#[test]
fn nothing_has_no_bits() {
    assert_eq!(Learned::from_bits(0), Learned::default());
    assert_eq!(after(7, 90, 100).to_bits() >> 32, 7);
    assert_eq!(with_margin(100, 25), 125);
    assert_eq!(with_margin(1, 25), 2);
    assert_eq!(with_margin(u64::MAX, 25), u64::MAX);
}

proptest! {
    /// Whatever is told, a factor stays between a quarter and four times, and
    /// a settled one moves by a small step at most.
    #[test]
    fn factors_are_sane(figures in prop::collection::vec((any::<u64>(), any::<u64>()), 0..200)) {
        let mut learned = Learned::default();
        for (told, counted) in figures {
            // Figures near each other are the ones that teach.
            for told in [told, counted.saturating_add(told % counted.max(1))] {
                let next = learned.after(told, counted);
                let parts = next.factor().unwrap_or_default().0;
                prop_assert!((ONE / 4..=ONE * 4).contains(&parts));
                if learned.calls == CALLS_COUNTED {
                    prop_assert!(next.parts.abs_diff(learned.parts) <= learned.parts / 32 + 1);
                }
                prop_assert_eq!(Learned::from_bits(next.to_bits()), next);
                learned = next;
            }
        }
    }
}

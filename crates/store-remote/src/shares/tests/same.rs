//! One replica at a server decides as the book of one process does.

use meter::{Book, Measure, Pace, Refused, Subject, Window};
use proptest::prelude::*;

use super::{NOW_US, Pair, quota, want};

fn decides_alike(
    pace: Pace,
    measure: Measure,
    steps: &[(u64, i64, u8)],
) -> Result<(), TestCaseError> {
    let limit = if measure == Measure::Requests {
        30
    } else {
        1_000_000
    };
    let quota = quota(measure, limit, pace);
    let mut pair = Pair::new();
    let mut book = Book::new(100);
    let mut open = Vec::new();
    for (nth, (pause_us, amount, actual)) in steps.iter().enumerate() {
        pair.us += pause_us;
        let amount = if measure == Measure::Requests {
            1
        } else {
            *amount * 1_000
        };
        let wants = [want(&quota, amount)];
        let shared = pair.admit(&wants);
        let local = book.admit(NOW_US + pair.us, &Subject::default(), &wants);
        prop_assert_eq!(
            shared.is_ok(),
            local.is_ok(),
            "step {}: {:?} {:?}",
            nth,
            shared,
            local
        );
        match (shared, local) {
            (Ok(shared), Ok(local)) => open.push((shared, local)),
            (Err(shared), _) => prop_assert!(matches!(shared, Refused::Breached(_))),
            (Ok(_), Err(_)) => {}
        }
        if actual % 3 > 0
            && let Some((shared, local)) = open.pop()
        {
            let took = amount / 1_000 * i64::from(*actual) / 200 * 1_000;
            pair.shares.settle(&shared.draws[0], took);
            book.settle(&local.draws[0], took);
        }
        if actual % 7 == 0 {
            pair.tend();
        }
    }
    Ok(())
}

/// A refusal holds for 20 ms; pauses are longer.
fn steps() -> impl Strategy<Value = Vec<(u64, i64, u8)>> {
    prop::collection::vec((20_000_u64..3_000_000, 1_i64..400, any::<u8>()), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    })]

    #[test]
    fn fixed_windows(steps in steps()) {
        let window = Window::Fixed { length_s: 60, anchor_s: 0 };
        decides_alike(Pace::Window(window), Measure::Tokens, &steps)?;
    }

    #[test]
    fn sliding_windows_of_money(steps in steps()) {
        let window = Window::Sliding { length_ms: 60_000 };
        decides_alike(Pace::Window(window), Measure::Cost, &steps)?;
    }

    #[test]
    fn even_rates(steps in steps()) {
        let pace = Pace::Gcra { period_us: 60_000_000, burst: 10 };
        decides_alike(pace, Measure::Requests, &steps)?;
    }

    #[test]
    fn permits(steps in steps()) {
        decides_alike(Pace::Permits, Measure::Concurrency, &steps)?;
    }
}

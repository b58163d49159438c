//! Cases of the forecast, on series of known pace.

use super::*;

const DAY_US: u64 = 86_400_000_000;
const SPAN: Span = Span {
    from_us: 100 * DAY_US,
    until_us: 130 * DAY_US,
};

#[test]
fn an_even_pace_is_foreseen_to_the_microsecond() {
    // So much a day: it is used up on the day that the division gives,
    // whenever one looks.
    for pace in [1, 7, 1_000_003, i128::from(i64::MAX) / 40] {
        for lasts_days in [2, 11, 29] {
            let limit = pace * lasts_days;
            for day in 1..lasts_days {
                let day = u64::try_from(day).unwrap_or_default();
                let now_us = SPAN.from_us + day * DAY_US;
                let used = pace * i128::from(day);
                let end = SPAN.from_us + u64::try_from(lasts_days).unwrap_or_default() * DAY_US;
                assert_eq!(forecast(now_us, SPAN, used, limit), Forecast::At(end));
            }
        }
        let now_us = SPAN.from_us + 10 * DAY_US;
        assert_eq!(
            forecast(now_us, SPAN, pace * 10, pace * 30),
            Forecast::Lasts
        );
        assert_eq!(
            forecast(now_us, SPAN, pace * 31, pace * 30),
            Forecast::Exhausted
        );
    }
}

#[test]
fn more_spent_never_lasts_longer() {
    let now_us = SPAN.from_us + 3 * DAY_US;
    let end = |used| match forecast(now_us, SPAN, used, 10_000) {
        Forecast::Exhausted => 0,
        Forecast::At(at_us) => at_us,
        Forecast::Lasts => u64::MAX,
        Forecast::Early | Forecast::NoWindow => panic!("there is a pace"),
    };
    let ends: Vec<u64> = (0..11_000).map(end).collect();
    assert!(ends.is_sorted_by(|a, b| a >= b));
    assert_eq!((ends[0], ends[10_000]), (u64::MAX, 0));
}

#[test]
fn what_cannot_be_foreseen_is_said() {
    let soon = SPAN.from_us + DAY_US / 10;
    assert_eq!(forecast(soon, SPAN, 5, 10), Forecast::Early);
    assert_eq!(forecast(soon, SPAN, 0, 10), Forecast::Lasts);
    assert_eq!(forecast(SPAN.from_us, SPAN, 5, 10), Forecast::Early);
    assert_eq!(forecast(soon, Span::ALWAYS, 5, 10), Forecast::NoWindow);
    // A budget of nothing is used up.
    assert_eq!(forecast(soon, SPAN, 0, 0), Forecast::Exhausted);
    // A clock that was set back.
    assert_eq!(forecast(0, SPAN, 5, 10), Forecast::Early);
    let far = forecast(SPAN.until_us - 1, SPAN, 1, i128::MAX);
    assert_eq!(far, Forecast::Lasts);
}

//! Cases of what the sides of a roll-out are counted as.

use proptest::prelude::*;

use super::*;
use crate::record::{Attempt, AttemptTimes, FaultNote};

fn record(kind: Option<FaultKind>, duration_us: u64) -> Record {
    Record {
        duration_us,
        fault: kind.map(|kind| FaultNote {
            kind: kind.name().into(),
            ..FaultNote::default()
        }),
        ..Record::default()
    }
}

fn count(sides: &Sides, side: Side, record: &Record) {
    sides.count(side, End::of(record), record);
}

#[test]
fn every_end_counts_once_and_on_its_side() {
    let sides = Sides::default();
    count(&sides, Side::Candidate, &record(None, 5_000));
    for kind in FaultKind::ALL {
        count(&sides, Side::Candidate, &record(Some(kind), 5_000));
    }
    let gone = Record {
        outcome: Outcome::Cancelled,
        ..record(None, 1)
    };
    count(&sides, Side::InForce, &gone);
    let now = sides.now();
    assert_eq!(now.candidate.calls(), 21);
    let ended = End::ALL.map(|end| now.candidate.ended(end));
    assert_eq!(ended, [1, 13, 6, 1]);
    assert_eq!(now.in_force.calls(), 1);
    assert_eq!(now.in_force.ended(End::Cancelled), 1);
    // Of what was not denied, the time is told.
    assert_eq!(now.candidate.latency().count(), 8);
    assert_eq!(now.in_force.latency().count(), 1);
    assert_eq!(now.candidate.first_token().count(), 0);
}

#[test]
fn a_caller_who_gave_up_waited_at_least_so_long() {
    let sides = Sides::default();
    let gone = |stream, first_token_us| {
        let mut record = Record {
            outcome: Outcome::Cancelled,
            ..record(Some(FaultKind::Cancelled), 30_000_000)
        };
        record.request.stream = stream;
        record.attempts.push(Attempt {
            times: AttemptTimes {
                first_token_us,
                ..AttemptTimes::default()
            },
            ..Attempt::default()
        });
        record
    };
    // Not a stream, so there was no first token to wait for.
    count(&sides, Side::Candidate, &gone(false, None));
    let now = sides.now().candidate;
    assert_eq!((now.latency().count(), now.first_token().count()), (1, 0));
    let is_about = |(from, to): (u64, u64), us| (from..=to).contains(&us);
    assert!(is_about(now.latency().percent(95), 30_000_000));
    count(&sides, Side::Candidate, &gone(true, None));
    let now = sides.now().candidate;
    assert!(is_about(now.first_token().percent(95), 30_000_000));
    // One that had begun has its time.
    count(&sides, Side::InForce, &gone(true, Some(5_000)));
    let now = sides.now().in_force;
    assert!(is_about(now.first_token().percent(95), 5_000));
    assert!(is_about(now.latency().percent(95), 30_000_000));
}

#[test]
fn quantiles_are_of_the_right_call() {
    let sides = Sides::default();
    for ms in 1..=100 {
        let mut record = record(None, ms * 1_000);
        record.attempts.push(Attempt {
            committed: true,
            times: AttemptTimes {
                first_token_us: Some(ms * 500),
                ..AttemptTimes::default()
            },
            ..Attempt::default()
        });
        count(&sides, Side::InForce, &record);
    }
    let now = sides.now().in_force;
    for (percent, us) in [(95, 95_000), (99, 99_000), (100, 100_000), (1, 1_000)] {
        let (from, to) = now.latency().percent(percent);
        assert!((from..=to).contains(&us), "{percent}: {from}..={to}");
    }
    let (from, to) = now.first_token().percent(95);
    assert!((from..=to).contains(&47_500), "{from}..={to}");
    let none = Sides::default().now().candidate;
    assert_eq!(
        (none.latency().count(), none.latency().percent(95)),
        (0, (0, 0))
    );
}

#[test]
fn a_window_forgets_what_was_before_it() {
    let sides = Sides::default();
    let mut window = Window::new(60_000_000);
    let mut calls = Vec::new();
    for second in 0..180u64 {
        // A call in each second of the first minute, and none after it.
        if second < 60 {
            count(&sides, Side::Candidate, &record(None, 2_000));
        }
        let within = window.take(second * 1_000_000, sides.now());
        assert_eq!(within.candidate.latency().count(), within.candidate.calls());
        calls.push(within.candidate.calls());
    }
    assert_eq!((calls[0], calls[59]), (1, 60));
    assert!((28..=36).contains(&calls[90]), "{}", calls[90]);
    assert_eq!(calls[130], 0);
    assert!(window.marks.len() <= 14, "{}", window.marks.len());
}

proptest! {
    /// Each time lies in its step, and a step is at most a sixteenth wide.
    #[test]
    fn a_time_is_known_to_a_sixteenth(us in 0u64..60_000_000_000) {
        let (from, to) = times(bucket(us));
        prop_assert!(from <= us && us <= to, "{}: {}..={}", us, from, to);
        prop_assert!(us < LEAST_US || to - from <= from / 16);
    }
}

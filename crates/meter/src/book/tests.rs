//! Cases and properties of counters.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::quota::{Override, QuotaSpec, Scope};
use crate::subject::Dimension;
use crate::window::Window;

const SECOND: u64 = 1_000_000;

fn quota(measure: Measure, limit: i64, pace: Pace) -> Arc<Quota> {
    held(measure, limit, pace, Hold::Enforce)
}

fn held(measure: Measure, limit: i64, pace: Pace, hold: Hold) -> Arc<Quota> {
    Arc::new(Quota::new(spec(measure, limit, pace, hold)))
}

fn spec(measure: Measure, limit: i64, pace: Pace, hold: Hold) -> QuotaSpec {
    QuotaSpec {
        name: format!("{} {limit}", measure.name()).into(),
        kind: QuotaKind::RateLimit,
        measure,
        limit,
        pace,
        scope: Scope {
            by: vec![Dimension::User],
            only: Vec::new(),
        },
        hold,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    }
}

fn fixed(length_s: u64) -> Pace {
    Pace::Window(Window::Fixed {
        length_s,
        anchor_s: 0,
    })
}

fn gcra(period_s: u64, burst: u64) -> Pace {
    Pace::Gcra {
        period_us: period_s * SECOND,
        burst,
    }
}

/// Takes of some quotas for one user.
fn ask(
    book: &mut Book,
    now_us: u64,
    user: &str,
    wanted: &[(&Arc<Quota>, i64)],
) -> Result<Admitted, Refused> {
    let subject = Subject {
        user,
        ..Subject::default()
    };
    let wants: Vec<Want<'_>> = wanted
        .iter()
        .map(|(quota, amount)| Want {
            quota,
            counter: quota.counter(&subject),
            amount: *amount,
        })
        .collect();
    book.admit(now_us, &subject, &wants)
}

fn breaches(refused: Refused) -> Vec<Breach> {
    match refused {
        Refused::Breached(breaches) => breaches,
        Refused::Full | Refused::Short | Refused::Unavailable => panic!("not for room"),
    }
}

#[test]
fn all_or_nothing_over_every_counter() {
    let wide = quota(Measure::Tokens, 100, fixed(60));
    let narrow = quota(Measure::Cost, 10, fixed(60));
    let mut book = Book::default();
    let taken = ask(&mut book, 0, "ann", &[(&wide, 30), (&narrow, 8)]).expect("fits");
    assert_eq!(taken.draws.len(), 2);
    let refused = ask(&mut book, 1, "ann", &[(&wide, 30), (&narrow, 3)]).expect_err("too much");
    let found = &breaches(refused)[0];
    assert_eq!((found.level, found.limit, found.wanted), (8, 10, 3));
    assert_eq!(found.free_us, Some(60 * SECOND));
    assert!(!found.never);
    assert_eq!(found.scope.as_ref(), "user=ann");
    // Nothing of the refused call was taken of the wide one.
    ask(&mut book, 2, "ann", &[(&wide, 70)]).expect("70 are left");
    // Another user has counters of their own.
    ask(&mut book, 2, "bob", &[(&wide, 100), (&narrow, 10)]).expect("untouched");
}

#[test]
fn settling_gives_back_what_was_not_used_and_keeps_debt() {
    let budget = quota(Measure::Cost, 100, fixed(60));
    let mut book = Book::default();
    let first = ask(&mut book, 0, "ann", &[(&budget, 60)]).expect("fits");
    assert_eq!(book.settle(&first.draws[0], 10), 0);
    let second = ask(&mut book, 1, "ann", &[(&budget, 90)]).expect("90 are left");
    // It cost more than was reserved: taken all the same, and called debt.
    assert_eq!(book.settle(&second.draws[0], 140), 50);
    assert_eq!(book.debt(Measure::Cost), 50);
    let refused = breaches(ask(&mut book, 2, "ann", &[(&budget, 1)]).expect_err("spent"));
    assert_eq!(refused[0].level, 150);
}

/// The bug of peers: a call that crosses midnight is settled to the new day.
#[test]
fn what_was_reserved_in_a_window_is_settled_there() {
    let budget = quota(Measure::Cost, 100, fixed(60));
    let mut book = Book::default();
    let late = ask(&mut book, 59 * SECOND, "ann", &[(&budget, 80)]).expect("fits");
    let next = ask(&mut book, 61 * SECOND, "ann", &[(&budget, 100)]).expect("a new window");
    book.settle(&late.draws[0], 90);
    book.settle(&next.draws[0], 40);
    let again = ask(&mut book, 62 * SECOND, "ann", &[(&budget, 60)]).expect("60 are left");
    assert_eq!(again.draws[0].level, 40);
}

/// Found by the simulation: a window that had passed was forgotten at once, and
/// a clock that was set back over its end spent it a second time.
#[test]
fn a_clock_that_is_set_back_over_the_end_of_a_window_spends_nothing_twice() {
    let sliding = Pace::Window(Window::Sliding { length_ms: 60_000 });
    // A sliding window is empty again once it has passed whole.
    for (pace, later) in [(fixed(60), 70 * SECOND), (sliding, 125 * SECOND)] {
        let budget = quota(Measure::Cost, 100, pace);
        let mut book = Book::default();
        let first = ask(&mut book, 59 * SECOND, "ann", &[(&budget, 80)]).expect("fits");
        book.settle(&first.draws[0], 80);
        let next = ask(&mut book, later, "ann", &[(&budget, 10)]).expect("a new window");
        book.settle(&next.draws[0], 10);
        book.sweep(later);
        assert!(ask(&mut book, 59 * SECOND, "ann", &[(&budget, 80)]).is_err());
    }
}

#[test]
fn a_sliding_window_never_holds_more_than_its_limit() {
    let pace = Pace::Window(Window::Sliding { length_ms: 16_000 });
    let quota = quota(Measure::Tokens, 100, pace);
    let mut book = Book::default();
    let first = ask(&mut book, 15_900_000, "ann", &[(&quota, 100)]).expect("fits");
    book.settle(&first.draws[0], 100);
    // At the seam of fixed windows twice the limit would fit.
    let refused = breaches(ask(&mut book, 16_100_000, "ann", &[(&quota, 1)]).expect_err("full"));
    let free_us = refused[0].free_us.expect("known");
    assert!(ask(&mut book, free_us - 1, "ann", &[(&quota, 1)]).is_err());
    ask(&mut book, free_us, "ann", &[(&quota, 100)]).expect("as it was told");
}

#[test]
fn cells_come_evenly_with_a_burst() {
    let quota = quota(Measure::Requests, 60, gcra(60, 3));
    let mut book = Book::default();
    let mut at = |now_us| ask(&mut book, now_us, "ann", &[(&quota, 1)]);
    for _ in 0..3 {
        at(0).expect("the burst");
    }
    let found = breaches(at(0).expect_err("the burst is used"));
    assert_eq!(found[0].free_us, Some(SECOND));
    assert!(at(SECOND - 1).is_err());
    at(SECOND).expect("one cell later");
    assert!(at(SECOND).is_err());
    // A clock that is set back by an hour locks nobody out for an hour.
    at(3_600 * SECOND).expect("long after");
    at(10 * SECOND).expect_err("the clock jumped; the cell counts as just taken");
    at(13 * SECOND).expect("and is free one cell later");
}

#[test]
fn permits_come_back_when_calls_end() {
    let quota = quota(Measure::Concurrency, 2, Pace::Permits);
    let mut book = Book::default();
    let one = ask(&mut book, 0, "ann", &[(&quota, 1)]).expect("one");
    let two = ask(&mut book, 0, "ann", &[(&quota, 1)]).expect("two");
    let refused = breaches(ask(&mut book, 0, "ann", &[(&quota, 1)]).expect_err("three"));
    assert_eq!(refused[0].free_us, None);
    book.settle(&one.draws[0], 1);
    let three = ask(&mut book, 9, "ann", &[(&quota, 1)]).expect("a permit came back");
    book.settle(&two.draws[0], 1);
    book.settle(&three.draws[0], 1);
    book.sweep(10);
    assert!(book.is_empty(), "nothing leaks");
}

#[test]
fn what_can_never_fit_says_so() {
    let budget = quota(Measure::Cost, 100, fixed(60));
    let refused = ask(&mut Book::default(), 0, "ann", &[(&budget, 101)]).expect_err("too large");
    let found = &breaches(refused)[0];
    assert!(found.never);
    assert_eq!(found.free_us, None);
}

#[test]
fn shadow_lets_pass_and_tells() {
    let shadow = held(Measure::Cost, 10, fixed(60), Hold::Shadow);
    let firm = quota(Measure::Cost, 100, fixed(60));
    let mut book = Book::default();
    let taken = ask(&mut book, 0, "ann", &[(&shadow, 20), (&firm, 20)]).expect("passes");
    assert_eq!(taken.would_refuse.len(), 1);
    assert_eq!(taken.would_refuse[0].limit, 10);
    assert_eq!(taken.draws.len(), 2, "it is counted as well");
}

#[test]
fn a_limit_changed_in_mid_window_keeps_what_was_spent() {
    let old = quota(Measure::Cost, 100, fixed(60));
    let mut book = Book::default();
    let taken = ask(&mut book, 0, "ann", &[(&old, 50)]).expect("fits");
    book.settle(&taken.draws[0], 50);
    let mut changed = spec(Measure::Cost, 100, fixed(60), Hold::Enforce);
    changed.limit = 60;
    let new = Arc::new(Quota::new(changed.clone()));
    assert!(ask(&mut book, 1, "ann", &[(&new, 11)]).is_err());
    changed.overrides = vec![Override {
        limit: 80,
        from_us: 0,
        until_us: 10,
    }];
    let over = Arc::new(Quota::new(changed));
    ask(&mut book, 9, "ann", &[(&over, 30)]).expect("while the override holds");
    assert!(ask(&mut book, 10, "ann", &[(&over, 1)]).is_err());
}

#[test]
fn counters_of_hostile_names_are_bounded() {
    let quota = quota(Measure::Cost, 100, fixed(60));
    let mut book = Book::new(2);
    ask(&mut book, 0, "a", &[(&quota, 1)]).expect("room");
    let held = ask(&mut book, 0, "b", &[(&quota, 1)]).expect("room");
    assert_eq!(ask(&mut book, 0, "c", &[(&quota, 1)]), Err(Refused::Full));
    book.settle(&held.draws[0], 1);
    // Windows that have passed make room; what is reserved stays.
    ask(&mut book, 61 * SECOND, "c", &[(&quota, 1)]).expect("room again");
    assert_eq!(book.len(), 2);
}

#[test]
fn absurd_amounts_saturate() {
    let budget = quota(Measure::Cost, i64::MAX, fixed(60));
    let mut book = Book::default();
    let taken = ask(&mut book, 0, "ann", &[(&budget, i64::MAX)]).expect("fits");
    book.settle(&taken.draws[0], i64::MAX);
    book.settle(&taken.draws[0], i64::MAX);
    let level = book.levels().next().expect("a level");
    assert_eq!((level.settled, level.reserved), (i64::MAX, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Ask { user: usize, amounts: Vec<i64> },
    Settle { nth: usize, actual: i64 },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, prop::collection::vec(0..60_i64, 4))
            .prop_map(|(user, amounts)| Step::Ask { user, amounts }),
        3 => (0..8_usize, 0..90_i64).prop_map(|(nth, actual)| Step::Settle { nth, actual }),
        2 => (0..40 * SECOND).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Against a list of everything that ever happened: admission holds for
    /// every counter, refusals take nothing, counters equal the history, and
    /// overspend equals debt.
    #[test]
    fn counters_equal_their_history(steps in prop::collection::vec(step(), 1..120)) {
        let quotas = [
            quota(Measure::Cost, 100, fixed(60)),
            quota(Measure::Tokens, 120, Pace::Window(Window::Sliding { length_ms: 48_000 })),
            quota(Measure::Concurrency, 3, Pace::Permits),
            quota(Measure::InputTokens, 150, Pace::Window(Window::Forever)),
        ];
        let users = ["ann", "bob", ""];
        let mut book = Book::default();
        let mut now = 1_000 * SECOND;
        let mut live: VecDeque<Draw> = VecDeque::new();
        let mut settled: Vec<(Draw, i64)> = Vec::new();
        let mut debt = 0;
        for step in steps {
            match step {
                Step::Wait(more) => now += more,
                Step::Settle { nth, actual } => {
                    if let Some(draw) = live.remove(nth) {
                        debt += book.settle(&draw, actual);
                        settled.push((draw, actual));
                    }
                }
                Step::Ask { user, amounts } => {
                    let wanted: Vec<(&Arc<Quota>, i64)> = quotas.iter().zip(amounts)
                        .map(|(quota, amount)| {
                            let permit = quota.measure == Measure::Concurrency;
                            (quota, if permit { 1 } else { amount })
                        })
                        .collect();
                    let before: Vec<Level> = sorted(&book);
                    match ask(&mut book, now, users[user], &wanted) {
                        Ok(taken) => {
                            for draw in &taken.draws {
                                prop_assert!(draw.level + draw.amount <= draw.limit);
                                let known = history(draw, now, &live, &settled);
                                prop_assert_eq!(draw.level, known, "{:?}", draw);
                            }
                            live.extend(taken.draws);
                        }
                        Err(_) => prop_assert_eq!(before, sorted(&book)),
                    }
                }
            }
        }
        let over: i64 = settled.iter()
            .filter(|(draw, _)| draw.measure != Measure::Concurrency)
            .map(|(draw, actual)| (actual - draw.amount).max(0)).sum();
        prop_assert_eq!(debt, over);
        // Everything ends, and no reservation is left behind.
        for draw in live.drain(..) {
            book.settle(&draw, draw.amount);
        }
        prop_assert!(book.levels().all(|level| level.reserved == 0));
    }
}

fn sorted(book: &Book) -> Vec<Level> {
    let mut levels: Vec<Level> = book.levels().collect();
    levels.sort_by_key(|level| (level.counter, level.span.from_us));
    levels
}

/// What counts for a draw, by all that happened before it.
fn history(draw: &Draw, now: u64, live: &VecDeque<Draw>, settled: &[(Draw, i64)]) -> i64 {
    let counts = |other: &Draw| {
        other.counter == draw.counter
            && match draw.measure {
                Measure::Tokens => other.span.until_us > now - 48 * SECOND,
                Measure::Requests
                | Measure::InputTokens
                | Measure::OutputTokens
                | Measure::Cost
                | Measure::Concurrency => other.span == draw.span,
            }
    };
    let reserved: i64 = live
        .iter()
        .filter(|it| counts(it))
        .map(|it| it.amount)
        .sum();
    let done = settled.iter().filter(|(it, _)| counts(it));
    let done: i64 = done
        .filter(|(it, _)| it.measure != Measure::Concurrency)
        .map(|(_, actual)| actual)
        .sum();
    reserved + done
}

#[test]
fn what_the_ledger_has_stands_in_a_counter_once_and_leaves_no_more_room() {
    let budget = quota(Measure::Tokens, 100, fixed(60));
    let mut before = Book::default();
    let draw = ask(&mut before, 5 * SECOND, "ann", &[(&budget, 60)]).expect("fits");
    let draw = draw.draws[0].clone();
    let mut book = Book::default();
    book.credit(&draw, 40);
    book.credit(&draw, -5);
    let level = book.levels().next().expect("there is one");
    assert_eq!(
        (level.settled, level.reserved, level.span),
        (40, 0, draw.span)
    );
    ask(&mut book, 6 * SECOND, "ann", &[(&budget, 61)]).expect_err("60 are left");
    ask(&mut book, 6 * SECOND, "ann", &[(&budget, 60)]).expect("60 are left");
    assert_eq!(book.debt(Measure::Tokens), 0);
    // A permit of an earlier process is none of this one.
    let permits = quota(Measure::Concurrency, 1, Pace::Permits);
    let permit = ask(&mut before, 0, "ann", &[(&permits, 1)]).expect("fits");
    book.credit(&permit.draws[0], 1);
    ask(&mut book, 0, "ann", &[(&permits, 1)]).expect("nothing was taken");
}

#[test]
fn a_book_that_is_not_what_the_ledger_says_is_found() {
    let budget = quota(Measure::Tokens, 100, fixed(60));
    let mut book = Book::default();
    let draw = ask(&mut book, 0, "ann", &[(&budget, 60)])
        .expect("fits")
        .draws[0]
        .clone();
    let says = |settled: i64| [(draw.counter, draw.span, settled)].into_iter();
    assert_eq!(book.differing(1, std::iter::empty()), 0, "only reserved");
    book.settle(&draw, 40);
    assert_eq!(book.differing(1, says(40)), 0);
    assert_eq!(book.differing(1, says(41)), 1);
    assert_eq!(book.differing(1, std::iter::empty()), 1);
    let other = (7, draw.span, 1);
    assert_eq!(book.differing(1, says(40).chain([other])), 1);
    assert_eq!(book.differing(60 * SECOND, says(0)), 0, "it has passed");
}

/// What refuses nobody must not do so for want of room.
#[test]
fn a_full_book_refuses_only_for_what_is_enforced() {
    let firm = quota(Measure::Cost, 100, fixed(60));
    let shadow = held(Measure::Tokens, 100, fixed(60), Hold::Shadow);
    let mut book = Book::new(1);
    ask(&mut book, 0, "a", &[(&firm, 1)]).expect("room");
    let taken = ask(&mut book, 0, "a", &[(&firm, 1), (&shadow, 1)]).expect("it passes uncounted");
    assert_eq!(taken.draws.len(), 1);
    assert_eq!(book.uncounted(), 1, "and is told");
    assert_eq!(ask(&mut book, 0, "b", &[(&firm, 1)]), Err(Refused::Full));
}

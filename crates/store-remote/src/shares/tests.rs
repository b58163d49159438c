//! Replicas around a server that forgets, is slow and is lied to by clocks.

mod same;
mod sim;

use std::sync::Arc;

use meter::{
    CalendarUnit, Hold, Measure, Pace, Quota, QuotaKind, QuotaSpec, Refused, Scope, Subject, Want,
    Window,
};

use super::{At, Mode, Shares};
use crate::call::{Status, grains_down, grains_up};
use crate::model::Model;

/// A Saturday in November 2026.
const NOW_US: u64 = 1_795_000_000_000_000;
const LEASE_US: u64 = 10_000_000;

fn quota(measure: Measure, limit: i64, pace: Pace) -> Arc<Quota> {
    Arc::new(Quota::new(QuotaSpec {
        name: "q".into(),
        kind: QuotaKind::Budget,
        measure,
        limit,
        pace,
        scope: Scope::default(),
        hold: Hold::Enforce,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    }))
}

fn forever() -> Pace {
    Pace::Window(Window::Forever)
}

fn day() -> Pace {
    Pace::Window(Window::Calendar {
        unit: CalendarUnit::Day,
        zone: meter::window::zone("Europe/Berlin").expect("it is built in"),
    })
}

fn want(quota: &Arc<Quota>, amount: i64) -> Want<'_> {
    Want {
        quota,
        counter: quota.counter(&Subject::default()),
        amount,
    }
}

/// One replica at one server, both of one clock that only the test moves.
struct Pair {
    model: Model,
    shares: Shares,
    us: u64,
}

impl Pair {
    /// Past the time in which a new server gives nothing.
    fn new() -> Self {
        let mut pair = Self {
            model: Model::default(),
            shares: Shares::new("a", LEASE_US, 100),
            us: 0,
        };
        pair.tend();
        pair.us += LEASE_US;
        pair.tend();
        pair
    }

    fn at(&self) -> At {
        At {
            now_us: NOW_US + self.us,
            mono_us: self.us,
        }
    }

    fn server_us(&self) -> i64 {
        i64::try_from(NOW_US + self.us).expect("it fits")
    }

    fn tend(&mut self) {
        let at = self.at();
        for call in self.shares.tend(at) {
            let told = self.model.call(self.server_us(), &call);
            self.shares.apply(&call, &told, at, at);
        }
    }

    /// As an admission does it: within the shares, else after asking.
    fn admit(&mut self, wants: &[Want<'_>]) -> Result<meter::Admitted, Refused> {
        let (at, subject) = (self.at(), Subject::default());
        match self.shares.admit(at, &subject, wants, Mode::Ask) {
            Err(Refused::Short) => {}
            other => return other,
        }
        let call = self.shares.ask(at, &subject, wants).expect("there is room");
        let told = self.model.call(self.server_us(), &call);
        self.shares.apply(&call, &told, at, at);
        if told.status == Status::Settling {
            return Err(Refused::Unavailable);
        }
        self.shares.admit(at, &subject, wants, Mode::Asked)
    }
}

#[test]
fn money_is_rounded_up_where_it_is_taken_and_down_where_it_is_there() {
    assert_eq!(grains_up(Measure::Cost, 1), 1);
    assert_eq!(grains_up(Measure::Cost, 1_000), 1);
    assert_eq!(grains_up(Measure::Cost, 1_001), 2);
    assert_eq!(grains_down(Measure::Cost, 1_999), 1);
    assert_eq!(grains_up(Measure::Cost, i64::MAX), crate::call::MAX);
    assert_eq!(grains_up(Measure::Tokens, i64::MAX), crate::call::MAX);
    assert_eq!(grains_up(Measure::Tokens, -5), 0);
}

#[test]
fn a_warm_share_admits_without_the_server() {
    let quota = quota(Measure::Tokens, 16_000, day());
    let mut pair = Pair::new();
    let first = pair.admit(&[want(&quota, 100)]).expect("it fits");
    assert_eq!((first.draws[0].level, first.draws[0].limit), (0, 16_000));
    // A sixteenth of what is left came with it.
    let (at, subject) = (pair.at(), Subject::default());
    let mut within = 0;
    while pair
        .shares
        .admit(at, &subject, &[want(&quota, 100)], Mode::Ask)
        .is_ok()
    {
        within += 1;
    }
    assert_eq!(within, 9);
    let held = pair.shares.held();
    let tokens = held.iter().find(|it| it.measure == Measure::Tokens);
    let tokens = tokens.expect("each measure has a line");
    assert!(tokens.outstanding <= tokens.bound, "{tokens:?}");
    assert_eq!(tokens.bound, 1_000);
}

#[test]
fn of_several_counters_nothing_is_taken_unless_all_have_room() {
    let (wide, narrow) = (
        quota(Measure::Tokens, 10_000, day()),
        quota(Measure::Cost, 5_000, day()),
    );
    let mut pair = Pair::new();
    let wants = [want(&wide, 100), want(&narrow, 6_000)];
    assert!(matches!(pair.admit(&wants), Err(Refused::Breached(_))));
    let wants = [want(&wide, 100), want(&narrow, 4_500)];
    pair.admit(&wants).expect("it fits");
    let wants = [want(&wide, 9_000), want(&narrow, 1_000)];
    let Err(Refused::Breached(breaches)) = pair.admit(&wants) else {
        panic!("it fits no more");
    };
    assert_eq!(breaches[0].measure, Measure::Cost);
    assert_eq!(
        pair.shares
            .levels()
            .iter()
            .map(|it| it.reserved)
            .sum::<i64>(),
        4_600
    );
}

#[test]
fn what_is_not_used_goes_back() {
    let quota = quota(Measure::Tokens, 16_000, forever());
    let counter = want(&quota, 1).counter;
    let mut pair = Pair::new();
    let admitted = pair.admit(&[want(&quota, 4_000)]).expect("it fits");
    pair.shares.settle(&admitted.draws[0], 10);
    assert!(pair.model.held(counter, 0) >= 4_000);
    // What the call did not need, with the next round.
    pair.tend();
    assert_eq!(pair.model.held(counter, 0), 1_010);
    // The slice, when nobody has used it for a while.
    for _ in 0..3 {
        pair.us += LEASE_US / 3;
        pair.tend();
    }
    assert_eq!(pair.model.held(counter, 0), 10);
}

#[test]
fn a_replica_that_leaves_gives_back_all_but_what_is_reserved() {
    let quota = quota(Measure::Tokens, 16_000, forever());
    let mut pair = Pair::new();
    pair.admit(&[want(&quota, 40)]).expect("it fits");
    let at = pair.at();
    for call in pair.shares.leave(at) {
        pair.model.call(pair.server_us(), &call);
    }
    assert_eq!(pair.model.held(want(&quota, 1).counter, 0), 40);
}

#[test]
fn without_the_server_shares_hold_for_the_lease_and_no_longer() {
    let quota = quota(Measure::Tokens, 16_000, forever());
    let mut pair = Pair::new();
    pair.admit(&[want(&quota, 10)]).expect("it fits");
    let ask = |pair: &mut Pair, mode| {
        let (at, subject) = (pair.at(), Subject::default());
        pair.shares.admit(at, &subject, &[want(&quota, 10)], mode)
    };
    pair.us += LEASE_US - 1;
    assert!(ask(&mut pair, Mode::Ask).is_ok());
    pair.us += 1;
    assert_eq!(ask(&mut pair, Mode::Ask), Err(Refused::Short));
    let closed = Mode::Alone { percent: 0 };
    assert_eq!(ask(&mut pair, closed), Err(Refused::Unavailable));
}

#[test]
fn alone_it_takes_the_allowance_and_tells_it_later() {
    let quota = quota(Measure::Tokens, 16_000, forever());
    let mut pair = Pair::new();
    let first = pair.admit(&[want(&quota, 100)]).expect("it fits");
    pair.shares.settle(&first.draws[0], 100);
    let granted = pair.model.held(want(&quota, 1).counter, 0);
    let open = Mode::Alone { percent: 5 };
    let mut alone = 0;
    loop {
        let (at, subject) = (pair.at(), Subject::default());
        let admitted = pair.shares.admit(at, &subject, &[want(&quota, 100)], open);
        match admitted {
            Ok(admitted) => pair.shares.settle(&admitted.draws[0], 100),
            Err(refused) => {
                assert_eq!(refused, Refused::Unavailable);
                break;
            }
        };
        alone += 100;
    }
    // Five percent of 16,000 beyond what was held.
    assert!(100 + alone <= granted + 800 && 100 + alone > granted + 700);
    pair.tend();
    assert!(pair.model.held(want(&quota, 1).counter, 0) >= 100 + alone);
    assert_eq!(pair.shares.held()[3].overdraft, 0);
}

#[test]
fn a_server_that_lost_all_gives_nothing_until_all_had_the_time_to_speak() {
    let quota = quota(Measure::Tokens, 1_000, forever());
    let counter = want(&quota, 1).counter;
    let mut pair = Pair::new();
    let mut other = Shares::new("b", LEASE_US, 100);
    pair.admit(&[want(&quota, 600)]).expect("it fits");
    pair.model.lose_all();
    // The other one asks first, and is told to wait.
    let (at, subject) = (pair.at(), Subject::default());
    let wants = [want(&quota, 500)];
    let call = other.ask(at, &subject, &wants).expect("there is room");
    let told = pair.model.call(pair.server_us(), &call);
    assert_eq!(told.status, Status::Settling);
    pair.us += LEASE_US / 3;
    // Two rounds: one that notices, and one that tells.
    pair.tend();
    pair.tend();
    assert!(pair.model.held(counter, 0) >= 600);
    pair.us += LEASE_US;
    let at = pair.at();
    let call = other.ask(at, &subject, &wants).expect("there is room");
    let told = pair.model.call(pair.server_us(), &call);
    assert_eq!(told.status, Status::Short);
}

#[test]
fn a_counter_that_was_evicted_is_noticed_by_a_replica_that_never_knew_it() {
    let quota = quota(Measure::Tokens, 1_000, forever());
    let mut pair = Pair::new();
    pair.admit(&[want(&quota, 900)]).expect("it fits");
    pair.model.evict(want(&quota, 1).counter);
    let mut other = Shares::new("b", LEASE_US, 100);
    let wants = [want(&quota, 500)];
    let call = other.ask(pair.at(), &Subject::default(), &wants);
    let told = pair
        .model
        .call(pair.server_us(), &call.expect("there is room"));
    assert_eq!(told.status, Status::Settling);
}

#[test]
fn a_lower_limit_is_followed_by_the_shares() {
    let pace = forever();
    let (wide, narrow) = (
        quota(Measure::Tokens, 16_000, pace.clone()),
        quota(Measure::Tokens, 200, pace),
    );
    let mut pair = Pair::new();
    pair.admit(&[want(&wide, 100)]).expect("it fits");
    // The counter is the same: the limit is no part of it.
    assert!(pair.admit(&[want(&narrow, 100)]).is_ok());
    let Err(Refused::Breached(breaches)) = pair.admit(&[want(&narrow, 1)]) else {
        panic!("two hundred were all");
    };
    assert_eq!((breaches[0].level, breaches[0].limit), (200, 200));
}

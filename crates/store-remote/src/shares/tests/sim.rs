//! Three replicas, one server, and everything that goes wrong between them,
//! from seeds: calls and answers are lost, overtaken and doubled, clocks
//! differ, replicas die, counters are evicted and the server starts empty.

use std::collections::VecDeque;
use std::sync::Arc;

use meter::{Draw, Measure, Pace, Quota, Refused, Subject, Window};

use super::{At, LEASE_US, Mode, NOW_US, Shares, forever, quota, want};
use crate::call::{Call, Status};
use crate::model::Model;

/// Seeds of one run of the tests.
const SEEDS: u64 = 400;
const STEPS: u64 = 500;
const REPLICAS: usize = 3;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

struct Replica {
    shares: Shares,
    /// Its wall clock less the server's.
    skew_us: i64,
    open: Vec<(Draw, usize)>,
}

/// What was really taken.
struct Taken {
    draw: Draw,
    amount: i64,
}

struct Sim {
    dice: Dice,
    model: Model,
    quota: Arc<Quota>,
    replicas: Vec<Replica>,
    us: u64,
    born: u64,
    /// Calls that come later, or once more.
    late: VecDeque<Call>,
    taken: Vec<Taken>,
    /// Until then the network is whole: all tell what they hold.
    whole_until_us: u64,
    /// What is not known to anybody any more: the dead had it when the server
    /// lost it.
    forgotten: i64,
    buried: i64,
    losses: i64,
    admitted: i64,
}

impl Sim {
    fn new(seed: u64, quota: Arc<Quota>) -> Self {
        let mut sim = Self {
            dice: Dice(seed),
            model: Model::default(),
            quota,
            replicas: Vec::new(),
            us: 0,
            born: 0,
            late: VecDeque::new(),
            taken: Vec::new(),
            whole_until_us: 2 * LEASE_US,
            forgotten: 0,
            buried: 0,
            losses: 0,
            admitted: 0,
        };
        for _ in 0..REPLICAS {
            let replica = sim.birth();
            sim.replicas.push(replica);
        }
        sim
    }

    fn birth(&mut self) -> Replica {
        self.born += 1;
        let hour = 3_600_000_000;
        let skew_us = i64::try_from(self.dice.roll(2 * hour)).expect("hours fit") - hour as i64;
        Replica {
            shares: Shares::new(&format!("r{}", self.born), LEASE_US, 100),
            skew_us,
            open: Vec::new(),
        }
    }

    fn server_us(&self) -> u64 {
        NOW_US + self.us
    }

    fn at(&self, nth: usize) -> At {
        At {
            now_us: self
                .server_us()
                .saturating_add_signed(self.replicas[nth].skew_us),
            mono_us: self.us,
        }
    }

    /// Carries a call, or loses it on one of its ways.
    fn carry(&mut self, nth: usize, call: &Call) -> Option<Status> {
        let sent = self.at(nth);
        let is_whole = self.us < self.whole_until_us;
        let luck = if is_whole { 99 } else { self.dice.roll(100) };
        let now = i64::try_from(self.server_us()).expect("it fits");
        match luck {
            // The call is lost, for good or for a while.
            0..10 => {
                self.replicas[nth].shares.failed(call);
                if luck < 5 {
                    self.late.push_back(call.clone());
                }
                return None;
            }
            // The answer is lost.
            10..20 => {
                self.model.call(now, call);
                self.replicas[nth].shares.failed(call);
                return None;
            }
            // It comes once more.
            20..25 => self.late.push_back(call.clone()),
            _ => {}
        }
        let told = self.model.call(now, call);
        self.us += self.dice.roll(50_000);
        let at = self.at(nth);
        self.replicas[nth].shares.apply(call, &told, sent, at);
        Some(told.status)
    }

    fn tend(&mut self, nth: usize) {
        let at = self.at(nth);
        for call in self.replicas[nth].shares.tend(at) {
            self.carry(nth, &call);
        }
    }

    fn admit(&mut self, nth: usize) {
        let is_tokens =
            self.quota.measure != Measure::Requests && self.quota.measure != Measure::Concurrency;
        let amount = match is_tokens {
            true => i64::try_from(self.dice.roll(4_000) + 1).expect("it fits"),
            false => 1,
        };
        let quota = self.quota.clone();
        let wants = [want(&quota, amount)];
        let subject = Subject::default();
        let at = self.at(nth);
        let mut admitted = self.replicas[nth]
            .shares
            .admit(at, &subject, &wants, Mode::Ask);
        if admitted == Err(Refused::Short) {
            let call = self.replicas[nth].shares.ask(at, &subject, &wants);
            let status = self.carry(nth, &call.expect("there is room"));
            if !matches!(status, Some(Status::Granted | Status::Short)) {
                return;
            }
            let at = self.at(nth);
            admitted = self.replicas[nth]
                .shares
                .admit(at, &subject, &wants, Mode::Asked);
        }
        if let Ok(admitted) = admitted {
            self.admitted += 1;
            let draw = admitted.draws[0].clone();
            self.replicas[nth]
                .open
                .push((draw.clone(), self.taken.len()));
            self.taken.push(Taken { draw, amount });
        }
    }

    fn settle(&mut self, nth: usize) {
        let open = &mut self.replicas[nth].open;
        if open.is_empty() {
            return;
        }
        let at = self.dice.roll(open.len() as u64);
        let (draw, id) = open.swap_remove(usize::try_from(at).expect("it fits"));
        let part = i64::try_from(self.dice.roll(101)).expect("it fits");
        let actual = draw.amount * part / 100;
        self.replicas[nth].shares.settle(&draw, actual);
        self.taken[id].amount = match draw.measure {
            Measure::Concurrency => 0,
            _ => actual,
        };
    }

    /// A replica dies with all it knows; another takes its place.
    fn kill(&mut self, nth: usize) {
        let is_concurrency = self.quota.measure == Measure::Concurrency;
        let next = self.birth();
        let dead = std::mem::replace(&mut self.replicas[nth], next);
        self.buried += dead
            .shares
            .levels()
            .iter()
            .map(|it| it.settled + it.reserved)
            .sum::<i64>();
        for (_, id) in dead.open {
            if is_concurrency {
                self.taken[id].amount = 0;
            }
        }
    }

    /// All of it, or one counter.
    fn lose(&mut self, is_all: bool) {
        match is_all {
            true => self.model.lose_all(),
            false => self.model.evict(want(&self.quota, 1).counter),
        }
        self.losses += 1;
        self.forgotten = self.buried;
        self.whole_until_us = self.us + 3 * LEASE_US;
        self.late.clear();
        // Somebody asks, and all live replicas speak within the lease.
        self.admit(0);
        for _ in 0..20 {
            self.us += LEASE_US / 10;
            for nth in 0..REPLICAS {
                self.tend(nth);
            }
        }
    }

    fn step(&mut self) {
        let nth = usize::try_from(self.dice.roll(REPLICAS as u64)).expect("it fits");
        self.us += self.dice.roll(400_000);
        match self.dice.roll(1_000) {
            0..3 => self.kill(nth),
            3..5 => self.lose(true),
            5..8 => self.lose(false),
            8..60 => {
                if let Some(call) = self.late.pop_front() {
                    let now = i64::try_from(self.server_us()).expect("it fits");
                    self.model.call(now, &call);
                }
            }
            60..500 => self.admit(nth),
            500..800 => self.settle(nth),
            _ => {}
        }
        for nth in 0..REPLICAS {
            self.tend(nth);
        }
    }

    /// What counts at this moment, over all replicas.
    fn spent(&self) -> i64 {
        let now_us = self.server_us();
        let counts = |taken: &&Taken| {
            taken.draw.measure == Measure::Concurrency
                || taken.draw.span.until_us.saturating_add(taken.draw.after_us) > now_us
        };
        self.taken.iter().filter(counts).map(|it| it.amount).sum()
    }
}

fn run(seed: u64, quota: &Arc<Quota>, check: impl Fn(&Sim)) -> i64 {
    let mut sim = Sim::new(seed, quota.clone());
    for _ in 0..STEPS {
        sim.step();
        check(&sim);
    }
    sim.admitted
}

fn never_exceeds(quota: &Arc<Quota>) {
    let mut admitted = 0;
    for seed in 0..SEEDS {
        admitted += run(seed, quota, |sim| {
            let most = sim.quota.limit + sim.forgotten;
            assert!(
                sim.spent() <= most,
                "seed {seed}: {} of {most}",
                sim.spent()
            );
        });
    }
    // It is not safe by doing nothing.
    assert!(
        admitted > 10 * i64::try_from(SEEDS).expect("it fits"),
        "{admitted}"
    );
}

#[test]
fn a_budget_for_ever_is_never_exceeded() {
    never_exceeds(&quota(Measure::Tokens, 200_000, forever()));
}

#[test]
fn a_budget_of_money_is_never_exceeded() {
    never_exceeds(&quota(Measure::Cost, 200_000, forever()));
}

#[test]
fn a_sliding_window_is_never_exceeded() {
    let window = Window::Sliding { length_ms: 60_000 };
    never_exceeds(&quota(Measure::Tokens, 50_000, Pace::Window(window)));
}

#[test]
fn permits_are_never_given_twice() {
    never_exceeds(&quota(Measure::Concurrency, 40, Pace::Permits));
}

#[test]
fn an_even_rate_is_kept_over_all_replicas() {
    let (limit, burst) = (60, 20);
    let pace = Pace::Gcra {
        period_us: 60_000_000,
        burst,
    };
    let quota = quota(Measure::Requests, limit, pace);
    for seed in 0..SEEDS {
        run(seed, &quota, |sim| {
            let most = i64::try_from(burst + sim.us / 1_000_000).expect("it fits");
            // A server that lost all begins with a whole burst.
            let most = most + i64::try_from(burst).expect("it fits") * sim.losses;
            assert!(
                sim.admitted <= most,
                "seed {seed}: {} of {most}",
                sim.admitted
            );
        });
    }
}

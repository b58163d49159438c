//! Waiting in line: calls that do not fit a limit wait for room instead of
//! being refused, for as long and in as many as the limit allows.
//!
//! Each counter has a line of its own. Whoever comes while others wait goes
//! behind them. The order is by the tier of the use case, then fair among
//! callers (each gets a turn before any gets a second one), then by arrival.
//! Only the first in line asks the counters, so a hundred that wait cost no
//! more than one.
//!
//! Deliberately not here: the counters (`meter`) and the time (`Clock`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// The lines of all counters.
#[derive(Debug, Default)]
pub struct Lines {
    lines: Mutex<HashMap<u128, Line>>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: BTreeMap<Order, Waiter>,
    /// The last turn that each caller was given, for as long as they wait.
    turns: HashMap<u64, u64>,
    arrivals: u64,
}

/// Who comes first: the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    tier: u8,
    turn: u64,
    arrival: u64,
}

#[derive(Debug)]
struct Waiter {
    caller: u64,
    waker: Option<Waker>,
    /// There may be room: it is worth asking the counters.
    nudged: bool,
}

/// A place in a line; left when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    lines: Arc<Lines>,
    counter: u128,
    order: Order,
}

impl Lines {
    /// Whether somebody waits for this counter.
    pub(crate) fn is_waiting(&self, counter: u128) -> bool {
        self.lock().contains_key(&counter)
    }

    /// How many wait, in all lines.
    pub fn len(&self) -> usize {
        self.lock().values().map(|line| line.waiting.len()).sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Goes into line; `None` if it is as long as it may be.
    pub(crate) fn join(
        self: &Arc<Self>,
        counter: u128,
        length_max: u32,
        (tier, caller): (u8, u64),
    ) -> Option<Place> {
        let mut lines = self.lock();
        let line = lines.entry(counter).or_default();
        if line.waiting.len() >= length_max as usize {
            return None;
        }
        let served = line.waiting.keys().next().map_or(0, |first| first.turn);
        let last = line.turns.get(&caller);
        let turn = last.map_or(served, |last| (last + 1).max(served));
        line.turns.insert(caller, turn);
        line.arrivals += 1;
        let order = Order {
            tier,
            turn,
            arrival: line.arrivals,
        };
        let waiter = Waiter {
            caller,
            waker: None,
            nudged: false,
        };
        line.waiting.insert(order, waiter);
        Some(Place {
            lines: self.clone(),
            counter,
            order,
        })
    }

    /// Something was given back to these counters.
    pub(crate) fn freed(&self, counters: impl Iterator<Item = u128>) {
        let mut lines = self.lock();
        if lines.is_empty() {
            return;
        }
        let woken: Vec<Waker> = counters
            .filter_map(|counter| lines.get_mut(&counter)?.nudge())
            .collect();
        drop(lines);
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Line>> {
        // Nothing that can panic runs under it, save for the allocator.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Tells the first in line to ask again.
    fn nudge(&mut self) -> Option<Waker> {
        let first = self.waiting.values_mut().next()?;
        first.nudged = true;
        first.waker.take()
    }
}

impl Place {
    /// Whether it is worth asking the counters now; the waker is kept until
    /// then.
    pub(crate) fn poll_turn(&self, cx: &mut Context<'_>) -> bool {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.counter) else {
            return true;
        };
        let Some(waiter) = line.waiting.get_mut(&self.order) else {
            return true;
        };
        let is_turn = std::mem::take(&mut waiter.nudged);
        if !is_turn {
            waiter.waker = Some(cx.waker().clone());
        }
        is_turn
    }

    /// Whether nobody stands before it.
    pub(crate) fn is_first(&self) -> bool {
        let lines = self.lines.lock();
        let line = lines.get(&self.counter);
        let first = line.and_then(|line| line.waiting.keys().next());
        first.is_none_or(|first| *first == self.order)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&self.counter) else {
            return;
        };
        let Some(left) = line.waiting.remove(&self.order) else {
            return;
        };
        if !line.waiting.values().any(|it| it.caller == left.caller) {
            line.turns.remove(&left.caller);
        }
        // The next one may fit where this one did not.
        let next = line.nudge();
        if line.waiting.is_empty() {
            lines.remove(&self.counter);
        }
        drop(lines);
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_come_first_then_every_caller_gets_a_turn() {
        let lines = Arc::<Lines>::default();
        let join = |tier, caller| lines.join(7, 10, (tier, caller)).expect("room");
        let (ann, more, bob) = (join(1, 1), join(1, 1), join(1, 2));
        let urgent = join(0, 3);
        let late = join(2, 4);
        assert!(urgent.is_first() && !ann.is_first());
        drop(urgent);
        assert!(ann.is_first());
        drop(ann);
        assert!(
            bob.is_first() && !more.is_first(),
            "before the second of ann"
        );
        drop(bob);
        assert!(more.is_first() && !late.is_first());
        drop(more);
        assert!(late.is_first());
        assert_eq!(lines.len(), 1);
        drop(late);
        assert!(lines.is_empty());
    }

    #[test]
    fn lines_are_bounded_and_apart() {
        let lines = Arc::<Lines>::default();
        let one = lines.join(1, 1, (1, 1));
        assert!(lines.join(1, 1, (1, 2)).is_none());
        assert!(lines.join(2, 1, (1, 2)).is_some());
        assert!(lines.is_waiting(1));
        drop(one);
        assert!(!lines.is_waiting(1));
    }

    #[test]
    fn room_wakes_the_first_alone() {
        let lines = Arc::<Lines>::default();
        let (one, two) = (lines.join(1, 9, (1, 1)), lines.join(1, 9, (1, 2)));
        let (one, two) = (one.expect("room"), two.expect("room"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!one.poll_turn(&mut cx));
        lines.freed([1, 5].into_iter());
        assert!(!two.poll_turn(&mut cx));
        assert!(one.poll_turn(&mut cx));
        assert!(!one.poll_turn(&mut cx), "once for each time");
        drop(one);
        assert!(two.poll_turn(&mut cx), "the next is told when one leaves");
    }
}

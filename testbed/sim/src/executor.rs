//! One thread, many exchanges, an order that the seed chooses.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use crate::chance::Chance;
use crate::clock::SimClock;

/// Most polls of one run; more means that somebody wakes itself for ever.
const POLLS_MAX: u64 = 2_000_000;
/// One poll in so many goes to somebody who was not woken, which every future
/// must bear.
const UNASKED_ONE_IN: u64 = 16;

/// A task.
pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everybody is done.
    Done,
    /// Somebody waits, and nothing will ever wake them.
    Stuck,
    /// Somebody never stops waking itself.
    Restless,
    /// It was told to stop.
    Stopped,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Runs the tasks to their end.
pub(crate) fn run(tasks: Vec<Task<'_>>, clock: &SimClock, chance: &mut Chance) -> End {
    run_until(tasks, clock, chance, &mut |_| false)
}

/// Runs the tasks to their end, or until `stops` says so, which is asked
/// before each poll with their number so far. What is left of the tasks is
/// dropped.
pub(crate) fn run_until(
    tasks: Vec<Task<'_>>,
    clock: &SimClock,
    chance: &mut Chance,
    stops: &mut dyn FnMut(u64) -> bool,
) -> End {
    let mut live: Vec<(Task<'_>, Arc<Flag>)> = tasks
        .into_iter()
        .map(|task| (task, Arc::new(Flag(AtomicBool::new(true)))))
        .collect();
    for nth in 0..POLLS_MAX {
        if live.is_empty() {
            return End::Done;
        }
        if stops(nth) {
            return End::Stopped;
        }
        let woken: Vec<usize> = (0..live.len())
            .filter(|&index| live[index].1.0.load(SeqCst))
            .collect();
        let index = if woken.is_empty() {
            if !clock.advance() {
                return End::Stuck;
            }
            continue;
        } else if chance.one_in(UNASKED_ONE_IN) {
            chance.index(live.len())
        } else {
            chance.pick(&woken)
        };
        let (task, flag) = &mut live[index];
        flag.0.store(false, SeqCst);
        let waker = Waker::from(flag.clone());
        if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(live.swap_remove(index));
        }
    }
    End::Restless
}

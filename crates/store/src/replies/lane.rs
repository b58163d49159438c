//! A thread that asks a store of replies on behalf of calls, so that none of
//! them waits for the disk in the thread that serves others as well. It also
//! renews what this process runs, and forgets what is over.
//!
//! Whoever is the first with a key holds a [`LiveClaim`]. However that ends,
//! also by a drop, the store is told; what it cannot take in yet is told again
//! until it does.
//!
//! Deliberately not here: what is claimed, and how it ended.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use contract::seams::Clock;

use super::{
    Capture, Claimed, Replies, RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyLimits, ReplyRow,
    Room, Settled,
};
use crate::asked::{Asked, Teller, question};

/// Most questions that wait for the store.
const QUEUED_MAX: usize = 1_024;
/// Longest time in which the store gets to a question.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most calls with a key that run at the same time.
const LIVE_MAX: usize = 4_096;
/// Most repeats that wait at the same time, and of them for one call.
const WAITERS_MAX: usize = 1_024;
const WAITERS_PER_CALL_MAX: usize = 16;
/// How long a call counts as running after its process was last heard of.
const LEASE_US: u64 = 6_000_000;
/// Pause between two renewals.
const RENEW: Duration = Duration::from_millis(1_500);
/// Renewals from one forgetting to the next.
const FORGET_EVERY: u32 = 20;
/// Most that are forgotten at a time.
const FORGOTTEN_AT_ONCE: u64 = 1_000;
/// How long ends that wait are written at a time, so that neither calls nor
/// renewals wait for all of them; and the pause until the next of them.
const LATE_MAX: Duration = Duration::from_millis(200);
/// Longest wait for what is queued at the end of the process.
const FLUSH: Duration = Duration::from_secs(5);

type Act = Box<dyn FnOnce(&dyn Replies) + Send>;

enum Job {
    /// A question.
    Ask(Act),
    /// The end of a live claim.
    Settle(Box<Ending>),
    /// Tells when all before it is done.
    Flush(Sender<()>),
}

/// The way of calls to the store of replies; clones share it.
#[derive(Clone)]
pub struct ReplyLane(Arc<Desk>);

struct Desk {
    store: Arc<dyn Replies>,
    owner: String,
    jobs: Sender<Job>,
    queued: Arc<AtomicUsize>,
    live: Arc<AtomicUsize>,
    captured: Arc<AtomicUsize>,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    all: usize,
    of: BTreeMap<ReplyKey, usize>,
}

impl Desk {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        // Nothing that can panic runs under this lock.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of so many; given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn of(count: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let taken = count.fetch_add(1, Relaxed);
        let place = Self(count.clone());
        (taken < max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What came of a claim.
pub enum LaneClaimed {
    /// The call is the first.
    First(LiveClaim),
    /// There was one before.
    Found(ReplyRow),
}

/// Why a repeat cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// As many repeats of this call wait as may.
    ThisCall,
    /// As many repeats of all calls wait as may.
    AllCalls,
}

/// A place among the repeats that wait.
pub struct Seat {
    desk: Arc<Desk>,
    key: ReplyKey,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut waiters = self.desk.waiters();
        waiters.all = waiters.all.saturating_sub(1);
        if let Some(count) = waiters.of.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                waiters.of.remove(&self.key);
            }
        }
    }
}

impl ReplyLane {
    /// The way to this store for the process `owner`, whose name no other one
    /// has or had. Its thread ends with the last clone.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(store: Arc<dyn Replies>, clock: Arc<dyn Clock>, owner: String) -> io::Result<Self> {
        let (jobs, next) = channel();
        let live = Arc::new(AtomicUsize::new(0));
        let tender = Tender {
            store: store.clone(),
            clock,
            owner: owner.clone(),
            live: live.clone(),
            late: Vec::new(),
            goes_on: None,
            rounds: 0,
        };
        std::thread::Builder::new()
            .name("replies".to_owned())
            .spawn(move || tender.serve(&next))?;
        Ok(Self(Arc::new(Desk {
            store,
            owner,
            jobs,
            queued: Arc::default(),
            live,
            captured: Arc::default(),
            waiters: Mutex::default(),
        })))
    }

    /// The store itself, for those who may wait for the disk.
    pub fn store(&self) -> &Arc<dyn Replies> {
        &self.0.store
    }

    /// Claims a key for this process; `owner` and `lease_us` of the claim are
    /// set here. If nobody takes the answer, the key is free again.
    pub fn claim(&self, mut claim: ReplyClaim) -> Asked<LaneClaimed, RepliesError> {
        claim.owner.clone_from(&self.0.owner);
        claim.lease_us = LEASE_US;
        let desk = self.0.clone();
        let place = Place::of(&desk.live, LIVE_MAX);
        self.run(move |store| {
            let Some(place) = place else {
                return Err(RepliesError::Busy);
            };
            let claimed = store.claim(&claim);
            let live = || Live {
                key: claim.key.clone(),
                by: claim.by.clone(),
                limits: claim.limits,
                fallback: ReplyEnd::Released,
                desk,
                place,
            };
            match claimed {
                Ok(Claimed::Found(row)) => Ok(LaneClaimed::Found(row)),
                Ok(Claimed::First) => Ok(LaneClaimed::First(LiveClaim(Some(live())))),
                Err(error) => {
                    // Its answer may be all that was lost: nothing is sent, so
                    // the key is given back as soon as the store hears of it.
                    if error.leaves_doubt() {
                        live().settle(ReplyEnd::Released, (None, None));
                    }
                    Err(error)
                }
            }
        })
    }

    /// Whether a call with this key runs.
    pub fn is_running(&self, key: ReplyKey, now_us: u64) -> Asked<bool, RepliesError> {
        self.run(move |store| store.is_running(&key, now_us))
    }

    /// A place among the repeats that wait for this key.
    ///
    /// # Errors
    /// Too many wait.
    pub fn seat(&self, key: &ReplyKey) -> Result<Seat, Crowded> {
        let mut waiters = self.0.waiters();
        if waiters.all >= WAITERS_MAX {
            return Err(Crowded::AllCalls);
        }
        let count = waiters.of.entry(key.clone()).or_default();
        if *count >= WAITERS_PER_CALL_MAX {
            return Err(Crowded::ThisCall);
        }
        *count += 1;
        waiters.all += 1;
        Ok(Seat {
            desk: self.0.clone(),
            key: key.clone(),
        })
    }

    /// How many repeats wait.
    pub fn waiting(&self) -> usize {
        self.0.waiters().all
    }

    /// Captures a body of at most so many bytes.
    pub fn capture(&self, max: usize) -> Capture {
        Capture::new(max, self.0.captured.clone())
    }

    /// Waits until what is queued is written, within a bound. For the end of
    /// the process.
    pub fn flush(&self) {
        let (done, heard) = channel();
        if self.0.jobs.send(Job::Flush(done)).is_ok() {
            // What is not written in time counts as unknown.
            let _ = heard.recv_timeout(FLUSH);
        }
    }

    fn run<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Replies) -> Result<T, RepliesError> + Send + 'static,
    ) -> Asked<T, RepliesError> {
        let (teller, asked) = question();
        let Some(place) = Place::of(&self.0.queued, QUEUED_MAX) else {
            // Its teller is dropped, and says so.
            return asked;
        };
        let asked_at = Instant::now();
        let job = Job::Ask(Box::new(move |store| {
            drop(place);
            if asked_at.elapsed() > PATIENCE {
                return;
            }
            let found = act(store);
            teller.tell(found);
        }));
        drop(self.0.jobs.send(job));
        asked
    }
}

/// A call that is the first with its key, and runs. Dropped, the key is free
/// again, or from [`LiveClaim::begin`] on its outcome is unknown.
pub struct LiveClaim(Option<Live>);

struct Live {
    key: ReplyKey,
    by: String,
    limits: ReplyLimits,
    fallback: ReplyEnd,
    desk: Arc<Desk>,
    place: Place,
}

impl LiveClaim {
    /// From here on something may come of the call.
    pub fn begin(&mut self) {
        if let Some(live) = &mut self.0 {
            live.fallback = ReplyEnd::Unknown;
        }
    }

    /// Ends it. It is told to the store whether anybody waits or not; `room`
    /// is what its reply takes until it is written.
    pub fn settle(mut self, end: ReplyEnd, room: Option<Room>) -> Asked<Settled, RepliesError> {
        let (teller, asked) = question();
        if let Some(live) = self.0.take() {
            live.settle(end, (room, Some(teller)));
        }
        asked
    }
}

impl Drop for LiveClaim {
    fn drop(&mut self) {
        if let Some(live) = self.0.take() {
            let end = live.fallback.clone();
            live.settle(end, (None, None));
        }
    }
}

impl Live {
    fn settle(
        self,
        end: ReplyEnd,
        (room, teller): (Option<Room>, Option<Teller<Settled, RepliesError>>),
    ) {
        let ending = Ending {
            key: self.key,
            by: self.by,
            limits: self.limits,
            end,
            teller,
            _room: room,
            _place: self.place,
        };
        // The queue has a place for the end of each live claim.
        drop(self.desk.jobs.send(Job::Settle(Box::new(ending))));
    }
}

/// The end of a claim on its way to the store.
struct Ending {
    key: ReplyKey,
    by: String,
    limits: ReplyLimits,
    end: ReplyEnd,
    teller: Option<Teller<Settled, RepliesError>>,
    _room: Option<Room>,
    _place: Place,
}

/// What the thread does.
struct Tender {
    store: Arc<dyn Replies>,
    clock: Arc<dyn Clock>,
    owner: String,
    live: Arc<AtomicUsize>,
    /// Ends that the store could not take in.
    late: Vec<Ending>,
    /// When more of them are written, if they were broken off by the time.
    goes_on: Option<Instant>,
    rounds: u32,
}

impl Tender {
    fn serve(mut self, jobs: &Receiver<Job>) {
        let mut next = Instant::now() + RENEW;
        loop {
            let wakes = self.goes_on.map_or(next, |goes_on| goes_on.min(next));
            match jobs.recv_timeout(wakes.saturating_duration_since(Instant::now())) {
                Ok(Job::Ask(act)) => act(&*self.store),
                Ok(Job::Settle(ending)) => drop(self.settle(*ending)),
                Ok(Job::Flush(done)) => {
                    self.settle_late(FLUSH);
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.settle_late(FLUSH),
            }
            if Instant::now() >= next {
                self.round();
                next = Instant::now() + RENEW;
            } else if self.goes_on.is_some_and(|at| Instant::now() >= at) {
                self.settle_late(LATE_MAX);
            }
        }
    }

    /// What is not done now is done in the next round.
    fn round(&mut self) {
        let now_us = self.clock.unix_us();
        if self.live.load(Relaxed) > 0 {
            drop(self.store.renew(&self.owner, now_us, LEASE_US));
        }
        self.settle_late(LATE_MAX);
        self.rounds = self.rounds.wrapping_add(1);
        if self.rounds.is_multiple_of(FORGET_EVERY) {
            drop(self.store.forget(now_us, FORGOTTEN_AT_ONCE));
        }
    }

    /// Whether the store took it in.
    fn settle(&mut self, mut ending: Ending) -> bool {
        let Ending {
            key,
            by,
            limits,
            end,
            ..
        } = &ending;
        let at = (self.clock.unix_us(), *limits);
        let settled = self.store.settle(key, by, end, at);
        let failed = settled.is_err();
        if let Some(teller) = ending.teller.take() {
            teller.tell(settled);
        }
        if failed {
            self.late.push(ending);
        }
        !failed
    }

    /// Writes ends that wait, one at least, for about so long.
    fn settle_late(&mut self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut late = std::mem::take(&mut self.late).into_iter();
        self.goes_on = None;
        // Where one fails, the others would most likely wait in vain as well;
        // the next time they come before it.
        while let Some(ending) = late.next()
            && self.settle(ending)
        {
            let now = Instant::now();
            if now >= until {
                self.goes_on = (late.len() > 0).then_some(now + LATE_MAX);
                break;
            }
        }
        let failed = std::mem::replace(&mut self.late, late.collect());
        self.late.extend(failed);
    }
}

#[cfg(test)]
mod tests;

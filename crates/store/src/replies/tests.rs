//! Cases of the stores of replies: the suite, what only a disk shows, and the
//! lane.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use contract::seams::{Alarm, Clock, Ticks};

use super::conformance::{self, LIMITS, claim, key, reply};
use super::*;

#[test]
fn memory_and_disk_pass_the_suite() {
    conformance::check(&|| Arc::new(MemoryReplies::default()));
    let dir = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    conformance::check(&|| {
        made.set(made.get() + 1);
        let path = dir.path().join(format!("{}.sqlite", made.get()));
        Arc::new(SqliteReplies::open(&path).unwrap())
    });
}

fn completed() -> ReplyEnd {
    ReplyEnd::Completed {
        status: 200,
        reply: Some(reply(9)),
    }
}

#[test]
fn replies_outlive_the_process_and_only_their_owner_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replies.sqlite");
    let store = SqliteReplies::open(&path).unwrap();
    assert_eq!(store.claim(&claim("a")).unwrap(), Claimed::First);
    // Another process uses it; this one sees that.
    let other = SqliteReplies::open(&path).unwrap();
    assert!(other.is_running(&key("a"), 1_000_000).unwrap());
    let at = (1_000_000, LIMITS);
    store.settle(&key("a"), "call-a", &completed(), at).unwrap();
    drop(store);
    let Claimed::Found(row) = other.claim(&claim("a")).unwrap() else {
        panic!("it was there")
    };
    let kept = ReplyState::Completed {
        status: 200,
        reply: Some(reply(9)),
    };
    assert_eq!(row.state, kept);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
    }
}

#[test]
fn what_is_forgotten_leaves_nothing_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replies.sqlite");
    let store = SqliteReplies::open(&path).unwrap();
    store.claim(&claim("a")).unwrap();
    let end = ReplyEnd::Completed {
        status: 200,
        reply: Some(KeptReply {
            body: b"a word that nobody else writes".to_vec(),
            ..reply(0)
        }),
    };
    store
        .settle(&key("a"), "call-a", &end, (1_000_000, LIMITS))
        .unwrap();
    assert_eq!(store.forget(u64::MAX / 4, 9).unwrap(), 1);
    // The last to close writes the log into the file.
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    let is_there = bytes.windows(12).any(|it| it == b"nobody else ");
    assert!(!is_there);
}

#[test]
fn a_file_of_another_version_or_kind_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replies.sqlite");
    drop(SqliteReplies::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 9).unwrap();
    drop(connection);
    let refused = SqliteReplies::open(&path).err().unwrap().to_string();
    assert!(refused.contains("version 9") && refused.contains("move it away"));
    std::fs::write(&path, "not a database ".repeat(100)).unwrap();
    let refused = SqliteReplies::open(&path).err().unwrap().to_string();
    assert!(refused.contains("damaged"), "{refused}");
}

/// A clock that stands where it is put.
struct Stands(AtomicU64);

impl Clock for Stands {
    fn now(&self) -> Ticks {
        Ticks(0)
    }
    fn unix_us(&self) -> u64 {
        self.0.load(SeqCst)
    }
    fn alarm(&self, _: Ticks) -> Box<dyn Alarm> {
        unreachable!("the lane sets none")
    }
}

fn lane(store: Arc<dyn Replies>) -> ReplyLane {
    let clock = Arc::new(Stands(AtomicU64::new(1_000_000)));
    ReplyLane::new(store, clock, "process-1".into()).unwrap()
}

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(asked: impl Future<Output = T>) -> T {
    let mut asked = pin!(asked);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match asked.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(found) => return found,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn first(lane: &ReplyLane, name: &str) -> LiveClaim {
    match wait(lane.claim(claim(name))).unwrap() {
        LaneClaimed::First(live) => live,
        LaneClaimed::Found(row) => panic!("{row:?}"),
    }
}

fn state(lane: &ReplyLane, name: &str) -> ReplyState {
    match wait(lane.claim(claim(name))).unwrap() {
        LaneClaimed::First(_) => panic!("it was free"),
        LaneClaimed::Found(row) => row.state,
    }
}

#[test]
fn a_live_claim_ends_however_it_is_left() {
    let lane = lane(Arc::new(MemoryReplies::default()));
    let live = first(&lane, "a");
    assert_eq!(state(&lane, "a"), ReplyState::Running);
    assert_eq!(wait(live.settle(completed(), None)).unwrap(), Settled::Kept);
    assert!(matches!(state(&lane, "a"), ReplyState::Completed { .. }));
    // Before anything came of it the key is free again.
    drop(first(&lane, "b"));
    let mut live = first(&lane, "b");
    live.begin();
    drop(live);
    assert_eq!(state(&lane, "b"), ReplyState::Unknown);
    // An answer that nobody takes frees the key, too.
    drop(lane.claim(claim("c")));
    lane.flush();
    lane.flush();
    drop(first(&lane, "c"));
}

#[test]
fn repeats_that_wait_are_counted_by_call() {
    let lane = lane(Arc::new(MemoryReplies::default()));
    let seats: Vec<_> = std::iter::from_fn(|| lane.seat(&key("a")).ok())
        .take(10_000)
        .collect();
    assert!(seats.len() < 10_000);
    assert_eq!(lane.seat(&key("a")).err(), Some(Crowded::ThisCall));
    drop(lane.seat(&key("b")).ok().unwrap());
    drop(seats);
    assert!(lane.seat(&key("a")).is_ok());
    let seats = (0..10_000).map_while(|nth| lane.seat(&key(&nth.to_string())).ok());
    let seats: Vec<_> = seats.collect();
    assert!(seats.len() < 10_000);
    assert_eq!(lane.seat(&key("a")).err(), Some(Crowded::AllCalls));
}

#[test]
fn captured_bytes_are_bounded_each_and_together() {
    let lane = lane(Arc::new(MemoryReplies::default()));
    let mut small = lane.capture(4);
    assert!(small.push(b"abc") && !small.push(b"de"));
    assert_eq!(small.finish().0, b"abc");
    let piece = vec![0; 1 << 20];
    let mut all = Vec::new();
    let fits = |lane: &ReplyLane| {
        let mut one = lane.capture(usize::MAX);
        one.push(&piece).then_some(one)
    };
    while let Some(one) = fits(&lane) {
        all.push(one);
        assert!(all.len() < 10_000);
    }
    let (_, room) = all.pop().unwrap().finish();
    assert!(fits(&lane).is_none());
    drop(room);
    assert!(fits(&lane).is_some());
}

/// A store that cannot write ends until it is mended.
struct Failing {
    inner: MemoryReplies,
    fails: AtomicBool,
    /// It takes keys, and its answers are lost.
    mute: AtomicBool,
    /// It cannot be asked.
    away: AtomicBool,
}

impl Failing {
    fn new(fails: bool, mute: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryReplies::default(),
            fails: AtomicBool::new(fails),
            mute: AtomicBool::new(mute),
            away: AtomicBool::new(false),
        })
    }
}

impl Replies for Failing {
    fn claim(&self, claim: &ReplyClaim) -> Result<Claimed, RepliesError> {
        if self.away.load(SeqCst) {
            return Err(RepliesError::Remote(RemoteFault::NotDone("away".into())));
        }
        let claimed = self.inner.claim(claim);
        match self.mute.load(SeqCst) {
            true => Err(RepliesError::Remote(RemoteFault::Unknown("mute".into()))),
            false => claimed,
        }
    }
    fn is_running(&self, key: &ReplyKey, now_us: u64) -> Result<bool, RepliesError> {
        self.inner.is_running(key, now_us)
    }
    fn settle(
        &self,
        key: &ReplyKey,
        by: &str,
        end: &ReplyEnd,
        at: (u64, ReplyLimits),
    ) -> Result<Settled, RepliesError> {
        match self.fails.load(SeqCst) {
            true => Err(RepliesError::Busy),
            false => self.inner.settle(key, by, end, at),
        }
    }
    fn renew(&self, owner: &str, now_us: u64, lease_us: u64) -> Result<(), RepliesError> {
        self.inner.renew(owner, now_us, lease_us)
    }
    fn forget(&self, now_us: u64, most: u64) -> Result<u64, RepliesError> {
        self.inner.forget(now_us, most)
    }
    fn held(&self) -> Result<Held, RepliesError> {
        self.inner.held()
    }
}

#[test]
fn an_end_that_could_not_be_written_is_written_later() {
    let store = Failing::new(true, false);
    let lane = lane(store.clone());
    let live = first(&lane, "a");
    assert!(wait(live.settle(completed(), None)).is_err());
    assert_eq!(state(&lane, "a"), ReplyState::Running);
    store.fails.store(false, SeqCst);
    lane.flush();
    assert!(matches!(state(&lane, "a"), ReplyState::Completed { .. }));
}

/// One that the store never takes in holds up no other for ever.
#[test]
fn ends_that_wait_are_all_written_once_the_store_is_mended() {
    let store = Failing::new(true, false);
    let lane = lane(store.clone());
    for name in ["a", "b", "c"] {
        assert!(wait(first(&lane, name).settle(completed(), None)).is_err());
    }
    lane.flush();
    store.fails.store(false, SeqCst);
    lane.flush();
    for name in ["a", "b", "c"] {
        assert!(matches!(state(&lane, name), ReplyState::Completed { .. }));
    }
}

/// Nothing was sent, so nobody may be locked out.
#[test]
fn a_key_whose_claim_was_not_heard_is_given_back_once_the_store_hears() {
    let store = Failing::new(true, true);
    let lane = lane(store.clone());
    assert!(wait(lane.claim(claim("a"))).is_err());
    store.mute.store(false, SeqCst);
    let other = ReplyClaim {
        by: "call-b".into(),
        ..claim("a")
    };
    let taken = |lane: &ReplyLane| match wait(lane.claim(other.clone())).unwrap() {
        LaneClaimed::First(_) => None,
        LaneClaimed::Found(row) => Some(row.by),
    };
    assert_eq!(taken(&lane).as_deref(), Some("call-a"), "it was taken");
    store.fails.store(false, SeqCst);
    lane.flush();
    assert_eq!(taken(&lane), None);
}

/// An outage refuses many: none of them may take the place of a call.
#[test]
fn claims_that_were_never_sent_hold_no_places() {
    let store = Failing::new(true, false);
    store.away.store(true, SeqCst);
    let lane = lane(store.clone());
    for nth in 0..5_000 {
        let refused = wait(lane.claim(claim(&nth.to_string())));
        assert!(matches!(refused, Err(RepliesError::Remote(_))));
    }
    store.away.store(false, SeqCst);
    drop(first(&lane, "a"));
}

//! Keys where their store is full, fails, or is not there.

use store::replies::{Claimed, Held};
use store::{Replies, RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyLimits, Settled};

use super::*;

#[test]
fn a_full_store_refuses_new_keys_and_nothing_else() {
    let settings = Idempotency {
        ttl_us: 60_000_000,
        keys_max: 1,
        ..retaining()
    };
    let scripts = (0..3).map(|_| Ok(Script::json(200, ANSWER)));
    let (world, clock) = world_of(settings, scripts.collect());
    assert_eq!(keyed(&world, CHAT, BARE, "a").status, 200);
    let full = keyed(&world, CHAT, BARE, "b");
    assert_eq!(full.status, 503, "{}", full.body);
    assert!(full.body.contains("idempotency.keys_max"), "{}", full.body);
    assert_eq!(header(&full, "x-should-retry"), "true");
    assert_eq!(world.sent().len(), 1);
    assert_eq!(counted(&world, "keys_full"), 1);
    // What is there is there, and calls without a key go on.
    let again = keyed(&world, CHAT, BARE, "a");
    assert_eq!(header(&again, "tollgate-idempotent-replay"), "true");
    assert_eq!(world.call(CHAT, BARE).status, 200);
    // Those whose time is over make room.
    clock.wall_us.store(60_000_000, SeqCst);
    assert_eq!(keyed(&world, CHAT, BARE, "b").status, 200);
}

#[test]
fn one_tenant_does_not_use_up_the_keys_of_another() {
    let settings = Idempotency {
        keys_max: 2,
        tenant_keys_max: 1,
        ..retaining()
    };
    let scripts = (0..2).map(|_| Ok(Script::json(200, ANSWER)));
    let (world, _) = world_of(settings, scripts.collect());
    assert_eq!(keyed(&world, CHAT, BARE, "a").status, 200);
    assert_eq!(keyed(&world, CHAT, BARE, "b").status, 503);
    let other = world.call_with(CHAT, BARE, &[OTHER_TENANT, ("idempotency-key", "b")]);
    assert_eq!(other.status, 200, "{}", other.body);
}

/// Claims wait until it is open.
#[derive(Default)]
pub(super) struct Gated {
    inner: MemoryReplies,
    pub(super) open: std::sync::atomic::AtomicBool,
}

impl Replies for Gated {
    fn claim(&self, claim: &ReplyClaim) -> Result<Claimed, RepliesError> {
        while !self.open.load(SeqCst) {
            std::thread::yield_now();
        }
        self.inner.claim(claim)
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
        self.inner.settle(key, by, end, at)
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

/// Can do nothing.
struct Broken;

impl Replies for Broken {
    fn claim(&self, _: &ReplyClaim) -> Result<Claimed, RepliesError> {
        Err(RepliesError::Busy)
    }
    fn is_running(&self, _: &ReplyKey, _: u64) -> Result<bool, RepliesError> {
        Err(RepliesError::Busy)
    }
    fn settle(
        &self,
        _: &ReplyKey,
        _: &str,
        _: &ReplyEnd,
        _: (u64, ReplyLimits),
    ) -> Result<Settled, RepliesError> {
        Err(RepliesError::Busy)
    }
    fn renew(&self, _: &str, _: u64, _: u64) -> Result<(), RepliesError> {
        Err(RepliesError::Busy)
    }
    fn forget(&self, _: u64, _: u64) -> Result<u64, RepliesError> {
        Err(RepliesError::Busy)
    }
    fn held(&self) -> Result<Held, RepliesError> {
        Err(RepliesError::Busy)
    }
}

#[test]
fn without_its_store_a_call_with_a_key_is_refused_and_the_others_go_on() {
    for is_there in [true, false] {
        let (mut world, clock) = world_of(retaining(), vec![Ok(Script::json(200, ANSWER))]);
        let lane = ReplyLane::new(Arc::new(Broken), clock, "p1".into()).expect("a thread");
        let flow = Arc::get_mut(&mut world.flow).expect("nobody else has it");
        flow.replies = is_there.then_some(lane);
        let got = keyed(&world, CHAT, BARE, "k");
        assert_eq!(got.status, 503, "{}", got.body);
        assert!(got.body.contains("Nothing was sent"), "{}", got.body);
        assert!(world.sent().is_empty());
        let records = world.records();
        assert_eq!(noted(&records[0]).reason, "replies_unavailable");
        assert_eq!(world.call(CHAT, BARE).status, 200);
    }
}

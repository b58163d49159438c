//! Cases of the thread: how long it is busy with ends that wait.

use contract::seams::{Alarm, Ticks};

use super::super::MemoryReplies;
use super::super::conformance::{LIMITS, claim, key};
use super::*;

/// A clock that stands still.
struct Stands;

impl Clock for Stands {
    fn now(&self) -> Ticks {
        Ticks(0)
    }
    fn unix_us(&self) -> u64 {
        1_000_000
    }
    fn alarm(&self, _: Ticks) -> Box<dyn Alarm> {
        unreachable!("the lane sets none")
    }
}

#[test]
fn ends_that_wait_hold_up_nobody_for_long_and_all_come() {
    let store = Arc::new(MemoryReplies::default());
    let live = Arc::<AtomicUsize>::default();
    let mut tender = Tender {
        store: store.clone(),
        clock: Arc::new(Stands),
        owner: "process-1".into(),
        live: live.clone(),
        late: Vec::new(),
        goes_on: None,
        rounds: 0,
    };
    for name in ["a", "b", "c"] {
        assert_eq!(store.claim(&claim(name)).unwrap(), Claimed::First);
        tender.late.push(Ending {
            key: key(name),
            by: format!("call-{name}"),
            limits: LIMITS,
            end: ReplyEnd::Released,
            teller: None,
            _room: None,
            _place: Place::of(&live, LIVE_MAX).unwrap(),
        });
    }
    for left in [2, 1] {
        tender.settle_late(Duration::ZERO);
        assert_eq!(tender.late.len(), left);
        assert_eq!(store.held().unwrap().keys, left as u64);
        assert!(tender.goes_on.is_some(), "the rest does not wait long");
    }
    tender.settle_late(Duration::ZERO);
    assert!(tender.late.is_empty() && tender.goes_on.is_none());
    assert_eq!(live.load(Relaxed), 0, "all places are free");
}

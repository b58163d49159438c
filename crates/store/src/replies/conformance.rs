//! The one suite that every store of [`Replies`] passes.
//!
//! Each check panics with what it expected. Deliberately not here: what only a
//! disk can show (restarts, other processes).

use std::sync::Arc;

use super::{
    Claimed, Held, KeptReply, Replies, RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyLimits,
    ReplyRow, ReplyState, Settled,
};

/// Limits that claims of the suite have.
pub const LIMITS: ReplyLimits = ReplyLimits {
    keys: 5,
    keys_per_tenant: 3,
    bytes: 100,
};

/// Runs every check on stores made by `make`, each empty.
pub fn check(make: &dyn Fn() -> Arc<dyn Replies>) {
    the_first_has_the_key(&*make());
    of_many_only_one_is_the_first(&make());
    a_reply_is_kept_as_it_is(&*make());
    only_the_first_end_counts(&*make());
    what_was_released_is_free(&*make());
    another_app_has_other_keys(&*make());
    a_call_that_is_not_renewed_is_unknown(&*make());
    an_unknown_call_is_taken_again_only_where_that_is_said(&*make());
    time_ends_all_but_what_runs(&*make());
    keys_are_bounded(&*make());
    bytes_are_bounded(&*make());
    the_oldest_are_forgotten_first(&*make());
}

/// A key of the app `shop` of `acme`.
pub fn key(name: &str) -> ReplyKey {
    ReplyKey {
        tenant: "acme".to_owned(),
        app: "shop'; DROP TABLE replies; --".to_owned(),
        digest: *blake3::hash(name.as_bytes()).as_bytes(),
    }
}

/// A claim of this key at second 1, leased for 1 s and kept for 10 s.
pub fn claim(name: &str) -> ReplyClaim {
    ReplyClaim {
        key: key(name),
        request: [7; 32],
        by: format!("call-{name}"),
        owner: "process-1".to_owned(),
        now_us: 1_000_000,
        lease_us: 1_000_000,
        ttl_us: 10_000_000,
        retakes_unknown: false,
        limits: LIMITS,
    }
}

/// A reply with a body of so many bytes.
pub fn reply(bytes: usize) -> KeptReply {
    KeptReply {
        status: 200,
        headers: vec![("content-type".to_owned(), "a\"b\u{1b}".to_owned())],
        body: (0..bytes).map(|nth| nth as u8).collect(),
    }
}

fn completed(bytes: usize) -> ReplyEnd {
    ReplyEnd::Completed {
        status: 200,
        reply: Some(reply(bytes)),
    }
}

fn take(store: &dyn Replies, claim: &ReplyClaim) {
    let claimed = store.claim(claim).expect("writable");
    assert_eq!(claimed, Claimed::First);
}

fn found(store: &dyn Replies, claim: &ReplyClaim) -> ReplyRow {
    match store.claim(claim).expect("writable") {
        Claimed::Found(row) => row,
        Claimed::First => panic!("it was taken"),
    }
}

/// Ends the call of [`claim`] at this time.
fn settle(store: &dyn Replies, name: &str, end: &ReplyEnd, now_us: u64) -> Settled {
    let settled = store.settle(&key(name), &format!("call-{name}"), end, (now_us, LIMITS));
    settled.expect("writable")
}

fn the_first_has_the_key(store: &dyn Replies) {
    assert!(!store.is_running(&key("a"), 1_000_000).expect("readable"));
    take(store, &claim("a"));
    assert!(store.is_running(&key("a"), 1_500_000).expect("readable"));
    let again = ReplyClaim {
        by: "call-b".to_owned(),
        now_us: 1_500_000,
        ..claim("a")
    };
    let row = found(store, &again);
    assert_eq!((row.by.as_str(), row.started_us), ("call-a", 1_000_000));
    assert_eq!(row.state, ReplyState::Running);
    assert_eq!(row.request, [7; 32]);
}

fn of_many_only_one_is_the_first(store: &Arc<dyn Replies>) {
    let threads: Vec<_> = (0..8)
        .map(|nth| {
            let store = store.clone();
            let claim = ReplyClaim {
                by: format!("call-{nth}"),
                ..claim("a")
            };
            std::thread::spawn(move || store.claim(&claim).expect("writable"))
        })
        .collect();
    let claimed = threads.into_iter().map(|it| it.join().expect("no panic"));
    assert_eq!(claimed.filter(|it| *it == Claimed::First).count(), 1);
}

fn a_reply_is_kept_as_it_is(store: &dyn Replies) {
    take(store, &claim("a"));
    assert_eq!(settle(store, "a", &completed(9), 1_200_000), Settled::Kept);
    let row = found(store, &claim("a"));
    assert_eq!(row.expires_us, 11_200_000, "its time runs from its end");
    let ReplyState::Completed {
        status,
        reply: kept,
    } = row.state
    else {
        panic!("{row:?}")
    };
    assert_eq!((status, kept), (200, Some(reply(9))));
    let other = ReplyClaim {
        request: [8; 32],
        ..claim("a")
    };
    let row = found(store, &other);
    assert_eq!(row.request, [7; 32]);
    let ReplyState::Completed { reply, .. } = row.state else {
        panic!("{row:?}")
    };
    assert_eq!(reply, None, "another request is not told the reply");
    let held = store.held().expect("readable");
    assert_eq!(held.keys, 1);
    assert!((9..60).contains(&held.bytes), "{held:?}");
}

fn only_the_first_end_counts(store: &dyn Replies) {
    take(store, &claim("a"));
    let without = ReplyEnd::Completed {
        status: 403,
        reply: None,
    };
    let other = store.settle(&key("a"), "call-b", &without, (1_200_000, LIMITS));
    assert_eq!(other.expect("writable"), Settled::Gone, "it is of another");
    assert_eq!(settle(store, "a", &without, 1_200_000), Settled::Kept);
    for end in [ReplyEnd::Released, ReplyEnd::Unknown, completed(9)] {
        assert_eq!(settle(store, "a", &end, 1_300_000), Settled::Gone);
    }
    let state = found(store, &claim("a")).state;
    let kept = ReplyState::Completed {
        status: 403,
        reply: None,
    };
    assert_eq!(state, kept);
    assert_eq!(settle(store, "b", &without, 1_200_000), Settled::Gone);
}

fn what_was_released_is_free(store: &dyn Replies) {
    take(store, &claim("a"));
    assert_eq!(
        settle(store, "a", &ReplyEnd::Released, 1_200_000),
        Settled::Kept
    );
    assert_eq!(store.held().expect("readable"), Held::default());
    take(store, &claim("a"));
}

fn another_app_has_other_keys(store: &dyn Replies) {
    take(store, &claim("a"));
    let mut other = claim("a");
    other.key.app = "desk".to_owned();
    take(store, &other);
    other.key.tenant = "umbrella".to_owned();
    take(store, &other);
    assert_eq!(settle(store, "a", &completed(9), 1_200_000), Settled::Kept);
    assert_eq!(found(store, &other).state, ReplyState::Running);
}

fn a_call_that_is_not_renewed_is_unknown(store: &dyn Replies) {
    take(store, &claim("a"));
    let other = ReplyClaim {
        owner: "process-2".to_owned(),
        ..claim("b")
    };
    take(store, &other);
    store
        .renew("process-1", 1_900_000, 1_000_000)
        .expect("writable");
    let at = |name: &str, now_us| ReplyClaim {
        now_us,
        ..claim(name)
    };
    assert_eq!(found(store, &at("a", 2_500_000)).state, ReplyState::Running);
    assert_eq!(found(store, &at("b", 2_500_000)).state, ReplyState::Unknown);
    assert!(!store.is_running(&key("b"), 2_500_000).expect("readable"));
    assert_eq!(found(store, &at("a", 2_900_000)).state, ReplyState::Unknown);
    // Its process was only slow.
    assert_eq!(settle(store, "b", &completed(9), 3_000_000), Settled::Kept);
    let state = found(store, &at("b", 3_000_000)).state;
    assert!(matches!(state, ReplyState::Completed { .. }), "{state:?}");
}

fn an_unknown_call_is_taken_again_only_where_that_is_said(store: &dyn Replies) {
    take(store, &claim("a"));
    assert_eq!(
        settle(store, "a", &ReplyEnd::Unknown, 1_200_000),
        Settled::Kept
    );
    take(store, &claim("b"));
    for (name, now_us) in [("a", 1_300_000), ("b", 3_000_000)] {
        let asks = |retakes_unknown, request| ReplyClaim {
            by: "again".to_owned(),
            now_us,
            retakes_unknown,
            request,
            ..claim(name)
        };
        let unknown = found(store, &asks(false, [7; 32]));
        assert_eq!(unknown.state, ReplyState::Unknown);
        let other = found(store, &asks(true, [8; 32]));
        assert_eq!(other.state, ReplyState::Unknown, "another request never");
        take(store, &asks(true, [7; 32]));
        let running = found(store, &asks(true, [7; 32]));
        assert_eq!(
            (running.by.as_str(), running.state),
            ("again", ReplyState::Running)
        );
        let late = settle(store, name, &completed(9), now_us);
        assert_eq!(late, Settled::Gone, "the one before has lost it");
    }
}

fn time_ends_all_but_what_runs(store: &dyn Replies) {
    let short = |name: &str, now_us| ReplyClaim {
        ttl_us: 500_000,
        now_us,
        ..claim(name)
    };
    take(store, &short("a", 1_000_000));
    take(store, &short("b", 1_000_000));
    assert_eq!(store.forget(1_999_999, 9).expect("writable"), 0);
    store
        .renew("process-1", 1_900_000, 1_000_000)
        .expect("writable");
    assert_eq!(settle(store, "a", &completed(9), 2_000_000), Settled::Kept);
    let kept = found(store, &short("a", 2_499_999)).state;
    assert!(matches!(kept, ReplyState::Completed { .. }), "{kept:?}");
    take(store, &short("a", 2_500_000));
    let held = store.held().expect("readable");
    assert_eq!((held.keys, held.bytes), (2, 0), "nothing is left of it");
    // Of a process that is gone the time runs from the end of its lease.
    let unknown = found(store, &short("b", 3_399_999)).state;
    assert_eq!(unknown, ReplyState::Unknown);
    take(store, &short("b", 3_400_000));
}

fn keys_are_bounded(store: &dyn Replies) {
    for name in ["a", "b", "c"] {
        take(store, &claim(name));
    }
    let full = store.claim(&claim("d"));
    assert!(matches!(full, Err(RepliesError::Full("this tenant", 3))));
    let of = |name: &str, tenant: &str| {
        let mut claim = claim(name);
        claim.key.tenant = tenant.to_owned();
        claim
    };
    take(store, &of("d", "umbrella"));
    take(store, &of("e", "umbrella"));
    let full = store.claim(&of("f", "other"));
    assert!(matches!(full, Err(RepliesError::Full("all tenants", 5))));
    assert_eq!(found(store, &claim("a")).state, ReplyState::Running);
    // Those whose time is over make room.
    assert_eq!(settle(store, "a", &completed(9), 1_200_000), Settled::Kept);
    let later = |name: &str, now_us| ReplyClaim {
        now_us,
        ..claim(name)
    };
    store
        .renew("process-1", 10_500_000, 1_000_000)
        .expect("writable");
    assert!(store.claim(&later("d", 11_100_000)).is_err());
    take(store, &later("d", 11_200_000));
}

fn bytes_are_bounded(store: &dyn Replies) {
    for name in ["a", "b", "c"] {
        take(store, &claim(name));
    }
    assert_eq!(settle(store, "a", &completed(60), 1_200_000), Settled::Kept);
    assert_eq!(
        settle(store, "b", &completed(60), 1_300_000),
        Settled::WithoutReply
    );
    let state = found(store, &claim("b")).state;
    let kept = ReplyState::Completed {
        status: 200,
        reply: None,
    };
    assert_eq!(state, kept);
    store
        .renew("process-1", 11_300_000, 1_000_000)
        .expect("writable");
    let late = settle(store, "c", &completed(60), 11_300_000);
    assert_eq!(late, Settled::Kept, "what is over makes room");
}

fn the_oldest_are_forgotten_first(store: &dyn Replies) {
    for (nth, name) in ["a", "b", "c"].iter().enumerate() {
        let now_us = 1_000_000 + nth as u64;
        let ends = ReplyClaim {
            now_us,
            ..claim(name)
        };
        take(store, &ends);
        assert_eq!(settle(store, name, &completed(1), now_us), Settled::Kept);
    }
    assert_eq!(store.forget(11_000_001, 1).expect("writable"), 1);
    assert_eq!(store.forget(11_000_001, 9).expect("writable"), 1);
    let at = ReplyClaim {
        now_us: 11_000_001,
        ..claim("c")
    };
    assert_eq!(found(store, &at).by, "call-c");
    assert_eq!(store.held().expect("readable").keys, 1);
}

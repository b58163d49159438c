//! The one suite that every store of [`Approvals`] passes.
//!
//! Each check panics with what it expected. Deliberately not here: what only a
//! disk can show (restarts, other processes).

use std::sync::Arc;

use super::{
    ApprovalFilter, ApprovalLimits, ApprovalRow, ApprovalState, Approvals, ApprovalsError, NeedRow,
    Vote,
};

/// Limits that a store under test must have.
pub const LIMITS: ApprovalLimits = ApprovalLimits {
    per_key: 3,
    per_tenant: 4,
    open: 5,
    kept: 6,
};

/// Runs every check on stores made by `make`, each empty, within [`LIMITS`].
pub fn check(make: &dyn Fn() -> Arc<dyn Approvals>) {
    keeps_what_it_is_given(&*make());
    gives_the_same_for_the_same_question(&*make());
    goes_from_pending_to_used_once(&*make());
    wants_people_who_differ(&*make());
    ends_with_a_denial_or_its_time(&*make());
    takes_back_what_is_not_used(&*make());
    pages_and_filters(&*make());
    is_full_at_its_limits(&*make());
    forgets_the_oldest_that_ended(&*make());
    lets_one_of_many_use_it(&make());
}

/// A question of this id by the key `k`, for a model, asked at second 1.
pub fn row(id: &str) -> ApprovalRow {
    ApprovalRow {
        id: id.to_owned(),
        number: 0,
        tenant: "acme".to_owned(),
        app: "shop".to_owned(),
        key_id: "k".to_owned(),
        user: Some("ann".to_owned()),
        owner: Some("backend".to_owned()),
        operation: "chat".to_owned(),
        dialect: "chat".to_owned(),
        model: "m".to_owned(),
        request_id: "r".to_owned(),
        needs: vec![NeedRow {
            rule: "'; DROP TABLE approvals; --".to_owned(),
            layer: "tenant \"acme\"\u{1b}\n".to_owned(),
            what: format!("model {id}"),
        }],
        approvers: 1,
        body: [9; 32],
        asked_us: 1_000_000,
        expires_us: 2_000_000,
        votes: Vec::new(),
        used_us: None,
        used_by: None,
    }
}

/// A vote for it.
pub fn vote(by: &str) -> Vote {
    Vote {
        by: by.to_owned(),
        at_us: 1_500_000,
        approves: true,
        note: Some("'fine'; \"ok\"".to_owned()),
    }
}

fn ask(store: &dyn Approvals, row: &ApprovalRow) -> ApprovalRow {
    store.ask(row).expect("there is room")
}

fn find(store: &dyn Approvals, id: &str) -> ApprovalRow {
    let found = store.find(id).expect("readable");
    found.expect("it is there")
}

fn keeps_what_it_is_given(store: &dyn Approvals) {
    assert_eq!(store.find("a").expect("readable"), None);
    assert_eq!(store.pending(1_000_000).expect("readable"), 0);
    let kept = ask(store, &row("a"));
    assert_ne!(kept.number, 0);
    assert_eq!(
        ApprovalRow {
            number: 0,
            ..kept.clone()
        },
        row("a")
    );
    assert_eq!(find(store, "a"), kept);
    let voted = store.vote("a", &vote("bob")).expect("a vote");
    assert_eq!(voted.votes, [vote("bob")]);
    assert_eq!(find(store, "a"), voted);
}

fn gives_the_same_for_the_same_question(store: &dyn Approvals) {
    let first = ask(store, &row("a"));
    let again = ApprovalRow {
        id: "b".to_owned(),
        needs: first.needs.clone(),
        ..row("b")
    };
    assert_eq!(
        ask(store, &again).id,
        "a",
        "the same question is asked once"
    );
    let others = [
        ApprovalRow {
            body: [1; 32],
            ..again.clone()
        },
        ApprovalRow {
            id: "c".to_owned(),
            key_id: "k2".to_owned(),
            user: None,
            ..again.clone()
        },
        ApprovalRow {
            id: "e".to_owned(),
            model: "n".to_owned(),
            ..again.clone()
        },
    ];
    for other in others {
        assert_eq!(ask(store, &other).id, other.id);
    }
    store.vote("a", &vote("bob")).expect("a vote");
    assert!(store.spend("a", "r2", 1_500_000).expect("writable"));
    let anew = ApprovalRow {
        id: "d".to_owned(),
        ..again
    };
    assert_eq!(ask(store, &anew).id, "d", "a used one is no answer");
}

fn goes_from_pending_to_used_once(store: &dyn Approvals) {
    ask(store, &row("a"));
    assert_eq!(store.pending(1_500_000).expect("readable"), 1);
    assert!(
        !store.spend("a", "r2", 1_500_000).expect("writable"),
        "pending"
    );
    let row = store.vote("a", &vote("bob")).expect("a vote");
    assert_eq!(row.state(1_500_000), ApprovalState::Approved);
    assert_eq!(store.pending(1_500_000).expect("readable"), 0);
    assert!(
        !store.spend("a", "r2", 2_000_000).expect("writable"),
        "expired"
    );
    assert!(store.spend("a", "r2", 1_500_000).expect("writable"));
    let used = find(store, "a");
    assert_eq!(used.used_by.as_deref(), Some("r2"), "the call is known");
    assert!(
        !store.spend("a", "r3", 1_500_000).expect("writable"),
        "used"
    );
    assert_eq!(find(store, "a"), used);
    assert!(
        !store.spend("b", "r2", 1_500_000).expect("writable"),
        "unknown"
    );
    let over = store.vote("a", &vote("cat"));
    assert!(matches!(
        over,
        Err(ApprovalsError::Over(ApprovalState::Used))
    ));
}

fn wants_people_who_differ(store: &dyn Approvals) {
    let two = ApprovalRow {
        approvers: 2,
        ..row("a")
    };
    ask(store, &two);
    for own in ["k", "ann", "Ann", "backend"] {
        let refused = store.vote("a", &vote(own));
        assert!(matches!(refused, Err(ApprovalsError::Own)), "{own}");
    }
    let token = ApprovalRow {
        key_id: "corp:dora".to_owned(),
        ..row("t")
    };
    ask(store, &token);
    let refused = store.vote("t", &vote("dora"));
    assert!(matches!(refused, Err(ApprovalsError::Own)));
    let one = store.vote("a", &vote("bob")).expect("a vote");
    assert_eq!(one.state(1_500_000), ApprovalState::Pending);
    let twice = store.vote("a", &vote("bob"));
    assert!(matches!(twice, Err(ApprovalsError::Twice)));
    let both = store.vote("a", &vote("cat")).expect("a vote");
    assert_eq!(both.state(1_500_000), ApprovalState::Approved);
    let unknown = store.vote("b", &vote("bob"));
    assert!(matches!(unknown, Err(ApprovalsError::Unknown)));
}

fn ends_with_a_denial_or_its_time(store: &dyn Approvals) {
    ask(store, &row("a"));
    let denial = Vote {
        approves: false,
        ..vote("bob")
    };
    let denied = store.vote("a", &denial).expect("a vote");
    assert_eq!(denied.state(9_000_000), ApprovalState::Denied);
    assert!(matches!(
        store.vote("a", &vote("cat")),
        Err(ApprovalsError::Over(ApprovalState::Denied))
    ));
    ask(store, &row("b"));
    let late = Vote {
        at_us: 2_000_000,
        ..vote("bob")
    };
    assert!(matches!(
        store.vote("b", &late),
        Err(ApprovalsError::Over(ApprovalState::Expired))
    ));
}

fn takes_back_what_is_not_used(store: &dyn Approvals) {
    let denial = |by: &str| Vote {
        approves: false,
        ..vote(by)
    };
    ask(store, &row("a"));
    store.vote("a", &vote("bob")).expect("a vote");
    let own = store.vote("a", &denial("ann"));
    assert!(matches!(own, Err(ApprovalsError::Own)));
    let taken = store.vote("a", &denial("bob")).expect("a vote");
    assert_eq!(taken.state(1_500_000), ApprovalState::Denied);
    assert!(!store.spend("a", "r2", 1_500_000).expect("writable"));
    assert_eq!(find(store, "a"), taken);
    let anew = ApprovalRow {
        needs: row("a").needs,
        ..row("b")
    };
    assert_eq!(ask(store, &anew).id, "b", "it is asked anew");
    // What was used stays used.
    store.vote("b", &vote("bob")).expect("a vote");
    assert!(store.spend("b", "r2", 1_500_000).expect("writable"));
    assert!(matches!(
        store.vote("b", &denial("cat")),
        Err(ApprovalsError::Over(ApprovalState::Used))
    ));
    // More approvals than it needs change nothing.
    ask(store, &row("c"));
    store.vote("c", &vote("bob")).expect("a vote");
    assert!(matches!(
        store.vote("c", &vote("cat")),
        Err(ApprovalsError::Over(ApprovalState::Approved))
    ));
}

fn pages_and_filters(store: &dyn Approvals) {
    for id in ["a", "b"] {
        ask(store, &row(id));
    }
    let other = ApprovalRow {
        tenant: "other".to_owned(),
        ..row("c")
    };
    ask(store, &other);
    store.vote("b", &vote("bob")).expect("a vote");
    let ids = |filter: &ApprovalFilter| -> Vec<String> {
        let rows = store.list(filter).expect("readable");
        rows.into_iter().map(|row| row.id).collect()
    };
    let all = ApprovalFilter {
        limit: 10,
        now_us: 1_500_000,
        ..ApprovalFilter::default()
    };
    assert_eq!(ids(&all), ["c", "b", "a"]);
    let first = ApprovalFilter {
        limit: 2,
        ..all.clone()
    };
    let last = store.list(&first).expect("readable")[1].number;
    let rest = ApprovalFilter {
        before: Some(last),
        ..all.clone()
    };
    assert_eq!(ids(&rest), ["a"]);
    let acme = ApprovalFilter {
        tenant: Some("acme".to_owned()),
        ..all.clone()
    };
    assert_eq!(ids(&acme), ["b", "a"]);
    let approved = ApprovalFilter {
        state: Some(ApprovalState::Approved),
        ..all
    };
    assert_eq!(ids(&approved), ["b"]);
}

fn is_full_at_its_limits(store: &dyn Approvals) {
    for id in ["a", "b", "c"] {
        ask(store, &row(id));
    }
    let full = store.ask(&row("d"));
    assert!(matches!(full, Err(ApprovalsError::Full("this key", 3))));
    let other = |id: &str, tenant: &str, key: &str| ApprovalRow {
        tenant: tenant.to_owned(),
        key_id: key.to_owned(),
        ..row(id)
    };
    ask(store, &other("d", "acme", "k2"));
    let full = store.ask(&other("e", "acme", "k2"));
    assert!(matches!(full, Err(ApprovalsError::Full("this tenant", 4))));
    ask(store, &other("e", "other", "k"));
    let full = store.ask(&other("f", "third", "k"));
    assert!(matches!(full, Err(ApprovalsError::Full("all tenants", 5))));
    let again = ApprovalRow {
        id: "g".to_owned(),
        ..row("a")
    };
    assert_eq!(ask(store, &again).id, "a", "what was asked needs no room");
    // Those whose time is over make room.
    let later = ApprovalRow {
        asked_us: 2_000_000,
        expires_us: 3_000_000,
        ..row("h")
    };
    ask(store, &later);
}

fn forgets_the_oldest_that_ended(store: &dyn Approvals) {
    for nth in 0..9_u64 {
        let row = ApprovalRow {
            asked_us: nth * 10,
            expires_us: nth * 10 + 10,
            ..row(&format!("a{nth}"))
        };
        ask(store, &row);
    }
    let all = ApprovalFilter {
        limit: 100,
        ..ApprovalFilter::default()
    };
    let kept = store.list(&all).expect("readable");
    assert_eq!(kept.len() as u64, LIMITS.kept);
    assert_eq!(kept[0].id, "a8");
}

fn lets_one_of_many_use_it(store: &Arc<dyn Approvals>) {
    ask(&**store, &row("a"));
    store.vote("a", &vote("bob")).expect("a vote");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            std::thread::spawn(move || store.spend("a", "r2", 1_500_000).expect("writable"))
        })
        .collect();
    let used = threads.into_iter().map(|it| it.join().expect("no panic"));
    assert_eq!(used.filter(|used| *used).count(), 1);
}

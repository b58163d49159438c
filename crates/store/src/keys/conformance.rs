//! The one suite that every store of [`Keys`] passes.
//!
//! Each check panics with what it expected. Deliberately not here: what only a
//! disk can show (restarts, other processes).

use std::sync::Arc;

use super::{KeyCounts, KeyFilter, KeyRow, KeyState, Keys, KeysError, OnRevoke, SecretRow};

/// Active keys that a store under test must have room for, and no more.
pub const ACTIVE_MAX: u64 = 60;

/// Texts that break stores which put them into a statement.
const HOSTILE: [&str; 8] = [
    "'; DROP TABLE keys; --",
    "\" OR \"\"=\"",
    "a\0b",
    "\u{1b}[31m\r\nlog line: forged",
    "%' OR '1'='1",
    "\u{202e}\u{2028}naïve 日本",
    "[\"json\", {\"a\": null}]",
    "",
];

/// Runs every check on stores made by `make`, each empty, with room for
/// [`ACTIVE_MAX`] active keys.
pub fn check(make: &dyn Fn() -> Arc<dyn Keys>) {
    begins_empty(&*make());
    keeps_what_it_is_given(&*make());
    refuses_an_id_twice(&*make());
    replaces_only_what_was_read(&*make());
    pages_and_filters(&*make());
    tells_what_changed(&*make());
    notes_use_without_a_change(&*make());
    counts_by_state(&*make());
    is_full_at_its_limit(&*make());
    takes_hostile_texts(&*make());
    takes_from_many_threads(&make());
}

/// A key of that id, with one secret, made at second 1.
pub fn row(id: &str) -> KeyRow {
    KeyRow {
        id: id.to_owned(),
        number: 0,
        change: 0,
        name: format!("the key {id}"),
        tenant: "acme".to_owned(),
        app: "shop".to_owned(),
        groups: Vec::new(),
        models: None,
        on_revoke: OnRevoke::Finish,
        created_us: 1_000_000,
        created_by: "admin".to_owned(),
        expires_us: None,
        rotated_us: None,
        revoked_us: None,
        revoked_by: None,
        last_used_us: None,
        secrets: vec![secret(id, 1_000_000, None)],
        limits: None,
    }
}

/// A secret whose digest is made of this text.
pub fn secret(text: &str, created_us: u64, until_us: Option<u64>) -> SecretRow {
    SecretRow {
        digest: *blake3::hash(text.as_bytes()).as_bytes(),
        created_us,
        until_us,
    }
}

fn all() -> KeyFilter {
    KeyFilter {
        limit: 1_000,
        now_us: 10_000_000,
        ..KeyFilter::default()
    }
}

fn ids(rows: &[KeyRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

fn make(keys: &dyn Keys, row: &KeyRow) -> KeyRow {
    keys.create(row).expect("there is room for this key")
}

fn begins_empty(keys: &dyn Keys) {
    assert_eq!(keys.last_change().expect("readable"), 0);
    assert_eq!(keys.find("k").expect("readable"), None);
    assert_eq!(keys.list(&all()).expect("readable"), []);
    assert_eq!(keys.changed_after(0).expect("readable"), []);
    assert_eq!(keys.counts(0).expect("readable"), KeyCounts::default());
    let replaced = keys.replace(&row("k"));
    assert!(matches!(replaced, Err(KeysError::Unknown)), "{replaced:?}");
}

fn keeps_what_it_is_given(keys: &dyn Keys) {
    let full = KeyRow {
        groups: vec!["research".to_owned(), "night".to_owned()],
        models: Some(vec!["fast-*".to_owned(), "m".to_owned()]),
        on_revoke: OnRevoke::Cut,
        expires_us: Some(9_000_000),
        rotated_us: Some(2_000_000),
        revoked_us: Some(3_000_000),
        revoked_by: Some("somebody".to_owned()),
        last_used_us: Some(2_500_000),
        secrets: vec![
            secret("new", 2_000_000, None),
            secret("old", 1_000_000, Some(4_000_000)),
        ],
        limits: Some(r#"{"budgets":[]}"#.to_owned()),
        ..row("full")
    };
    for given in [full, row("plain")] {
        let made = make(keys, &given);
        let expected = KeyRow {
            number: made.number,
            change: made.change,
            ..given
        };
        assert_eq!(made, expected);
        assert_eq!(made.change, keys.last_change().expect("readable"));
        let found = keys.find(&made.id).expect("readable");
        assert_eq!(found, Some(expected));
    }
}

fn refuses_an_id_twice(keys: &dyn Keys) {
    let first = make(keys, &row("k"));
    let second = keys.create(&KeyRow {
        tenant: "other".to_owned(),
        ..row("k")
    });
    assert!(matches!(second, Err(KeysError::Taken)), "{second:?}");
    assert_eq!(keys.find("k").expect("readable"), Some(first.clone()));
    assert_eq!(keys.last_change().expect("readable"), first.change);
}

fn replaces_only_what_was_read(keys: &dyn Keys) {
    let read = make(keys, &row("k"));
    let revoked = KeyRow {
        revoked_us: Some(5_000_000),
        // What a change may not touch.
        number: 99,
        created_us: 7,
        created_by: "an impostor".to_owned(),
        last_used_us: Some(8),
        ..read.clone()
    };
    let now = keys.replace(&revoked).expect("nobody else changed it");
    let expected = KeyRow {
        change: now.change,
        revoked_us: Some(5_000_000),
        ..read.clone()
    };
    assert!(now.change > read.change);
    assert_eq!(now, expected);
    assert_eq!(keys.find("k").expect("readable"), Some(expected.clone()));
    let late = keys.replace(&read);
    assert!(matches!(late, Err(KeysError::Changed)), "{late:?}");
    assert_eq!(keys.find("k").expect("readable"), Some(expected));
}

fn pages_and_filters(keys: &dyn Keys) {
    for n in 0..10 {
        let tenant = if n % 2 == 0 { "even" } else { "odd" };
        let app = if n < 5 { "low" } else { "high" };
        let over = (n == 8).then_some(10_000_000);
        let revoked_us = (n == 9).then_some(2_000_000);
        make(
            keys,
            &KeyRow {
                tenant: tenant.to_owned(),
                app: app.to_owned(),
                expires_us: over,
                revoked_us,
                ..row(&format!("k{n}"))
            },
        );
    }
    let list = |filter: &KeyFilter| keys.list(filter).expect("readable");
    let first = list(&KeyFilter { limit: 4, ..all() });
    assert_eq!(ids(&first), ["k9", "k8", "k7", "k6"], "newest first");
    let next = list(&KeyFilter {
        limit: 4,
        before: first.last().map(|row| row.number),
        ..all()
    });
    assert_eq!(ids(&next), ["k5", "k4", "k3", "k2"]);
    let even = list(&KeyFilter {
        tenant: Some("even".to_owned()),
        app: Some("low".to_owned()),
        ..all()
    });
    assert_eq!(ids(&even), ["k4", "k2", "k0"]);
    for (state, expected) in [
        (KeyState::Revoked, vec!["k9"]),
        (KeyState::Expired, vec!["k8"]),
    ] {
        let state = Some(state);
        assert_eq!(ids(&list(&KeyFilter { state, ..all() })), expected);
    }
    let active = KeyFilter {
        state: Some(KeyState::Active),
        ..all()
    };
    assert_eq!(list(&active).len(), 8);
    let sooner = KeyFilter {
        now_us: 9_999_999,
        ..active
    };
    assert_eq!(
        list(&sooner).len(),
        9,
        "a key expires at its time, not before"
    );
    let strangers = KeyFilter {
        tenant: Some("Even".to_owned()),
        ..all()
    };
    assert_eq!(list(&strangers), [], "names are exact");
}

fn tells_what_changed(keys: &dyn Keys) {
    let a = make(keys, &row("a"));
    let b = make(keys, &row("b"));
    let changed = |after| keys.changed_after(after).expect("readable");
    assert_eq!(changed(0), [a.clone(), b.clone()]);
    assert_eq!(changed(a.change), std::slice::from_ref(&b));
    let a = KeyRow {
        revoked_us: Some(2),
        ..a
    };
    let a = keys.replace(&a).expect("nobody else changed it");
    assert_eq!(changed(0), [b.clone(), a.clone()], "in order of change");
    assert_eq!(changed(b.change), std::slice::from_ref(&a));
    assert_eq!(changed(a.change), []);
    assert_eq!(keys.last_change().expect("readable"), a.change);
}

fn notes_use_without_a_change(keys: &dyn Keys) {
    let made = make(keys, &row("k"));
    let used = |us| {
        let noted = keys.note_used(&[("k".to_owned(), us), ("nobody".to_owned(), us)]);
        noted.expect("writable");
        let found = keys.find("k").expect("readable").expect("still there");
        (found.last_used_us, found.change)
    };
    assert_eq!(used(5_000_000), (Some(5_000_000), made.change));
    assert_eq!(
        used(4_000_000),
        (Some(5_000_000), made.change),
        "time does not go back"
    );
    keys.note_used(&[]).expect("nothing to do");
    // A change by somebody who read before the use does not undo it.
    let renamed = KeyRow {
        name: "new".to_owned(),
        ..made
    };
    let renamed = keys.replace(&renamed).expect("use is no change");
    assert_eq!(renamed.last_used_us, Some(5_000_000));
}

fn counts_by_state(keys: &dyn Keys) {
    make(keys, &row("a"));
    make(
        keys,
        &KeyRow {
            expires_us: Some(5_000_000),
            ..row("b")
        },
    );
    make(
        keys,
        &KeyRow {
            revoked_us: Some(2_000_000),
            expires_us: Some(3_000_000),
            ..row("c")
        },
    );
    make(
        keys,
        &KeyRow {
            rotated_us: Some(2_000_000),
            secrets: vec![
                secret("d2", 2_000_000, None),
                secret("d1", 1_000_000, Some(4_000_000)),
            ],
            ..row("d")
        },
    );
    let counts = |now_us| {
        let KeyCounts {
            active,
            rotating,
            expired,
            revoked,
        } = keys.counts(now_us).expect("readable");
        (active, rotating, expired, revoked)
    };
    assert_eq!(counts(3_999_999), (3, 1, 0, 1));
    assert_eq!(counts(4_000_000), (3, 0, 0, 1));
    assert_eq!(counts(5_000_000), (2, 0, 1, 1));
}

fn is_full_at_its_limit(keys: &dyn Keys) {
    for n in 0..ACTIVE_MAX {
        make(keys, &row(&format!("k{n}")));
    }
    let more = keys.create(&row("more"));
    assert!(matches!(more, Err(KeysError::Full(ACTIVE_MAX))), "{more:?}");
    let one = keys.find("k0").expect("readable").expect("there");
    let revoked = KeyRow {
        revoked_us: Some(2),
        ..one
    };
    keys.replace(&revoked).expect("nobody else changed it");
    make(keys, &row("more"));
}

fn takes_hostile_texts(keys: &dyn Keys) {
    for (n, text) in HOSTILE.into_iter().enumerate() {
        let given = KeyRow {
            id: format!("{n}{text}"),
            name: text.to_owned(),
            tenant: text.to_owned(),
            app: text.to_owned(),
            groups: vec![text.to_owned()],
            models: Some(vec![text.to_owned(), text.to_owned()]),
            created_by: text.to_owned(),
            revoked_by: Some(text.to_owned()),
            ..row("hostile")
        };
        let made = make(keys, &given);
        let filter = KeyFilter {
            tenant: Some(text.to_owned()),
            app: Some(text.to_owned()),
            ..all()
        };
        let found = keys.list(&filter).expect("readable");
        assert_eq!(found, std::slice::from_ref(&made));
        let found = keys.find(&made.id).expect("readable");
        assert_eq!(found.as_ref(), Some(&made));
        let noted = keys.note_used(&[(made.id.clone(), 5), (text.to_owned(), 6)]);
        noted.expect("writable");
        keys.replace(&made).expect("nobody else changed it");
    }
    assert_eq!(keys.list(&all()).expect("readable").len(), HOSTILE.len());
}

fn takes_from_many_threads(keys: &Arc<dyn Keys>) {
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let keys = keys.clone();
            std::thread::spawn(move || {
                for n in 0..10 {
                    make(&*keys, &row(&format!("{thread}-{n}")));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread fails");
    }
    let rows = keys.changed_after(0).expect("readable");
    let numbers: Vec<u64> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>(), "no number twice");
}

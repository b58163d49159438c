//! Cases of the stores of keys: the suite, what only a disk shows, and when a
//! key and its secrets work.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::conformance::{self, ACTIVE_MAX, row, secret};
use super::*;

const MODE: u32 = 0o777;

#[test]
fn memory_and_disk_pass_the_suite() {
    conformance::check(&|| Arc::new(MemoryKeys::with_limit(ACTIVE_MAX)));
    let dir = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    conformance::check(&|| {
        made.set(made.get() + 1);
        let path = dir.path().join(format!("{}.sqlite", made.get()));
        Arc::new(SqliteKeys::with_limit(&path, ACTIVE_MAX).unwrap())
    });
}

fn open(path: &Path) -> SqliteKeys {
    SqliteKeys::open(path).unwrap()
}

#[test]
fn keys_outlive_the_process_and_only_their_owner_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.sqlite");
    let made = open(&path).create(&row("k")).unwrap();
    let again = open(&path);
    assert_eq!(again.find("k").unwrap(), Some(made));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & MODE, 0o600, "{entry:?}");
    }
}

#[test]
fn another_process_is_seen_and_does_not_overwrite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.sqlite");
    let (one, other) = (open(&path), open(&path));
    let made = one.create(&row("k")).unwrap();
    assert_eq!(other.last_change().unwrap(), made.change);
    let read = other.find("k").unwrap().unwrap();
    let revoked = KeyRow {
        revoked_us: Some(2),
        ..read.clone()
    };
    one.replace(&revoked).unwrap();
    assert!(matches!(other.replace(&read), Err(KeysError::Changed)));
    assert_eq!(other.changed_after(made.change).unwrap().len(), 1);
    assert!(matches!(other.create(&row("k")), Err(KeysError::Taken)));
}

#[test]
fn a_file_that_is_none_of_ours_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.sqlite");
    std::fs::write(&path, "x".repeat(5_000)).unwrap();
    let refused = |path: &Path| match SqliteKeys::open(path) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    };
    let said = refused(&path);
    assert!(
        said.contains("keys.sqlite") && said.contains("backup"),
        "{said}"
    );
    assert_eq!(std::fs::read(&path).unwrap().len(), 5_000);
    let newer = dir.path().join("newer.sqlite");
    drop(open(&newer));
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    assert!(refused(&newer).contains("version 7"));
}

/// A file of the version before has no limits, and gets room for them.
#[test]
fn a_file_of_the_version_before_is_taken_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.sqlite");
    let keys = open(&path);
    keys.create(&row("k")).unwrap();
    drop(keys);
    let by_hand = rusqlite::Connection::open(&path).unwrap();
    by_hand
        .execute_batch("ALTER TABLE keys DROP COLUMN limits; PRAGMA user_version = 1;")
        .unwrap();
    drop(by_hand);
    let keys = open(&path);
    let found = keys.find("k").unwrap().expect("it is there");
    assert_eq!(found.limits, None);
    let limited = KeyRow {
        limits: Some("{}".to_owned()),
        ..found
    };
    keys.replace(&limited).unwrap();
    drop(keys);
    let again = open(&path).find("k").unwrap().expect("it is there");
    assert_eq!(again.limits.as_deref(), Some("{}"));
}

#[test]
fn a_row_that_was_tampered_with_is_not_guessed_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.sqlite");
    let keys = open(&path);
    keys.create(&row("k")).unwrap();
    let by_hand = rusqlite::Connection::open(&path).unwrap();
    for (column, value) in [
        ("secrets", "[[\"00\", 1, null]]"),
        ("on_revoke", "never"),
        ("models", "everything"),
        ("groups", "{}"),
    ] {
        let kept: Option<String> = by_hand
            .query_row(&format!("SELECT {column} FROM keys"), [], |row| row.get(0))
            .unwrap();
        let set = format!("UPDATE keys SET {column} = ?");
        by_hand.execute(&set, [value]).unwrap();
        let error = keys.find("k").expect_err(column).to_string();
        assert!(error.contains(column), "{error}");
        by_hand.execute(&set, [kept]).unwrap();
    }
    assert!(keys.find("k").unwrap().is_some());
}

#[test]
fn a_key_and_its_secrets_work_until_the_moment_they_end() {
    let rotated = KeyRow {
        expires_us: Some(100),
        secrets: vec![secret("new", 50, None), secret("old", 1, Some(60))],
        ..row("k")
    };
    let open = |row: &KeyRow, now_us| -> Vec<Option<u64>> {
        row.open_secrets(now_us).map(|(_, until)| until).collect()
    };
    for (now_us, state, expected) in [
        (59, KeyState::Active, vec![Some(100), Some(60)]),
        (60, KeyState::Active, vec![Some(100)]),
        (99, KeyState::Active, vec![Some(100)]),
        (100, KeyState::Expired, vec![]),
        (u64::MAX, KeyState::Expired, vec![]),
    ] {
        assert_eq!(rotated.state(now_us), state, "{now_us}");
        assert_eq!(open(&rotated, now_us), expected, "{now_us}");
    }
    // An overlap does not outlast the key.
    let short = KeyRow {
        expires_us: Some(55),
        ..rotated.clone()
    };
    assert_eq!(open(&short, 54), [Some(55), Some(55)]);
    let revoked = KeyRow {
        revoked_us: Some(10),
        ..rotated
    };
    for now_us in [0, 59, 1_000] {
        assert_eq!(revoked.state(now_us), KeyState::Revoked);
        assert!(open(&revoked, now_us).is_empty());
    }
    assert_eq!(open(&row("plain"), u64::MAX), [None]);
}

#[test]
fn digests_are_not_shown() {
    let shown = format!("{:?}", row("k"));
    let digest = row("k").secrets[0].digest;
    let hex = blake3::Hash::from_bytes(digest).to_hex();
    assert!(!shown.contains(hex.as_str()) && !shown.contains(&format!("{digest:?}")));
    for word in [OnRevoke::Finish, OnRevoke::Cut] {
        assert_eq!(OnRevoke::of(word.name()), Some(word));
    }
    for state in KeyState::ALL {
        assert_eq!(KeyState::of(state.name()), Some(state));
    }
}

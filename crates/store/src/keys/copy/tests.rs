//! Cases of the copy of keys.

use std::os::unix::fs::PermissionsExt;

use super::super::conformance::row;
use super::*;

fn numbered(id: &str, number: u64, change: u64) -> KeyRow {
    KeyRow {
        number,
        change,
        ..row(id)
    }
}

fn copied(rows: Vec<KeyRow>, seen: u64) -> Copied {
    Copied {
        mark: [7; 32],
        seen,
        at_us: 5,
        rows,
    }
}

#[test]
fn a_copy_is_replaced_whole_and_takes_changes_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.sqlite");
    let copy = KeysCopy::open(&path).unwrap();
    assert_eq!(copy.copied().unwrap(), None, "nothing is known yet");
    let (a, b) = (numbered("a", 1, 1), numbered("b", 2, 2));
    let both = copied(vec![a.clone(), b.clone()], 2);
    copy.replace(&both).unwrap();
    assert_eq!(copy.copied().unwrap(), Some(both));
    // One is revoked, one renamed, one is new.
    let revoked = KeyRow {
        revoked_us: Some(9),
        change: 3,
        ..a
    };
    let renamed = KeyRow {
        name: "other".to_owned(),
        change: 4,
        ..b
    };
    let new = numbered("c", 5, 5);
    copy.take(&[revoked, renamed.clone(), new.clone()], 5, 8)
        .unwrap();
    let expected = Copied {
        at_us: 8,
        ..copied(vec![renamed, new.clone()], 5)
    };
    assert_eq!(copy.copied().unwrap(), Some(expected.clone()));
    // It outlives the process, and only its owner reads it.
    drop(copy);
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let copy = KeysCopy::open(&path).unwrap();
    assert_eq!(copy.copied().unwrap(), Some(expected));
    // Another database: nothing of the one before stays.
    let other = Copied {
        mark: [8; 32],
        ..copied(vec![numbered("z", 1, 1)], 1)
    };
    copy.replace(&other).unwrap();
    assert_eq!(copy.copied().unwrap(), Some(other));
}

#[test]
fn a_damaged_copy_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.sqlite");
    fs::write(&path, "x".repeat(5_000)).unwrap();
    let copy = KeysCopy::open(&path).unwrap();
    assert_eq!(copy.copied().unwrap(), None);
}

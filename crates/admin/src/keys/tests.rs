//! Cases of what becomes of a key, as pure decisions; and a desk for tests.

use std::sync::atomic::{AtomicU64, Ordering};

use plan::Role;
use store::{MemoryKeys, OnRevoke};

use super::*;
use crate::auth::Actor;

const HOUR_US: u64 = 3_600_000_000;
const NOW_US: u64 = 1_000 * HOUR_US;

/// A desk whose keys are `id00001`, `id00002`, .. and lie in memory.
pub(crate) fn desk() -> KeyDesk {
    let count = AtomicU64::new(0);
    KeyDesk {
        store: Arc::new(MemoryKeys::with_limit(20)),
        mint: Arc::new(move |id| {
            let nth = count.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(minted(id.unwrap_or(&format!("id{nth:05}")), nth))
        }),
        publish: Arc::new(|_| {}),
    }
}

fn minted(id: &str, nth: u64) -> Minted {
    let secret = format!("tg-{id}-secret-{nth}");
    Minted {
        id: id.to_owned(),
        digest: *blake3::hash(secret.as_bytes()).as_bytes(),
        secret: Secret::new(secret),
    }
}

fn by(now_us: u64) -> By {
    By {
        actor: Actor {
            id: "olga".into(),
            role: Role::Operator,
            tenant: None,
        },
        peer: None,
        request_id: evidence::RequestId::mint(now_us, 1),
        now_us,
    }
}

fn key(body: &str) -> KeyRow {
    let wanted: NewKey = read(body.as_bytes()).unwrap();
    let draft = wanted.check(&by(NOW_US)).unwrap();
    change::made(&draft, &minted("k", 1), &by(NOW_US))
}

fn rotated(row: &KeyRow, at_us: u64, overlap_us: u64) -> Result<KeyRow, Reply> {
    change::rotated(row, &minted("k", at_us), overlap_us, &by(at_us))
}

/// When each secret ends, in hours since the key was made.
fn ends(row: &KeyRow) -> Vec<Option<u64>> {
    let hours = |us: u64| (us - NOW_US) / HOUR_US;
    row.secrets
        .iter()
        .map(|secret| secret.until_us.map(hours))
        .collect()
}

#[test]
fn a_rotation_lets_the_old_secret_work_for_its_overlap() {
    let at = |hours: u64| NOW_US + hours * HOUR_US;
    let first = key("{}");
    assert_eq!(ends(&first), [None]);
    let second = rotated(&first, at(1), 24 * HOUR_US).unwrap();
    assert_eq!(ends(&second), [None, Some(25)]);
    assert_eq!(second.rotated_us, Some(at(1)));
    assert_eq!(second.open_secrets(at(25) - 1).count(), 2);
    assert_eq!(second.open_secrets(at(25)).count(), 1);
    // A second rotation neither prolongs nor revives what is older.
    let third = rotated(&second, at(2), 48 * HOUR_US).unwrap();
    assert_eq!(ends(&third), [None, Some(50), Some(25)]);
    let later = rotated(&third, at(25), HOUR_US).unwrap();
    assert_eq!(ends(&later), [None, Some(26), Some(26)]);
    // Without an overlap only the new one is left.
    let alone = rotated(&later, at(25), 0).unwrap();
    assert_eq!(ends(&alone), [None]);
    assert_eq!(alone.secrets[0].digest, minted("k", at(25)).digest);
}

#[test]
fn secrets_of_a_key_are_bounded_and_ended_keys_get_none() {
    let mut row = key(r#"{"expires_in": "10h"}"#);
    for nth in 1..=3 {
        row = rotated(&row, NOW_US + nth, HOUR_US).unwrap();
    }
    let more = rotated(&row, NOW_US + 4, HOUR_US).unwrap_err();
    assert_eq!(more.status, 409);
    assert!(rotated(&row, NOW_US + 4, 0).is_ok());
    let (last, over) = (NOW_US + 10 * HOUR_US - 1, NOW_US + 10 * HOUR_US);
    assert!(rotated(&row, last, 0).is_ok());
    assert_eq!(rotated(&row, over, 0).unwrap_err().status, 409);
    let revoked = change::revoked(&row, None, &by(NOW_US + 5)).unwrap();
    assert_eq!(rotated(&revoked, NOW_US + 6, 0).unwrap_err().status, 409);
}

#[test]
fn a_revocation_is_for_good_and_may_cut() {
    let row = key("{}");
    assert_eq!(row.on_revoke, OnRevoke::Finish);
    let revoked = change::revoked(&row, None, &by(NOW_US + 5)).unwrap();
    assert_eq!(revoked.revoked_us, Some(NOW_US + 5));
    assert_eq!(revoked.revoked_by.as_deref(), Some("olga"));
    assert_eq!(revoked.on_revoke, OnRevoke::Finish);
    assert!(revoked.secrets.is_empty());
    assert_eq!(
        change::revoked(&revoked, Some(OnRevoke::Cut), &by(NOW_US + 9)),
        None
    );
    let cut = change::revoked(&row, Some(OnRevoke::Cut), &by(NOW_US + 5)).unwrap();
    assert_eq!(cut.on_revoke, OnRevoke::Cut);
}

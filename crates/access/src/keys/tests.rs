//! Cases of keys made at run time: who is found, until when, with how much
//! work, and what is never shown.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use contract::{FaultKind, Secret};

use super::*;

thread_local! {
    static DIGESTS: Cell<u32> = const { Cell::new(0) };
}

pub(super) fn count_digest() {
    DIGESTS.set(DIGESTS.get() + 1);
}

const OWN: &str = "tg-of-the-document";
const LIVE: &str = "tg-of-the-api";
const OLD: &str = "tg-of-the-api-before-its-rotation";
const CLASH: &str = "tg-with-an-id-of-the-document";

fn key(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn ring() -> KeyRing {
    let mut ring = KeyRing::new([1; 32]);
    assert!(ring.add(&key(OWN), Consumer::new("own", "acme", "shop")));
    ring
}

fn live() -> (LiveKeys, Arc<KeyLife>) {
    let empty = LiveKeys::new(Secret::new([2; 32]));
    let life = Arc::new(KeyLife::new(true));
    let of = |id: &str, until_us| LiveKey {
        consumer: Arc::new(Consumer::new(id, "umbrella", "lab")),
        life: life.clone(),
        until_us,
    };
    let table = HashMap::from([
        (empty.digest(&key(LIVE)), of("live", Some(100))),
        (empty.digest(&key(OLD)), of("live", Some(50))),
        (empty.digest(&key(CLASH)), of("own", None)),
    ]);
    (empty.with(table), life)
}

fn shown(key: &str, now_us: u64) -> Shown<'_> {
    Shown {
        key,
        from_loopback: true,
        now_us,
    }
}

/// The id of whoever is found, and whether by a key made at run time.
fn found(ring: &KeyRing, live: &LiveKeys, key: &str, now_us: u64) -> Option<(String, bool)> {
    match ring.identify_any(live, &shown(key, now_us)) {
        Ok(found) => Some((found.consumer.key_id.to_string(), found.life.is_some())),
        Err(fault) => {
            assert_eq!(fault.kind, FaultKind::Unauthenticated);
            assert!(fault.public.contains("does not know"), "{}", fault.public);
            None
        }
    }
}

#[test]
fn keys_of_both_places_are_found_until_their_moment() {
    let (ring, (live, life)) = (ring(), live());
    let at = |key, now_us| found(&ring, &live, key, now_us);
    let own = Some(("own".to_owned(), false));
    let made = Some(("live".to_owned(), true));
    assert_eq!(at(OWN, 0), own);
    assert_eq!((at(LIVE, 99), at(LIVE, 100)), (made.clone(), None));
    assert_eq!((at(OLD, 49), at(OLD, 50)), (made, None));
    for wrong in ["", "tg-", "tg-of-the-ap", "TG-OF-THE-API", "own", "live"] {
        assert_eq!(at(wrong, 0), None, "{wrong:?}");
    }
    life.revoke();
    assert_eq!((at(LIVE, 0), at(OLD, 0)), (None, None), "at once");
    assert_eq!(at(OWN, 0), own);
}

#[test]
fn the_document_wins_and_may_be_the_only_owner() {
    let (live, _) = live();
    assert_eq!(found(&ring(), &live, CLASH, 0), None);
    let free = KeyRing::new([1; 32]);
    assert!(found(&free, &live, CLASH, 0).is_some());
    let closed = ring().without_live();
    assert_eq!(found(&closed, &live, LIVE, 0), None);
    assert!(found(&closed, &live, OWN, 0).is_some());
    assert!(!closed.takes_live() && free.takes_live());
    assert!(closed.has_id("own") && !closed.has_id("live"));
}

#[test]
fn a_tenant_comes_with_the_key_and_nothing_else() {
    let (ring, (live, _)) = (ring(), live());
    for (key, tenant) in [(OWN, "acme"), (LIVE, "umbrella")] {
        let found = ring.identify_any(&live, &shown(key, 0)).unwrap();
        assert_eq!(&*found.consumer.tenant, tenant);
    }
}

#[test]
fn known_and_unknown_keys_cost_the_same_work() {
    let (ring, (live, life)) = (ring(), live());
    let work = |key: &str, now_us| {
        let before = DIGESTS.get();
        let _ = ring.identify_any(&live, &shown(key, now_us));
        DIGESTS.get() - before
    };
    let long = "x".repeat(100);
    for (key, now_us) in [(OWN, 0), (LIVE, 0), (LIVE, 100), (CLASH, 0), (&*long, 0)] {
        assert_eq!(work(key, now_us), 2, "{key}");
    }
    life.revoke();
    assert_eq!(work(LIVE, 0), 2);
}

#[test]
fn use_is_noted_once_a_minute() {
    let life = KeyLife::new(false);
    assert_eq!(life.used_us(), 0);
    for (now_us, noted) in [
        (1_000_000_000, 1_000_000_000),
        (1_059_999_999, 1_000_000_000),
        (1_060_000_000, 1_060_000_000),
        (5, 1_060_000_000),
    ] {
        life.note_used(now_us);
        assert_eq!(life.used_us(), noted, "{now_us}");
    }
    assert!(!life.cuts() && !life.is_revoked() && !life.is_cut());
    life.revoke();
    assert!(life.is_revoked() && !life.is_cut());
    life.cut();
    life.revoke();
    assert!(
        life.is_revoked() && life.is_cut(),
        "a cut is not taken back"
    );
}

#[test]
fn a_key_has_a_prefix_an_id_and_256_bits() {
    assert_eq!(key_id(&[0; ID_BYTES]), "aaaaaaaa");
    assert_eq!(key_id(&[0xff; ID_BYTES]), "99999999");
    assert_eq!(key_id(&[0, 0, 0, 0, 1]), "aaaaaaab");
    let text = |first: u8, last: u8| {
        let mut random = [0; SECRET_BYTES];
        (random[0], random[31]) = (first, last);
        let text = secret_text("k2345678", &Secret::new(random));
        text.expose().clone()
    };
    let mut seen = HashSet::new();
    for byte in 0..=255 {
        for text in [text(byte, 1), text(1, byte)] {
            assert_eq!(text.len(), 3 + 8 + 1 + 43, "{text}");
            let secret = text.strip_prefix("tg-k2345678-").unwrap();
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            seen.insert(text);
        }
    }
    assert_eq!(seen.len(), 511, "every bit counts");
    let most = secret_text("k", &Secret::new([0xff; SECRET_BYTES]));
    // 2^256 - 1 to the base of 62, lowest digit first.
    assert_eq!(
        most.expose(),
        "tg-k-1pX8wOr5j2ACunjH7GLL8mWZWHmY1LA1ZO6Adwksjhy"
    );
}

#[test]
fn nothing_shows_a_key_or_its_digest() {
    let (live, _) = live();
    let text = secret_text("k", &Secret::new([7; SECRET_BYTES]));
    let all = format!("{text:?} {live:?} {:?}", ring());
    assert!(all.contains("LiveKeys(3)") && all.contains("Secret(***)"));
    let digest = format!("{:?}", live.digest(&key(LIVE)));
    for hidden in ["tg-", &digest] {
        assert!(!all.contains(hidden), "{all}");
    }
}

#[test]
fn a_key_is_found_by_its_id_while_it_works() {
    let (live, life) = live();
    let ring = ring();
    let tenant = |ring: &KeyRing, id: &str, now_us| {
        let found = ring.named(&live, id, now_us);
        found.map(|consumer| consumer.tenant.to_string())
    };
    // The document wins over a key of the same id.
    assert_eq!(tenant(&ring, "own", 0).as_deref(), Some("acme"));
    assert_eq!(tenant(&ring, "live", 99).as_deref(), Some("umbrella"));
    assert_eq!(tenant(&ring, "live", 100), None, "expired");
    assert_eq!(tenant(&ring, "nobody", 0), None);
    let alone = self::ring().without_live();
    assert_eq!(tenant(&alone, "live", 0), None);
    assert_eq!(tenant(&alone, "own", 0).as_deref(), Some("acme"));
    life.revoke();
    assert_eq!(tenant(&ring, "live", 0), None, "revoked");
    assert_eq!(tenant(&ring, "own", 0).as_deref(), Some("acme"));
}

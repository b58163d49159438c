//! Cases of the table of virtual keys: in step with the store, whoever changes
//! it, and of the key of its digests.

use std::os::unix::fs::PermissionsExt;

use access::{KeyRing, Shown};
use store::SecretRow;

use super::*;

fn row(minted: &Minted) -> KeyRow {
    KeyRow {
        id: minted.id.clone(),
        number: 0,
        change: 0,
        name: "a key".to_owned(),
        tenant: "acme".to_owned(),
        app: "shop".to_owned(),
        groups: vec!["night".to_owned()],
        models: Some(vec!["m".to_owned()]),
        on_revoke: OnRevoke::Cut,
        created_us: 1,
        created_by: "admin".to_owned(),
        expires_us: None,
        rotated_us: None,
        revoked_us: None,
        revoked_by: None,
        last_used_us: None,
        secrets: vec![SecretRow {
            digest: minted.digest,
            created_us: 1,
            until_us: None,
        }],
        limits: None,
    }
}

/// The id of whoever presents this key.
fn id_of(keys: &VirtualKeys, secret: &Secret<String>, now_us: u64) -> Option<String> {
    let (ring, table) = (KeyRing::new([1; 32]), keys.table().load_full());
    let shown = Shown {
        key: secret.expose(),
        from_loopback: false,
        now_us,
    };
    let found = ring.identify_any(&table, &shown).ok()?;
    assert_eq!(&*found.consumer.tenant, "acme");
    assert!(found.consumer.may_use("m") && !found.consumer.may_use("n"));
    Some(found.consumer.key_id.to_string())
}

fn make(keys: &VirtualKeys, change: impl FnOnce(&mut KeyRow)) -> (KeyRow, Secret<String>) {
    let minted = keys.desk.mint(None).unwrap();
    let mut wanted = row(&minted);
    change(&mut wanted);
    let row = keys.desk.store.create(&wanted).unwrap();
    keys.desk.publish(&row);
    (row, minted.secret)
}

#[test]
fn keys_work_from_their_making_through_a_restart_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let keys = VirtualKeys::open(dir.path()).unwrap();
    let (row, secret) = make(&keys, |_| {});
    assert_eq!(id_of(&keys, &secret, 5), Some(row.id.clone()));
    drop(keys);
    let keys = VirtualKeys::open(dir.path()).unwrap();
    assert_eq!(id_of(&keys, &secret, 5), Some(row.id.clone()));
    let life = keys.desk.known().active[&row.id].life.clone();
    let revoked = KeyRow {
        revoked_us: Some(6),
        ..row
    };
    let revoked = keys.desk.store.replace(&revoked).unwrap();
    keys.desk.publish(&revoked);
    assert!(life.is_revoked() && life.cuts());
    assert_eq!(id_of(&keys, &secret, 5), None);
    let again = VirtualKeys::open(dir.path()).unwrap();
    assert_eq!(id_of(&again, &secret, 5), None);
}

#[test]
fn changes_of_another_process_are_taken_in_by_a_look() {
    let dir = tempfile::tempdir().unwrap();
    let one = VirtualKeys::open(dir.path()).unwrap();
    let other = VirtualKeys::open(dir.path()).unwrap();
    let (row, secret) = make(&one, |_| {});
    assert_eq!(id_of(&other, &secret, 5), None);
    other.desk.look();
    assert_eq!(id_of(&other, &secret, 5), Some(row.id.clone()));
    let life = other.desk.known().active[&row.id].life.clone();
    let revoked = KeyRow {
        revoked_us: Some(6),
        ..row.clone()
    };
    let revoked = one.desk.store.replace(&revoked).unwrap();
    one.desk.publish(&revoked);
    // What is late does not bring a key back, before a look nor after it.
    for _ in 0..2 {
        one.desk.publish(&row);
        assert_eq!(id_of(&one, &secret, 5), None);
        one.desk.look();
    }
    assert!(!life.is_revoked());
    other.desk.look();
    assert!(life.is_revoked());
    assert_eq!(id_of(&other, &secret, 5), None);
    assert_eq!(id_of(&one, &secret, 5), None);
}

#[test]
fn the_tender_looks_by_itself_and_writes_uses_when_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let one = VirtualKeys::open(dir.path()).unwrap();
    let other = VirtualKeys::open(dir.path()).unwrap();
    let tender = other.tend().unwrap();
    let (row, secret) = make(&one, |_| {});
    while id_of(&other, &secret, 5).is_none() {
        std::thread::yield_now();
    }
    let life = other.desk.known().active[&row.id].life.clone();
    life.note_used(90_000_000);
    drop(tender);
    let kept = one.desk.store.find(&row.id).unwrap().unwrap();
    assert_eq!(kept.last_used_us, Some(90_000_000));
    assert_eq!(kept.change, row.change);
}

#[test]
fn what_expired_is_forgotten_and_its_last_use_is_not() {
    let keys = VirtualKeys::default();
    let now_us = keys.desk.clock.unix_us();
    let (row, secret) = make(&keys, |row| row.expires_us = Some(now_us + 3_600_000_000));
    assert_eq!(id_of(&keys, &secret, now_us), Some(row.id.clone()));
    assert_eq!(id_of(&keys, &secret, now_us + 3_600_000_000), None);
    let mut known = keys.desk.known();
    assert_eq!(known.next_end_us, row.expires_us);
    known.active[&row.id].life.note_used(now_us);
    assert!(known.table(now_us + 3_600_000_000).is_empty());
    assert!(known.active.is_empty());
    assert_eq!(known.next_end_us, None);
    assert_eq!(known.uses(), [(row.id, now_us)]);
    assert_eq!(known.uses(), []);
}

#[test]
fn metrics_count_keys_by_state() {
    let keys = VirtualKeys::default();
    make(&keys, |_| {});
    make(&keys, |row| row.expires_us = Some(2));
    make(&keys, |row| row.revoked_us = Some(2));
    let told: Vec<(String, f64)> = keys
        .desk
        .samples()
        .into_iter()
        .map(|sample| (sample.labels[0].1.clone(), sample.value))
        .collect();
    let expected = [
        ("active", 1.0),
        ("rotating", 0.0),
        ("expired", 1.0),
        ("revoked", 1.0),
    ];
    assert_eq!(
        told,
        expected.map(|(state, count)| (state.to_owned(), count))
    );
}

#[test]
fn the_key_of_digests_is_made_once_and_missed_when_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.key");
    let keys = VirtualKeys::open(dir.path()).unwrap();
    let made = std::fs::read(&path).unwrap();
    assert_eq!(made.len(), 32);
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    make(&keys, |_| {});
    drop(VirtualKeys::open(dir.path()).unwrap());
    assert_eq!((std::fs::read(&path).unwrap(), mode()), (made, 0o600));
    std::fs::remove_file(&path).unwrap();
    let refused = |dir: &Path| match VirtualKeys::open(dir) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    };
    assert!(refused(dir.path()).contains("backup"));
    std::fs::write(&path, "short").unwrap();
    assert!(refused(dir.path()).contains("32 bytes"));
}

#[test]
fn limits_come_and_go_with_their_keys() {
    let dir = tempfile::tempdir().unwrap();
    let keys = VirtualKeys::open(dir.path()).unwrap();
    let limits = r#"{"budgets":[{"limit":"5","window":"day"}]}"#;
    let (row, secret) = make(&keys, |row| row.limits = Some(limits.to_owned()));
    let names = |keys: &VirtualKeys| -> Vec<String> {
        let all = keys.quotas().load_full();
        let all = all.get(&row.id).map(|quotas| quotas.all().to_vec());
        all.into_iter()
            .flatten()
            .map(|it| it.name.to_string())
            .collect()
    };
    assert_eq!(names(&keys), ["key/cost/day"]);
    let life = keys.desk.known().active[&row.id].life.clone();
    assert!(life.is_limited());
    let [counter] = &keys.counters()[..] else {
        panic!("one counter")
    };
    assert_eq!(counter.scope, format!("tenant=acme, key={}", row.id));
    // After a restart too.
    drop(keys);
    let keys = VirtualKeys::open(dir.path()).unwrap();
    assert_eq!(names(&keys), ["key/cost/day"]);
    // What a later version wrote is not taken for none.
    let strange = KeyRow {
        limits: Some(r#"{"moods":[]}"#.to_owned()),
        ..row.clone()
    };
    let strange = keys.desk.store.replace(&strange).unwrap();
    keys.desk.publish(&strange);
    assert!(names(&keys).is_empty());
    assert_eq!(id_of(&keys, &secret, 5), None, "it is held to nothing");
    let free = KeyRow {
        limits: None,
        ..strange
    };
    let free = keys.desk.store.replace(&free).unwrap();
    keys.desk.publish(&free);
    assert_eq!(id_of(&keys, &secret, 5), Some(row.id.clone()));
    assert!(names(&keys).is_empty());
    assert!(!keys.desk.known().active[&row.id].life.is_limited());
}

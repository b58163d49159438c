//! Cases of virtual keys that a database keeps: in step with it, without it,
//! after it, and what becomes of keys that a folder had before.

use std::sync::atomic::AtomicBool;

use access::{KeyLife, KeyRing, Shown};
use store::{MemoryKeys, OnRevoke, SecretRow};

use super::*;

const SECRET: &str = "a secret of all replicas, of 32 bytes or more";

/// The field of the configuration, as messages name it.
const FIELD: &str = "database.shared_secret";

/// A database that can be away, or be another one.
struct Server {
    kept: Mutex<Arc<MemoryKeys>>,
    is_away: AtomicBool,
    /// It takes changes, and then cannot be read.
    is_unread: AtomicBool,
}

impl Server {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            is_away: AtomicBool::new(false),
            is_unread: AtomicBool::new(false),
        })
    }

    fn away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn kept(&self) -> Result<Arc<MemoryKeys>, KeysError> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(KeysError::Unavailable("the database is away".to_owned())),
            false => Ok(self.kept.lock().unwrap().clone()),
        }
    }
}

impl Keys for Server {
    fn create(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        self.kept()?.create(row)
    }
    fn replace(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        self.kept()?.replace(row)
    }
    fn find(&self, id: &str) -> Result<Option<KeyRow>, KeysError> {
        if self.is_unread.load(Ordering::Relaxed) {
            return Err(KeysError::Unavailable("it went away".to_owned()));
        }
        self.kept()?.find(id)
    }
    fn list(&self, filter: &KeyFilter) -> Result<Vec<KeyRow>, KeysError> {
        self.kept()?.list(filter)
    }
    fn changed_after(&self, change: u64) -> Result<Vec<KeyRow>, KeysError> {
        self.kept()?.changed_after(change)
    }
    fn last_change(&self) -> Result<u64, KeysError> {
        self.kept()?.last_change()
    }
    fn note_used(&self, used: &[(String, u64)]) -> Result<(), KeysError> {
        self.kept()?.note_used(used)
    }
    fn counts(&self, now_us: u64) -> Result<KeyCounts, KeysError> {
        self.kept()?.counts(now_us)
    }
}

fn key(secret: &str) -> SharedKey {
    SharedKey::of(&Secret::new(secret.to_owned())).unwrap()
}

fn open(dir: &Path, server: &Arc<Server>) -> io::Result<VirtualKeys> {
    VirtualKeys::shared(dir, server.clone(), key(SECRET))
}

fn refused(opened: io::Result<VirtualKeys>) -> String {
    match opened {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

fn id_of(keys: &VirtualKeys, secret: &Secret<String>) -> Option<String> {
    let (ring, table) = (KeyRing::new([1; 32]), keys.table().load_full());
    let shown = Shown {
        key: secret.expose(),
        from_loopback: false,
        now_us: 5,
    };
    let found = ring.identify_any(&table, &shown).ok()?;
    Some(found.consumer.key_id.to_string())
}

fn make(keys: &VirtualKeys) -> (KeyRow, Secret<String>) {
    let minted = keys.desk.mint(None).unwrap();
    let wanted = row(&minted.id, minted.digest);
    let made = keys.desk.store.create(&wanted).unwrap();
    keys.desk.publish(&made);
    (made, minted.secret)
}

fn row(id: &str, digest: [u8; 32]) -> KeyRow {
    KeyRow {
        id: id.to_owned(),
        number: 0,
        change: 0,
        name: String::new(),
        tenant: "acme".to_owned(),
        app: "shop".to_owned(),
        groups: Vec::new(),
        models: None,
        on_revoke: OnRevoke::Finish,
        created_us: 1,
        created_by: "admin".to_owned(),
        expires_us: None,
        rotated_us: None,
        revoked_us: None,
        revoked_by: None,
        last_used_us: None,
        secrets: vec![SecretRow {
            digest,
            created_us: 1,
            until_us: None,
        }],
        limits: None,
    }
}

fn revoke(server: &Server, id: &str) -> KeyRow {
    let revoked = KeyRow {
        revoked_us: Some(6),
        on_revoke: OnRevoke::Cut,
        ..server.find(id).unwrap().unwrap()
    };
    server.replace(&revoked).unwrap()
}

fn life(keys: &VirtualKeys, id: &str) -> Arc<KeyLife> {
    keys.desk.known().active[id].life.clone()
}

fn behind_s(keys: &VirtualKeys) -> f64 {
    keys.desk.behind()[0].value
}

fn active(keys: &VirtualKeys) -> Option<f64> {
    keys.desk.count();
    keys.desk.samples().first().map(|sample| sample.value)
}

#[test]
fn a_key_of_one_replica_works_on_another_until_either_revokes_it() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::new();
    let one = open(here.path(), &server).unwrap();
    let other = open(there.path(), &server).unwrap();
    let (row, secret) = make(&one);
    other.desk.look();
    assert_eq!(id_of(&other, &secret), Some(row.id.clone()));
    assert_eq!(active(&other), Some(1.0));
    let streams = life(&one, &row.id);
    let revoked = revoke(&server, &row.id);
    other.desk.publish(&revoked);
    assert_eq!(id_of(&other, &secret), None);
    assert_eq!(id_of(&one, &secret), Some(row.id), "it has not looked");
    one.desk.look();
    assert_eq!(id_of(&one, &secret), None);
    assert!(streams.is_cut());
    assert_eq!(active(&one), Some(0.0));
}

/// What was kept is in force where it is answered, whatever comes after.
#[test]
fn a_change_is_in_force_also_if_the_database_goes_right_after_it() {
    let here = tempfile::tempdir().unwrap();
    let server = Server::new();
    let keys = open(here.path(), &server).unwrap();
    let (row, old) = make(&keys);
    let minted = keys.desk.mint(Some(&row.id)).unwrap();
    let mut rotated = row.clone();
    rotated.secrets[0].digest = minted.digest;
    let rotated = server.replace(&rotated).unwrap();
    server.is_unread.store(true, Ordering::Relaxed);
    keys.desk.publish(&rotated);
    assert_eq!(id_of(&keys, &minted.secret), Some(row.id.clone()));
    assert_eq!(id_of(&keys, &old), None);
    // What is late brings nothing back: neither an older secret nor the key.
    keys.desk.publish(&row);
    assert_eq!(id_of(&keys, &old), None);
    server.is_unread.store(false, Ordering::Relaxed);
    let revoked = revoke(&server, &row.id);
    server.is_unread.store(true, Ordering::Relaxed);
    keys.desk.publish(&revoked);
    keys.desk.publish(&rotated);
    assert_eq!(id_of(&keys, &minted.secret), None);
    server.is_unread.store(false, Ordering::Relaxed);
    keys.desk.look();
    server.is_unread.store(true, Ordering::Relaxed);
    keys.desk.publish(&rotated);
    assert_eq!(id_of(&keys, &minted.secret), None);
}

#[test]
fn without_the_database_a_replica_starts_with_its_copy_and_changes_nothing() {
    let (here, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::new();
    let keys = open(here.path(), &server).unwrap();
    let (row, secret) = make(&keys);
    let (ended, its_secret) = make(&keys);
    let revoked = revoke(&server, &ended.id);
    keys.desk.publish(&revoked);
    drop(keys);
    server.away(true);
    let keys = open(here.path(), &server).unwrap();
    assert_eq!(id_of(&keys, &secret), Some(row.id.clone()));
    assert_eq!(id_of(&keys, &its_secret), None, "what was revoked stays so");
    keys.desk.look();
    assert_eq!(id_of(&keys, &secret), Some(row.id.clone()));
    assert!(behind_s(&keys) > 0.0);
    assert_eq!(active(&keys), None, "a gap in the metrics");
    let refusal = keys.admin().store.create(&row);
    assert!(matches!(refusal, Err(KeysError::Unavailable(_))));
    let why = refused(open(fresh.path(), &server));
    assert!(why.contains("no copy") && why.contains("away"), "{why}");
    // Another replica revokes it; this one sees that when the database is back.
    let streams = life(&keys, &row.id);
    server.away(false);
    revoke(&server, &row.id);
    keys.desk.look();
    assert_eq!(id_of(&keys, &secret), None);
    assert!(streams.is_cut());
    assert_eq!(active(&keys), Some(0.0));
}

#[test]
fn a_database_that_was_brought_back_from_a_backup_counts() {
    let here = tempfile::tempdir().unwrap();
    let server = Server::new();
    let keys = open(here.path(), &server).unwrap();
    let (kept, secret) = make(&keys);
    let (lost, lost_secret) = make(&keys);
    keys.desk.look();
    // As it was before the second one, and with another change since: its
    // number is the one that the replica has seen already.
    let backup = MemoryKeys::default();
    let (first, more) = (backup.create(&kept).unwrap(), row("more", [9; 32]));
    *server.kept.lock().unwrap() = Arc::new(backup);
    server.create(&more).unwrap();
    assert_eq!(server.last_change().unwrap(), keys.desk.known().seen);
    server.away(true);
    keys.desk.look();
    server.away(false);
    let streams = life(&keys, &lost.id);
    keys.desk.look();
    assert_eq!(id_of(&keys, &secret), Some(kept.id));
    assert_eq!(id_of(&keys, &lost_secret), None);
    assert!(streams.is_revoked() && !streams.is_cut(), "streams finish");
    assert!(keys.desk.known().active.contains_key("more"));
    // Lower numbers are noticed by themselves.
    let (before, _) = make(&keys);
    keys.desk.look();
    let backup = MemoryKeys::default();
    backup.create(&first).unwrap();
    *server.kept.lock().unwrap() = Arc::new(backup);
    keys.desk.look();
    let known: Vec<String> = keys.desk.known().active.keys().cloned().collect();
    assert_eq!(known, [first.id]);
    assert_ne!(known, [before.id]);
    let copied = keys.desk.shared.as_ref().unwrap().copy.copied().unwrap();
    assert_eq!(copied.unwrap().rows.len(), 1, "the copy follows");
}

#[test]
fn a_doubt_has_everything_read_again() {
    let here = tempfile::tempdir().unwrap();
    let server = Server::new();
    let keys = open(here.path(), &server).unwrap();
    let (row, secret) = make(&keys);
    let other = MemoryKeys::default();
    other.create(&self::row("other", [9; 32])).unwrap();
    *server.kept.lock().unwrap() = Arc::new(other);
    let tender = keys.tend().unwrap();
    keys.doubt();
    while id_of(&keys, &secret).is_some() {
        std::thread::yield_now();
    }
    drop(tender);
    assert!(!keys.desk.known().active.contains_key(&row.id));
}

#[test]
fn a_database_that_was_emptied_turns_nobody_away() {
    let here = tempfile::tempdir().unwrap();
    let server = Server::new();
    let keys = open(here.path(), &server).unwrap();
    let (row, secret) = make(&keys);
    keys.desk.look();
    let before = std::mem::take(&mut *server.kept.lock().unwrap());
    keys.desk.look();
    assert_eq!(id_of(&keys, &secret), Some(row.id.clone()));
    let again = open(here.path(), &server).unwrap();
    assert_eq!(id_of(&again, &secret), Some(row.id.clone()));
    let trouble = again.desk.known().trouble.clone().unwrap();
    assert!(trouble.contains("never had a virtual key"), "{trouble}");
    // It comes back.
    *server.kept.lock().unwrap() = before;
    revoke(&server, &row.id);
    for keys in [&keys, &again] {
        keys.desk.look();
        assert_eq!(id_of(keys, &secret), None);
    }
}

#[test]
fn uses_wait_until_the_database_is_back() {
    let here = tempfile::tempdir().unwrap();
    let server = Server::new();
    let keys = open(here.path(), &server).unwrap();
    let (row, _) = make(&keys);
    server.away(true);
    keys.desk.look();
    life(&keys, &row.id).note_used(90_000_000);
    keys.desk.write_uses();
    server.away(false);
    keys.desk.look();
    keys.desk.write_uses();
    let found = server.find(&row.id).unwrap().unwrap();
    assert_eq!(found.last_used_us, Some(90_000_000));
}

#[test]
fn keys_of_a_folder_are_brought_into_the_database_or_the_start_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let own = VirtualKeys::open(here.path()).unwrap();
    let (row, secret) = make(&own);
    let (ended, its_secret) = make(&own);
    let revoked = KeyRow {
        revoked_us: Some(2),
        ..ended
    };
    own.desk.store.replace(&revoked).unwrap();
    drop(own);
    let server = Server::new();
    let why = refused(open(here.path(), &server));
    assert!(
        why.contains("2 virtual keys") && why.contains("hex:") && why.contains(FIELD),
        "{why}"
    );
    assert_eq!(server.last_change().unwrap(), 0, "nothing was changed");
    let bytes: [u8; 32] = std::fs::read(here.path().join("keys.key"))
        .unwrap()
        .try_into()
        .unwrap();
    let itself = format!("hex:{}", blake3::Hash::from_bytes(bytes).to_hex());
    let open = || VirtualKeys::shared(here.path(), server.clone(), key(&itself));
    server.away(true);
    assert!(refused(open()).contains("goes on"));
    server.away(false);
    // As if it had ended after the first of them.
    server.create(&row).unwrap();
    let keys = open().unwrap();
    assert_eq!(id_of(&keys, &secret), Some(row.id.clone()));
    assert_eq!(id_of(&keys, &its_secret), None, "the end comes along");
    assert_eq!(server.counts(5).unwrap().revoked, 1);
    assert!(!here.path().join("keys.sqlite").exists());
    assert!(here.path().join("keys.moved.sqlite").exists());
    // What becomes of them there counts from now on.
    revoke(&server, &row.id);
    let keys = open().unwrap();
    assert_eq!(id_of(&keys, &secret), None);
}

#[test]
fn an_id_that_is_another_keys_is_not_mixed_up() {
    let here = tempfile::tempdir().unwrap();
    let own = VirtualKeys::open(here.path()).unwrap();
    let (mine, _) = make(&own);
    drop(own);
    let server = Server::new();
    let other = KeyRow {
        created_us: 77,
        ..row(&mine.id, [3; 32])
    };
    let other = server.create(&other).unwrap();
    let bytes = std::fs::read(here.path().join("keys.key")).unwrap();
    let bytes: [u8; 32] = bytes.try_into().unwrap();
    let itself = format!("hex:{}", blake3::Hash::from_bytes(bytes).to_hex());
    let opened = VirtualKeys::shared(here.path(), server.clone(), key(&itself));
    assert!(refused(opened).contains(&mine.id));
    assert_eq!(server.find(&mine.id).unwrap(), Some(other));
    assert!(here.path().join("keys.sqlite").exists());
}

#[test]
fn a_copy_of_another_secret_is_not_used() {
    let here = tempfile::tempdir().unwrap();
    let server = Server::new();
    let keys = open(here.path(), &server).unwrap();
    make(&keys);
    drop(keys);
    server.away(true);
    let other = key("another secret, which is 32 bytes long as well");
    assert_ne!(other.mark(), key(SECRET).mark());
    let opened = VirtualKeys::shared(here.path(), server.clone(), other);
    assert!(refused(opened).contains("no copy"));
    for wrong in ["hex:", "hex:12", "hex:zz"] {
        let read = SharedKey::of(&Secret::new(wrong.to_owned()));
        let why = read.map(|_| ()).unwrap_err().to_string();
        assert!(
            why.contains("64 hexadecimal digits") && why.contains(FIELD),
            "{why}"
        );
    }
}

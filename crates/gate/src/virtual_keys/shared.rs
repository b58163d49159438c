//! Virtual keys of several replicas, which a database keeps: what a gateway has
//! of them in its data folder, so that it can start and serve while the
//! database is away, and what becomes of keys that the folder had before.
//!
//! Deliberately not here: the database.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use access::LiveKeys;
use contract::Secret;
use contract::seams::Clock as _;
use evidence::{Sample, rfc3339};
use store::keys::KEYS_PAGE_MAX;
use store::{
    Copied, KeyCounts, KeyFilter, KeyRow, KeyState, Keys, KeysCopy, KeysError, SqliteKeys,
};

use super::{Desk, Known, STORE_FILE, VirtualKeys, digest_key};

/// File of the data folder with the copy.
const COPY_FILE: &str = "keys-copy.sqlite";
/// What becomes of the file of keys that were brought into the database.
const MOVED_FILE: &str = "keys.moved.sqlite";
/// For what the digest key is made of the secret that replicas share.
const KEY_PURPOSE: &str = "tollgate 2026-11 digests of virtual keys of several replicas";
/// For what the mark is made of the digest key.
const MARK_PURPOSE: &str = "tollgate 2026-11 mark of the key of digests of virtual keys";
/// How a secret begins that is the key itself, as a data folder had it.
const KEY_ITSELF: &str = "hex:";

/// What a gateway has of keys that a database keeps.
pub(super) struct Shared {
    copy: KeysCopy,
    mark: [u8; 32],
    /// As they were told last.
    counts: Mutex<Option<KeyCounts>>,
    /// When the keys were last known to be those of the database; microseconds
    /// since the Unix epoch.
    in_step_us: AtomicU64,
    /// What was pushed may have been missed, so nothing is taken for granted.
    doubted: AtomicBool,
    /// The copy is not what is in force, which was said.
    copy_lags: AtomicBool,
}

impl Shared {
    pub(super) fn counts(&self) -> Option<KeyCounts> {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of digests that replicas share.
pub(crate) struct SharedKey {
    key: Secret<[u8; 32]>,
}

impl SharedKey {
    /// Made of the secret of the configuration: any text is derived from, and
    /// `hex:` with 64 digits is the key itself.
    ///
    /// # Errors
    /// What stands after `hex:` is no key.
    pub(crate) fn of(secret: &Secret<String>) -> io::Result<Self> {
        let key = match secret.expose().strip_prefix(KEY_ITSELF) {
            None => blake3::derive_key(KEY_PURPOSE, secret.expose().as_bytes()),
            Some(digits) => *blake3::Hash::from_hex(digits.trim())
                .map_err(|_| {
                    io::Error::other(
                        "database.shared_secret: write 64 hexadecimal digits after `hex:`, as \
                         `xxd -p -c 32 keys.key` prints them",
                    )
                })?
                .as_bytes(),
        };
        Ok(Self {
            key: Secret::new(key),
        })
    }

    /// What tells two keys apart and nothing more about them.
    pub(crate) fn mark(&self) -> [u8; 32] {
        blake3::derive_key(MARK_PURPOSE, self.key.expose())
    }
}

impl VirtualKeys {
    /// Those of a database. Without it, those that this data folder has a copy
    /// of.
    ///
    /// # Errors
    /// The database has keys of another secret; it is away and there is no
    /// copy; or the folder has keys of its own that cannot be brought there.
    pub(crate) fn shared(
        data_dir: &Path,
        store: Arc<dyn Keys>,
        key: SharedKey,
    ) -> io::Result<Self> {
        let mark = key.mark();
        bring_in(data_dir, &*store, &key)?;
        let copy = KeysCopy::open(&data_dir.join(COPY_FILE)).map_err(io::Error::other)?;
        let shared = Shared {
            copy,
            mark,
            counts: Mutex::default(),
            in_step_us: AtomicU64::new(0),
            doubted: AtomicBool::new(false),
            copy_lags: AtomicBool::new(false),
        };
        let keys = Self::over(store, LiveKeys::new(key.key), Some(shared));
        keys.desk.known().is_unsure = true;
        match keys.desk.catch_up() {
            Ok(()) => keys.desk.count(),
            Err(KeysError::Unavailable(why)) => keys.desk.begin_with_copy(&why)?,
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(keys)
    }

    /// What has the keys looked at at once.
    pub(crate) fn bell(&self) -> crate::rounds::Bell {
        self.desk.bell.clone()
    }

    /// Has all keys read again at once: what was missed meanwhile is not
    /// known. It waits for nothing.
    pub(crate) fn doubt(&self) {
        if let Some(shared) = &self.desk.shared {
            shared.doubted.store(true, Ordering::Relaxed);
        }
        self.desk.bell.ring();
    }
}

impl Desk {
    /// Starts with what the data folder has.
    fn begin_with_copy(&self, why: &str) -> io::Result<()> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let copied = shared.copy.copied().map_err(io::Error::other)?;
        let copied = copied.filter(|copied| copied.mark == shared.mark);
        let Some(copied) = copied else {
            return Err(io::Error::other(format!(
                "{why}; and this data folder has no copy of the virtual keys yet, so every caller \
                 with one would be turned away. Start again once the database answers"
            )));
        };
        crate::say(&format!(
            "{why}; the gateway starts with its copy of the virtual keys, which was up to date at \
             {}. Changes of other replicas are not seen, and none can be made here, until the \
             database answers",
            rfc3339(copied.at_us)
        ));
        shared.in_step_us.store(copied.at_us, Ordering::Relaxed);
        let now_us = self.clock.unix_us();
        let mut known = self.known();
        known.seen = copied.seen;
        known.trouble = Some(why.to_owned());
        for row in copied.rows {
            known.put(row, now_us);
        }
        self.swap(&mut known);
        Ok(())
    }

    /// Whether what was pushed may have been missed.
    pub(super) fn is_doubted(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|shared| shared.doubted.swap(false, Ordering::Relaxed))
    }

    /// Reads every key that works, and ends those that do not any more. What
    /// ended while nobody looked says what becomes of its streams.
    pub(super) fn read_anew(&self, known: &mut Known, last: u64) -> Result<(), KeysError> {
        if last == 0 {
            self.refuse_emptied(known)?;
        }
        let now_us = self.clock.unix_us();
        let changed = match known.active.is_empty() {
            true => Vec::new(),
            false => self.store.changed_after(known.seen.min(last))?,
        };
        let rows = self.working(now_us)?;
        let mut told: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        told.extend(changed.iter().map(|row| row.id.as_str()));
        let missing = known.active.keys().filter(|id| !told.contains(id.as_str()));
        let mut gone = Vec::new();
        for id in missing.cloned().collect::<Vec<String>>() {
            let found = self.store.find(&id)?;
            gone.push((id, found));
        }
        known.seen = changed.iter().fold(last, |seen, row| seen.max(row.change));
        for row in changed.into_iter().chain(rows) {
            known.put(row, now_us);
        }
        for (id, found) in gone {
            match found {
                Some(row) => known.put(row, now_us),
                // A database that was brought back does not know it.
                None => known.forget(&id),
            }
        }
        known.is_unsure = false;
        self.swap(known);
        self.copy_all(known);
        Ok(())
    }

    /// A database that never had a key, though this gateway knows some, is not
    /// the one that it was: nobody is turned away for that.
    fn refuse_emptied(&self, known: &Known) -> Result<(), KeysError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let copied = shared.copy.copied()?;
        let copied = copied.filter(|copied| copied.mark == shared.mark);
        let count = copied.map_or(0, |copied| copied.rows.len());
        match count.max(known.active.len()) {
            0 => Ok(()),
            count => Err(KeysError::Unavailable(format!(
                "the database never had a virtual key, though this replica knows {count}: bring it \
                 back from a backup; or, if it is meant to be empty, stop the replicas, and remove \
                 {COPY_FILE} from the data folder of each"
            ))),
        }
    }

    /// Every key that works, page by page.
    fn working(&self, now_us: u64) -> Result<Vec<KeyRow>, KeysError> {
        let mut rows: Vec<KeyRow> = Vec::new();
        loop {
            let page = self.store.list(&KeyFilter {
                before: rows.last().map(|row| row.number),
                limit: KEYS_PAGE_MAX,
                state: Some(KeyState::Active),
                now_us,
                ..KeyFilter::default()
            })?;
            let is_last = page.len() < KEYS_PAGE_MAX as usize;
            rows.extend(page);
            if is_last {
                return Ok(rows);
            }
        }
    }

    /// Writes changed rows to the copy, if there is one.
    pub(super) fn copy(&self, rows: &[KeyRow], known: &Known) {
        let Some(shared) = &self.shared else {
            return;
        };
        let taken = shared.copy.take(rows, known.seen, self.clock.unix_us());
        tell_lag(shared, taken);
    }

    fn copy_all(&self, known: &Known) {
        let Some(shared) = &self.shared else {
            return;
        };
        let active = known.active.values();
        let copied = Copied {
            mark: shared.mark,
            seen: known.seen,
            at_us: self.clock.unix_us(),
            rows: active.map(|active| active.row.clone()).collect(),
        };
        let outcome = shared.copy.replace(&copied);
        if outcome.is_ok() && shared.copy_lags.swap(false, Ordering::Relaxed) {
            crate::say("the copy of the virtual keys is up to date again");
        }
        tell_lag(shared, outcome);
    }

    /// The keys are those of the database.
    pub(super) fn in_step(&self) {
        if let Some(shared) = &self.shared {
            let now_us = self.clock.unix_us();
            shared.in_step_us.store(now_us, Ordering::Relaxed);
        }
    }

    /// Notes in the copy that it is up to date, mends it, and counts the keys.
    pub(super) fn note_in_step(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let mut known = self.known();
        if known.trouble.is_some() {
            return;
        }
        match shared.copy_lags.load(Ordering::Relaxed) {
            true => self.copy_all(&known),
            false => self.copy(&[], &known),
        }
        // Keys expire too.
        known.is_counted = false;
    }

    /// Counts the keys for the metrics, if they changed.
    pub(super) fn count(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let mut known = self.known();
        if known.trouble.is_some() || std::mem::replace(&mut known.is_counted, true) {
            return;
        }
        drop(known);
        let counts = self.store.counts(self.clock.unix_us()).ok();
        if counts.is_none() {
            self.known().is_counted = false;
        }
        *shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    pub(super) fn behind(&self) -> Vec<Sample> {
        let behind_us = self.shared.as_ref().map(|shared| {
            let at_us = shared.in_step_us.load(Ordering::Relaxed);
            self.clock.unix_us().saturating_sub(at_us)
        });
        let sample = |us: u64| Sample {
            labels: Vec::new(),
            value: us as f64 / 1e6,
        };
        behind_us.map(sample).into_iter().collect()
    }
}

/// Says once that the copy lags; it is written whole later.
fn tell_lag(shared: &Shared, outcome: Result<(), KeysError>) {
    if let Err(error) = outcome
        && !shared.copy_lags.swap(true, Ordering::Relaxed)
    {
        crate::say(&format!(
            "{error}; the copy of the virtual keys is not up to date: until it can be written, a \
             start without the database would bring back keys that were revoked"
        ));
    }
}

/// Brings the keys that this folder had before into the database. They can be
/// recognised there only if their digests are of the same key.
fn bring_in(data_dir: &Path, store: &dyn Keys, key: &SharedKey) -> io::Result<()> {
    let path = data_dir.join(STORE_FILE);
    if !path.exists() {
        return Ok(());
    }
    let own = SqliteKeys::open(&path).map_err(io::Error::other)?;
    let rows = own.changed_after(0).map_err(io::Error::other)?;
    if rows.is_empty() {
        return Ok(());
    }
    let its_key = digest_key::load_or_make(data_dir, false)?;
    if its_key.expose() != key.key.expose() {
        return Err(io::Error::other(format!(
            "{} holds {} virtual keys of this gateway alone, which the database does not have, and \
             database.shared_secret is not the key of their digests. Either give all replicas \
             `hex:` and what `xxd -p -c 32 keys.key` prints as database.shared_secret, and these \
             keys are brought into the database; or move the file away, and make the keys anew",
            path.display(),
            rows.len()
        )));
    }
    let mut by_number = rows;
    by_number.sort_by_key(|row| row.number);
    let mut brought = 0usize;
    for row in &by_number {
        brought += usize::from(bring(store, row)?);
    }
    drop(own);
    let moved = data_dir.join(MOVED_FILE);
    set_aside(&path, &moved)?;
    crate::say(&format!(
        "{brought} virtual keys of this data folder were brought into the database; {} of them \
         were there already. The file they were in is {} now",
        by_number.len() - brought,
        moved.display()
    ));
    Ok(())
}

/// Whether the key was not there yet.
fn bring(store: &dyn Keys, row: &KeyRow) -> io::Result<bool> {
    let found = store.find(&row.id).map_err(|error| not_brought(&error))?;
    match found {
        // Whatever became of it there counts.
        Some(known) if known.created_us == row.created_us => Ok(false),
        Some(_) => Err(io::Error::other(format!(
            "the virtual key {} of this data folder has the id of another key in the database. \
             Move {STORE_FILE} away and make its keys anew, then start again",
            row.id
        ))),
        None => match store.create(row) {
            Ok(_) => Ok(true),
            Err(error) => Err(not_brought(&error)),
        },
    }
}

fn not_brought(error: &KeysError) -> io::Error {
    io::Error::other(format!(
        "{error}; this data folder has virtual keys of its own, which must be brought into the \
         database before the gateway starts. It goes on with them at the next start"
    ))
}

/// The file and those that SQLite keeps beside it, which its end has emptied.
fn set_aside(path: &Path, to: &Path) -> io::Result<()> {
    fs::rename(path, to)?;
    for suffix in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Says that keys of a database do not count where none is configured.
pub(super) fn tell_of_a_copy(data_dir: &Path) {
    if data_dir.join(COPY_FILE).exists() {
        crate::say(&format!(
            "this data folder has a copy of virtual keys that a database keeps ({COPY_FILE}), but \
             the configuration names none with `database.shared_secret`: they do not count, and \
             their callers are turned away"
        ));
    }
}

#[cfg(test)]
mod tests;

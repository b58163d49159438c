//! Virtual keys in force: the table that calls are looked up in, kept in step
//! with the store. A change by this process is in force before it is answered;
//! one by another process on the same data folder, or by another replica on
//! the same database (`shared`), within the time between two looks.
//!
//! Deliberately not here: who may change a key (room `admin`), and how it is
//! kept (room `store`).

mod digest_key;
mod shared;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::meter::{Quotas, Subject};
use access::{Consumer, KeyLife, LiveKey, LiveKeys};
use admin::{KeyDesk, Minted};
use arc_swap::ArcSwap;
use contract::Secret;
use contract::seams::Clock;
use evidence::{Meter, Sample};
use insight::budgets::KeyCounter;
use plan::KeyLimits;
use store::{KeyRow, KeyState, Keys, KeysError, MemoryKeys, OnRevoke, SqliteKeys};
use transport::RealClock;

use crate::rounds::{Bell, Rounds};

use shared::Shared;
pub(crate) use shared::SharedKey;

/// File of the data folder with the keys.
const STORE_FILE: &str = "keys.sqlite";
/// Longest time until a change by another process is in force.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same for another replica, if the word of it is lost.
const LOOK_EVERY_SHARED: Duration = Duration::from_millis(500);
/// Time between two times at which uses of keys are written.
const WRITE_EVERY_US: u64 = 10_000_000;
/// Most uses of one write; the rest comes with the next.
const USES_PER_WRITE: usize = 2_000;

/// The virtual keys of this gateway; clones share everything.
#[derive(Clone)]
pub(crate) struct VirtualKeys {
    desk: Arc<Desk>,
}

struct Desk {
    store: Arc<dyn Keys>,
    clock: RealClock,
    /// What calls are looked up in.
    table: Arc<ArcSwap<LiveKeys>>,
    /// Limits of their own, by their ids.
    quotas: Arc<ArcSwap<HashMap<String, Arc<Quotas>>>>,
    known: Mutex<Known>,
    /// Where a database keeps the keys: what this gateway has of them.
    shared: Option<Shared>,
    /// Rung when there is something to look at.
    bell: Bell,
}

/// What the table is made of.
#[derive(Default)]
struct Known {
    active: HashMap<String, Active>,
    /// The last change that was read.
    seen: u64,
    /// Keys that ended by changes which no look has seen yet.
    ended: HashMap<String, u64>,
    /// When the next secret ends.
    next_end_us: Option<u64>,
    /// Uses of keys that ended, still to be written.
    late_uses: Vec<(String, u64)>,
    /// What the store last failed with, so that it is said once.
    trouble: Option<String>,
    /// The database was away, so nothing is taken for granted.
    is_unsure: bool,
    /// The metrics know of every change.
    is_counted: bool,
}

/// A key that works.
struct Active {
    row: KeyRow,
    consumer: Arc<Consumer>,
    life: Arc<KeyLife>,
    /// Limits and budgets of its own.
    quotas: Option<Arc<Quotas>>,
    /// The last use that was written.
    written_us: u64,
}

impl Default for VirtualKeys {
    /// None, and nowhere to keep any but in memory.
    fn default() -> Self {
        Self::over(Arc::new(MemoryKeys::default()), LiveKeys::default(), None)
    }
}

impl VirtualKeys {
    /// Those of a data folder.
    ///
    /// # Errors
    /// The store or the key of its digests cannot be used.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let store = SqliteKeys::open(&data_dir.join(STORE_FILE)).map_err(io::Error::other)?;
        let is_empty = store.last_change().map_err(io::Error::other)? == 0;
        let digest_key = digest_key::load_or_make(data_dir, is_empty)?;
        shared::tell_of_a_copy(data_dir);
        let keys = Self::over(Arc::new(store), LiveKeys::new(digest_key), None);
        keys.desk.catch_up().map_err(io::Error::other)?;
        Ok(keys)
    }

    fn over(store: Arc<dyn Keys>, table: LiveKeys, shared: Option<Shared>) -> Self {
        let desk = Desk {
            store,
            clock: RealClock::new(),
            table: Arc::new(ArcSwap::from_pointee(table)),
            quotas: Arc::default(),
            known: Mutex::default(),
            shared,
            bell: Bell::default(),
        };
        Self {
            desk: Arc::new(desk),
        }
    }

    /// What calls are looked up in.
    pub(crate) fn table(&self) -> Arc<ArcSwap<LiveKeys>> {
        self.desk.table.clone()
    }

    /// The limits that keys have of their own, by their ids.
    pub(crate) fn quotas(&self) -> Arc<ArcSwap<HashMap<String, Arc<Quotas>>>> {
        self.desk.quotas.clone()
    }

    /// The counters of those limits.
    pub(crate) fn counters(&self) -> Vec<KeyCounter> {
        let known = self.desk.known();
        let limited = known.active.values();
        let limited = limited.filter_map(|active| Some((active, active.quotas.as_ref()?)));
        limited
            .flat_map(|(active, quotas)| counters(&active.row, quotas))
            .collect()
    }

    /// What the admin API works with.
    pub(crate) fn admin(&self) -> KeyDesk {
        let (minter, publisher) = (self.desk.clone(), self.desk.clone());
        KeyDesk {
            store: self.desk.store.clone(),
            mint: Arc::new(move |id| minter.mint(id)),
            publish: Arc::new(move |row| publisher.publish(row)),
        }
    }

    /// Shows how many keys there are.
    pub(crate) fn show(&self, meter: &Meter) {
        let desk = self.desk.clone();
        let help = "Virtual keys by state";
        meter.watch("tollgate_virtual_keys", help, move || desk.samples());
        if self.desk.shared.is_some() {
            let desk = self.desk.clone();
            let help = "Seconds since the virtual keys were last known to be those of the database";
            meter.watch("tollgate_virtual_keys_behind_seconds", help, move || {
                desk.behind()
            });
        }
    }

    /// Keeps the table in step until it is stopped.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn tend(&self) -> io::Result<Rounds> {
        let desk = self.desk.clone();
        let every = match desk.shared {
            None => LOOK_EVERY,
            Some(_) => LOOK_EVERY_SHARED,
        };
        let mut written_us = desk.clock.unix_us();
        Rounds::with_bell("keys", every, &self.desk.bell, move |is_over| {
            desk.look();
            desk.count();
            let now_us = desk.clock.unix_us();
            if is_over || now_us.abs_diff(written_us) >= WRITE_EVERY_US {
                written_us = now_us;
                desk.write_uses();
                desk.note_in_step();
            }
        })
    }
}

impl Desk {
    fn known(&self) -> MutexGuard<'_, Known> {
        // What is left half done by a panic is a table that was not swapped.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new secret: of a new key, or of the key with this id.
    fn mint(&self, id: Option<&str>) -> io::Result<Minted> {
        let mut random = [0; access::SECRET_BYTES];
        fill(&mut random)?;
        let random = Secret::new(random);
        let id = match id {
            Some(id) => id.to_owned(),
            None => {
                let mut random = [0; access::ID_BYTES];
                fill(&mut random)?;
                access::key_id(&random)
            }
        };
        let secret = access::secret_text(&id, &random);
        let digest = self.table.load().digest(&secret);
        Ok(Minted { id, secret, digest })
    }

    /// Puts a row in force that was just kept. Of two changes of a key at
    /// once, the one that was kept first may be published last: so what is
    /// kept is read again while nobody else publishes.
    fn publish(&self, row: &KeyRow) {
        let mut known = self.known();
        let kept = match self.store.find(&row.id) {
            Ok(Some(kept)) => kept,
            Ok(None) | Err(_) if row.revoked_us.is_some() => row.clone(),
            // What was kept is in force, also where it cannot be read now;
            // what a look has seen was taken in by it.
            Err(_) if row.change > known.seen => row.clone(),
            // The next look says what became of it.
            Ok(None) | Err(_) => return,
        };
        if !known.is_new(&kept) {
            return;
        }
        known.is_counted = false;
        self.copy(std::slice::from_ref(&kept), &known);
        known.take(kept, self.clock.unix_us());
        self.swap(&mut known);
    }

    /// Takes in what changed since the last look. Nobody publishes meanwhile,
    /// so that nothing older than what is in force is taken in.
    fn catch_up(&self) -> Result<(), KeysError> {
        let mut known = self.known();
        known.is_unsure |= self.is_doubted();
        let last = self.store.last_change()?;
        // A database that was brought back from a backup has lower numbers.
        if known.is_unsure || last < known.seen {
            self.read_anew(&mut known, last)?;
        } else if last != known.seen {
            let rows = self.store.changed_after(known.seen)?;
            known.seen = rows
                .iter()
                .fold(known.seen, |seen, row| seen.max(row.change));
            known.is_counted = false;
            self.copy(&rows, &known);
            let now_us = self.clock.unix_us();
            for row in rows {
                known.take(row, now_us);
            }
            self.swap(&mut known);
        }
        known.ended.clear();
        self.in_step();
        Ok(())
    }

    /// Drops what ended, and says when the store fails or is well again.
    fn look(&self) {
        let outcome = self.catch_up();
        let mut known = self.known();
        let now_us = self.clock.unix_us();
        if known.next_end_us.is_some_and(|end_us| end_us <= now_us) {
            self.swap(&mut known);
        }
        let trouble = outcome.err().map(|error| error.to_string());
        known.is_unsure |= trouble.is_some() && self.shared.is_some();
        let is_new = trouble.is_some() != known.trouble.is_some();
        // How a database cannot be reached differs from time to time.
        if trouble == known.trouble || (self.shared.is_some() && !is_new) {
            return;
        }
        match &trouble {
            Some(why) => crate::say(&format!(
                "{why}; virtual keys stay as they were, and changes by other processes are not \
                 seen until it works again"
            )),
            None => crate::say("the store of virtual keys works again"),
        }
        known.trouble = trouble;
    }

    /// Makes the table anew.
    fn swap(&self, known: &mut Known) {
        let now_us = self.clock.unix_us();
        let table = known.table(now_us);
        let quotas = known.active.iter();
        let quotas = quotas.filter_map(|(id, active)| Some((id.clone(), active.quotas.clone()?)));
        let quotas: HashMap<_, _> = quotas.collect();
        // Whoever is told that a key has limits must find them: so a key that
        // has none any more says so before, and one that has them after.
        for active in known.active.values().filter(|it| it.quotas.is_none()) {
            active.life.set_limited(false);
        }
        self.quotas.store(Arc::new(quotas));
        for active in known.active.values().filter(|it| it.quotas.is_some()) {
            active.life.set_limited(true);
        }
        self.table.store(Arc::new(self.table.load().with(table)));
    }

    fn write_uses(&self) {
        let mut known = self.known();
        // While a database is away, uses wait here.
        if self.shared.is_some() && known.trouble.is_some() {
            return;
        }
        let uses = known.uses();
        drop(known);
        if uses.is_empty() {
            return;
        }
        // What could not be written is noted again by the next use.
        if let Err(error) = self.store.note_used(&uses) {
            crate::say(&format!(
                "{error}; when virtual keys were last used is not written"
            ));
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let counts = match &self.shared {
            // Metrics wait for no database.
            Some(shared) => shared.counts(),
            None => self.store.counts(self.clock.unix_us()).ok(),
        };
        let Some(counts) = counts else {
            // A gap in the metrics; `look` says why.
            return Vec::new();
        };
        let sample = |state: &str, count: u64| Sample {
            labels: vec![("state", state.to_owned())],
            value: count as f64,
        };
        vec![
            sample(KeyState::Active.name(), counts.active - counts.rotating),
            sample("rotating", counts.rotating),
            sample(KeyState::Expired.name(), counts.expired),
            sample(KeyState::Revoked.name(), counts.revoked),
        ]
    }
}

impl Known {
    /// Takes in a row, unless a newer one of the same key is known.
    fn take(&mut self, row: KeyRow, now_us: u64) {
        if self.is_new(&row) {
            self.put(row, now_us);
        }
    }

    /// Whether nothing newer is known of the key.
    fn is_new(&self, row: &KeyRow) -> bool {
        let active = self.active.get(&row.id).map(|active| active.row.change);
        let known = active.max(self.ended.get(&row.id).copied());
        known.is_none_or(|known| known < row.change)
    }

    /// Takes in a row that counts, whatever is known.
    fn put(&mut self, row: KeyRow, now_us: u64) {
        let before = self.active.remove(&row.id);
        match row.state(now_us) {
            KeyState::Active => {
                let Some(quotas) = quotas(&row) else {
                    // It would be held to nothing.
                    if let Some(before) = before {
                        before.life.revoke();
                    }
                    return;
                };
                let cuts = row.on_revoke == OnRevoke::Cut;
                let (life, written_us) = match before {
                    Some(before) => (before.life, before.written_us),
                    None => (
                        Arc::new(KeyLife::new(cuts)),
                        row.last_used_us.unwrap_or_default(),
                    ),
                };
                let active = Active {
                    consumer: Arc::new(consumer(&row)),
                    life,
                    quotas,
                    written_us,
                    row,
                };
                self.active.insert(active.row.id.clone(), active);
            }
            KeyState::Expired | KeyState::Revoked => {
                if row.change > self.seen {
                    self.ended.insert(row.id.clone(), row.change);
                }
                if let Some(before) = before {
                    match (row.revoked_us, row.on_revoke) {
                        (Some(_), OnRevoke::Finish) => before.life.revoke(),
                        (Some(_), OnRevoke::Cut) => before.life.cut(),
                        (None, _) => {}
                    }
                    self.late_uses.extend(before.unwritten());
                }
            }
        }
    }

    /// Ends a key of which nothing is known any more.
    fn forget(&mut self, id: &str) {
        if let Some(before) = self.active.remove(id) {
            before.life.revoke();
        }
    }

    /// The table at this time; keys that ended are forgotten.
    fn table(&mut self, now_us: u64) -> HashMap<[u8; 32], LiveKey> {
        let over: Vec<String> = self
            .active
            .values()
            .filter(|active| active.row.state(now_us) != KeyState::Active)
            .map(|active| active.row.id.clone())
            .collect();
        for id in over {
            let ended = self.active.remove(&id);
            self.late_uses
                .extend(ended.and_then(|active| active.unwritten()));
        }
        let mut table = HashMap::with_capacity(self.active.len());
        self.next_end_us = None;
        for active in self.active.values() {
            for (digest, until_us) in active.row.open_secrets(now_us) {
                let ends = [self.next_end_us, until_us];
                self.next_end_us = ends.into_iter().flatten().min();
                let live = LiveKey {
                    consumer: active.consumer.clone(),
                    life: active.life.clone(),
                    until_us,
                };
                table.insert(*digest, live);
            }
        }
        table
    }

    /// Uses that are not written yet.
    fn uses(&mut self) -> Vec<(String, u64)> {
        let mut uses = std::mem::take(&mut self.late_uses);
        for active in self.active.values_mut() {
            if uses.len() >= USES_PER_WRITE {
                break;
            }
            if let Some(used) = active.unwritten() {
                active.written_us = used.1;
                uses.push(used);
            }
        }
        uses
    }
}

impl Active {
    fn unwritten(&self) -> Option<(String, u64)> {
        let used_us = self.life.used_us();
        (used_us > self.written_us).then(|| (self.row.id.clone(), used_us))
    }
}

fn consumer(row: &KeyRow) -> Consumer {
    Consumer {
        groups: row
            .groups
            .iter()
            .map(|group| group.as_str().into())
            .collect(),
        models: row.models.clone(),
        ..Consumer::new(&*row.id, &*row.tenant, &*row.app)
    }
}

/// The limits of a key; `None` if they cannot be read, which no gateway of
/// this version writes. Such a key does not work.
fn quotas(row: &KeyRow) -> Option<Option<Arc<Quotas>>> {
    let Some(text) = &row.limits else {
        return Some(None);
    };
    let read = serde_json::from_str::<KeyLimits>(text).ok();
    let quotas = read.and_then(|limits| plan::key_quotas(&limits).ok());
    if quotas.is_none() {
        crate::say(&format!(
            "the limits of key {} cannot be read by this version, so the key does not work. Give \
             it others: tollgate keys limit {}",
            row.id, row.id
        ));
    }
    quotas.map(|quotas| Some(Arc::new(quotas)))
}

/// The counters of a key's own limits.
fn counters<'k>(row: &'k KeyRow, quotas: &'k Quotas) -> impl Iterator<Item = KeyCounter> + 'k {
    let subject = Subject {
        tenant: &row.tenant,
        key: &row.id,
        ..Subject::default()
    };
    quotas.all().iter().map(move |quota| KeyCounter {
        counter: quota.counter(&subject),
        scope: quota.scope.text(&subject),
        quota: quota.clone(),
    })
}

fn fill(random: &mut [u8]) -> io::Result<()> {
    getrandom::fill(random).map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests;

//! Virtual keys: which keys were made at run time, and what has become of
//! them. [`SqliteKeys`] keeps them in a file of the data folder, and
//! [`MemoryKeys`] in memory; [`conformance`] holds every store to one
//! behaviour. [`KeysCopy`] is what lasts in a data folder of keys that a
//! database keeps.
//!
//! Only keyed digests of secrets are kept. Deliberately not here: making
//! secrets, who may change a key, and finding the key of a call, which is done
//! in memory (room `access`).

pub mod conformance;
mod copy;
mod memory;
mod sqlite;
pub mod text;

pub use copy::{Copied, KeysCopy};
pub use memory::MemoryKeys;
pub use sqlite::SqliteKeys;

/// Most keys of one page.
pub const KEYS_PAGE_MAX: u32 = 1_000;
/// Most active keys unless an opener says otherwise: all of them are held in
/// memory by every gateway.
pub const KEYS_ACTIVE_MAX: u64 = 100_000;

/// Which keys there are.
pub trait Keys: Send + Sync {
    /// Keeps a new key. It is durable when this returns. The row that is
    /// returned has its number.
    ///
    /// # Errors
    /// `Taken` if the id is in use, `Full` at the limit of active keys.
    fn create(&self, row: &KeyRow) -> Result<KeyRow, KeysError>;

    /// Keeps a row in the place of the one it was made from. It is durable
    /// when this returns. Id, number, creation and last use stay as they are.
    ///
    /// # Errors
    /// `Unknown`, or `Changed` if the kept row has another change by now.
    fn replace(&self, row: &KeyRow) -> Result<KeyRow, KeysError>;

    /// One key.
    ///
    /// # Errors
    /// The store cannot be read.
    fn find(&self, id: &str) -> Result<Option<KeyRow>, KeysError>;

    /// A page of keys, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&self, filter: &KeyFilter) -> Result<Vec<KeyRow>, KeysError>;

    /// The keys that were changed after this change, in the order of their
    /// changes. After 0: all.
    ///
    /// # Errors
    /// The store cannot be read.
    fn changed_after(&self, change: u64) -> Result<Vec<KeyRow>, KeysError>;

    /// The number of the last change, whichever process made it; 0 at first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn last_change(&self) -> Result<u64, KeysError>;

    /// Notes when keys were last used. This is no change of a key, an earlier
    /// time than the one that is kept is passed over, and so is an unknown id.
    ///
    /// # Errors
    /// The store cannot be written.
    fn note_used(&self, used: &[(String, u64)]) -> Result<(), KeysError>;

    /// How many keys there are by their state at this time.
    ///
    /// # Errors
    /// The store cannot be read.
    fn counts(&self, now_us: u64) -> Result<KeyCounts, KeysError>;
}

/// A key as it is kept. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Public id.
    pub id: String,
    /// Its place in the order of creation; the store gives it.
    pub number: u64,
    /// The number of its last change; the store gives it.
    pub change: u64,
    /// What people call it.
    pub name: String,
    /// Tenant.
    pub tenant: String,
    /// Application.
    pub app: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Patterns of models; `None` is all.
    pub models: Option<Vec<String>>,
    /// What becomes of its open streams when it is revoked.
    pub on_revoke: OnRevoke,
    /// When it was made.
    pub created_us: u64,
    /// By whom.
    pub created_by: String,
    /// From when on it does not work.
    pub expires_us: Option<u64>,
    /// When it last got a new secret.
    pub rotated_us: Option<u64>,
    /// When it was revoked.
    pub revoked_us: Option<u64>,
    /// By whom.
    pub revoked_by: Option<String>,
    /// When it was last used, give or take a minute.
    pub last_used_us: Option<u64>,
    /// Its secrets, newest first.
    pub secrets: Vec<SecretRow>,
    /// Its own limits and budgets, as a text that means nothing here.
    pub limits: Option<String>,
}

/// One secret of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Keyed BLAKE3 digest.
    pub digest: [u8; 32],
    /// When it was made.
    pub created_us: u64,
    /// From when on it does not work, because a newer one took its place.
    pub until_us: Option<u64>,
}

impl std::fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretRow")
            .field("created_us", &self.created_us)
            .field("until_us", &self.until_us)
            .finish_non_exhaustive()
    }
}

/// What becomes of the open streams of a key that is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRevoke {
    /// They finish.
    #[default]
    Finish,
    /// They end with a fault.
    Cut,
}

impl OnRevoke {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finish => "finish",
            Self::Cut => "cut",
        }
    }

    /// What a word says.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Finish, Self::Cut]
            .into_iter()
            .find(|choice| choice.name() == name)
    }
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked, whether its time is over or not.
    Revoked,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// What a word says.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl KeyRow {
    /// Whether it works at this time. It expires at `expires_us`, not after.
    pub fn state(&self, now_us: u64) -> KeyState {
        match self.expires_us {
            _ if self.revoked_us.is_some() => KeyState::Revoked,
            Some(at) if at <= now_us => KeyState::Expired,
            Some(_) | None => KeyState::Active,
        }
    }

    /// The secrets that open it at this time, and until when each does. None
    /// unless it is active.
    pub fn open_secrets(&self, now_us: u64) -> impl Iterator<Item = (&[u8; 32], Option<u64>)> {
        let works = match self.state(now_us) {
            KeyState::Active => true,
            KeyState::Expired | KeyState::Revoked => false,
        };
        let secrets = self.secrets.iter().filter(move |_| works);
        secrets
            .map(|secret| (&secret.digest, earlier(secret.until_us, self.expires_us)))
            .filter(move |(_, until_us)| until_us.is_none_or(|until_us| until_us > now_us))
    }
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// Which keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Only keys with a lower number.
    pub before: Option<u64>,
    /// Most keys; at most [`KEYS_PAGE_MAX`].
    pub limit: u32,
    /// Only this tenant.
    pub tenant: Option<String>,
    /// Only this app.
    pub app: Option<String>,
    /// Only keys in this state.
    pub state: Option<KeyState>,
    /// The time at which the state is meant.
    pub now_us: u64,
}

/// How many keys there are by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// That work.
    pub active: u64,
    /// Of these, that two or more secrets open, for the time of a rotation.
    pub rotating: u64,
    /// Whose time is over.
    pub expired: u64,
    /// That were revoked.
    pub revoked: u64,
}

impl KeyCounts {
    fn count(&mut self, row: &KeyRow, now_us: u64) {
        match row.state(now_us) {
            KeyState::Active => {
                self.active += 1;
                if row.open_secrets(now_us).count() > 1 {
                    self.rotating += 1;
                }
            }
            KeyState::Expired => self.expired += 1,
            KeyState::Revoked => self.revoked += 1,
        }
    }
}

/// Why a store of keys did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Another key has this id.
    #[error("another key has this id")]
    Taken,
    /// There is no such key.
    #[error("there is no such key")]
    Unknown,
    /// Somebody else changed the key meanwhile.
    #[error("the key was changed by somebody else meanwhile")]
    Changed,
    /// There are as many active keys as may be.
    #[error("there are {0} active keys, which is the limit")]
    Full(u64),
    /// The file is not one of keys, or of a version that is not known here.
    #[error("{0}")]
    Foreign(String),
    /// The database that keeps the keys cannot be asked: why, in words.
    #[error("{0}")]
    Unavailable(String),
    /// SQLite failed.
    #[error("the store of keys failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The disk failed.
    #[error("the store of keys failed: {0}")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;

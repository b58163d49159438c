//! Virtual keys: made, listed, rotated and revoked at run time. A secret is
//! shown once, in the answer that made it; nothing here can show it again.
//!
//! A change goes into the audit journal, then into the store, and is in force
//! before it is answered. Deliberately not here: randomness and the table that
//! calls are looked up in, both of which are handed in.

mod asked;
mod change;

use std::io;
use std::sync::Arc;

use contract::Secret;
use evidence::rfc3339;
use http::StatusCode;
use plan::Plan;
use serde::Serialize;
use serde_json::Value;
use store::{KeyFilter, KeyRow, KeyState, Keys, KeysError};

use crate::audit::{Audit, Author, Change};
use crate::auth::{self, By};
use crate::params::{Page, Params, bad};
use crate::reply::Reply;

use asked::{NewKey, Revocation, Rotation, kept, read};

/// How often a change is tried again that somebody else's change came before.
const TRIES_MAX: usize = 3;
/// How often an id is drawn again that is in use.
const IDS_MAX: usize = 8;

/// A secret that was just made.
#[derive(Debug)]
pub struct Minted {
    /// Id of the key.
    pub id: String,
    /// What the caller sends.
    pub secret: Secret<String>,
    /// What is kept of it.
    pub digest: [u8; 32],
}

/// Makes a secret: of a new key, or of the key with this id.
pub type Mint = Arc<dyn Fn(Option<&str>) -> io::Result<Minted> + Send + Sync>;
/// Puts a key that was just kept in force. Cannot fail.
pub type Publish = Arc<dyn Fn(&KeyRow) + Send + Sync>;

/// What the resources of virtual keys work with.
#[derive(Clone)]
pub struct KeyDesk {
    /// Where keys are kept.
    pub store: Arc<dyn Keys>,
    /// Makes secrets.
    pub mint: Mint,
    /// Puts changes in force.
    pub publish: Publish,
}

/// A request about keys.
pub(crate) struct Errand<'a> {
    pub(crate) desk: &'a KeyDesk,
    pub(crate) audit: &'a Audit,
    pub(crate) plan: &'a Plan,
    pub(crate) by: &'a By,
}

#[derive(Serialize)]
struct KeyView<'a> {
    id: &'a str,
    name: &'a str,
    tenant: &'a str,
    app: &'a str,
    groups: &'a [String],
    /// Null is all.
    models: Option<&'a [String]>,
    state: &'static str,
    on_revoke: &'static str,
    created_at: String,
    created_by: &'a str,
    expires_at: Option<String>,
    rotated_at: Option<String>,
    revoked_at: Option<String>,
    revoked_by: Option<&'a str>,
    /// Give or take a minute.
    last_used_at: Option<String>,
    /// Newest first.
    secrets: Vec<SecretView>,
    /// Limits and budgets of its own; null is none.
    limits: Option<Value>,
    /// A key of the document has the same id, so this one does not work.
    shadowed: bool,
}

#[derive(Serialize)]
struct SecretView {
    created_at: String,
    /// When it stops to work; null is with the key.
    until: Option<String>,
}

#[derive(Serialize)]
struct PageView<'a> {
    keys: Vec<KeyView<'a>>,
    /// `before` of the next page; null at the end.
    next: Option<u64>,
}

#[derive(Serialize)]
struct OneView<'a> {
    key: KeyView<'a>,
}

#[derive(Serialize)]
struct SecretOnce<'a> {
    key: KeyView<'a>,
    /// Shown here and never again.
    secret: &'a str,
}

impl Errand<'_> {
    /// Keys, newest first.
    pub(crate) fn list(&self, params: &Params) -> Result<Reply, Reply> {
        self.allowed()?;
        let Page { limit, before } = Page::of(params)?;
        let state = params.get("state").map(|word| {
            KeyState::of(word).ok_or_else(|| bad("state", "write `active`, `expired` or `revoked`"))
        });
        let tenant = match (params.get("tenant"), &self.by.actor.tenant) {
            (Some(tenant), Some(_)) if !self.by.actor.sees(tenant) => {
                return Err(auth::too_narrow(&self.by.actor));
            }
            (Some(tenant), _) => Some(tenant.to_owned()),
            (None, own) => own.as_ref().map(|own| own.to_string()),
        };
        let filter = KeyFilter {
            before,
            limit,
            tenant,
            app: params.get("app").map(str::to_owned),
            state: state.transpose()?,
            now_us: self.by.now_us,
        };
        let rows = self.desk.store.list(&filter).map_err(fault)?;
        let is_full = rows.len() == limit as usize;
        Ok(Reply::json(&PageView {
            keys: rows.iter().map(|row| self.view(row)).collect(),
            next: rows.last().filter(|_| is_full).map(|last| last.number),
        }))
    }

    /// One key.
    pub(crate) fn one(&self, id: &str) -> Result<Reply, Reply> {
        self.allowed()?;
        let row = self.find(id)?;
        Ok(self.shown(&row))
    }

    /// A new key, with its secret.
    pub(crate) fn create(&self, body: &[u8]) -> Result<Reply, Reply> {
        self.allowed()?;
        let wanted: NewKey = read(body)?;
        let draft = wanted.check(self.by)?;
        if !self.by.actor.sees(&draft.tenant) {
            return Err(auth::too_narrow(&self.by.actor));
        }
        for _ in 0..IDS_MAX {
            let minted = self.mint(None)?;
            let is_taken = self.plan.keys.has_id(&minted.id)
                || self.desk.store.find(&minted.id).map_err(fault)?.is_some();
            if is_taken {
                continue;
            }
            let row = change::made(&draft, &minted, self.by);
            self.record("key.create", None, &row)?;
            let row = match self.desk.store.create(&row) {
                Ok(row) => row,
                Err(error) => return Err(self.not_done(&row, error)),
            };
            (self.desk.publish)(&row);
            let mut reply = self.shown_once(&row, &minted.secret);
            reply.status = StatusCode::CREATED;
            return Ok(reply);
        }
        Err(fault(KeysError::Taken))
    }

    /// A new secret for a key.
    pub(crate) fn rotate(&self, id: &str, body: &[u8]) -> Result<Reply, Reply> {
        self.allowed()?;
        let overlap_us = read::<Rotation>(body)?.check()?;
        let minted = self.mint(Some(id))?;
        let row = self.change("key.rotate", id, &|row| {
            change::rotated(row, &minted, overlap_us, self.by).map(Some)
        })?;
        Ok(self.shown_once(&row, &minted.secret))
    }

    /// Other limits and budgets of a key's own; an empty object takes them
    /// away. A limit of the same measure and time keeps what was counted.
    pub(crate) fn limit(&self, id: &str, body: &[u8]) -> Result<Reply, Reply> {
        self.allowed()?;
        let limits = kept(&read(body)?)?;
        let row = self.change("key.limit", id, &|row| change::limited(row, &limits))?;
        Ok(self.shown(&row))
    }

    /// The end of a key. One that was revoked before stays as it is.
    pub(crate) fn revoke(&self, id: &str, body: &[u8]) -> Result<Reply, Reply> {
        self.allowed()?;
        let wanted: Revocation = read(body)?;
        let on_revoke = wanted.check()?;
        let row = self.change("key.revoke", id, &|row| {
            Ok(change::revoked(row, on_revoke, self.by))
        })?;
        Ok(self.shown(&row))
    }

    /// Decides over what is kept and keeps the outcome; `None` changes nothing.
    fn change(
        &self,
        action: &'static str,
        id: &str,
        decide: &dyn Fn(&KeyRow) -> Result<Option<KeyRow>, Reply>,
    ) -> Result<KeyRow, Reply> {
        for _ in 0..TRIES_MAX {
            let before = self.find(id)?;
            let Some(after) = decide(&before)? else {
                return Ok(before);
            };
            self.record(action, Some(&before), &after)?;
            match self.desk.store.replace(&after) {
                Err(KeysError::Changed) => {
                    self.not_done(&after, KeysError::Changed);
                }
                Err(error) => return Err(self.not_done(&after, error)),
                Ok(row) => {
                    (self.desk.publish)(&row);
                    return Ok(row);
                }
            }
        }
        Err(fault(KeysError::Changed))
    }

    /// A key that the asker may know of.
    fn find(&self, id: &str) -> Result<KeyRow, Reply> {
        let found = self.desk.store.find(id).map_err(fault)?;
        found
            .filter(|row| self.by.actor.sees(&row.tenant))
            .ok_or_else(|| self.unknown(id))
    }

    fn unknown(&self, id: &str) -> Reply {
        match self.plan.keys.has_id(id) && self.by.actor.tenant.is_none() {
            true => Reply::fault(
                409,
                "key_of_document",
                "This key is written in the configuration, which alone can change it. Edit `keys` \
                 there.",
            ),
            false => fault(KeysError::Unknown),
        }
    }

    /// Whether keys may be made at run time at all.
    fn allowed(&self) -> Result<(), Reply> {
        match self.plan.keys.takes_live() {
            true => Ok(()),
            false => Err(Reply::fault(
                403,
                "keys_owned_by_document",
                "The configuration says `keys_from: [document]`, so all keys are written there and \
                 none are made by this API. Add `api` to `keys_from` to allow it.",
            )),
        }
    }

    fn mint(&self, id: Option<&str>) -> Result<Minted, Reply> {
        (self.desk.mint)(id).map_err(|error| {
            let message = format!("No secret could be made: {error}. Nothing was changed.");
            Reply::fault(503, "no_randomness", &message)
        })
    }

    fn record(
        &self,
        action: &'static str,
        before: Option<&KeyRow>,
        after: &KeyRow,
    ) -> Result<(), Reply> {
        let change = Change {
            action,
            object: format!("key/{}", after.id),
            tenant: Some(after.tenant.clone()),
            before: before.map_or(Value::Null, |row| self.told(row)),
            after: self.told(after),
            note: None,
        };
        self.audit.record(&Author::from(self.by), &change).map(drop)
    }

    /// Says in the audit journal that a change was not made after all.
    fn not_done(&self, row: &KeyRow, error: KeysError) -> Reply {
        let change = Change {
            action: "key.not_changed",
            object: format!("key/{}", row.id),
            tenant: Some(row.tenant.clone()),
            before: Value::Null,
            after: Value::Null,
            note: Some(error.to_string()),
        };
        // The entry before it says what was meant; nothing else can be done.
        drop(self.audit.record(&Author::from(self.by), &change));
        fault(error)
    }

    /// A key for the audit journal: as it is shown, without its secrets.
    fn told(&self, row: &KeyRow) -> Value {
        serde_json::to_value(self.view(row)).expect("plain data is JSON")
    }

    fn shown(&self, row: &KeyRow) -> Reply {
        Reply::json(&OneView {
            key: self.view(row),
        })
    }

    fn shown_once(&self, row: &KeyRow, secret: &Secret<String>) -> Reply {
        Reply::json(&SecretOnce {
            key: self.view(row),
            secret: secret.expose(),
        })
    }

    fn view<'a>(&self, row: &'a KeyRow) -> KeyView<'a> {
        let now_us = self.by.now_us;
        let secrets = row.secrets.iter().map(|secret| SecretView {
            created_at: rfc3339(secret.created_us),
            until: secret.until_us.map(rfc3339),
        });
        KeyView {
            id: &row.id,
            name: &row.name,
            tenant: &row.tenant,
            app: &row.app,
            groups: &row.groups,
            models: row.models.as_deref(),
            state: row.state(now_us).name(),
            on_revoke: row.on_revoke.name(),
            created_at: rfc3339(row.created_us),
            created_by: &row.created_by,
            expires_at: row.expires_us.map(rfc3339),
            rotated_at: row.rotated_us.map(rfc3339),
            revoked_at: row.revoked_us.map(rfc3339),
            revoked_by: row.revoked_by.as_deref(),
            last_used_at: row.last_used_us.map(rfc3339),
            secrets: secrets.collect(),
            limits: row.limits.as_deref().map(limits_of),
            shadowed: self.plan.keys.has_id(&row.id),
        }
    }
}

/// Limits as they are kept, for people.
fn limits_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// What a store did not do, in words for operators.
fn fault(error: KeysError) -> Reply {
    let (status, code, advice) = match &error {
        KeysError::Unknown => (
            404,
            "unknown_key",
            "`tollgate keys list` shows what there is",
        ),
        KeysError::Changed => (409, "changed_meanwhile", "Look at it, then try again"),
        KeysError::Taken => (409, "id_taken", "Try again: another id is drawn"),
        KeysError::Full(_) => (
            409,
            "too_many_keys",
            "Revoke keys that nobody needs, or let them expire",
        ),
        KeysError::Unavailable(_) => (
            503,
            "keys_unavailable",
            "Keys that are in force stay so, and this replica changes none by itself. Look with \
             `tollgate keys list` once the database answers, then try again",
        ),
        KeysError::Foreign(_) | KeysError::Sqlite(_) | KeysError::Io(_) => (
            503,
            "keys_unavailable",
            "Keys that are in force stay so. Check the disk of the data folder, or what the database \
             holds where replicas share keys",
        ),
    };
    Reply::failed((status, code), &error.to_string(), advice)
}

#[cfg(test)]
pub(crate) mod tests;

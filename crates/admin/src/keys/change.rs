//! What becomes of a key: pure decisions from what is kept and what is asked.
//!
//! Deliberately not here: keeping it.

use store::{KeyRow, KeyState, OnRevoke, SecretRow};

use super::Minted;
use super::asked::Draft;
use crate::auth::By;
use crate::reply::Reply;

/// Most secrets that open one key at once.
const SECRETS_MAX: usize = 4;

/// A new key.
pub(super) fn made(draft: &Draft, minted: &Minted, by: &By) -> KeyRow {
    KeyRow {
        id: minted.id.clone(),
        number: 0,
        change: 0,
        name: draft.name.clone(),
        tenant: draft.tenant.clone(),
        app: draft.app.clone().unwrap_or_else(|| minted.id.clone()),
        groups: draft.groups.clone(),
        models: draft.models.clone(),
        on_revoke: draft.on_revoke,
        created_us: by.now_us,
        created_by: by.actor.id.to_string(),
        expires_us: draft.expires_us,
        rotated_us: None,
        revoked_us: None,
        revoked_by: None,
        last_used_us: None,
        secrets: vec![secret(minted, by.now_us)],
        limits: draft.limits.clone(),
    }
}

/// A key with a new secret. Those before work for `overlap_us` more, and none
/// for longer than it was to.
pub(super) fn rotated(
    row: &KeyRow,
    minted: &Minted,
    overlap_us: u64,
    by: &By,
) -> Result<KeyRow, Reply> {
    let now_us = by.now_us;
    match row.state(now_us) {
        KeyState::Active => {}
        KeyState::Expired => return Err(ended("expired")),
        KeyState::Revoked => return Err(ended("was revoked")),
    }
    let end_us = now_us.saturating_add(overlap_us);
    let older = row.secrets.iter().map(|before| SecretRow {
        until_us: Some(before.until_us.unwrap_or(u64::MAX).min(end_us)),
        ..before.clone()
    });
    let works = |secret: &SecretRow| secret.until_us.is_some_and(|until_us| until_us > now_us);
    let mut secrets = vec![secret(minted, now_us)];
    secrets.extend(older.filter(works));
    if secrets.len() > SECRETS_MAX {
        return Err(Reply::fault(
            409,
            "too_many_secrets",
            "Four secrets of this key work already. Wait until one of them ends, or rotate with \
             `overlap` 0s, which ends them all but the new one.",
        ));
    }
    Ok(KeyRow {
        rotated_us: Some(now_us),
        secrets,
        ..row.clone()
    })
}

/// A key that was revoked; `None` if it was before.
pub(super) fn revoked(row: &KeyRow, on_revoke: Option<OnRevoke>, by: &By) -> Option<KeyRow> {
    row.revoked_us.is_none().then(|| KeyRow {
        revoked_us: Some(by.now_us),
        revoked_by: Some(by.actor.id.to_string()),
        on_revoke: on_revoke.unwrap_or(row.on_revoke),
        // Nothing can be opened with them again, whatever happens to the row.
        secrets: Vec::new(),
        ..row.clone()
    })
}

/// A key with other limits of its own; `None` if they are what they were.
pub(super) fn limited(row: &KeyRow, limits: &Option<String>) -> Result<Option<KeyRow>, Reply> {
    if row.revoked_us.is_some() {
        let message = "This key was revoked, so nothing of it is changed any more.";
        return Err(Reply::fault(409, "key_ended", message));
    }
    Ok((row.limits != *limits).then(|| KeyRow {
        limits: limits.clone(),
        ..row.clone()
    }))
}

fn secret(minted: &Minted, now_us: u64) -> SecretRow {
    SecretRow {
        digest: minted.digest,
        created_us: now_us,
        until_us: None,
    }
}

fn ended(how: &str) -> Reply {
    let message = format!("This key {how}, so it gets no new secret. Make another key.");
    Reply::fault(409, "key_ended", &message)
}

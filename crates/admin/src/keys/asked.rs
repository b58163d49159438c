//! What callers ask for about keys: bodies, read strictly and checked field by
//! field, so that a slip makes no key that may more than was meant.
//!
//! Deliberately not here: doing it.

use plan::KeyLimits;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::OnRevoke;

use crate::auth::By;
use crate::params::{age_us, utc_us};
use crate::reply::Reply;

/// Longest name of a key, characters.
const NAME_CHARS_MAX: usize = 200;
/// Longest tenant, app, group or pattern, bytes.
const WORD_BYTES_MAX: usize = 200;
/// Most groups, and most patterns.
const WORDS_MAX: usize = 64;
/// Longest life of a key that expires.
const LIFE_US_MAX: u64 = 10 * 366 * 86_400_000_000;
/// Longest time for which an old secret works beside a new one.
const OVERLAP_US_MAX: u64 = 90 * 86_400_000_000;
/// The same where the caller says nothing: a day to roll the new one out.
const OVERLAP_US: u64 = 86_400_000_000;
/// The tenant of keys that name none, as in the document.
const TENANT: &str = "default";

/// Reads a body; an empty one is `{}`.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    let body = match body.trim_ascii() {
        [] => b"{}",
        body => body,
    };
    serde_json::from_slice(body)
        .map_err(|error| refused(&format!("The body cannot be used: {error}.")))
}

/// A key to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    #[serde(default)]
    name: String,
    tenant: Option<String>,
    app: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    models: Option<Vec<String>>,
    expires_in: Option<String>,
    expires_at: Option<String>,
    on_revoke: Option<String>,
    limits: Option<KeyLimits>,
}

/// A key to be made, checked.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) tenant: String,
    /// The key's id where none is named.
    pub(super) app: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) models: Option<Vec<String>>,
    pub(super) expires_us: Option<u64>,
    pub(super) on_revoke: OnRevoke,
    /// As they are kept.
    pub(super) limits: Option<String>,
}

impl NewKey {
    pub(super) fn check(self, by: &By) -> Result<Draft, Reply> {
        if self.name.chars().count() > NAME_CHARS_MAX || is_hostile(&self.name) {
            return Err(wrong(
                "name",
                "write at most 200 characters, none of them a control or invisible character",
            ));
        }
        // A credential of one tenant makes keys of that tenant.
        let own = by.actor.tenant.as_deref().unwrap_or(TENANT);
        let tenant = self.tenant.unwrap_or_else(|| own.to_owned());
        word("tenant", &tenant)?;
        if let Some(app) = &self.app {
            word("app", app)?;
        }
        words("groups", &self.groups)?;
        if let Some(models) = &self.models {
            words("models", models)?;
            if models.is_empty() {
                return Err(wrong(
                    "models",
                    "an empty list allows no model; leave it out to allow all",
                ));
            }
        }
        Ok(Draft {
            name: self.name,
            tenant,
            app: self.app,
            groups: self.groups,
            models: self.models,
            expires_us: expiry(
                self.expires_in.as_deref(),
                self.expires_at.as_deref(),
                by.now_us,
            )?,
            on_revoke: on_revoke(self.on_revoke.as_deref())?.unwrap_or_default(),
            limits: kept(&self.limits.unwrap_or_default())?,
        })
    }
}

/// A rotation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    overlap: Option<String>,
}

impl Rotation {
    /// For how long the secrets before it work on.
    pub(super) fn check(&self) -> Result<u64, Reply> {
        let Some(text) = &self.overlap else {
            return Ok(OVERLAP_US);
        };
        age_us(text)
            .filter(|us| *us <= OVERLAP_US_MAX)
            .ok_or_else(|| {
                wrong(
                    "overlap",
                    "write a time of at most 90 days: 0s, 90s, 24h, 7d",
                )
            })
    }
}

/// A revocation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    on_revoke: Option<String>,
}

impl Revocation {
    /// What becomes of open streams, if it differs from what the key says.
    pub(super) fn check(&self) -> Result<Option<OnRevoke>, Reply> {
        on_revoke(self.on_revoke.as_deref())
    }
}

/// Limits and budgets of a key, checked: the form in which they are kept.
/// `None` is none.
pub(super) fn kept(limits: &KeyLimits) -> Result<Option<String>, Reply> {
    plan::key_quotas(limits).map_err(|wrong| {
        let first = wrong.first();
        let told = first.map(|it| format!("{}: {}; {}", it.path, it.what, it.instead));
        refused(&format!(
            "The limits cannot be used. {}.",
            told.unwrap_or_default()
        ))
    })?;
    let text = serde_json::to_string(limits).expect("plain data is JSON");
    Ok((!limits.is_empty()).then_some(text))
}

fn on_revoke(text: Option<&str>) -> Result<Option<OnRevoke>, Reply> {
    text.map(|text| OnRevoke::of(text).ok_or_else(|| wrong("on_revoke", "write `finish` or `cut`")))
        .transpose()
}

fn expiry(within: Option<&str>, at: Option<&str>, now_us: u64) -> Result<Option<u64>, Reply> {
    let (field, expires_us) = match (within, at) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(wrong(
                "expires_at",
                "`expires_in` is there as well; send one of them",
            ));
        }
        (Some(within), None) => (
            "expires_in",
            age_us(within).and_then(|us| now_us.checked_add(us)),
        ),
        (None, Some(at)) => ("expires_at", utc_us(at)),
    };
    let Some(expires_us) = expires_us else {
        return Err(wrong(
            field,
            "write `expires_in` as a time (15m, 12h, 30d) or `expires_at` in UTC \
             (2027-01-31T10:00:00Z)",
        ));
    };
    match expires_us.checked_sub(now_us) {
        None | Some(0) => Err(wrong(field, "this time is over already")),
        Some(LIFE_US_MAX..) => Err(wrong(
            field,
            "this is more than ten years ahead; leave it out for a key that does not expire",
        )),
        Some(_) => Ok(Some(expires_us)),
    }
}

fn words(field: &str, words: &[String]) -> Result<(), Reply> {
    if words.len() > WORDS_MAX {
        return Err(wrong(field, "name at most 64"));
    }
    words.iter().try_for_each(|text| word(field, text))
}

fn word(field: &str, text: &str) -> Result<(), Reply> {
    let is_sound = !text.is_empty()
        && text.len() <= WORD_BYTES_MAX
        && text.trim() == text
        && !is_hostile(text);
    is_sound.then_some(()).ok_or_else(|| {
        wrong(
            field,
            "write 1 to 200 bytes without a space at either end, none of them a control or \
             invisible character",
        )
    })
}

/// Texts that a terminal, a log or a page could act upon have no place in a
/// name. What only a page would act upon is escaped where it is shown.
fn is_hostile(text: &str) -> bool {
    text.chars()
        .any(|c| evidence::dangerous(c) && !matches!(c, '<' | '>' | '&'))
}

fn wrong(field: &str, advice: &str) -> Reply {
    refused(&format!("The field `{field}` is not usable: {advice}."))
}

fn refused(message: &str) -> Reply {
    Reply::fault(400, "bad_body", message)
}

//! The keys that issuers publish (RFC 7517), and how long they may be relied
//! upon.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::algorithm::Algorithm;

/// Most keys of a set.
const KEYS_MAX: usize = 128;
/// Least and most bytes of the modulus of an RSA key.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
/// Least time between two fetches that a token with an unknown key causes.
const EARLY_AFTER_S: u64 = 5;
/// Wait after a first failure; it doubles with each one, up to the longest.
const RETRY_S: u64 = 5;
/// Longest wait after a failure.
const RETRY_S_MAX: u64 = 60;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Public {
    /// RSA: modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point on P-256, uncompressed.
    P256(Vec<u8>),
    /// A point on P-384, uncompressed.
    P384(Vec<u8>),
    /// An Ed25519 key.
    Ed25519(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    id: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    public: Public,
}

/// The keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// A key as it is published. What is not named here is not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a set of keys. Keys for other purposes are left out.
    ///
    /// # Errors
    /// It is none, or holds no key for signatures.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        let published: Jwks =
            serde_json::from_slice(json).map_err(|_| "it is not a set of keys".to_owned())?;
        if published.keys.len() > KEYS_MAX {
            return Err(format!("it holds more than {KEYS_MAX} keys"));
        }
        let keys: Vec<Key> = published
            .keys
            .into_iter()
            .filter_map(|key| key_of(serde_json::from_value(key).ok()?))
            .collect();
        match keys.is_empty() {
            true => Err("it holds no key for signatures that are known here".to_owned()),
            false => Ok(Self(keys)),
        }
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys that a token may mean: of this id, for this algorithm.
    pub(super) fn fitting<'s>(
        &'s self,
        algorithm: Algorithm,
        id: Option<&'s str>,
    ) -> impl Iterator<Item = &'s Public> {
        self.0
            .iter()
            .filter(move |key| id.is_none() || key.id.as_deref() == id)
            .filter(move |key| key.algorithm.is_none_or(|own| own == algorithm))
            .map(|key| &key.public)
            .filter(move |public| algorithm.fits(public))
    }
}

fn key_of(jwk: Jwk) -> Option<Key> {
    let signs = jwk
        .purpose
        .as_deref()
        .is_none_or(|purpose| purpose == "sig")
        && jwk
            .key_ops
            .as_ref()
            .is_none_or(|all| all.iter().any(|one| one == "verify"));
    if !signs {
        return None;
    }
    let algorithm = match &jwk.alg {
        None => None,
        // A key for an algorithm that is not known here is of no use.
        Some(name) => Some(Algorithm::ALL.into_iter().find(|it| it.name() == name)?),
    };
    let bytes = |text: Option<&String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let point = |length: usize| {
        let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
        (x.len() == length && y.len() == length).then(|| [vec![4], x, y].concat())
    };
    let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let n = without_zeros(bytes(jwk.n.as_ref())?);
            let e = without_zeros(bytes(jwk.e.as_ref())?);
            if !RSA_BYTES.contains(&n.len()) || e.is_empty() || e.len() > 8 {
                return None;
            }
            Public::Rsa { n, e }
        }
        ("EC", Some("P-256")) => Public::P256(point(32)?),
        ("EC", Some("P-384")) => Public::P384(point(48)?),
        ("OKP", Some("Ed25519")) => {
            Public::Ed25519(bytes(jwk.x.as_ref()).filter(|x| x.len() == 32)?)
        }
        _ => return None,
    };
    Some(Key {
        id: jwk.kid.map(String::into_boxed_str),
        algorithm,
        public,
    })
}

/// Some issuers write a zero in front of a number.
fn without_zeros(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes[zeros..].to_vec()
}

/// What is at hand of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The last good set.
    pub set: Option<Arc<KeySet>>,
    /// When it was fetched, Unix seconds.
    pub fetched_s: u64,
    /// When a fetch was last tried, Unix seconds.
    pub tried_s: u64,
    /// Fetches that failed since.
    pub failures: u32,
    /// Why the last fetch failed, if it did.
    pub trouble: Option<String>,
}

/// Keys that may be relied upon at this time.
pub(super) struct Fresh<'a> {
    pub(super) set: &'a KeySet,
    pub(super) in_trouble: bool,
    tried_s: u64,
}

impl Fresh<'_> {
    /// Whether a token with an unknown key may have the set fetched anew.
    pub(super) fn may_ask(&self, now_s: u64) -> bool {
        now_s.saturating_sub(self.tried_s) >= EARLY_AFTER_S
    }
}

impl Held {
    /// What is at hand after a fetch: the new set, or the last good one.
    #[must_use]
    pub fn settle(&self, outcome: Result<KeySet, String>, now_s: u64) -> Self {
        match outcome {
            Ok(set) => Self {
                set: Some(match &self.set {
                    Some(same) if **same == set => same.clone(),
                    Some(_) | None => Arc::new(set),
                }),
                fetched_s: now_s,
                tried_s: now_s,
                failures: 0,
                trouble: None,
            },
            Err(why) => Self {
                tried_s: now_s,
                failures: self.failures.saturating_add(1),
                trouble: Some(why),
                ..self.clone()
            },
        }
    }

    /// When to fetch next, Unix seconds. `roll` keeps replicas apart.
    pub fn due_s(&self, refresh_s: u64, roll: u64) -> u64 {
        let wait_s = match self.failures {
            0 => refresh_s - roll % (refresh_s / 10 + 1),
            failures => (RETRY_S << (failures - 1).min(10))
                .min(RETRY_S_MAX)
                .min(refresh_s),
        };
        self.tried_s.saturating_add(wait_s)
    }

    /// Whether a call may have it fetched before it is due.
    pub fn may_be_asked(&self, now_s: u64) -> bool {
        now_s.saturating_sub(self.tried_s) >= EARLY_AFTER_S
    }

    pub(super) fn fresh(&self, now_s: u64, stale_s: u64) -> Result<Fresh<'_>, String> {
        let trouble = self
            .trouble
            .as_deref()
            .unwrap_or("they were not fetched yet");
        let Some(set) = &self.set else {
            return Err(trouble.to_owned());
        };
        let age_s = now_s.saturating_sub(self.fetched_s);
        if age_s > stale_s {
            return Err(format!(
                "they are {age_s} s old, too old to rely upon: {trouble}"
            ));
        }
        Ok(Fresh {
            set,
            in_trouble: self.trouble.is_some(),
            tried_s: self.tried_s,
        })
    }
}

/// What is at hand of all issuers.
#[derive(Clone, Debug, Default)]
pub struct KeySets {
    number: u64,
    by_source: HashMap<Arc<str>, Held>,
    none: Held,
}

impl KeySets {
    /// What is at hand from a source; of an unknown one, nothing.
    pub fn of(&self, source: &str) -> &Held {
        self.by_source.get(source).unwrap_or(&self.none)
    }

    /// Whether a source was asked at least once.
    pub fn was_asked(&self, source: &str) -> bool {
        self.by_source.contains_key(source)
    }

    /// It rises with each change of keys.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The same with this of a source.
    #[must_use]
    pub fn with(&self, source: Arc<str>, held: Held) -> Self {
        let mut next = self.clone();
        next.number += u64::from(self.of(&source).set != held.set);
        next.by_source.insert(source, held);
        next
    }

    /// The same without the sources that are not kept.
    #[must_use]
    pub fn only(&self, keep: &dyn Fn(&str) -> bool) -> Self {
        let mut next = self.clone();
        next.by_source.retain(|source, _| keep(source));
        next
    }
}

//! One token: its form, its signature, its times and its audience.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::{Fault, FaultKind, Origin};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::keys::KeySet;
use super::strict::Object;

/// Longest token, bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// What `typ` may say: a plain token, or an access token of RFC 9068.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLong,
    Form,
    Type,
    Issuer,
    Algorithm,
    UnknownKey,
    AmbiguousKey,
    Signature,
    NoExpiry,
    Expired,
    NotYet,
    Audience,
    /// A claim that is missing, or not what it must be.
    Claim(String),
}

impl Refusal {
    /// Its name in the evidence.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Form => "form",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::AmbiguousKey => "ambiguous_key",
            Self::Signature => "signature",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Audience => "audience",
            Self::Claim(_) => "claim",
        }
    }

    /// What the caller is told. Nothing of the token is in it.
    pub(super) fn fault(&self) -> Fault {
        let public = match self {
            Self::TooLong => "This token is longer than 16 KiB. Ask its issuer for a shorter one.",
            Self::Form => {
                "This token cannot be read. Send the token of your identity provider whole and \
                 unchanged."
            }
            Self::Type => {
                "This is a token of another kind. Send an access token or an ID token of your \
                 identity provider."
            }
            Self::Issuer => {
                "This token is of an issuer that the gateway does not trust. Send one of an \
                 issuer that is configured, or a key of this gateway."
            }
            Self::Algorithm => {
                "This token is not signed with an algorithm that the gateway accepts from its \
                 issuer."
            }
            Self::UnknownKey => {
                "This token is signed with a key that its issuer does not publish. Get a new \
                 token."
            }
            Self::AmbiguousKey => {
                "This token does not say which key it is signed with, and its issuer has more \
                 than one. It needs a `kid`."
            }
            Self::Signature => {
                "The signature of this token is not right. Send the token whole and unchanged."
            }
            Self::NoExpiry => "This token never ends (it has no `exp`), so it is not accepted.",
            Self::Expired => "This token has expired. Get a new one from its issuer.",
            Self::NotYet => {
                "This token is not valid yet. Check the clocks of its issuer and the gateway."
            }
            Self::Audience => {
                "This token is for another audience. Ask its issuer for one that is for this \
                 gateway."
            }
            Self::Claim(name) => {
                let text = format!(
                    "This token lacks what the gateway needs in its claim `{name}`, so it is not \
                     clear who is calling."
                );
                return Fault::new(FaultKind::Unauthenticated, Origin::Client, text);
            }
        };
        Fault::new(FaultKind::Unauthenticated, Origin::Client, public)
    }
}

/// Whether a credential looks like a token: three parts of base64url, the
/// first of which is a JSON object. Everything else is a key.
pub fn is_token(credential: &str) -> bool {
    let mut parts = credential.split('.');
    let (Some(head), Some(_), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_base64url = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    // `{"` in base64; spaces may stand between, so the head is read.
    credential.bytes().all(is_base64url)
        && head.len() <= TOKEN_BYTES_MAX
        && decode(head)
            .is_some_and(|json| serde_json::from_slice::<Map<String, Value>>(&json).is_ok())
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// A token, read but not yet believed.
pub(super) struct Token<'t> {
    /// What is signed.
    message: &'t [u8],
    signature: Vec<u8>,
    algorithm: String,
    key_id: Option<String>,
    claims: Map<String, Value>,
}

impl<'t> Token<'t> {
    /// Reads a token. Nothing in it counts before it is known to be signed.
    pub(super) fn read(text: &'t str) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let mut parts = text.split('.');
        let (Some(head), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Form);
        };
        let object = |part| decode(part).and_then(|json| Object::read(&json));
        let Object(fields) = object(head).ok_or(Refusal::Form)?;
        let text_of = |name| match fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::Form),
        };
        // Whoever marks a header as critical wants it understood; we know none.
        if fields.contains_key("crit") {
            return Err(Refusal::Form);
        }
        if let Some(kind) = text_of("typ")?
            && !TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known))
        {
            return Err(Refusal::Type);
        }
        let Object(claims) = object(claims).ok_or(Refusal::Form)?;
        Ok(Self {
            message: &text.as_bytes()[..text.len() - signature.len() - 1],
            signature: decode(signature).ok_or(Refusal::Form)?,
            algorithm: text_of("alg")?.ok_or(Refusal::Form)?,
            key_id: text_of("kid")?,
            claims,
        })
    }

    /// Who issued it, as it says.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Its algorithm, if it is one of these.
    pub(super) fn algorithm(&self, accepted: &[Algorithm]) -> Result<Algorithm, Refusal> {
        let mut accepted = accepted.iter().copied();
        accepted
            .find(|algorithm| algorithm.name() == self.algorithm)
            .ok_or(Refusal::Algorithm)
    }

    /// Whether a key of this set signed it.
    pub(super) fn signed_by(&self, algorithm: Algorithm, set: &KeySet) -> Result<(), Refusal> {
        let mut fitting = set.fitting(algorithm, self.key_id.as_deref());
        let key = fitting.next().ok_or(Refusal::UnknownKey)?;
        if fitting.next().is_some() {
            return Err(Refusal::AmbiguousKey);
        }
        match algorithm.verifies(key, self.message, &self.signature) {
            true => Ok(()),
            false => Err(Refusal::Signature),
        }
    }

    /// Holds the token to its times; the second from which on it is not
    /// valid any more, the skew included.
    pub(super) fn times(&self, now_s: u64, skew_s: u64) -> Result<u64, Refusal> {
        let until_s = self
            .time("exp")?
            .ok_or(Refusal::NoExpiry)?
            .saturating_add(skew_s);
        if now_s >= until_s {
            return Err(Refusal::Expired);
        }
        for name in ["nbf", "iat"] {
            if self
                .time(name)?
                .is_some_and(|at_s| at_s > now_s.saturating_add(skew_s))
            {
                return Err(Refusal::NotYet);
            }
        }
        Ok(until_s)
    }

    fn time(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let wrong = || Refusal::Claim(name.to_owned());
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        if let Some(whole) = value.as_u64() {
            return Ok(Some(whole));
        }
        // RFC 7519 allows fractions. Every second up to 2^53 is exact.
        let seconds = value.as_f64().ok_or_else(wrong)?;
        match (0.0..9_007_199_254_740_992.0).contains(&seconds) {
            true => Ok(Some(seconds as u64)),
            false => Err(wrong()),
        }
    }

    /// Whether one of these audiences is named.
    pub(super) fn is_for(&self, audience: &[Box<str>]) -> Result<(), Refusal> {
        let ours = |value: &Value| {
            let name = value.as_str();
            name.is_some_and(|name| audience.iter().any(|own| **own == *name))
        };
        let is_ours = match self.claims.get("aud") {
            Some(Value::Array(several)) => several.iter().any(ours),
            Some(one) => ours(one),
            None => false,
        };
        match is_ours {
            true => Ok(()),
            false => Err(Refusal::Audience),
        }
    }

    /// Its claims.
    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

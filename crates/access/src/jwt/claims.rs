//! From the claims of a token to tenant, app, user and groups.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::token::Refusal;

/// Longest name of a tenant, app, user or group that is taken from a token.
const NAME_BYTES_MAX: usize = 256;
/// Most groups that are taken from a token.
const GROUPS_MAX: usize = 256;

/// Where a claim is: a claim of exactly this name, else names of nested
/// objects with dots between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(pub Box<str>);

impl ClaimPath {
    fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        if let Some(value) = claims.get(&*self.0) {
            return Some(value);
        }
        let mut names = self.0.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.as_object()?.get(name))
    }

    fn refusal(&self) -> Refusal {
        Refusal::Claim(self.0.to_string())
    }
}

/// Where a name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFrom {
    /// Out of a claim.
    Claim(ClaimPath),
    /// The same for all tokens of the issuer.
    Fixed(Arc<str>),
}

impl NameFrom {
    fn read(&self, claims: &Map<String, Value>) -> Result<Arc<str>, Refusal> {
        match self {
            Self::Fixed(name) => Ok(name.clone()),
            Self::Claim(path) => path
                .find(claims)
                .and_then(name)
                .map(Into::into)
                .ok_or_else(|| path.refusal()),
        }
    }
}

/// What follows from the claims of an issuer.
#[derive(Clone, Debug)]
pub struct Claims {
    /// Tenant.
    pub tenant: NameFrom,
    /// App.
    pub app: NameFrom,
    /// End user; a token without this claim has none.
    pub user: Option<ClaimPath>,
    /// Groups: a list of names, or one name; a token without this claim is in
    /// none.
    pub groups: Option<ClaimPath>,
}

/// What followed from the claims of one token.
pub(super) struct Told {
    pub(super) tenant: Arc<str>,
    pub(super) app: Arc<str>,
    pub(super) user: Option<Arc<str>>,
    pub(super) groups: Arc<[Box<str>]>,
}

impl Claims {
    pub(super) fn read(&self, claims: &Map<String, Value>) -> Result<Told, Refusal> {
        let user = match self.user.as_ref().map(|path| (path, path.find(claims))) {
            None | Some((_, None)) => None,
            Some((path, Some(value))) => Some(name(value).ok_or_else(|| path.refusal())?.into()),
        };
        let groups = match self.groups.as_ref().map(|path| (path, path.find(claims))) {
            None | Some((_, None)) => Arc::default(),
            Some((path, Some(value))) => groups(value).ok_or_else(|| path.refusal())?,
        };
        Ok(Told {
            tenant: self.tenant.read(claims)?,
            app: self.app.read(claims)?,
            user,
            groups,
        })
    }
}

/// The subject, which every token must have.
pub(super) fn subject(claims: &Map<String, Value>) -> Result<&str, Refusal> {
    claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|subject| is_name(subject))
        .ok_or_else(|| Refusal::Claim("sub".to_owned()))
}

/// A name: a text, or a whole number as some issuers count their tenants.
fn name(value: &Value) -> Option<String> {
    let name = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64()?.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    is_name(&name).then_some(name)
}

/// Names go into records and metrics, so they are short and can be shown.
fn is_name(text: &str) -> bool {
    !text.trim().is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !text
            .chars()
            .any(|c| c.is_control() || c == '\u{2028}' || c == '\u{2029}')
}

fn groups(value: &Value) -> Option<Arc<[Box<str>]>> {
    match value {
        Value::Array(several) if several.len() <= GROUPS_MAX => several
            .iter()
            .map(|one| name(one).map(String::into_boxed_str))
            .collect(),
        Value::Array(_) => None,
        one => name(one).map(|name| Arc::from([name.into_boxed_str()])),
    }
}

/// A claim that each token must have, with one of these values if any are
/// given.
#[derive(Clone, Debug)]
pub struct Required {
    /// Which claim.
    pub claim: ClaimPath,
    /// Its values as texts (`true`, `7`); of a list in the token, one must be
    /// among them.
    pub values: Vec<Box<str>>,
}

impl Required {
    pub(super) fn name(&self) -> String {
        self.claim.0.to_string()
    }

    pub(super) fn is_met(&self, claims: &Map<String, Value>) -> bool {
        match self.claim.find(claims) {
            None | Some(Value::Null) => false,
            Some(_) if self.values.is_empty() => true,
            Some(Value::Array(several)) => several.iter().any(|one| self.has(one)),
            Some(one) => self.has(one),
        }
    }

    fn has(&self, value: &Value) -> bool {
        let is = |text: &str| self.values.iter().any(|own| **own == *text);
        match value {
            Value::String(text) => is(text),
            Value::Bool(on) => is(if *on { "true" } else { "false" }),
            Value::Number(number) => is(&number.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        }
    }
}

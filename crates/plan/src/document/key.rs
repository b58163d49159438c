//! Keys of callers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::RuleEntry;
use super::text::SecretText;

/// A caller's key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Public name of the key, shown in records.
    pub id: String,
    /// The key itself, preferably as `${env:NAME}` or `${file:path}`: 20
    /// characters or more, beginning with `tg-`.
    pub secret: SecretText,
    /// Tenant it belongs to. Default `default`.
    #[serde(default = "default_tenant")]
    pub tenant: String,
    /// Application it belongs to. Default: the key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Patterns (`*` is any text) of models it may use. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Rules of this key alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleEntry>,
    /// It works only for callers on this machine.
    #[serde(default)]
    pub loopback_only: bool,
    /// Networks that it may be used from. Default: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// The version of the contract for its calls that name none. Default: that
    /// of `metadata.contract`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Groups it belongs to, by names of your choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What a trusted backend that holds this key may say of others in its
    /// calls: `user`, `app`, `tenant`. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asserts: Vec<Assertion>,
}

/// Who may make keys of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// This document, under `keys`.
    Document,
    /// The admin API, at run time.
    Api,
}

/// The sources of callers' keys; both unless the document says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct KeySources(pub Vec<KeySource>);

impl Default for KeySources {
    fn default() -> Self {
        Self(vec![KeySource::Document, KeySource::Api])
    }
}

impl KeySources {
    /// Whether keys may come from there.
    pub fn has(&self, source: KeySource) -> bool {
        self.0.contains(&source)
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a trusted backend may say of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assertion {
    /// The end user.
    User,
    /// Another app of its tenant.
    App,
    /// Another tenant.
    Tenant,
}

impl KeyEntry {
    /// A key of the default tenant, with every other field left out.
    pub fn new(id: impl Into<String>, secret: SecretText) -> Self {
        Self {
            id: id.into(),
            secret,
            tenant: default_tenant(),
            app: None,
            models: None,
            rules: Vec::new(),
            loopback_only: false,
            addresses: None,
            contract: None,
            groups: Vec::new(),
            asserts: Vec::new(),
        }
    }
}

fn default_tenant() -> String {
    "default".to_owned()
}

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
    /// Groups it belongs to, by names of your choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What a trusted backend that holds this key may say of others in its
    /// calls: `user`, `app`, `tenant`. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asserts: Vec<Assertion>,
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
            groups: Vec::new(),
            asserts: Vec::new(),
        }
    }
}

fn default_tenant() -> String {
    "default".to_owned()
}

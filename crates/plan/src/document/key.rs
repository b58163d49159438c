//! Keys of callers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// It works only for callers on this machine.
    #[serde(default)]
    pub loopback_only: bool,
}

fn default_tenant() -> String {
    "default".to_owned()
}

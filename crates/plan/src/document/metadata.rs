//! What callers tell about their calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What callers tell about their calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataEntry {
    /// Data classes that may be told, least sensitive first. Default:
    /// `public`, `internal`, `confidential`, `restricted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_classes: Option<Vec<String>>,
    /// The version of the contract for calls that name none.
    pub contract: ContractEntry,
}

/// The version of the contract for calls that name none. Keys may have one
/// of their own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractEntry {
    /// Its date, such as `2026-06-01`. Default: the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Another version for a share of the apps. To take it back, take it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutEntry>,
}

/// A version for a share of the apps: the same app always gets the same one,
/// and a larger share only adds apps.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutEntry {
    /// Its date.
    pub version: String,
    /// The share, 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub percent: u8,
}

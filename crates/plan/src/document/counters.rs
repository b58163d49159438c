//! Where limits and budgets are counted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Millis, SecretText};

/// Where limits and budgets are counted: in this process, or together with
/// other replicas.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CountersEntry {
    /// `local`: each process counts for itself. `valkey`: the replicas of a
    /// group count together, in a Valkey or Redis server.
    pub backend: CountersBackend,
    /// Address of the server: `redis://`, `rediss://` (TLS) or `unix://`.
    /// Preferably as `${env:NAME}` or `${file:path}` where it holds a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretText>,
    /// Replicas of one group share their counters: up to 64 letters, digits,
    /// `-`, `_` and `.`.
    pub group: String,
    /// Longest wait of a call for the server.
    pub deadline: Millis,
    /// How long a replica admits calls within its shares without a word of the
    /// server. The same for all replicas of a group.
    pub lease: Millis,
    /// What becomes of calls that do not fit into the shares while the server
    /// cannot be asked.
    pub on_unavailable: CountersUnavailable,
    /// With `open`: so many percent of each limit may be taken by each replica
    /// beyond its shares.
    #[schemars(range(min = 1, max = 100))]
    pub allowance_percent: u8,
}

impl Default for CountersEntry {
    fn default() -> Self {
        Self {
            backend: CountersBackend::default(),
            url: None,
            group: "default".to_owned(),
            deadline: Millis(50),
            lease: Millis(10_000),
            on_unavailable: CountersUnavailable::default(),
            allowance_percent: 5,
        }
    }
}

/// Where counters live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountersBackend {
    /// In this process.
    #[default]
    Local,
    /// In a Valkey or Redis server.
    Valkey,
}

/// What happens without the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountersUnavailable {
    /// They are refused with 503.
    #[default]
    Closed,
    /// They are let in up to the allowance, which is told when the server is
    /// back.
    Open,
}

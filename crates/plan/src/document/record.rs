//! Records and log lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The record of every exchange: an append-only log on disk.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceEntry {
    /// Folder of the records. Default: `journal` in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// How safe a record is before its exchange counts as done.
    pub durability: Durability,
    /// Longest time a record waits for company before it is written,
    /// milliseconds. What a killed process may lose with `batch`.
    #[schemars(range(min = 1, max = 10_000))]
    pub flush_ms: u64,
    /// Keep a SQLite index for `tollgate logs`. It may lag and can be rebuilt.
    pub index: bool,
}

impl Default for EvidenceEntry {
    fn default() -> Self {
        Self {
            dir: None,
            durability: Durability::default(),
            flush_ms: 5,
            index: true,
        }
    }
}

/// How safe a record is before its exchange counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Written together with others within `flush_ms`.
    #[default]
    Batch,
    /// Written: survives the death of the process.
    Written,
    /// Synced to disk: survives a power cut.
    Synced,
}

/// Lines on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogEntry {
    /// Which exchanges get a line of JSON.
    pub requests: Requests,
    /// With `sampled`: one exchange in so many.
    #[schemars(range(min = 1))]
    pub sample: u64,
}

impl Default for LogEntry {
    fn default() -> Self {
        Self {
            requests: Requests::default(),
            sample: 100,
        }
    }
}

/// Which exchanges get a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Requests {
    /// None.
    #[default]
    Off,
    /// One in `sample`.
    Sampled,
    /// All.
    Full,
}

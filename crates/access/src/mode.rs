//! How much a rule does about what it finds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Mode of a rule or of a layer; a layer's mode is the most that its rules do.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is not evaluated.
    Off,
    /// What it would deny is written to the record and counted; the call goes
    /// on unchanged.
    Shadow,
    /// As `shadow`, and the answer carries a `tollgate-warn` header.
    Warn,
    /// What it denies is refused.
    #[default]
    Enforce,
}

impl Mode {
    /// The name in documents, records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

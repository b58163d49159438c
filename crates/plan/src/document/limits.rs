//! Bounds of requests and connections, translation, and the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Bytes, Millis};
use crate::plan::{LossPolicy, Settings};

/// Bounds of requests and connections.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body.
    pub body_bytes: Bytes,
    /// Largest request body of single operations, where it differs.
    pub body_bytes_by_operation: OperationBytes,
    /// Largest answer of a provider that is not a stream.
    pub answer_bytes: Bytes,
    /// Most open connections of callers.
    #[schemars(range(min = 1))]
    pub connections: u32,
    /// Most requests at once on one HTTP/2 connection.
    #[schemars(range(min = 1))]
    pub streams: u32,
    /// Largest request line and headers together.
    pub head_bytes: Bytes,
    /// Most header lines.
    #[schemars(range(min = 1, max = 1024))]
    pub headers: u32,
    /// Longest request target.
    pub target_bytes: Bytes,
    /// Longest time for the head of a request to arrive.
    pub head_timeout: Millis,
    /// Longest pause between two requests of a connection.
    pub idle_timeout: Millis,
    /// Longest time in which a caller takes nothing of an answer.
    pub write_stall_timeout: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            body_bytes: Bytes(settings.body_bytes_max as u64),
            body_bytes_by_operation: OperationBytes::default(),
            answer_bytes: Bytes(settings.answer_bytes_max as u64),
            connections: 16_384,
            streams: 128,
            head_bytes: Bytes(64 << 10),
            headers: 100,
            target_bytes: Bytes(8 << 10),
            head_timeout: Millis(15_000),
            idle_timeout: Millis(75_000),
            write_stall_timeout: Millis(300_000),
        }
    }
}

/// Sizes by operation.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OperationBytes {
    /// Generating an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<Bytes>,
    /// Counting tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_tokens: Option<Bytes>,
    /// Turning texts into vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<Bytes>,
}

/// What becomes of requests that the target cannot carry whole.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Translation {
    /// A translation that loses something.
    pub losses: Losses,
    /// What a model or dialect cannot take: parameters, parts, tools.
    pub unsupported: OnUnsupported,
}

/// What becomes of a translation that loses something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Losses {
    /// It is done, and named in the header `tollgate-loss` and in the record.
    #[default]
    Declare,
    /// The request is refused.
    Refuse,
}

impl From<Losses> for LossPolicy {
    fn from(losses: Losses) -> Self {
        match losses {
            Losses::Declare => Self::Declare,
            Losses::Refuse => Self::Refuse,
        }
    }
}

/// What becomes of parameters that a model or dialect cannot take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnsupported {
    /// They are left out, which counts as a loss.
    #[default]
    Drop,
    /// The request is refused.
    Refuse,
}

impl From<OnUnsupported> for dialects::Unsupported {
    fn from(unsupported: OnUnsupported) -> Self {
        match unsupported {
            OnUnsupported::Drop => Self::Drop,
            OnUnsupported::Refuse => Self::Refuse,
        }
    }
}

/// How the gateway ends after SIGTERM: it says that it is not ready, then
/// closes its sockets, then waits for open exchanges.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// How long it still accepts while `/readyz` says no, so that load
    /// balancers take notice.
    pub unready_before: Millis,
    /// Longest wait for open exchanges.
    pub max: Millis,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            unready_before: Millis(0),
            max: Millis(30_000),
        }
    }
}

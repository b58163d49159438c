//! Calls that may be repeated under an idempotency key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Bytes, Millis};
use crate::idempotency::Idempotency;

/// Calls with the header `idempotency-key`: a repeat is not a second call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdempotencyEntry {
    /// Keep the promise. Without it the header is told as a loss.
    pub enabled: bool,
    /// What is kept of an answer.
    pub retain: Retain,
    /// What becomes of the repeat of a call whose outcome nobody knows.
    pub on_unknown: OnUnknown,
    /// How long a key is kept after its call has ended.
    pub ttl: Millis,
    /// Longest wait of a repeat for the first call, if that still runs.
    pub wait: Millis,
    /// With `retain: full`: largest answer that is kept. Of a larger one only
    /// the outcome is.
    pub body_bytes: Bytes,
    /// With `retain: full`: most bytes of all answers that are kept. Beyond it
    /// only outcomes are.
    pub total_bytes: Bytes,
    /// Most keys that are kept. Beyond it calls with a new key are refused.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub keys_max: u32,
    /// The same for the keys of one tenant. Default: `keys_max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub tenant_keys_max: Option<u32>,
}

impl Default for IdempotencyEntry {
    fn default() -> Self {
        let defaults = Idempotency::default();
        Self {
            enabled: defaults.enabled,
            retain: Retain::default(),
            on_unknown: OnUnknown::default(),
            ttl: Millis(defaults.ttl_us / 1_000),
            wait: Millis(defaults.wait_ms),
            body_bytes: Bytes(defaults.body_bytes as u64),
            total_bytes: Bytes(defaults.total_bytes),
            keys_max: 100_000,
            tenant_keys_max: None,
        }
    }
}

/// What is kept of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retain {
    /// Its outcome alone: a late repeat is a 422, never a second call.
    #[default]
    None,
    /// All of it, which is content, in a file that only the gateway's user
    /// reads: a late repeat gets it again.
    Full,
}

/// What becomes of the repeat of a call whose outcome nobody knows, because
/// the gateway, the provider or the caller was cut off in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It is a 422: the first call may have been carried out and billed.
    #[default]
    Refuse,
    /// It runs again, which may be a second call.
    Run,
}

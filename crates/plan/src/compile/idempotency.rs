//! Calls that may be repeated.

use super::Findings;
use crate::document::{IdempotencyEntry, OnUnknown, Retain};
use crate::idempotency::Idempotency;

/// Longest time that keys are kept, milliseconds.
const TTL_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Shortest: below it a repeat that an SDK backs off with would come too late.
const TTL_MS_MIN: u64 = 1_000;
/// Longest wait, milliseconds.
const WAIT_MS_MAX: u64 = 10 * 60 * 1_000;
/// Largest answer that is kept, bytes: it is held in memory until it is
/// written.
const BODY_BYTES_MAX: u64 = 32 << 20;

pub(super) fn compile(entry: &IdempotencyEntry, findings: &mut Findings) -> Idempotency {
    if !(TTL_MS_MIN..=TTL_MS_MAX).contains(&entry.ttl.0) {
        findings.error(
            "idempotency.ttl",
            "keys cannot be kept for this long",
            "write a time from `1s` to `30d`",
        );
    }
    if entry.wait.0 > WAIT_MS_MAX {
        findings.error(
            "idempotency.wait",
            "this is longer than callers wait",
            "write a time from `0s` (a repeat is told at once) to `10m`",
        );
    }
    if entry.body_bytes.0 == 0 || entry.body_bytes.0 > BODY_BYTES_MAX {
        findings.error(
            "idempotency.body_bytes",
            "this size cannot work",
            "write a size from 1 to `32MiB`; `retain: none` keeps no answers",
        );
    }
    if entry.total_bytes.0 < entry.body_bytes.0 {
        findings.error(
            "idempotency.total_bytes",
            "not even one answer of `body_bytes` would fit",
            "write at least the size of `body_bytes`",
        );
    }
    let keys = entry.tenant_keys_max.unwrap_or(entry.keys_max);
    if keys > entry.keys_max {
        findings.error(
            "idempotency.tenant_keys_max",
            "one tenant cannot keep more keys than all",
            "write at most `keys_max`",
        );
    }
    Idempotency {
        enabled: entry.enabled,
        retains: match entry.retain {
            Retain::None => false,
            Retain::Full => true,
        },
        runs_unknown: match entry.on_unknown {
            OnUnknown::Refuse => false,
            OnUnknown::Run => true,
        },
        ttl_us: entry.ttl.0.saturating_mul(1_000),
        wait_ms: entry.wait.0,
        body_bytes: entry.body_bytes.as_usize(),
        total_bytes: entry.total_bytes.0,
        keys_max: entry.keys_max.into(),
        tenant_keys_max: keys.into(),
    }
}

//! What a plan says of calls that may be repeated.

/// Calls with the header `idempotency-key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The promise is kept.
    pub enabled: bool,
    /// Answers are kept, not their outcome alone.
    pub retains: bool,
    /// A call whose outcome nobody knows may be run again.
    pub runs_unknown: bool,
    /// How long a key is kept after its call has ended, microseconds.
    pub ttl_us: u64,
    /// Longest wait of a repeat for the first call, milliseconds.
    pub wait_ms: u64,
    /// Largest answer that is kept, bytes.
    pub body_bytes: usize,
    /// Most bytes of all answers that are kept.
    pub total_bytes: u64,
    /// Most keys that are kept.
    pub keys_max: u64,
    /// Most keys of one tenant.
    pub tenant_keys_max: u64,
}

impl Default for Idempotency {
    /// A day, as the field has it.
    fn default() -> Self {
        Self {
            enabled: true,
            retains: false,
            runs_unknown: false,
            ttl_us: 24 * 60 * 60 * 1_000_000,
            wait_ms: 60_000,
            body_bytes: 1024 * 1024,
            total_bytes: 256 * 1024 * 1024,
            keys_max: 100_000,
            tenant_keys_max: 100_000,
        }
    }
}

//! Settings of a segment log, each with its unit and its default.
//!
//! Deliberately not here: what they do (`desk`, `writer`).

/// When a [`crate::Ticket`] is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// At once; entries are written every `flush_ms`.
    #[default]
    Batch,
    /// After `write(2)`: survives the death of the process.
    Written,
    /// After `fdatasync(2)`: survives a power cut.
    Synced,
}

/// Settings of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Id of this node, for the headers of a new log. An existing log keeps
    /// its own.
    pub node: [u8; 16],
    /// When tickets are ready.
    pub durability: Durability,
    /// Longest time an entry waits for company before it is written.
    pub flush_ms: u64,
    /// Queued bytes that end that wait.
    pub flush_bytes: usize,
    /// Longest time between syncs while there is traffic; 0 never syncs
    /// before the close. The bound on what a power cut may take.
    pub sync_ms: u64,
    /// How long the writer looks for traffic by itself before it parks.
    pub linger_ms: u64,
    /// Most exchanges under way plus entries not yet written.
    pub slots_max: u64,
    /// Most bytes queued; admission is refused above it.
    pub queue_bytes_max: u64,
    /// Size at which a new segment is begun.
    pub segment_bytes: u64,
    /// Age at which a new segment is begun.
    pub segment_age_ms: u64,
    /// First and longest wait before a failed write is tried again.
    pub retry_ms: (u64, u64),
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            node: [0; 16],
            durability: Durability::Batch,
            flush_ms: 5,
            flush_bytes: 256 * 1024,
            sync_ms: 1_000,
            linger_ms: 500,
            slots_max: 65_536,
            queue_bytes_max: 64 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            segment_age_ms: 24 * 60 * 60 * 1_000,
            retry_ms: (50, 5_000),
        }
    }
}

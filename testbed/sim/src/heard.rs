//! What a caller heard of its exchange.
//!
//! Deliberately not here: how it came to hear it (`caller`).

use http::HeaderMap;

/// What a caller heard.
#[derive(Default)]
pub(crate) struct Heard {
    /// When its request arrived, microseconds since the start of the run.
    pub(crate) opened_us: u64,
    pub(crate) status: Option<u16>,
    pub(crate) headers: HeaderMap,
    pub(crate) streamed: bool,
    pub(crate) body: Vec<u8>,
    /// The body came to its end.
    pub(crate) finished: bool,
    pub(crate) cut: bool,
    /// It left, when so many calls had been sent for it.
    pub(crate) left: Option<usize>,
    /// Its record was written when it left.
    pub(crate) recorded_before: bool,
}

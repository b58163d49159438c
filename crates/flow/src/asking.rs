//! A request on its way to candidates.

use contract::Request;
use dialects::Survey;
use dialects::json::Doc;

/// A request on its way to candidates: its body, and its canonical form once
/// somebody needed it.
pub(crate) struct Asking<'a> {
    pub(crate) doc: &'a Doc,
    pub(crate) survey: Survey<'a>,
    pub(crate) canonical: Option<Request>,
    /// What a closer count of the input came to, and what it goes by.
    pub(crate) closer: Option<(u64, u64)>,
}

//! Models of one vendor among many: they take that vendor's own fields
//! (`thinking`, `top_k`) among the additional ones.

use super::content_write::BlockWriter;

impl BlockWriter<'_> {
    /// Whether a model takes `thinking` and `top_k`. Told by its id, as the
    /// vendor documents it: `anthropic.claude-..`, with a region or the rest
    /// of an ARN before it.
    pub(super) fn takes_thinking(&self, model: &str) -> bool {
        model.contains("anthropic") || model.contains("claude")
    }
}

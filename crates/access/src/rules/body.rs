//! The body of a call, for rules that look into it: a body that nobody looked
//! into is not an empty one.

use contract::Operation;

use crate::facts::{Content, Facts};
use crate::rule::Finding;

/// What a rule may look at.
pub(super) enum Body<'a> {
    /// The call has no body.
    None,
    /// What the body holds.
    Seen(&'a Content),
    /// The call has a body, and nobody looked.
    Unknown,
}

/// The body of a call.
pub(super) fn of<'a>(facts: &Facts<'a>) -> Body<'a> {
    match (facts.content, facts.operation) {
        (Some(content), _) => Body::Seen(content),
        (None, Operation::ListModels | Operation::GetModel) => Body::None,
        (None, Operation::Chat | Operation::CountTokens | Operation::Embed) => Body::Unknown,
    }
}

/// What is found where nobody looked.
pub(super) fn unknown() -> Finding {
    Finding::breach(
        "content_unknown",
        "The content of this call could not be looked into, and a rule needs it.",
    )
}

/// Whether a call sends something to a model, rather than asking what there
/// is.
pub(super) fn sends(operation: Operation) -> bool {
    match operation {
        Operation::Chat | Operation::CountTokens | Operation::Embed => true,
        Operation::ListModels | Operation::GetModel => false,
    }
}

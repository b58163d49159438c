//! Wire formats, both directions, one folder each, and what they share: the
//! JSON scan, framing, splicing, folding.
//!
//! N dialects, not N x M: translation is `read` of one, then `write` of
//! another, through the canonical types of `contract`. Deliberately not
//! here: addresses, credentials and quirks of vendors (`providers`), and any
//! decision.

mod anthropic;
mod bedrock;
mod busy;
pub mod carry;
mod closed;
pub mod dialect;
mod figures;
pub mod fold;
pub mod framing;
mod gemini;
pub mod json;
mod loss;
mod nested;
mod openai;
mod openai_chat;
mod openai_responses;
mod percent;
mod sampling;
pub mod splice;
mod stand_in;
mod tally;
mod thinking;
mod tool_id;

pub use loss::is_cosmetic;

pub use dialect::{
    Asked, Call, Destination, Dialect, FaultBody, Fit, GATEWAY_FIELD, Head, Keep, ModelEntry,
    Quirks, Route, Seen, StreamEnder, StreamReader, StreamWatcher, StreamWriter, Survey, Tally,
    Target, Unsupported, Written,
};

/// Every dialect, in the order in which they are asked whether a path is
/// theirs: those that need a header to claim a shared path come first.
pub static DIALECTS: &[&dyn Dialect] = &[
    &anthropic::DIALECT,
    &gemini::DIALECT,
    &bedrock::DIALECT,
    &openai_responses::DIALECT,
    &openai_chat::DIALECT,
];

/// The dialect of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Dialect> {
    DIALECTS
        .iter()
        .copied()
        .find(|dialect| dialect.id().0 == name)
}

/// The dialect whose path this is, and the route.
pub fn route(head: &Head<'_>) -> Option<(&'static dyn Dialect, Route)> {
    DIALECTS
        .iter()
        .copied()
        .find_map(|dialect| Some((dialect, dialect.route(head)?)))
}

/// The dialect in which a request is answered whose path nobody serves: the
/// one whose credential header it carries, else the last in the list.
pub fn likely(head: &Head<'_>) -> &'static dyn Dialect {
    let named = DIALECTS
        .iter()
        .copied()
        .find(|dialect| dialect.claims(head));
    named.unwrap_or_else(|| *DIALECTS.last().expect("the list is not empty"))
}

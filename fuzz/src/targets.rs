//! The list of targets.

mod calls;
mod dialect_answers;
mod dialect_errors;
mod dialect_requests;
mod dialect_streams;
mod document;
mod edge;
mod event_stream;
mod h1_answer;
mod integer_text;
mod json;
mod splice;
mod sse;

/// A target and its name, which is also the name of its folder in `corpus/`.
pub struct Target {
    /// Lower case with underscores.
    pub name: &'static str,
    /// Panics when the input shows a broken promise.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("dialect_answers", dialect_answers::run),
    target("dialect_errors", dialect_errors::run),
    target("dialect_requests", dialect_requests::run),
    target("dialect_streams", dialect_streams::run),
    target("document", document::run),
    target("edge", edge::run),
    target("event_stream", event_stream::run),
    target("h1_answer", h1_answer::run),
    target("integer_text", integer_text::run),
    target("json", json::run),
    target("splice", splice::run),
    target("sse", sse::run),
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

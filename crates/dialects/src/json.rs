//! JSON on the path: one strict scan into a tape of spans, views over it, and
//! a writer. Written by hand because a body is scanned once, long strings are
//! skipped at `memchr` speed, spans are needed for splicing, and what
//! `serde_json` lets through (lone surrogates, duplicate keys, 100,000-deep
//! nesting) must be refused before anything is forwarded.
//!
//! Deliberately not here: serde. Differential tests and fuzzing compare the
//! scan with `serde_json`.

mod familiar;
mod scan;
mod unescape;
mod view;
mod write;

pub(crate) use familiar::Familiar;
pub use scan::{Flaw, FlawKind, Rules, Tape};
pub(crate) use view::broken;
pub use view::{Doc, Json, Kind, Member, blame_provider};
pub use write::{ArrayWriter, ObjectWriter, array, object, push_string, string};

#[cfg(test)]
mod tests;

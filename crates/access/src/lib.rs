//! Who is calling, and what they may do.
//!
//! Pure: a presented credential is compared with a ring of digests that was
//! made from the configuration; a call is held to rules that were compiled
//! from it. Deliberately not here: where keys are stored, how connections are
//! made, and the clock.

mod consumer;
mod credential;
mod facts;
mod keys;
pub mod metadata;
mod mode;
pub mod policy;
mod rule;
mod rules;

pub use consumer::{Asserts, Consumer};
pub use credential::present;
pub use facts::{Content, Facts, Given, Place, ToolFact};
pub use keys::KeyRing;
pub use metadata::Metadata;
pub use mode::Mode;
pub use rule::{Breach, Finding, Kind, Rule, Streams, Wrong};
pub use rules::{RULES, rule_kind};

#[cfg(test)]
mod tests;

//! Who is calling, and what they may do.
//!
//! Pure: a presented credential is compared with a ring of digests that was
//! made from the configuration; a call is held to rules that were compiled
//! from it. Deliberately not here: where keys are stored, how connections are
//! made, and the clock.

pub mod addresses;
pub mod approval;
pub mod certificate;
mod consumer;
mod credential;
mod facts;
pub mod identity;
pub mod jwt;
mod keys;
pub mod metadata;
mod mode;
pub mod observe;
pub mod policy;
mod rule;
mod rules;
pub mod told;

pub use consumer::{Asserts, Consumer};
pub use credential::present;
pub use facts::{Content, Facts, Given, Place, ToolFact};
pub use keys::{
    ID_BYTES, Identified, KEY_PREFIX, KeyLife, KeyRing, LiveKey, LiveKeys, SECRET_BYTES, Shown,
    key_id, revoked, secret_text,
};
pub use metadata::Metadata;
pub use mode::Mode;
pub use rule::{Breach, Finding, Kind, Rule, Streams, Wrong};
pub use rules::{RULES, rule_kind};

#[cfg(test)]
mod tests;

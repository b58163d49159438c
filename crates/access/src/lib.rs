//! Who is calling, and what they may do.
//!
//! Pure: a presented credential is compared with a ring of digests that was
//! made from the configuration. Deliberately not here: where keys are stored
//! and how connections are made.

mod credential;
mod keys;

pub use credential::present;
pub use keys::{Consumer, KeyRing};

#[cfg(test)]
mod tests;

//! Where the configuration comes from, and how it changes while the gateway
//! runs.
//!
//! Deliberately not here: what a document means, which is `plan`'s, and what
//! is done with a new plan, which is the assembly's.

mod commands;
mod engines;
mod keys;
mod loader;
mod place;
mod sources;
mod watch;

pub(crate) use commands::run as run_command;
pub(crate) use loader::plan_of;
pub(crate) use loader::{First, Loaded, Loader, Origin, Overrides, locate};
pub(crate) use place::{Place, database, place};
pub(crate) use watch::{Outcome, watch};

#[cfg(test)]
mod tests;

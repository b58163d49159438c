//! From the model that a caller names to the candidates that can serve it.
//!
//! Pure. Deliberately not here: health and breakers of running candidates,
//! which arrive with the failover work, and anything that calls an upstream.

mod models;

pub use models::{Candidate, Known, ModelTable};

#[cfg(test)]
mod tests;

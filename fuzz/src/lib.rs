//! Fuzz targets: plain functions that take bytes nobody trusts and panic when a promise is broken.
//!
//! The same list feeds two drivers: `sweep` (seeded mutations, part of the tests) and `explore`
//! (libFuzzer, guided by coverage). A new target is one file in `targets/`, its two lines in
//! `targets.rs`, and a folder of seeds in `corpus/<name>/`. An input that once broke a reader stays
//! there under the name of the bug. Not here: what a reader should accept, which its own tests say.

pub mod mutation;
pub mod targets;

//! Vendors: where they are, how they want to be authorised, how their
//! refusals are to be understood.
//!
//! A vendor with its own authentication is one file and one line in
//! `PROVIDERS`; a vendor that speaks a known protocol with a bearer key is
//! an entry in `catalog/*.toml`. Deliberately not here: wire formats
//! (`dialects`) and IO (`transport`).

mod account;
mod anthropic;
mod aws_chain;
mod aws_profile;
mod aws_sources;
mod azure;
mod bearer;
mod bedrock;
mod catalog;
mod classify;
mod gemini;
mod kind;
mod lending;
mod openai;
mod refresh;
mod sandbox;
mod signing;
mod sigv4;

pub use account::{Account, KeyHeader};
pub use classify::{Refusal, classify, retry_after_ms};
pub use kind::{Kind, LocalModel, Provider};
pub use lending::{Heard, Lender, Lent, Loan, Loans, Program, Readings, SigningKeys, Step};
pub use refresh::{MARGIN_MS, RETRY_MS_FIRST, RETRY_MS_MAX, Upkeep, WAIT_MS_MIN};
pub use signing::{Around, Found, FoundKeys, Signing, Whence, Wrong};

use std::sync::LazyLock;

/// Vendors with their own file.
static PROVIDERS: &[&Kind] = &[
    &openai::KIND,
    &anthropic::KIND,
    &gemini::KIND,
    &azure::KIND,
    &bedrock::KIND,
    &sandbox::KIND,
];

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    PROVIDERS
        .iter()
        .map(|kind| **kind)
        .chain(catalog::kinds())
        .collect()
});

/// Every kind of provider: those with a file, then the catalog.
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests;

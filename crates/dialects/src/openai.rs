//! What the two OpenAI wire formats share: errors, lists of models, media as
//! data URLs, log probabilities, what is billed beside tokens, and the book of
//! losses.
//!
//! Deliberately not here: requests, answers and streams, which differ.

pub(crate) mod beside;
pub(crate) mod fault;
pub(crate) mod grammar;
pub(crate) mod logprobs;
pub(crate) mod media;
pub(crate) mod models;
pub(crate) mod strict;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;

use contract::chat::Signature;
use contract::text::Extras;
use contract::{DialectId, Fault, Loss};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::Unsupported;
use crate::loss::{in_words_of, settle};

/// Top-level fields that both formats know under one name: they cross from
/// one to the other although the canonical form has no place for them.
pub(crate) const COMMON_EXTRAS: &[&str] = &[
    "safety_identifier",
    "prompt_cache_options",
    "prompt_cache_retention",
    "moderation",
];

pub(crate) use crate::dialect::GATEWAY_FIELD;

/// Headers that choose the organisation and the project of a key.
pub(crate) static ACCOUNT_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
];

/// Puts the vendor's request-id header on an answer.
pub(crate) fn dress(request_id: &HeaderValue, headers: &mut HeaderMap) {
    headers.insert(HeaderName::from_static("x-request-id"), request_id.clone());
}

/// Whether a signature is one of another dialect.
pub(crate) fn is_foreign(signature: Option<&Signature>, own: DialectId) -> bool {
    signature.is_some_and(|signature| signature.dialect != own)
}

/// Whether a dialect is one of the two that share [`COMMON_EXTRAS`].
pub(crate) fn is_sibling(dialect: DialectId) -> bool {
    matches!(dialect.0, "openai_chat" | "openai_responses")
}

/// The vendor's word for the tier an answer was served in; `None` for tiers
/// that only other vendors have.
pub(crate) fn tier_word(tier: &str) -> Option<&str> {
    match tier {
        "standard" | "standard_only" | "on_demand" => Some("default"),
        "auto" | "default" | "flex" | "scale" | "priority" | "fast" => Some(tier),
        _ => None,
    }
}

/// What could not be carried; each thing is named once.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    caller: Option<DialectId>,
    list: Vec<Loss>,
}

impl Losses {
    /// No loss yet; they are named in the words of the dialect that the
    /// caller speaks.
    pub(crate) fn told_to(caller: DialectId) -> Self {
        Self {
            caller: Some(caller),
            list: Vec::new(),
        }
    }

    /// Notes a loss.
    pub(crate) fn add(
        &mut self,
        what: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) {
        let loss = Loss::new(in_words_of(self.caller, what.into()), why);
        if !self.list.iter().any(|known| known.what == loss.what) {
            self.list.push(loss);
        }
    }

    /// Notes fields that only their own dialect understands.
    pub(crate) fn add_extras(&mut self, extras: &Extras) {
        for (key, _) in &extras.fields {
            self.add(key.clone(), "the target's format has no such field");
        }
    }

    /// The losses of an answer, which are always declared.
    pub(crate) fn into_vec(self) -> Vec<Loss> {
        self.list
    }

    /// The losses so far.
    pub(crate) fn as_slice(&self) -> &[Loss] {
        &self.list
    }

    /// The losses of a request, or its refusal: see [`settle`].
    pub(crate) fn settled(self, unsupported: Unsupported) -> Result<Vec<Loss>, Fault> {
        settle(self.list, unsupported)
    }
}

//! Anthropic. Authentication changed with version 2026-10-21: the key goes as
//! a bearer token there, and as `x-api-key` on 2023-06-01.

use contract::Fault;
use contract::seams::Outbound;
use http::HeaderName;
use http::header::AUTHORIZATION;

use crate::account::Account;
use crate::classify::{Refusal, classify, dead_key};
use crate::kind::{Kind, Provider};
use crate::lending::Readings;

/// Anthropic.
pub(crate) static KIND: Kind = Kind {
    base_url: Some("https://api.anthropic.com"),
    key_env: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"],
    url_env: Some("ANTHROPIC_BASE_URL"),
    dialects: &["anthropic"],
    serves: &["claude-*"],
    ..Kind::new("anthropic", "Anthropic's own API.", &Anthropic)
};

const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The last version that takes the key as `x-api-key`.
const LAST_API_KEY_VERSION: &str = "2023-06-01";

struct Anthropic;

impl Provider for Anthropic {
    fn authorize(
        &self,
        account: &Account,
        outbound: &mut Outbound,
        _: Readings<'_>,
    ) -> Result<(), Fault> {
        let newer = outbound
            .headers
            .get(VERSION)
            .is_some_and(|version| version.as_bytes() > LAST_API_KEY_VERSION.as_bytes());
        if newer {
            outbound
                .headers
                .insert(AUTHORIZATION, account.header("Bearer ")?);
        } else {
            outbound.headers.insert(API_KEY, account.header("")?);
        }
        Ok(())
    }

    /// A 400 about the credit balance is the account's fault, not the caller's.
    fn classify(&self, refusal: Refusal) -> Fault {
        if refusal.error.status == 400
            && refusal
                .error
                .message
                .starts_with("Your credit balance is too low")
        {
            return dead_key().because(refusal.error.message);
        }
        classify(refusal)
    }
}

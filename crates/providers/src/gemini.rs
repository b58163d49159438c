//! Google Gemini (the developer API).

use contract::Fault;
use contract::seams::Outbound;
use http::HeaderName;

use crate::account::Account;
use crate::classify::{Refusal, classify, dead_key};
use crate::kind::{Kind, Provider};
use crate::lending::Readings;

/// Google Gemini.
pub(crate) static KIND: Kind = Kind {
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    url_env: Some("GOOGLE_GEMINI_BASE_URL"),
    url_suffix: "/v1beta",
    dialects: &["gemini"],
    serves: &[
        "gemini-*",
        "gemma-*",
        "text-embedding-00*",
        "gemini-embedding-*",
    ],
    ..Kind::new("gemini", "Google's Gemini developer API.", &Gemini)
};

const API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

struct Gemini;

impl Provider for Gemini {
    fn authorize(
        &self,
        account: &Account,
        outbound: &mut Outbound,
        _: Readings<'_>,
    ) -> Result<(), Fault> {
        outbound.headers.insert(API_KEY, account.header("")?);
        Ok(())
    }

    /// A wrong key comes as a 400 `INVALID_ARGUMENT` that says so.
    fn classify(&self, refusal: Refusal) -> Fault {
        if refusal.error.status == 400 && refusal.error.message.contains("API key") {
            return dead_key().because(refusal.error.message);
        }
        classify(refusal)
    }
}

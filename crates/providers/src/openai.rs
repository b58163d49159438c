//! OpenAI. Errors: platform.openai.com/docs/guides/error-codes.

use contract::Fault;
use contract::seams::Outbound;

use crate::account::Account;
use crate::bearer::Bearer;
use crate::classify::{Refusal, classify, dead_key};
use crate::kind::{Kind, Provider};
use crate::lending::Readings;

/// OpenAI.
pub(crate) static KIND: Kind = Kind {
    base_url: Some("https://api.openai.com/v1"),
    key_env: &["OPENAI_API_KEY"],
    url_env: Some("OPENAI_BASE_URL"),
    dialects: &["openai_responses", "openai_chat"],
    serves: &[
        "gpt-*",
        "o1*",
        "o3*",
        "o4*",
        "chatgpt-*",
        "text-embedding-*",
        "codex-*",
    ],
    ..Kind::new("openai", "OpenAI's own API.", &OpenAi)
};

struct OpenAi;

impl Provider for OpenAi {
    fn authorize(
        &self,
        account: &Account,
        outbound: &mut Outbound,
        readings: Readings<'_>,
    ) -> Result<(), Fault> {
        Bearer.authorize(account, outbound, readings)
    }

    /// A 429 with `insufficient_quota` is an account without money, not a
    /// busy provider: waiting does not help, another account may.
    fn classify(&self, refusal: Refusal) -> Fault {
        if refusal.error.status == 429
            && refusal.error.code.as_deref() == Some("insufficient_quota")
        {
            return dead_key().because(refusal.error.message);
        }
        classify(refusal)
    }
}

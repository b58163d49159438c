//! Azure OpenAI by its `/openai/v1` surface, where the model is the name of
//! the deployment.

use contract::Fault;
use contract::seams::Outbound;
use http::HeaderName;

use crate::account::Account;
use crate::kind::{Kind, Provider};
use crate::lending::Readings;

/// Azure OpenAI.
pub(crate) static KIND: Kind = Kind {
    key_env: &["AZURE_OPENAI_API_KEY"],
    url_env: Some("AZURE_OPENAI_ENDPOINT"),
    url_suffix: "/openai/v1",
    dialects: &["openai_responses", "openai_chat"],
    serves: &["gpt-*", "o1*", "o3*", "o4*", "text-embedding-*"],
    ..Kind::new(
        "azure",
        "Azure OpenAI: the `/openai/v1` surface of a resource.",
        &Azure,
    )
};

const API_KEY: HeaderName = HeaderName::from_static("api-key");

struct Azure;

impl Provider for Azure {
    fn authorize(
        &self,
        account: &Account,
        outbound: &mut Outbound,
        _: Readings<'_>,
    ) -> Result<(), Fault> {
        outbound.headers.insert(API_KEY, account.header("")?);
        Ok(())
    }
}

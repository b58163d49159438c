//! AWS Bedrock: a bearer key, or requests signed by Signature Version 4.

use contract::Fault;
use contract::seams::Outbound;
use http::header::AUTHORIZATION;

use crate::account::Account;
use crate::aws_chain;
use crate::kind::{Kind, Provider};
use crate::lending::Readings;
use crate::sigv4;

/// AWS Bedrock.
pub(crate) static KIND: Kind = Kind {
    base_url: Some("https://bedrock-runtime.{region}.amazonaws.com"),
    key_env: &["AWS_BEARER_TOKEN_BEDROCK"],
    url_env: Some("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
    dialects: &["bedrock"],
    serves: &[
        "anthropic.*",
        "amazon.*",
        "meta.*",
        "mistral.*",
        "cohere.*",
        "us.*",
        "eu.*",
        "arn:aws:bedrock:*",
    ],
    signing: Some(&aws_chain::SIGNING),
    ..Kind::new(
        "bedrock",
        "AWS Bedrock: Converse and ConverseStream.",
        &Bedrock,
    )
};

const SERVICE: &str = "bedrock";

struct Bedrock;

impl Provider for Bedrock {
    fn authorize(
        &self,
        account: &Account,
        outbound: &mut Outbound,
        readings: Readings<'_>,
    ) -> Result<(), Fault> {
        if account.key.is_some() {
            outbound
                .headers
                .insert(AUTHORIZATION, account.header("Bearer ")?);
            return Ok(());
        }
        let keys = account.signing_keys(readings)?;
        let region = account.region.as_deref().unwrap_or("us-east-1");
        sigv4::sign(keys, region, SERVICE, outbound, readings.unix_us)
    }
}

//! A credential at a vendor.

use contract::{Fault, FaultKind, Origin, Secret};
use http::HeaderValue;

/// One account at a vendor.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The key or token.
    pub key: Option<Secret<String>>,
    /// Keys for signed requests, where the vendor signs.
    pub signing: Option<SigningKeys>,
    /// Region, where the vendor has them.
    pub region: Option<String>,
}

/// Keys for signed requests.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: Secret<String>,
    /// Session token of temporary keys.
    pub session_token: Option<Secret<String>>,
}

impl Account {
    /// The key as a header value behind `prefix`, marked sensitive.
    ///
    /// # Errors
    /// `UpstreamBroken` if there is no key or it cannot stand in a header.
    pub(crate) fn header(&self, prefix: &str) -> Result<HeaderValue, Fault> {
        let key = self.key.as_ref().ok_or_else(no_credential)?;
        let mut value = HeaderValue::try_from(format!("{prefix}{}", key.expose()))
            .map_err(|_| no_credential())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The fault of an account without a usable credential.
pub(crate) fn no_credential() -> Fault {
    Fault::new(
        FaultKind::UpstreamBroken,
        Origin::Gateway,
        "The gateway has no usable credential for this provider. Tell the people who run it.",
    )
    .because("the provider has no key, or the key holds characters that a header cannot carry")
}

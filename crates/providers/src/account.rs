//! A credential at a vendor.

use std::sync::{Arc, OnceLock};

use contract::{Fault, FaultKind, Origin, Secret};
use http::HeaderValue;

use crate::lending::{Lender, Readings, SigningKeys};

/// One account at a vendor.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The key or token.
    pub key: Option<Secret<String>>,
    /// Keys for signed requests, where the vendor signs.
    pub signing: Option<SigningKeys>,
    /// Where keys for signed requests are borrowed, if there are none.
    pub lender: Option<Arc<Lender>>,
    /// Region, where the vendor has them.
    pub region: Option<String>,
    /// The key as it stands in a header, made by the first call.
    pub header: KeyHeader,
}

/// A key as the value of a header, for the one prefix that an account's calls
/// have.
#[derive(Clone, Debug, Default)]
pub struct KeyHeader(OnceLock<(&'static str, HeaderValue)>);

impl Account {
    /// The keys to sign with now.
    ///
    /// # Errors
    /// `UpstreamBroken` if there are none, or those that were borrowed ended.
    pub(crate) fn signing_keys<'a>(
        &'a self,
        readings: Readings<'a>,
    ) -> Result<&'a SigningKeys, Fault> {
        match (&self.signing, &self.lender) {
            (Some(keys), _) => Ok(keys),
            (None, Some(lender)) => readings.loans.keys(lender, readings.unix_us),
            (None, None) => Err(no_credential()),
        }
    }

    /// The key as a header value behind `prefix`, marked sensitive.
    ///
    /// # Errors
    /// `UpstreamBroken` if there is no key or it cannot stand in a header.
    pub(crate) fn header(&self, prefix: &'static str) -> Result<HeaderValue, Fault> {
        if let Some((known, value)) = self.header.0.get()
            && *known == prefix
        {
            return Ok(value.clone());
        }
        let key = self.key.as_ref().ok_or_else(no_credential)?;
        let mut value = HeaderValue::try_from(format!("{prefix}{}", key.expose()))
            .map_err(|_| no_credential())?;
        value.set_sensitive(true);
        // Another prefix than the first is made anew each time.
        let _ = self.header.0.set((prefix, value.clone()));
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

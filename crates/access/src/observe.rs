//! Listeners that only watch: whom their callers stand for, and the
//! credential that they bring for the provider.
//!
//! Deliberately not here: sending it anywhere. Of the credential only a keyed
//! digest leaves this file.

use std::sync::Arc;

use contract::{Fault, FaultKind, Origin, Secret};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use crate::consumer::Consumer;
use crate::credential::{KEY_HEADERS, is_signature};
use crate::keys::KEY_PREFIX;

/// Hex digits of the digest in the public id of a caller.
const DIGEST_DIGITS: usize = 12;

/// A listener that only watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observe {
    /// Tenant of its callers.
    pub tenant: Arc<str>,
    /// Application of its callers.
    pub app: Arc<str>,
    /// The provider that calls go to; `None` is the one that speaks the
    /// dialect of the call.
    pub provider: Option<Arc<str>>,
    /// Mirrored pairs of request and answer are taken in.
    pub intake: bool,
    /// The listener that takes keys of the gateway, in words.
    pub other: Option<Arc<str>>,
}

impl Observe {
    /// Whom a caller stands for. `digest` digests its credential; `is_ours`
    /// tells whether a credential is one of the gateway.
    ///
    /// # Errors
    /// No credential, two, one of the gateway, or a signature, which cannot
    /// be passed on.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        digest: &dyn Fn(&Secret<String>) -> [u8; 32],
        is_ours: &dyn Fn(&str) -> bool,
    ) -> Result<Arc<Consumer>, Fault> {
        let credential = brought(headers)?;
        let id = match credential {
            Some(text)
                if text
                    .split(' ')
                    .any(|word| word.starts_with(KEY_PREFIX) || is_ours(word)) =>
            {
                return Err(self.wrong_door());
            }
            Some(text) => {
                let digest = digest(&Secret::new(text.to_owned()));
                let mut id = String::from("observe:");
                for byte in &digest[..DIGEST_DIGITS / 2] {
                    id.push_str(&format!("{byte:02x}"));
                }
                id
            }
            None => String::from("observe"),
        };
        let consumer = Consumer::new(id, self.tenant.clone(), self.app.clone());
        Ok(Arc::new(consumer))
    }

    fn wrong_door(&self) -> Fault {
        let instead = match &self.other {
            Some(other) => format!("Send it to {other}, or bring the key of your provider here."),
            None => "Bring the key of your provider; no listener of this gateway takes its own \
                     keys at the moment."
                .to_owned(),
        };
        unauthenticated(format!(
            "This listener only watches calls that bring the key of a provider, and passes that \
             key on. A credential of this gateway is never passed on. {instead}"
        ))
    }
}

/// The headers that bring the credential, as they came.
pub fn credential_headers() -> impl Iterator<Item = &'static HeaderName> {
    std::iter::once(&AUTHORIZATION).chain(KEY_HEADERS.iter())
}

/// The fault of a call that brought no credential.
pub fn missing() -> Fault {
    unauthenticated(
        "No key was sent. This listener passes on the key of your provider: send it in a header, \
         as the provider wants it. A key in the address is not passed on.",
    )
}

/// The one credential that was brought.
fn brought(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let mut found: Option<&str> = None;
    for name in credential_headers() {
        for value in headers.get_all(name) {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
                unauthenticated("The key holds characters that cannot be passed on. Check it.")
            })?;
            let credential = match text.split_once(' ') {
                _ if is_signature(text) => return Err(signed()),
                Some((scheme, _)) if scheme.eq_ignore_ascii_case("basic") => {
                    return Err(unauthenticated(
                        "Basic authorization is not passed on, because a key of this gateway \
                         could be in it. Send the key as a bearer token.",
                    ));
                }
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
                Some(_) | None => text.trim(),
            };
            match found {
                Some(earlier) if earlier != credential => {
                    return Err(unauthenticated(
                        "Two different keys were sent in two headers. Send one, so that it is \
                         clear whose call it is.",
                    ));
                }
                Some(_) | None => found = Some(credential),
            }
        }
    }
    Ok(found.filter(|credential| !credential.is_empty()))
}

fn signed() -> Fault {
    unauthenticated(
        "The call is signed for the address it was sent to, so its signature cannot be passed on. \
         Send a bearer key of the provider instead, or mirror the call.",
    )
}

fn unauthenticated(public: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(FaultKind::Unauthenticated, Origin::Client, public)
}

#[cfg(test)]
mod tests;

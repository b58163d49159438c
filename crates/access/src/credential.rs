//! The credential that a request presents, in whichever header its SDK uses.

use contract::{Fault, FaultKind, Origin};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// Headers that carry a bare key, besides `Authorization: Bearer`.
pub(crate) static KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];

/// The one key or token that a request presents.
///
/// # Errors
/// `Unauthenticated`: none, an unreadable one, two different ones, or a
/// signature that the gateway cannot check.
pub fn present(headers: &HeaderMap) -> Result<&str, Fault> {
    shown(headers)?.ok_or_else(missing)
}

/// The same, where a request need not present any.
///
/// # Errors
/// As [`present`], save that none is none.
pub(crate) fn shown(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let mut found: Option<&str> = None;
    // All lines of each header: what follows the first could be meant for
    // somebody who reads the last.
    for (name, value) in headers {
        let key = if name == AUTHORIZATION {
            bearer(value.as_bytes())?
        } else if KEY_HEADERS.contains(name) {
            std::str::from_utf8(value.as_bytes()).map_err(|_| unreadable())?
        } else {
            continue;
        };
        match found {
            Some(earlier) if earlier != key => return Err(two_keys()),
            Some(_) | None => found = Some(key),
        }
    }
    Ok(found.filter(|key| !key.is_empty()))
}

fn bearer(value: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(value).map_err(|_| unreadable())?;
    let (scheme, key) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(key.trim());
    }
    if is_signature(scheme) {
        return Err(unauthenticated(
            "This gateway does not check AWS signatures, because it never holds your AWS keys. \
             Send a Tollgate key as a bearer token instead: set AWS_BEARER_TOKEN_BEDROCK to it \
             (or send `Authorization: Bearer tg-...`).",
        ));
    }
    Err(unauthenticated(
        "The Authorization header uses a scheme that is not accepted. Send \
         `Authorization: Bearer tg-...` with a key of this gateway.",
    ))
}

/// Whether a value is a request signature, which a gateway cannot check and
/// which holds for the vendor's own address only.
pub(crate) fn is_signature(value: &str) -> bool {
    value.starts_with("AWS4-")
}

pub(crate) fn missing() -> Fault {
    unauthenticated(
        "No key was sent. Send a key of this gateway as `Authorization: Bearer tg-...`, \
         `x-api-key`, `x-goog-api-key` or `api-key`.",
    )
}

fn two_keys() -> Fault {
    unauthenticated(
        "Two different keys were sent in two headers. Send one key in one header, so that it is \
         clear who is calling.",
    )
}

fn unreadable() -> Fault {
    unauthenticated("The key holds characters that a key of this gateway never has.")
}

fn unauthenticated(public: &'static str) -> Fault {
    Fault::new(FaultKind::Unauthenticated, Origin::Client, public)
}

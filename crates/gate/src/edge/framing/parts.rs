//! The same rules for a request that hyper has already parsed, as far as they
//! can still be seen: this is how HTTP/2 is checked.
//!
//! Deliberately not here: what the HTTP/2 layer refuses by itself (connection
//! headers, lengths that do not match, upper-case names).

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;

use super::head::parse_length;
use super::names::{self, Name, Scan};
use super::violation::{Rule, Violation};
use super::{Limits, target};

/// Checks the parts of an HTTP/2 request.
pub(crate) fn check_parts(parts: &Parts, limits: &Limits) -> Result<(), Violation> {
    if parts.method == http::Method::CONNECT {
        return Err(Violation::of(Rule::ConnectMethod, b""));
    }
    check_target(parts, limits)?;
    check_authority(parts)?;
    if parts.headers.len() > limits.headers_max {
        return Err(Violation::of(Rule::TooManyHeaders, b""));
    }
    for name in parts.headers.keys() {
        let raw = name.as_str().as_bytes();
        let refuse = |rule| Err(Violation::of(rule, raw));
        let known = match names::scan(raw) {
            Scan::Valid(known) => known,
            Scan::Shadow => return refuse(Rule::UnderscoreName),
            Scan::Invalid => return refuse(Rule::InvalidHeaderName),
        };
        let repeated = || parts.headers.get_all(name).iter().nth(1).is_some();
        match known {
            Name::Other | Name::Repeatable => {}
            Name::Single(_) | Name::Ours | Name::Expect if repeated() => {
                return refuse(Rule::RepeatedHeader);
            }
            Name::Host if repeated() => return refuse(Rule::RepeatedHost),
            Name::ContentLength if repeated() => return refuse(Rule::RepeatedContentLength),
            Name::TransferEncoding => return refuse(Rule::UnsupportedTransferEncoding),
            Name::Single(_) | Name::Ours | Name::Expect | Name::Host | Name::ContentLength => {}
        }
    }
    check_values(parts)
}

fn check_target(parts: &Parts, limits: &Limits) -> Result<(), Violation> {
    let Some(target) = parts.uri.path_and_query() else {
        return Err(Violation::of(Rule::UnsupportedTargetForm, b""));
    };
    let target = target.as_str().as_bytes();
    if target.len() > limits.target_bytes_max {
        return Err(Violation::of(Rule::TargetTooLong, b""));
    }
    if target == b"*" && parts.method == http::Method::OPTIONS {
        return Ok(());
    }
    if target.first() != Some(&b'/') {
        return Err(Violation::of(Rule::UnsupportedTargetForm, target));
    }
    target::check_path_and_query(target)
        .map_err(|rule| Violation::of(rule, parts.uri.path().as_bytes()))
}

fn check_authority(parts: &Parts) -> Result<(), Violation> {
    let host = parts.headers.get(HOST).map(http::HeaderValue::as_bytes);
    let authority = parts.uri.authority().map(|a| a.as_str().as_bytes());
    let refuse = |rule| Err(Violation::of(rule, b""));
    let Some(named) = authority.or(host) else {
        return refuse(Rule::MissingHost);
    };
    if named.is_empty() {
        return refuse(Rule::EmptyHost);
    }
    if !target::is_authority(named) {
        return refuse(Rule::InvalidHost);
    }
    match (authority, host) {
        (Some(a), Some(h)) if !a.eq_ignore_ascii_case(h) => refuse(Rule::AuthorityMismatch),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

fn check_values(parts: &Parts) -> Result<(), Violation> {
    if let Some(value) = parts.headers.get(CONTENT_LENGTH)
        && parse_length(value.as_bytes()).is_none()
    {
        return Err(Violation::of(Rule::InvalidContentLength, b""));
    }
    match parts.headers.get(EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(Violation::of(Rule::UnsupportedExpectation, b""))
        }
        Some(_) | None => Ok(()),
    }?;
    debug_assert!(
        !parts.headers.contains_key(TRANSFER_ENCODING),
        "refused by name above"
    );
    Ok(())
}

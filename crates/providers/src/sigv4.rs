//! AWS Signature Version 4, header form. Source: AWS General Reference,
//! "Create a signed AWS API request". For services other than S3 the path is
//! percent-encoded once more in the canonical request.

use std::fmt::Write as _;

use contract::Fault;
use contract::seams::Outbound;
use hmac::{Hmac, KeyInit as _, Mac};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use crate::account::no_credential;
use crate::lending::SigningKeys;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Signs a request: host, content type and every `x-amz-*` header.
///
/// # Errors
/// `UpstreamBroken` if a key cannot stand in a header.
pub(crate) fn sign(
    keys: &SigningKeys,
    region: &str,
    service: &str,
    outbound: &mut Outbound,
    unix_us: u64,
) -> Result<(), Fault> {
    let stamp = timestamp(unix_us / 1_000_000);
    let payload = {
        let mut hash = Sha256::new();
        outbound.body.iter().for_each(|piece| hash.update(piece));
        hex(&hash.finalize())
    };
    let headers = &mut outbound.headers;
    headers.insert(DATE, value(&stamp)?);
    headers.insert(CONTENT_HASH, value(&payload)?);
    if let Some(token) = &keys.session_token {
        let mut token = value(token.expose())?;
        token.set_sensitive(true);
        headers.insert(TOKEN, token);
    }
    let (signed, canonical) = canonical(outbound, &payload);
    let date = &stamp[..8];
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let to_sign = format!(
        "{ALGORITHM}\n{stamp}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let secret = format!("AWS4{}", keys.secret_access_key.expose());
    let key = [date, region, service, "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &to_sign));
    let mut authorization = value(&format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
        keys.access_key_id
    ))?;
    authorization.set_sensitive(true);
    outbound.headers.insert(AUTHORIZATION, authorization);
    Ok(())
}

/// The signed header names and the canonical request.
fn canonical(outbound: &Outbound, payload: &str) -> (String, String) {
    let mut lines: Vec<(&str, &str)> = outbound
        .headers
        .iter()
        .filter(|(name, _)| {
            *name == http::header::CONTENT_TYPE || name.as_str().starts_with("x-amz-")
        })
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.trim())))
        .collect();
    let authority = outbound.endpoint.authority.to_str().unwrap_or_default();
    lines.push(("host", authority));
    lines.sort_unstable();
    let signed = lines
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let (path, query) = outbound
        .path
        .split_once('?')
        .unwrap_or((&outbound.path, ""));
    let mut query: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let mut text = format!(
        "{}\n{}\n{}\n",
        outbound.method,
        encode_path(path),
        query.join("&")
    );
    for (name, value) in lines {
        let _ = writeln!(text, "{name}:{value}");
    }
    let _ = write!(text, "\n{signed}\n{payload}");
    (signed, text)
}

/// Percent-encodes everything but unreserved characters and slashes.
fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

fn value(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::try_from(text).map_err(|_| no_credential())
}

/// `YYYYMMDDTHHMMSSZ` of a Unix time. Civil date from days by the algorithm
/// of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn timestamp(unix_s: u64) -> String {
    let (days, seconds) = (unix_s / 86_400 + 719_468, unix_s % 86_400);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
pub(crate) fn timestamp_for_tests(unix_s: u64) -> String {
    timestamp(unix_s)
}

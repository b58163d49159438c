//! AWS Signature Version 4, the checking side: does this signature come from that secret?
//!
//! Rules from the AWS reference "Create a signed AWS API request". Not here: signing, chunked
//! payload signatures, presigned URLs.

use hmac::{Hmac, KeyInit as _, Mac};
use http::{HeaderMap, Method, Uri};
use sha2::{Digest, Sha256};

/// The request as it arrived, which is what was signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// No SigV4 authorization header at all.
    Absent,
    UnknownKey(String),
    /// Well formed and wrong: the canonical request as computed here, to help find out why.
    Mismatch(String),
    Malformed(&'static str),
}

pub(crate) fn check(request: &Signed<'_>, access_key: &str, secret: &str) -> Verdict {
    let Some(auth) = header(request.headers, "authorization")
        .and_then(|a| a.strip_prefix("AWS4-HMAC-SHA256 ").map(str::to_owned))
    else {
        return Verdict::Absent;
    };
    let field = |name: &str| {
        auth.split(',')
            .map(str::trim)
            .find_map(|f| f.strip_prefix(name))
            .map(str::to_owned)
    };
    let (Some(credential), Some(signed), Some(signature)) = (
        field("Credential="),
        field("SignedHeaders="),
        field("Signature="),
    ) else {
        return Verdict::Malformed(
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.",
        );
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let [key, date, region, service, "aws4_request"] = scope[..] else {
        return Verdict::Malformed("Credential must have exactly 5 slash-delimited elements.");
    };
    if key != access_key {
        return Verdict::UnknownKey(key.to_owned());
    }
    if service != "bedrock" {
        return Verdict::Malformed("Credential should be scoped to correct service: 'bedrock'.");
    }
    let Some(stamp) = header(request.headers, "x-amz-date") else {
        return Verdict::Malformed(
            "Authorization header requires existence of an 'X-Amz-Date' header.",
        );
    };
    if !signed.split(';').any(|h| h == "host") {
        return Verdict::Malformed("'Host' must be a 'SignedHeader' in the AWS Authorization.");
    }
    let canonical = canonical_request(request, &signed);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/aws4_request\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut derived = format!("AWS4{secret}").into_bytes();
    for step in [date, region, service, "aws4_request"] {
        derived = mac(&derived, step.as_bytes());
    }
    match hex(&mac(&derived, to_sign.as_bytes())) == signature {
        true => Verdict::Good,
        false => Verdict::Mismatch(canonical),
    }
}

fn canonical_request(r: &Signed<'_>, signed: &str) -> String {
    // Every service but S3 encodes the path once more: `%3A` on the wire becomes `%253A`.
    let path: String = match r.uri.path() {
        "" => "/".to_owned(),
        path => path.split('/').map(encode).collect::<Vec<_>>().join("/"),
    };
    let mut pairs: Vec<(&str, &str)> = r
        .uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .collect();
    pairs.sort_unstable();
    let query: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let lines: String = signed
        .split(';')
        .map(|name| {
            let value = match (name, header(r.headers, name)) {
                // Over HTTP/2 the host arrives as the authority of the URI.
                ("host", None) => r.uri.authority().map(|a| a.to_string()).unwrap_or_default(),
                (_, found) => found.unwrap_or_default(),
            };
            format!(
                "{name}:{}\n",
                value.split_whitespace().collect::<Vec<_>>().join(" ")
            )
        })
        .collect();
    let payload =
        header(r.headers, "x-amz-content-sha256").unwrap_or_else(|| hex(&Sha256::digest(r.body)));
    format!(
        "{}\n{path}\n{}\n{lines}\n{signed}\n{payload}",
        r.method,
        query.join("&")
    )
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned)
}

/// RFC 3986 encoding: everything but unreserved characters.
fn encode(segment: &str) -> String {
    segment
        .bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

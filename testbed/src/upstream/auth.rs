//! Who calls: each vendor's own credential header, checked against the configured key; and the
//! headers that each vendor puts on its answers.

use super::Options;
use super::answer::Answer;
use super::fail::{Fail, Kind};
use super::messages::{VERSION_NEW, VERSION_OLD};
use super::prompt::Surface;
use super::sigv4::{self, Signed, Verdict};
use http::request::Parts;

/// Checks the credential of `head` the way the vendor of `surface` does.
pub(crate) fn check(o: &Options, surface: Surface, head: &Parts, body: &[u8]) -> Result<(), Fail> {
    match surface {
        Surface::Chat | Surface::Responses => openai(o, head),
        Surface::Messages => anthropic(o, head),
        Surface::Gemini => gemini(o, head),
        Surface::Converse => bedrock(o, head, body),
    }
}

fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|v| v.to_str().ok())
}

fn bearer(head: &Parts) -> Option<&str> {
    header(head, "authorization")?.strip_prefix("Bearer ")
}

fn accepts(o: &Options, given: &str) -> bool {
    match &o.key {
        Some(key) => key == given,
        None => !given.is_empty(),
    }
}

fn openai(o: &Options, head: &Parts) -> Result<(), Fail> {
    // `api-key` is how Azure's surface of the same API takes its key.
    match bearer(head).or(header(head, "api-key")) {
        None => Err(Fail::new(
            Kind::Unauthenticated,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )),
        Some(key) if accepts(o, key) => Ok(()),
        Some(key) => Err(Fail::new(
            Kind::Unauthenticated,
            format!(
                "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
                masked(key)
            ),
        )),
    }
}

fn anthropic(o: &Options, head: &Parts) -> Result<(), Fail> {
    let version = header(head, "anthropic-version")
        .ok_or_else(|| Fail::invalid("anthropic-version: header is required"))?;
    // The version of October 2026 moved API keys to bearer; the older one knows only x-api-key.
    let key = match version {
        VERSION_NEW => bearer(head).or(header(head, "x-api-key")),
        VERSION_OLD => header(head, "x-api-key"),
        other => {
            return Err(Fail::invalid(format!(
                "anthropic-version: \"{other}\" is not a valid version"
            )));
        }
    };
    match key {
        Some(key) if accepts(o, key) => Ok(()),
        Some(_) if version == VERSION_OLD => {
            Err(Fail::new(Kind::Unauthenticated, "invalid x-api-key"))
        }
        Some(_) => Err(Fail::new(Kind::Unauthenticated, "invalid bearer token")),
        None if version == VERSION_OLD => Err(Fail::new(
            Kind::Unauthenticated,
            "x-api-key header is required",
        )),
        None => Err(Fail::new(
            Kind::Unauthenticated,
            "Authorization header is required",
        )),
    }
}

fn gemini(o: &Options, head: &Parts) -> Result<(), Fail> {
    let in_query = head
        .uri
        .query()
        .and_then(|q| q.split('&').find_map(|p| p.strip_prefix("key=")));
    match header(head, "x-goog-api-key").or(in_query).or(bearer(head)) {
        None => Err(Fail::new(
            Kind::Forbidden,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
        )),
        Some(key) if accepts(o, key) => Ok(()),
        Some(_) => Err(Fail::invalid(
            "API key not valid. Please pass a valid API key.",
        )),
    }
}

fn bedrock(o: &Options, head: &Parts, body: &[u8]) -> Result<(), Fail> {
    if let Some(token) = bearer(head) {
        return match accepts(o, token) {
            true => Ok(()),
            false => Err(Fail::new(
                Kind::Forbidden,
                "Authentication failed: Please make sure your API Key is valid.",
            )
            .code("AccessDeniedException")),
        };
    }
    let signed = Signed {
        method: &head.method,
        uri: &head.uri,
        headers: &head.headers,
        body,
    };
    match sigv4::check(&signed, &o.aws.0, &o.aws.1) {
        Verdict::Good => Ok(()),
        Verdict::Absent => Err(Fail::new(Kind::Forbidden, "Missing Authentication Token").code("MissingAuthenticationTokenException")),
        Verdict::UnknownKey(_) => Err(Fail::new(Kind::Unauthenticated, "The security token included in the request is invalid.")),
        Verdict::Malformed(why) => Err(Fail::new(Kind::Forbidden, why).code("IncompleteSignatureException")),
        Verdict::Mismatch(canonical) => Err(Fail::new(Kind::Forbidden, format!("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'{canonical}'\n")).code("InvalidSignatureException")),
    }
}

fn masked(key: &str) -> String {
    let head: String = key.chars().take(4).collect();
    format!("{head}****")
}

/// Rate-limit, request-id and organisation headers as the vendor sends them.
pub(crate) fn dress(answer: &mut Answer, surface: Surface, request_id: &str) {
    match surface {
        Surface::Chat | Surface::Responses => {
            let fields = [
                ("x-request-id", request_id),
                ("openai-organization", "org-fake"),
                ("openai-processing-ms", "12"),
                ("openai-version", "2020-10-01"),
                ("x-ratelimit-limit-requests", "10000"),
                ("x-ratelimit-remaining-requests", "9999"),
                ("x-ratelimit-reset-requests", "6ms"),
                ("x-ratelimit-limit-tokens", "2000000"),
                ("x-ratelimit-remaining-tokens", "1999000"),
                ("x-ratelimit-reset-tokens", "30ms"),
                ("set-cookie", "__cf_bm=upstream-cookie; path=/; HttpOnly"),
            ];
            fields.iter().for_each(|(n, v)| answer.set(n, v));
        }
        Surface::Messages => {
            let fields = [
                ("request-id", request_id),
                (
                    "anthropic-organization-id",
                    "00000000-0000-4000-8000-00000000fa4e",
                ),
                ("anthropic-ratelimit-requests-limit", "4000"),
                ("anthropic-ratelimit-requests-remaining", "3999"),
                ("anthropic-ratelimit-requests-reset", "2026-11-21T00:00:01Z"),
                ("anthropic-ratelimit-tokens-limit", "2400000"),
                ("anthropic-ratelimit-tokens-remaining", "2399000"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-21T00:00:01Z"),
            ];
            fields.iter().for_each(|(n, v)| answer.set(n, v));
        }
        Surface::Gemini => {
            answer.set("server-timing", "gfet4t7; dur=12");
            answer.set("x-content-type-options", "nosniff");
        }
        Surface::Converse => answer.set("x-amzn-requestid", request_id),
    }
}

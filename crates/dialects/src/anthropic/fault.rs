//! Errors, both ways: `{"type":"error","error":{"type","message"}}`.

use contract::fault::UpstreamError;
use contract::{Fault, FaultKind, Origin};

use crate::busy;
use crate::json::{self, Json, Rules, Tape};

/// Longest message of a provider that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// The body of an error answer.
pub(super) fn body(fault: &Fault, request_id: &str) -> String {
    let refused = fault
        .upstream
        .as_deref()
        .filter(|_| fault.kind == FaultKind::UpstreamRefused);
    let native = refused
        .and_then(|error| error.code.as_deref())
        .filter(|code| code.ends_with("_error") || *code == "request_too_large");
    json::object(|out| {
        out.str("type", "error");
        out.object("error", |out| {
            out.str("type", native.unwrap_or_else(|| word(fault)));
            match refused {
                Some(error) => out.str("message", &error.message),
                None => out.str("message", &fault.public),
            }
        });
        out.str("request_id", request_id);
    })
}

/// The vendor's type word.
fn word(fault: &Fault) -> &'static str {
    match fault.kind {
        FaultKind::UpstreamRefused => word_of_status(fault.status()),
        FaultKind::BadRequest
        | FaultKind::Unsupported
        | FaultKind::Blocked
        | FaultKind::MethodNotAllowed
        | FaultKind::UnsupportedMedia => "invalid_request_error",
        FaultKind::Unauthenticated => "authentication_error",
        FaultKind::OverBudget => "billing_error",
        FaultKind::Forbidden => "permission_error",
        FaultKind::UnknownModel | FaultKind::UnknownPath => "not_found_error",
        FaultKind::TooLarge => "request_too_large",
        FaultKind::Conflict => "conflict_error",
        FaultKind::RateLimited | FaultKind::UpstreamBusy => "rate_limit_error",
        FaultKind::UpstreamBroken | FaultKind::Cancelled | FaultKind::Internal => "api_error",
        FaultKind::Overloaded => "overloaded_error",
        FaultKind::Timeout => "timeout_error",
    }
}

fn word_of_status(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        _ => "invalid_request_error",
    }
}

/// Reads a provider's error body, whatever it is.
pub(super) fn read_error(status: u16, body: &[u8]) -> UpstreamError {
    let mut error = UpstreamError {
        status,
        code: None,
        message: String::new(),
        param: None,
    };
    let mut tape = Tape::default();
    if tape.rescan(body, &Rules::ANSWER).is_ok() {
        let detail = tape.root(body).field("error");
        let text = |key| detail?.field(key)?.str().map(|text| bounded(&text));
        error.code = text("type");
        error.message = text("message").unwrap_or_default();
    }
    if error.message.is_empty() {
        error.message = bounded(String::from_utf8_lossy(body).trim());
    }
    if error.message.is_empty() {
        error.message = format!("The provider answered with status {status} and no message.");
    }
    error
}

/// The fault of an `error` object that came in a stream or under a 200.
pub(super) fn in_band(root: Json<'_>) -> Fault {
    let detail = root.field("error");
    let text = |key| detail?.field(key)?.str();
    let code = text("type").unwrap_or_default();
    let message = bounded(&text("message").unwrap_or_default());
    match &*code {
        "overloaded_error" => busy::overloaded(format!("{code}: {message}")),
        "rate_limit_error" => busy::limited(format!("{code}: {message}")),
        "invalid_request_error" | "request_too_large" | "not_found_error" => {
            let mut fault = Fault::new(
                FaultKind::UpstreamRefused,
                Origin::Provider,
                "The provider refused the request. Correct what its message names.",
            );
            fault.upstream = Some(Box::new(UpstreamError {
                status: match &*code {
                    "not_found_error" => 404,
                    "request_too_large" => 413,
                    _ => 400,
                },
                code: Some(code.into_owned()),
                message,
                param: None,
            }));
            fault
        }
        _ => Fault::upstream_broken(
            "The provider reported an error instead of going on. Try again; if it persists, \
             look at the provider's status.",
        )
        .because(format!("{code}: {message}")),
    }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

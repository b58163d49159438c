//! Errors, both ways: `{"error":{"code","message","status","details"}}` with
//! the status words of google.rpc.

use contract::fault::UpstreamError;
use contract::{Fault, FaultKind, Origin, Retry};

use crate::busy;
use crate::json::{self, ArrayWriter, Json, Kind, Rules, Tape};

/// Longest message of a provider that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 4_096;
/// Where google.rpc's detail types live.
const DETAIL: &str = "type.googleapis.com/google.rpc.";

/// The body of an error answer.
pub(super) fn body(fault: &Fault, request_id: &str) -> String {
    let refused = fault
        .upstream
        .as_deref()
        .filter(|_| fault.kind == FaultKind::UpstreamRefused);
    let native = refused
        .and_then(|error| error.code.as_deref())
        .filter(|code| is_status_word(code));
    json::object(|out| {
        out.object("error", |out| {
            out.int("code", fault.status());
            match refused {
                Some(error) => out.str("message", &error.message),
                None => out.str("message", &fault.public),
            }
            out.str("status", native.unwrap_or_else(|| word(fault)));
            out.array("details", |array| details(fault, request_id, array));
        });
    })
}

fn details(fault: &Fault, request_id: &str, array: &mut ArrayWriter<'_>) {
    array.object(|out| {
        out.str("@type", &format!("{DETAIL}ErrorInfo"));
        out.str("reason", &fault.kind.code().to_ascii_uppercase());
        out.str("domain", "tollgate");
    });
    if let Some(field) = &fault.field {
        array.object(|out| {
            out.str("@type", &format!("{DETAIL}BadRequest"));
            out.array("fieldViolations", |array| {
                array.object(|out| {
                    out.str("field", field);
                    out.str("description", &fault.public);
                });
            });
        });
    }
    if let Retry::After { ms } = fault.retry {
        array.object(|out| {
            out.str("@type", &format!("{DETAIL}RetryInfo"));
            out.str("retryDelay", &format!("{}s", ms.div_ceil(1_000)));
        });
    }
    array.object(|out| {
        out.str("@type", &format!("{DETAIL}RequestInfo"));
        out.str("requestId", request_id);
    });
}

/// The status word of google.rpc.
fn word(fault: &Fault) -> &'static str {
    match fault.kind {
        FaultKind::UpstreamRefused => word_of_status(fault.status()),
        FaultKind::BadRequest
        | FaultKind::Unsupported
        | FaultKind::Blocked
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia => "INVALID_ARGUMENT",
        FaultKind::Unauthenticated => "UNAUTHENTICATED",
        FaultKind::Forbidden => "PERMISSION_DENIED",
        FaultKind::UnknownModel | FaultKind::UnknownPath => "NOT_FOUND",
        FaultKind::MethodNotAllowed => "UNIMPLEMENTED",
        FaultKind::Conflict => "FAILED_PRECONDITION",
        FaultKind::OverBudget | FaultKind::RateLimited | FaultKind::UpstreamBusy => {
            "RESOURCE_EXHAUSTED"
        }
        FaultKind::UpstreamBroken | FaultKind::Overloaded => "UNAVAILABLE",
        FaultKind::Timeout => "DEADLINE_EXCEEDED",
        FaultKind::Cancelled => "CANCELLED",
        FaultKind::Internal => "INTERNAL",
    }
}

fn word_of_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        _ => "INVALID_ARGUMENT",
    }
}

fn is_status_word(code: &str) -> bool {
    matches!(
        code,
        "INVALID_ARGUMENT"
            | "FAILED_PRECONDITION"
            | "OUT_OF_RANGE"
            | "UNAUTHENTICATED"
            | "PERMISSION_DENIED"
            | "NOT_FOUND"
            | "ALREADY_EXISTS"
            | "ABORTED"
            | "RESOURCE_EXHAUSTED"
    )
}

/// The `error` object of a body, which may be wrapped in an array.
pub(super) fn detail<'a>(root: Json<'a>) -> Option<Json<'a>> {
    let object = match root.kind() {
        Kind::Array => root.items().next()?,
        Kind::Null
        | Kind::True
        | Kind::False
        | Kind::Number
        | Kind::String
        | Kind::EscapedString
        | Kind::Object => root,
    };
    object.field("error")
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
    if tape.rescan(body, &Rules::ANSWER).is_ok()
        && let Some(detail) = detail(tape.root(body))
    {
        let text = |key| detail.field(key)?.str().map(|text| bounded(&text));
        error.code = text("status");
        // Some gateways of the vendor say only `"error": "text"`.
        error.message = text("message")
            .or_else(|| detail.str().map(|text| bounded(&text)))
            .unwrap_or_default();
        error.param = violation(detail);
    }
    if error.message.is_empty() {
        error.message = bounded(String::from_utf8_lossy(body).trim());
    }
    if error.message.is_empty() {
        error.message = format!("The provider answered with status {status} and no message.");
    }
    error
}

/// The first field that a `BadRequest` detail names.
fn violation(detail: Json<'_>) -> Option<String> {
    let details = detail.field("details")?;
    details.items().find_map(|detail| {
        let first = detail.field("fieldViolations")?.items().next()?;
        first.field("field")?.str().map(|field| bounded(&field))
    })
}

/// The fault of an `error` object that came in a stream or under a 200.
pub(super) fn in_band(detail: Json<'_>) -> Fault {
    let text = |key| detail.field(key)?.str();
    let word = text("status").unwrap_or_default();
    let message = bounded(&text("message").unwrap_or_default());
    let status = match &*word {
        "RESOURCE_EXHAUSTED" => return busy::limited(format!("{word}: {message}")),
        "UNAVAILABLE" => return busy::overloaded(format!("{word}: {message}")),
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "NOT_FOUND" => 404,
        _ => {
            return Fault::upstream_broken(
                "The provider reported an error instead of going on. Try again; if it persists, \
                 look at the provider's status.",
            )
            .because(format!("{word}: {message}"));
        }
    };
    let mut fault = Fault::new(
        FaultKind::UpstreamRefused,
        Origin::Provider,
        "The provider refused the request. Correct what its message names.",
    );
    fault.upstream = Some(Box::new(UpstreamError {
        status,
        code: Some(word.into_owned()),
        message,
        param: violation(detail),
    }));
    fault
}

fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)].to_owned()
}

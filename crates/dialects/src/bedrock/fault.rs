//! Errors, both ways: `{"message"}` beside an `x-amzn-errortype` header, and
//! exception messages within a stream.

use bytes::Bytes;
use contract::fault::UpstreamError;
use contract::{Fault, FaultKind, Origin};
use http::{HeaderMap, HeaderValue};

use crate::busy;
use crate::framing::{Frame, encode_message};
use crate::json::{self, Json, Rules, Tape};

/// Longest message of a provider that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// The body of an error answer.
pub(super) fn body(fault: &Fault) -> String {
    let message = match fault.upstream.as_deref() {
        Some(error) if fault.kind == FaultKind::UpstreamRefused => error.message.as_str(),
        Some(_) | None => &fault.public,
    };
    json::object(|out| out.str("message", message))
}

/// The value of the header that names the error's type.
pub(super) fn header(fault: &Fault) -> HeaderValue {
    HeaderValue::from_str(word(fault)).unwrap_or(HeaderValue::from_static("ValidationException"))
}

/// The last message of a stream: an exception.
pub(super) fn frame(fault: &Fault) -> Bytes {
    let word = word(fault);
    // Only these five are members of the stream; their names there begin
    // with a small letter.
    let name = match word {
        "ThrottlingException" => "throttlingException",
        "ValidationException" => "validationException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "ModelErrorException" | "ModelTimeoutException" => "modelStreamErrorException",
        _ => "internalServerException",
    };
    encode_message(
        &[
            (":exception-type", name),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ],
        body(fault).as_bytes(),
    )
}

fn word(fault: &Fault) -> &str {
    match fault.kind {
        FaultKind::UpstreamRefused => {
            let native = fault
                .upstream
                .as_deref()
                .and_then(|error| error.code.as_deref());
            native
                .filter(|code| code.ends_with("Exception"))
                .unwrap_or(match fault.status() {
                    403 => "AccessDeniedException",
                    404 => "ResourceNotFoundException",
                    _ => "ValidationException",
                })
        }
        FaultKind::BadRequest
        | FaultKind::Unsupported
        | FaultKind::Blocked
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia => "ValidationException",
        FaultKind::Unauthenticated => "UnrecognizedClientException",
        FaultKind::OverBudget => "ServiceQuotaExceededException",
        FaultKind::Forbidden => "AccessDeniedException",
        FaultKind::UnknownModel => "ResourceNotFoundException",
        FaultKind::UnknownPath | FaultKind::MethodNotAllowed => "UnknownOperationException",
        FaultKind::Conflict => "ConflictException",
        FaultKind::RateLimited | FaultKind::UpstreamBusy => "ThrottlingException",
        FaultKind::UpstreamBroken => "ModelErrorException",
        FaultKind::Overloaded => "ServiceUnavailableException",
        FaultKind::Timeout => "ModelTimeoutException",
        FaultKind::Cancelled | FaultKind::Internal => "InternalServerException",
    }
}

/// Reads a provider's error body, whatever it is.
pub(super) fn read_error(status: u16, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
    let mut code = headers
        .get("x-amzn-errortype")
        .and_then(|value| value.to_str().ok())
        .map(type_word);
    let mut message = String::new();
    let mut tape = Tape::default();
    if tape.rescan(body, &Rules::ANSWER).is_ok() {
        let root = tape.root(body);
        message = told(root);
        if code.is_none() {
            let word = root.field("__type").and_then(|word| word.str());
            code = word.map(|word| type_word(&word));
        }
    }
    if message.is_empty() {
        message = bounded(String::from_utf8_lossy(body).trim());
    }
    if message.is_empty() {
        message = format!("The provider answered with status {status} and no message.");
    }
    UpstreamError {
        status,
        code,
        message,
        param: None,
    }
}

/// The bare name: headers add a link behind a colon, bodies a namespace
/// before a hash.
fn type_word(text: &str) -> String {
    let plain = text.split(':').next().unwrap_or(text);
    bounded(plain.rsplit('#').next().unwrap_or(plain))
}

fn told(root: Json<'_>) -> String {
    let message = root.field("message").or_else(|| root.field("Message"));
    message
        .and_then(|message| message.str())
        .map_or_else(String::new, |message| bounded(&message))
}

/// The fault of an exception message in a stream.
pub(super) fn in_band(frame: Frame<'_>) -> Fault {
    let name = String::from_utf8_lossy(frame.event).into_owned();
    let mut tape = Tape::default();
    let message = match tape.rescan(frame.data, &Rules::ANSWER) {
        Ok(()) => told(tape.root(frame.data)),
        Err(_) => String::new(),
    };
    match name.as_str() {
        "throttlingException" => busy::limited(format!("{name}: {message}")),
        "serviceUnavailableException" => busy::overloaded(format!("{name}: {message}")),
        "validationException" => {
            let mut fault = Fault::new(
                FaultKind::UpstreamRefused,
                Origin::Provider,
                "The provider refused the request. Correct what its message names.",
            );
            fault.upstream = Some(Box::new(UpstreamError {
                status: 400,
                code: Some("ValidationException".to_owned()),
                message,
                param: None,
            }));
            fault
        }
        _ => Fault::upstream_broken(
            "The provider reported an error instead of going on. Try again; if it persists, \
             look at the provider's status.",
        )
        .because(format!("{name}: {message}")),
    }
}

/// The fault of a body under a 200 that holds an error instead of an answer.
pub(super) fn instead(root: Json<'_>) -> Fault {
    Fault::upstream_broken(
        "The provider reported an error instead of an answer. Try again; if it persists, look \
         at the provider's status.",
    )
    .because(told(root))
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

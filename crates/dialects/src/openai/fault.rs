//! Errors: `{"error":{message,type,param,code}}`, written for clients and
//! read from providers, whatever they send instead.

use std::borrow::Cow;

use bytes::Bytes;
use contract::fault::UpstreamError;
use contract::{Fault, FaultKind, Origin};

use crate::busy;
use crate::dialect::FaultBody;
use crate::json::{self, Json, Kind, ObjectWriter, Rules, Tape};

/// Longest message of a provider that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 2_000;
/// Longest error body that is read, in bytes; the rest says nothing new.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Writes the body of an error answer.
pub(crate) fn write_body(fault: &Fault, request_id: &str) -> FaultBody {
    FaultBody {
        body: write(fault, request_id).into(),
        content_type: "application/json",
        headers: Vec::new(),
    }
}

/// Writes the error as an in-band frame of a Chat Completions stream, whose
/// clients raise on a data object that holds `error`.
pub(crate) fn write_frame(fault: &Fault, request_id: &str) -> Bytes {
    format!("data: {}\n\n", write(fault, request_id)).into()
}

fn write(fault: &Fault, request_id: &str) -> String {
    json::object(|root| root.object("error", |error| write_error(error, fault, request_id)))
}

/// The members of an error object.
pub(crate) fn write_error(error: &mut ObjectWriter<'_>, fault: &Fault, request_id: &str) {
    error.str("message", public_message(fault));
    error.str("type", type_word(fault.kind));
    error.str_or_null("param", param(fault));
    error.str_or_null("code", code(fault));
    error.str("request_id", request_id);
}

/// What the client reads: the provider's own words where it refused the
/// caller's content.
pub(crate) fn public_message(fault: &Fault) -> &str {
    match refusal(fault) {
        Some(upstream) => &upstream.message,
        None => &fault.public,
    }
}

/// The machine-readable code.
pub(crate) fn code(fault: &Fault) -> Option<&str> {
    match refusal(fault) {
        Some(upstream) => upstream.code.as_deref(),
        None => Some(fault.kind.code()),
    }
}

/// The offending parameter.
pub(crate) fn param(fault: &Fault) -> Option<&str> {
    match refusal(fault) {
        Some(upstream) => upstream.param.as_deref(),
        None => fault.field.as_deref(),
    }
}

fn refusal(fault: &Fault) -> Option<&UpstreamError> {
    fault
        .upstream
        .as_deref()
        .filter(|_| fault.kind == FaultKind::UpstreamRefused)
}

/// The vendor's word for the type of an error.
pub(crate) fn type_word(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::BadRequest
        | FaultKind::Unsupported
        | FaultKind::Blocked
        | FaultKind::Unauthenticated
        | FaultKind::UnknownModel
        | FaultKind::UnknownPath
        | FaultKind::MethodNotAllowed
        | FaultKind::TooLarge
        | FaultKind::UnsupportedMedia
        | FaultKind::Conflict
        | FaultKind::UpstreamRefused
        | FaultKind::Cancelled => "invalid_request_error",
        FaultKind::OverBudget => "insufficient_quota",
        FaultKind::Forbidden => "permission_error",
        FaultKind::RateLimited | FaultKind::UpstreamBusy => "rate_limit_error",
        FaultKind::UpstreamBroken
        | FaultKind::Overloaded
        | FaultKind::Timeout
        | FaultKind::Internal => "server_error",
    }
}

/// Reads a provider's error body. The body may be anything.
pub(crate) fn read_body(status: u16, body: &[u8]) -> UpstreamError {
    let body = &body[..body.len().min(BODY_BYTES_MAX)];
    if let Ok(tape) = Tape::scan(body, &Rules::ANSWER) {
        let mut root = tape.root(body);
        // Some gateways of vendors wrap the error in an array of one.
        if let Some(first) = root.items().next() {
            root = first;
        }
        if root.kind() == Kind::Object {
            return read_object(status, root);
        }
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let message = if text.is_empty() {
        format!("The provider answered with status {status} and no explanation.")
    } else if text.starts_with('<') {
        format!("The provider answered with status {status} and a web page instead of an error.")
    } else {
        bounded(text)
    };
    UpstreamError {
        status,
        code: None,
        message,
        param: None,
    }
}

/// Reads `{"error":{..}}`, `{"error":".."}`, `{"message":..}`,
/// `{"detail":..}`: the shapes that servers of this format are seen to send.
fn read_object(status: u16, root: Json<'_>) -> UpstreamError {
    let error = match root.field("error") {
        Some(error) if error.kind() == Kind::Object => error,
        Some(error) if error.str().is_some() => {
            return UpstreamError {
                status,
                code: word(root, &["code", "type"]),
                message: bounded(&error.str().unwrap_or_default()),
                param: None,
            };
        }
        Some(_) | None => root,
    };
    let message = ["message", "detail", "msg"]
        .iter()
        .find_map(|key| error.field(key))
        .map(|message| message.str().unwrap_or(Cow::Borrowed(message.raw())))
        .filter(|message| !message.is_empty());
    UpstreamError {
        status,
        code: word(error, &["code", "status", "type"]),
        message: match message {
            Some(message) => bounded(&message),
            None => format!("The provider answered with status {status} and no explanation."),
        },
        param: word(error, &["param"]),
    }
}

/// The first of these fields that holds a word; numbers only repeat the status.
fn word(object: Json<'_>, keys: &[&str]) -> Option<String> {
    keys.iter()
        .filter_map(|key| object.field(key)?.str())
        .find(|text| !text.is_empty())
        .map(Cow::into_owned)
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// The error inside an object that came under a 200, in a body or a frame.
pub(crate) fn find_in_band(root: Json<'_>) -> Option<Fault> {
    let is_error = root.field("error").is_some()
        || root.field("object").and_then(|word| word.str()).as_deref() == Some("error");
    is_error.then(|| in_band(read_object(200, root)))
}

/// Classifies an error that came under a 200 by the vendor's own word.
pub(crate) fn in_band(mut error: UpstreamError) -> Fault {
    let code = error.code.as_deref().unwrap_or_default();
    let private = format!("in-band error {code:?}: {}", error.message);
    let mut fault = match code {
        "rate_limit_exceeded" | "rate_limit_error" => busy::limited(private),
        "overloaded_error" | "overloaded" => busy::overloaded(private),
        "invalid_request_error"
        | "invalid_prompt"
        | "context_length_exceeded"
        | "content_filter"
        | "content_policy_violation"
        | "image_content_policy_violation"
        | "bio_policy"
        | "cyber_policy" => {
            error.status = 400;
            let public = error.message.clone();
            Fault::new(FaultKind::UpstreamRefused, Origin::Client, public).because(private)
        }
        _ => Fault::upstream_broken(
            "The provider reported an error instead of completing the answer. Try again; \
             if it persists, look at the provider's status.",
        )
        .because(private),
    };
    fault.upstream = Some(Box::new(error));
    fault
}

/// Reads an error whose members stand in the event itself.
pub(crate) fn read_flat(event: Json<'_>) -> UpstreamError {
    let text = |key| event.field(key).and_then(|value| value.str());
    UpstreamError {
        status: 200,
        code: text("code").map(Cow::into_owned),
        message: text("message").map_or_else(String::new, |message| bounded(&message)),
        param: text("param").map(Cow::into_owned),
    }
}

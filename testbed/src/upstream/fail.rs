//! Refusals of the fake in each vendor's own words: status, headers and body.
//!
//! Not here: when something is refused (readers, routes), and faults that break the transport.

use super::prompt::Surface;
use super::strict::{Flaw, FlawKind};
use http::StatusCode;
use serde_json::{Value, json};

/// What kind of refusal; each vendor maps it to its own status and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Invalid,
    ContextLength,
    Unauthenticated,
    Forbidden,
    NotFound,
    Method,
    TooLarge,
    RateLimited,
    Quota,
    Server,
    Overloaded,
    /// The reasoning that was replayed is not ours, byte for byte.
    Tampered,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fail {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
}

impl Fail {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            code: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Puts a reader's flaw into the words of the surface that read it.
    pub(crate) fn from_flaw(flaw: Flaw, surface: Surface) -> Self {
        match surface {
            Surface::Chat | Surface::Responses => openai_flaw(flaw, surface),
            Surface::Messages => Self::invalid(anthropic_flaw(&flaw)),
            Surface::Gemini => Self::invalid(gemini_flaw(&flaw)),
            Surface::Converse => Self::invalid(bedrock_flaw(&flaw)),
        }
    }
}

fn openai_flaw(flaw: Flaw, surface: Surface) -> Fail {
    let path = bracketed(&flaw.path);
    let (message, code) = match flaw.kind {
        FlawKind::Unknown if surface == Surface::Chat && !flaw.path.contains('.') => (
            format!("Unrecognized request argument supplied: {path}"),
            "unknown_parameter",
        ),
        FlawKind::Unknown => (format!("Unknown parameter: '{path}'."), "unknown_parameter"),
        FlawKind::Missing => (
            format!("Missing required parameter: '{path}'."),
            "missing_required_parameter",
        ),
        FlawKind::Type { expected, got } => (
            format!("Invalid type for '{path}': expected {expected}, but got {got} instead."),
            "invalid_type",
        ),
        FlawKind::Value(message) => (message, "invalid_value"),
    };
    Fail::invalid(message).param(path).code(code)
}

/// `messages.0.content.1` -> `messages[0].content[1]`, as OpenAI writes paths.
fn bracketed(path: &str) -> String {
    path.split('.').fold(String::new(), |mut out, step| {
        match step.parse::<usize>() {
            Ok(n) => out.push_str(&format!("[{n}]")),
            Err(_) if out.is_empty() => out.push_str(step),
            Err(_) => {
                out.push('.');
                out.push_str(step);
            }
        }
        out
    })
}

fn anthropic_flaw(flaw: &Flaw) -> String {
    match &flaw.kind {
        FlawKind::Unknown => format!("{}: Extra inputs are not permitted", flaw.path),
        FlawKind::Missing => format!("{}: Field required", flaw.path),
        FlawKind::Type { expected, .. } => {
            let noun = expected.trim_start_matches("an ").trim_start_matches("a ");
            format!("{}: Input should be a valid {noun}", flaw.path)
        }
        FlawKind::Value(message) => format!("{}: {message}", flaw.path),
    }
}

fn gemini_flaw(flaw: &Flaw) -> String {
    let path = bracketed(&flaw.path);
    match &flaw.kind {
        FlawKind::Unknown => {
            let (at, name) = path.rsplit_once('.').unwrap_or(("", &path));
            match at {
                "" => format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
                ),
                _ => format!(
                    "Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field."
                ),
            }
        }
        FlawKind::Missing => format!("* GenerateContentRequest.{path}: {} is required", flaw.path),
        FlawKind::Type { got, .. } => format!("Invalid value at '{path}': got {got}"),
        FlawKind::Value(message) => format!("Invalid value at '{path}': {message}"),
    }
}

fn bedrock_flaw(flaw: &Flaw) -> String {
    let path = format!("#/{}", flaw.path.replace('.', "/"));
    match &flaw.kind {
        FlawKind::Unknown => format!(
            "Malformed input request: {path}: extraneous key is not permitted, please reformat your input and try again."
        ),
        FlawKind::Missing => format!(
            "Malformed input request: {path}: required key not found, please reformat your input and try again."
        ),
        FlawKind::Type { expected, got } => format!(
            "Malformed input request: {path}: expected type: {expected}, found: {got}, please reformat your input and try again."
        ),
        FlawKind::Value(message) => format!("The value at {path} is invalid: {message}"),
    }
}

/// A rendered refusal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// Bedrock names the exception in `x-amzn-errortype`.
    pub(crate) exception: Option<&'static str>,
}

pub(crate) fn render(surface: Surface, fail: &Fail, request_id: &str) -> Rendered {
    match surface {
        Surface::Chat | Surface::Responses => openai(fail),
        Surface::Messages => anthropic(fail, request_id),
        Surface::Gemini => gemini(fail),
        Surface::Converse => bedrock(fail),
    }
}

fn openai(fail: &Fail) -> Rendered {
    let (status, kind, code) = match fail.kind {
        Kind::Invalid => (400, "invalid_request_error", None),
        Kind::ContextLength => (
            400,
            "invalid_request_error",
            Some("context_length_exceeded"),
        ),
        Kind::Tampered => (
            400,
            "invalid_request_error",
            Some("invalid_encrypted_content"),
        ),
        Kind::Unauthenticated => (401, "invalid_request_error", Some("invalid_api_key")),
        Kind::Forbidden => (403, "invalid_request_error", Some("permission_denied")),
        Kind::NotFound => (404, "invalid_request_error", None),
        Kind::Method => (405, "invalid_request_error", None),
        Kind::TooLarge => (413, "invalid_request_error", Some("request_too_large")),
        Kind::RateLimited => (429, "requests", Some("rate_limit_exceeded")),
        Kind::Quota => (429, "insufficient_quota", Some("insufficient_quota")),
        Kind::Server => (500, "server_error", None),
        Kind::Overloaded => (503, "server_error", Some("overloaded")),
    };
    let body = json!({"error": {
        "message": fail.message, "type": kind, "param": fail.param, "code": fail.code.or(code),
    }});
    Rendered {
        status: status_of(status),
        body,
        exception: None,
    }
}

fn anthropic(fail: &Fail, request_id: &str) -> Rendered {
    let (status, kind) = match fail.kind {
        Kind::Invalid | Kind::ContextLength | Kind::Tampered => (400, "invalid_request_error"),
        Kind::Unauthenticated => (401, "authentication_error"),
        Kind::Quota => (402, "billing_error"),
        Kind::Forbidden => (403, "permission_error"),
        Kind::NotFound => (404, "not_found_error"),
        Kind::Method => (405, "invalid_request_error"),
        Kind::TooLarge => (413, "request_too_large"),
        Kind::RateLimited => (429, "rate_limit_error"),
        Kind::Server => (500, "api_error"),
        Kind::Overloaded => (529, "overloaded_error"),
    };
    let body = json!({
        "type": "error",
        "error": {"type": kind, "message": fail.message},
        "request_id": request_id,
    });
    Rendered {
        status: status_of(status),
        body,
        exception: None,
    }
}

fn gemini(fail: &Fail) -> Rendered {
    let (status, name) = match fail.kind {
        Kind::Invalid | Kind::ContextLength | Kind::Tampered => (400, "INVALID_ARGUMENT"),
        Kind::Unauthenticated => (401, "UNAUTHENTICATED"),
        Kind::Forbidden => (403, "PERMISSION_DENIED"),
        Kind::NotFound | Kind::Method => (404, "NOT_FOUND"),
        Kind::TooLarge => (413, "INVALID_ARGUMENT"),
        Kind::RateLimited | Kind::Quota => (429, "RESOURCE_EXHAUSTED"),
        Kind::Server => (500, "INTERNAL"),
        Kind::Overloaded => (503, "UNAVAILABLE"),
    };
    let mut error = json!({"code": status, "message": fail.message, "status": name});
    if fail.kind == Kind::RateLimited {
        error["details"] =
            json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}]);
    }
    Rendered {
        status: status_of(status),
        body: json!({"error": error}),
        exception: None,
    }
}

fn bedrock(fail: &Fail) -> Rendered {
    let (status, name) = match fail.kind {
        Kind::Invalid | Kind::ContextLength | Kind::Tampered | Kind::TooLarge => {
            (400, "ValidationException")
        }
        Kind::Unauthenticated => (403, "UnrecognizedClientException"),
        Kind::Forbidden => (403, "AccessDeniedException"),
        Kind::NotFound => (404, "ResourceNotFoundException"),
        Kind::Method => (404, "UnknownOperationException"),
        Kind::RateLimited => (429, "ThrottlingException"),
        Kind::Quota => (400, "ServiceQuotaExceededException"),
        Kind::Server => (500, "InternalServerException"),
        Kind::Overloaded => (503, "ServiceUnavailableException"),
    };
    // A wrong signature has a name of its own.
    let name = fail.code.unwrap_or(name);
    Rendered {
        status: status_of(status),
        body: json!({"message": fail.message}),
        exception: Some(name),
    }
}

fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("the tables above hold three-digit codes")
}

//! Answers and their JSON. Every text of a record is hostile, so characters
//! that a terminal or a page may act upon leave here as `\u` escapes only.
//!
//! Deliberately not here: which resource says what.

use std::io::{self, Write};

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// Characters of a caller's path that an error repeats.
const PATH_CHARS_MAX: usize = 100;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Bytes,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorFacts<'a>,
}

#[derive(Serialize)]
struct ErrorFacts<'a> {
    code: &'a str,
    message: &'a str,
}

impl Reply {
    /// 200 with a JSON body.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::whole(StatusCode::OK, "application/json", json(value))
    }

    /// 200 with JSON that was written elsewhere.
    pub(crate) fn json_text(text: String) -> Self {
        Self::whole(StatusCode::OK, "application/json", text)
    }

    /// 200 with text of this type.
    pub(crate) fn text(content_type: &'static str, text: String) -> Self {
        Self::whole(StatusCode::OK, content_type, text)
    }

    /// `{"error":{"code":..,"message":..}}` with this status.
    pub fn fault(status: u16, code: &str, message: &str) -> Self {
        let body = json(&ErrorBody {
            error: ErrorFacts { code, message },
        });
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::whole(status, "application/json", body)
    }

    /// As [`Reply::fault`]: what failed, as a sentence, and what to do.
    pub(crate) fn failed((status, code): (u16, &str), said: &str, advice: &str) -> Self {
        let mut letters = said.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        let said: String = first.chain(letters).collect();
        Self::fault(status, code, &format!("{said}. {advice}."))
    }

    /// As [`Reply::fault`], with more fields beside `code` and `message`.
    pub(crate) fn fault_with(status: u16, code: &str, message: &str, more: Value) -> Self {
        let mut error = serde_json::json!({"code": code, "message": message});
        if let (Value::Object(error), Value::Object(more)) = (&mut error, more) {
            error.extend(more);
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json(&serde_json::json!({"error": error}));
        Self::whole(status, "application/json", body)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn unknown_path(path: &str) -> Self {
        let shown: String = path.chars().take(PATH_CHARS_MAX).collect();
        let message = format!(
            "There is nothing at `{shown}` on the admin listener. GET /openapi.json lists what \
             there is; calls of applications go to the data listener."
        );
        Self::fault(404, "unknown_path", &message)
    }

    pub(crate) fn wrong_method(allow: &str) -> Self {
        let message = format!("This path is served with {allow} only.");
        Self::fault(405, "method_not_allowed", &message).with("allow", allow)
    }

    fn whole(status: StatusCode, content_type: &'static str, text: String) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: text.into(),
        }
    }
}

/// JSON in which no text can do anything but be read.
pub(crate) fn json(value: &impl Serialize) -> String {
    let mut out = Vec::with_capacity(512);
    let mut serializer = Serializer::with_formatter(&mut out, Guarded);
    let written = value.serialize(&mut serializer);
    written.expect("plain data written to memory cannot fail");
    String::from_utf8(out).expect("the serializer writes text")
}

/// Compact JSON with [`evidence::dangerous`] characters escaped.
struct Guarded;

impl Formatter for Guarded {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in fragment
            .char_indices()
            .filter(|(_, c)| evidence::dangerous(*c))
        {
            writer.write_all(&fragment.as_bytes()[from..at])?;
            from = at + c.len_utf8();
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        writer.write_all(&fragment.as_bytes()[from..])
    }
}

//! Scripted faults: what an upstream does on its bad days, by name.
//!
//! A fault takes the answer that would have been given and spoils it, or replaces it. The names
//! are the contract of `UPSTREAM.md`. How a request selects one is in `routes`.

use super::answer::{Answer, Raw, Step};
use super::fail::{self, Fail, Kind};
use super::prompt::Surface;
use super::{eventstream, spoil};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

/// Pause of `slow-head`, `slow-first-token` where the caller names none.
pub(crate) const SLOW_MS: u64 = 2000;
/// Pause between the repeats of an endless stream.
const ENDLESS_MS: u64 = 1;

/// Names and meanings, in the order of the document.
pub(crate) const NAMES: [(&str, &str); 53] = [
    ("reset-before-head", "TCP reset before any byte"),
    ("close-before-head", "clean close before any byte"),
    ("reset-in-head", "TCP reset inside the response head"),
    ("hang", "no head, ever"),
    ("slow-head", "head after a pause (2 s or ms)"),
    ("500", "500 with the vendor's JSON error"),
    ("500-plain", "500 with a plain text body"),
    ("502-html", "502 with an HTML page"),
    ("503", "503 (Anthropic: 529) overloaded"),
    ("503-retry-after", "the same with retry-after: 1"),
    ("504", "504 with an empty body"),
    ("429", "429 without retry-after"),
    ("429-retry-after", "429 with retry-after: 2"),
    ("429-retry-after-ms", "429 with retry-after-ms: 150"),
    ("quota", "the vendor's out-of-credit error"),
    ("401", "the vendor's wrong-key error"),
    ("403", "the vendor's permission error"),
    ("404", "the vendor's unknown-model error"),
    ("400", "the vendor's invalid-request error"),
    ("413", "the vendor's too-large error"),
    ("context-length", "the vendor's context-length error"),
    (
        "content-refusal",
        "the vendor's content-policy error (Gemini: 200 with promptFeedback)",
    ),
    (
        "array-error",
        "400 with the error wrapped in an array (Gemini does this on streams)",
    ),
    ("200-error-body", "200 whose JSON body is an error"),
    ("200-html", "200 with an HTML page"),
    (
        "malformed-json",
        "200 with JSON that breaks off (streams: one broken event)",
    ),
    ("invalid-utf8", "200 whose text has invalid UTF-8"),
    (
        "length-long",
        "content-length larger than the body, then close",
    ),
    ("length-short", "content-length smaller than the body"),
    ("empty-200", "200 without a body"),
    (
        "gzip",
        "the normal answer with content-encoding: gzip, asked for or not",
    ),
    ("missing-usage", "the normal answer without usage"),
    ("redirect", "307 to another host"),
    (
        "slow-first-token",
        "head at once, first frame after a pause (2 s or ms)",
    ),
    ("stall", "a few content frames, then silence"),
    (
        "stall-early",
        "head and opening frames without content, then silence",
    ),
    ("cut", "a few content frames, then a clean end of the body"),
    ("cut-early", "a clean end before any content"),
    (
        "cut-before-end",
        "everything but the end marker, then a clean end",
    ),
    ("reset", "a few content frames, then a TCP reset"),
    ("reset-early", "a TCP reset after the opening frames"),
    (
        "abort",
        "a few content frames, then close without the end of the chunked body",
    ),
    (
        "in-band-error",
        "a few content frames, then the dialect's error in the stream",
    ),
    (
        "in-band-error-early",
        "the dialect's error in the stream before any content",
    ),
    ("byte-drip", "the stream in pieces of one byte"),
    ("one-chunk", "the whole stream in one write"),
    ("big-event", "one event of 5 MB"),
    ("endless", "a content frame repeated for ever"),
    (
        "unknown-event",
        "events of a kind that nobody knows, in between",
    ),
    (
        "split-utf8",
        "text with multi-byte characters, cut inside them",
    ),
    ("u2028", "text with U+2028, U+2029 and U+0085, unescaped"),
    ("invalid-crc", "Bedrock: one message with a wrong CRC"),
    (
        "truncated-frame",
        "Bedrock and SSE: the last message stops half way, clean end",
    ),
];

/// Spellings of SSE that are legal and rare.
pub(crate) const SSE_NAMES: [(&str, &str); 7] = [
    ("sse-cr", "lines end with CR"),
    ("sse-crlf", "lines end with CRLF"),
    (
        "sse-crlf-split",
        "CRLF, written so that CR and LF arrive apart",
    ),
    ("sse-comments", "comments between events"),
    ("sse-bom", "a byte order mark first"),
    ("sse-no-space", "`data:{` without a space"),
    (
        "sse-fields",
        "id: and retry: fields, and events whose data spans two lines",
    ),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) ms: Option<u64>,
}

impl Fault {
    pub(crate) fn named(name: &str, ms: Option<u64>) -> Option<Self> {
        let all = NAMES.iter().chain(SSE_NAMES.iter());
        all.map(|(n, _)| *n)
            .find(|n| *n == name)
            .map(|name| Self { name, ms })
    }

    /// True when the text of the answer has to be one that shows the fault.
    pub(crate) fn wants_unicode(&self) -> bool {
        ["u2028", "split-utf8", "invalid-utf8"].contains(&self.name)
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.ms.unwrap_or(SLOW_MS))
    }
}

/// Spoils `answer`, which is what the request would have got.
pub(crate) fn apply(fault: &Fault, surface: Surface, request_id: &str, answer: Answer) -> Answer {
    if let Some(refused) = refusal(fault.name, surface, request_id) {
        return refused;
    }
    if let Some(broken) = below_http(fault, &answer) {
        return broken;
    }
    if let Some(odd) = odd_whole(fault.name, surface, request_id, &answer) {
        return odd;
    }
    match answer.stream {
        true => stream(fault, surface, request_id, answer),
        false => whole(fault, answer),
    }
}

fn refusal(name: &str, surface: Surface, request_id: &str) -> Option<Answer> {
    let (kind, message) = match name {
        "500" => (
            Kind::Server,
            "The server had an error while processing your request. Sorry about that!",
        ),
        "503" | "503-retry-after" => (Kind::Overloaded, "Overloaded"),
        "429" | "429-retry-after" | "429-retry-after-ms" => (
            Kind::RateLimited,
            "Rate limit reached for requests. Please try again in 2s.",
        ),
        "quota" => (
            Kind::Quota,
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        "401" => (
            Kind::Unauthenticated,
            "Incorrect API key provided: test****.",
        ),
        "403" => (Kind::Forbidden, "You do not have access to this model."),
        "404" => (Kind::NotFound, "The model `fault/404` does not exist."),
        "400" => (
            Kind::Invalid,
            "Invalid request: the fake was told to refuse it.",
        ),
        "413" => (Kind::TooLarge, "Request exceeds the maximum size."),
        "context-length" => (Kind::ContextLength, context_message(surface)),
        "content-refusal" => return Some(content_refusal(surface, request_id)),
        _ => return None,
    };
    let mut answer = refuse(surface, &Fail::new(kind, message), request_id);
    match name {
        "503-retry-after" => answer.set("retry-after", "1"),
        "429-retry-after" => answer.set("retry-after", "2"),
        "429-retry-after-ms" => answer.set("retry-after-ms", "150"),
        _ => {}
    }
    Some(answer)
}

fn context_message(surface: Surface) -> &'static str {
    match surface {
        Surface::Chat | Surface::Responses => {
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens. Please reduce the length of the messages."
        }
        Surface::Messages => "prompt is too long: 200001 tokens > 200000 maximum",
        Surface::Gemini => {
            "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
        }
        Surface::Converse => "Input is too long for requested model.",
    }
}

fn content_refusal(surface: Surface, request_id: &str) -> Answer {
    let fail = match surface {
        Surface::Chat | Surface::Responses => Fail::invalid(
            "The response was filtered due to the prompt triggering the content management policy.",
        )
        .param("prompt")
        .code("content_filter"),
        Surface::Messages => Fail::invalid("Output blocked by content filtering policy"),
        Surface::Gemini => {
            return Answer::json(
                StatusCode::OK,
                &json!({
                    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                    "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
                    "modelVersion": "fault", "responseId": request_id,
                }),
            );
        }
        Surface::Converse => Fail::invalid("The content was blocked by the content policy."),
    };
    refuse(surface, &fail, request_id)
}

/// A refusal in the vendor's words as an answer.
pub(crate) fn refuse(surface: Surface, fail: &Fail, request_id: &str) -> Answer {
    let rendered = fail::render(surface, fail, request_id);
    let mut answer = Answer::json(rendered.status, &rendered.body);
    if let Some(name) = rendered.exception {
        answer.set("x-amzn-errortype", name);
    }
    super::auth::dress(&mut answer, surface, request_id);
    answer
}

fn body_of(answer: &Answer) -> Bytes {
    let sent: Vec<&Bytes> = answer
        .steps
        .iter()
        .filter_map(|s| match s {
            Step::Send(b) => Some(b),
            Step::Wait(_) | Step::Repeat(..) | Step::Stall | Step::Break(_) => None,
        })
        .collect();
    sent.into_iter().flat_map(|b| b.iter().copied()).collect()
}

/// Faults that hyper would not let a server commit.
fn below_http(fault: &Fault, answer: &Answer) -> Option<Answer> {
    let kind = if answer.stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let head = |length: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n")
    };
    let body = body_of(answer);
    let (bytes, reset) = match fault.name {
        "reset-before-head" => (Bytes::new(), true),
        "close-before-head" => (Bytes::new(), false),
        "reset-in-head" => (Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Ty"), true),
        "length-long" => (
            Bytes::from([head(body.len() + 100).as_bytes(), &body].concat()),
            false,
        ),
        "length-short" => (
            Bytes::from([head(body.len() / 2).as_bytes(), &body].concat()),
            false,
        ),
        _ => return None,
    };
    let mut out = answer.clone();
    out.raw = Some(Raw { bytes, reset });
    Some(out)
}

/// Faults that replace the answer whatever was asked.
fn odd_whole(name: &str, surface: Surface, request_id: &str, answer: &Answer) -> Option<Answer> {
    const PAGE: &[u8] = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";
    let out = match name {
        "500-plain" => Answer::whole(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            Bytes::from_static(b"upstream connect error or disconnect/reset before headers"),
        ),
        "502-html" => Answer::whole(
            StatusCode::BAD_GATEWAY,
            "text/html",
            Bytes::from_static(PAGE),
        ),
        "200-html" => Answer::whole(StatusCode::OK, "text/html", Bytes::from_static(PAGE)),
        "504" => Answer::whole(StatusCode::GATEWAY_TIMEOUT, "text/plain", Bytes::new()),
        "empty-200" => Answer::whole(StatusCode::OK, "application/json", Bytes::new()),
        "200-error-body" => {
            let rendered = fail::render(
                surface,
                &Fail::new(Kind::Server, "Something went wrong"),
                request_id,
            );
            Answer::json(StatusCode::OK, &rendered.body)
        }
        "array-error" => {
            let rendered = fail::render(surface, &Fail::invalid("Invalid request"), request_id);
            Answer::json(StatusCode::BAD_REQUEST, &json!([rendered.body]))
        }
        "redirect" => {
            let mut out = Answer::whole(StatusCode::TEMPORARY_REDIRECT, "text/plain", Bytes::new());
            out.set("location", "http://127.0.0.1:1/elsewhere");
            out
        }
        "hang" => Answer {
            hang: true,
            ..answer.clone()
        },
        "gzip" => {
            let mut out = answer.clone();
            out.set("content-encoding", "gzip");
            out.steps = vec![Step::Send(spoil::gzip(&body_of(answer)))];
            out
        }
        _ => return None,
    };
    Some(out)
}

fn whole(fault: &Fault, mut answer: Answer) -> Answer {
    let body = body_of(&answer);
    let half = body.slice(..body.len() / 2);
    let claim = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let broken = |reset| {
        Some(Raw {
            bytes: Bytes::from([claim.as_bytes(), &half].concat()),
            reset,
        })
    };
    match fault.name {
        "slow-head" | "slow-first-token" => answer.head_delay = fault.pause(),
        "malformed-json" => answer.steps = vec![Step::Send(half)],
        "invalid-utf8" => answer.steps = vec![Step::Send(spoil::invalid_utf8(&body))],
        "missing-usage" => answer.steps = vec![Step::Send(spoil::without_usage(&body))],
        "stall" | "stall-early" => {
            answer.stream = true;
            answer.steps = vec![Step::Send(half), Step::Stall];
        }
        "cut" | "cut-early" | "cut-before-end" | "abort" => answer.raw = broken(false),
        "reset" | "reset-early" => answer.raw = broken(true),
        "in-band-error" | "in-band-error-early" => {
            answer.steps = vec![Step::Send(Bytes::from_static(
                b"{\"error\":{\"message\":\"late failure\",\"type\":\"server_error\"}}",
            ))];
        }
        "byte-drip" => {
            answer.stream = true;
            answer.steps = spoil::drip(&body);
        }
        "big-event" => answer.steps = vec![Step::Send(spoil::big_json(&body))],
        "endless" => {
            answer.stream = true;
            answer.steps = vec![
                Step::Send(half),
                Step::Repeat(
                    Bytes::from(vec![b' '; 1024]),
                    Duration::from_millis(ENDLESS_MS),
                ),
            ];
        }
        // The rest only makes sense on streams; a whole answer stays as it is.
        _ => {}
    }
    answer
}

/// How many frames make up the opening, and the opening with some content.
fn opening(surface: Surface) -> (usize, usize) {
    match surface {
        Surface::Chat => (1, 3),
        Surface::Responses => (2, 6),
        Surface::Messages => (2, 5),
        Surface::Gemini => (0, 2),
        Surface::Converse => (1, 3),
    }
}

fn stream(fault: &Fault, surface: Surface, request_id: &str, mut answer: Answer) -> Answer {
    let frames: Vec<Bytes> = answer
        .steps
        .iter()
        .filter_map(|s| match s {
            Step::Send(b) => Some(b.clone()),
            Step::Wait(_) | Step::Repeat(..) | Step::Stall | Step::Break(_) => None,
        })
        .collect();
    let (early, late) = opening(surface);
    let keep = if fault.name.ends_with("-early") {
        early
    } else {
        late
    }
    .min(frames.len());
    let mut steps: Vec<Step> = frames[..keep].iter().cloned().map(Step::Send).collect();
    // A short wait lets the frames reach the wire before the connection ends.
    let settle = Step::Wait(Duration::from_millis(20));
    match fault.name {
        "slow-head" => answer.head_delay = fault.pause(),
        "slow-first-token" => {
            answer.steps.insert(0, Step::Wait(fault.pause()));
            return answer;
        }
        "stall" | "stall-early" => steps.push(Step::Stall),
        "cut" | "cut-early" => {}
        "cut-before-end" => steps = spoil::without_end(surface, &frames),
        "reset" | "reset-early" => steps.extend([settle, Step::Break(true)]),
        "abort" => steps.extend([settle, Step::Break(false)]),
        "in-band-error" | "in-band-error-early" => {
            steps.push(Step::Send(in_band(surface, request_id, keep)));
        }
        "endless" => {
            let again = frames
                .get(late.saturating_sub(1))
                .cloned()
                .unwrap_or_default();
            steps.push(Step::Repeat(again, Duration::from_millis(ENDLESS_MS)));
        }
        _ => steps = spoil::frames(fault.name, surface, &frames),
    }
    if fault.name != "slow-head" {
        answer.steps = steps;
    }
    answer
}

/// The dialect's error inside a stream.
fn in_band(surface: Surface, request_id: &str, sequence: usize) -> Bytes {
    let event = |name: &str, v: Value| Bytes::from(format!("event: {name}\ndata: {v}\n\n"));
    match surface {
        Surface::Chat => Bytes::from(format!(
            "data: {}\n\n",
            json!({"error": {
                "message": "The server had an error while processing your request.", "type": "server_error", "param": null, "code": null,
            }})
        )),
        Surface::Responses => event(
            "error",
            json!({
                "type": "error", "code": "server_error", "message": "The server had an error while processing your request.",
                "param": null, "sequence_number": sequence,
            }),
        ),
        Surface::Messages => event(
            "error",
            json!({
                "type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": request_id,
            }),
        ),
        Surface::Gemini => Bytes::from(format!(
            "data: {}\r\n\r\n",
            json!({"error": {
                "code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE",
            }})
        )),
        Surface::Converse => eventstream::exception(
            "modelStreamErrorException",
            &json!({
                "message": "The model stream failed.", "originalStatusCode": 500, "originalMessage": "overloaded",
            }),
        ),
    }
}

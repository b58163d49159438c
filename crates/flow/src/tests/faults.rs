//! Cases of faults that are told in more than one way: the same thing gets
//! the same answer.

use contract::{Fault, FaultKind, Origin};

use super::world::{Got, Script, Step, World};
use super::{ASK_STREAM, CHAT};
use crate::ReplyBody;

/// A vendor's two ways to tell one thing: the status it gives before an
/// answer, and the frame in an answer that has begun.
struct Told {
    kind: &'static str,
    dialect: &'static str,
    status: (u16, &'static str),
    frame: &'static str,
    /// The answer to the caller.
    comes_to: (u16, &'static str),
}

/// Vendors keep 429 for limits and tell an overload by 503 or 529: so does
/// the gateway, whichever way it was told. The caller of an overloaded
/// provider has not asked too much, and a client slows down at a 429.
const TOLD: [Told; 8] = [
    Told {
        kind: "anthropic",
        dialect: "anthropic",
        status: (
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        ),
        frame: "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        comes_to: (502, "upstream_broken"),
    },
    Told {
        kind: "anthropic",
        dialect: "anthropic",
        status: (
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow"}}"#,
        ),
        frame: "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Slow\"}}\n\n",
        comes_to: (429, "upstream_busy"),
    },
    Told {
        kind: "openai",
        dialect: "openai_chat",
        status: (
            503,
            r#"{"error":{"message":"x","type":"server_error","code":"overloaded"}}"#,
        ),
        frame: "data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\",\"code\":\"overloaded\"}}\n\n",
        comes_to: (502, "upstream_broken"),
    },
    Told {
        kind: "openai",
        dialect: "openai_chat",
        status: (
            429,
            r#"{"error":{"message":"x","code":"rate_limit_exceeded"}}"#,
        ),
        frame: "data: {\"error\":{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}\n\n",
        comes_to: (429, "upstream_busy"),
    },
    // An account without money: waiting does not help.
    Told {
        kind: "openai",
        dialect: "openai_responses",
        status: (
            429,
            r#"{"error":{"message":"x","code":"insufficient_quota"}}"#,
        ),
        frame: "event: error\ndata: {\"type\":\"error\",\"code\":\"insufficient_quota\",\"message\":\"x\"}\n\n",
        comes_to: (502, "upstream_broken"),
    },
    Told {
        kind: "openai",
        dialect: "openai_responses",
        status: (503, r#"{"error":{"message":"x","code":"overloaded"}}"#),
        frame: "event: error\ndata: {\"type\":\"error\",\"code\":\"overloaded\",\"message\":\"x\"}\n\n",
        comes_to: (502, "upstream_broken"),
    },
    Told {
        kind: "gemini",
        dialect: "gemini",
        status: (
            503,
            r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#,
        ),
        frame: "data: {\"error\":{\"code\":503,\"message\":\"x\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
        comes_to: (502, "upstream_broken"),
    },
    Told {
        kind: "gemini",
        dialect: "gemini",
        status: (
            429,
            r#"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}"#,
        ),
        frame: "data: {\"error\":{\"code\":429,\"message\":\"x\",\"status\":\"RESOURCE_EXHAUSTED\"}}\r\n\r\n",
        comes_to: (429, "upstream_busy"),
    },
];

#[test]
fn overload_is_no_rate_limit_whether_by_status_or_in_the_stream() {
    for told in TOLD {
        let answer = |script| -> (Got, String) {
            let world = World::new(&[(told.kind, told.dialect)], vec![Ok(script)]);
            let got = world.call(CHAT, ASK_STREAM);
            let fault = world.records()[0].fault.clone().expect("noted");
            (got, fault.kind.to_string())
        };
        let by_status = answer(Script::json(told.status.0, told.status.1));
        let in_band = answer(Script::sse(&[told.frame]));
        for (how, (got, kind)) in [("by status", &by_status), ("in band", &in_band)] {
            let name = format!("{} {how}: {}", told.dialect, got.body);
            assert_eq!((got.status, kind.as_str()), told.comes_to, "{name}");
            assert_eq!(got.headers["x-should-retry"], "true", "{name}");
        }
        let after = |got: &Got| got.headers.get("retry-after").cloned();
        assert_eq!(after(&by_status.0), after(&in_band.0), "{}", told.frame);
    }
}

#[test]
fn the_body_of_a_fault_tells_the_status_of_its_head() {
    let world = World::new(&[("openai", "openai_chat")], vec![]);
    let (head, ()) = http::Request::post("/v1beta/models/m:generateContent")
        .body(())
        .expect("a request")
        .into_parts();
    let fault = Fault::new(
        FaultKind::TooLarge,
        Origin::Client,
        "The head is too large.",
    );
    let status = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    let reply = world.flow.refuse(head, &fault, status);
    let ReplyBody::Whole(body) = reply.body else {
        panic!("whole")
    };
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (reply.status, &body["error"]["code"]),
        (status, &431.into())
    );
    assert_eq!(world.records()[0].status, 431);
}

/// The event that ends a broken stream has the number behind the last one,
/// also where no event told a number.
#[test]
fn a_fault_in_a_numbered_stream_has_the_next_number() {
    let created = r#"{"type":"response.created","sequence_number":4,"response":{"id":"resp_1","status":"in_progress","output":[]}}"#;
    let item = r#"{"type":"response.output_item.added","sequence_number":5,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}"#;
    let part = r#"{"type":"response.content_part.added","sequence_number":6,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#;
    let delta = r#"{"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"hel"}"#;
    let own: Vec<String> = [created, item, part, delta]
        .iter()
        .map(|data| format!("event: x\ndata: {data}\n\n"))
        .collect();
    let bare: Vec<String> = (4..8)
        .zip(&own)
        .map(|(number, text)| text.replace(&format!("\"sequence_number\":{number},"), ""))
        .collect();
    let foreign = super::FRAMES.map(str::to_owned)[..2].to_vec();
    let ask = r#"{"model":"m","stream":true,"input":"hi"}"#;
    for (dialect, frames, first) in [
        ("openai_responses", own, Some(8)),
        ("openai_responses", bare, Some(4)),
        ("openai_chat", foreign, None),
    ] {
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let script = Script::sse(&frames).then(Step::Reset);
        let got = World::new(&[("openai", dialect)], vec![Ok(script)]).call("/v1/responses", ask);
        let numbers: Vec<u64> = got
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str::<serde_json::Value>(data).expect("JSON"))
            .filter_map(|event| event["sequence_number"].as_u64())
            .collect();
        assert!(got.body.contains("event: error\n"), "{}", got.body);
        let last = *numbers.last().expect("the error has one");
        match first {
            Some(expected) => assert_eq!(last, expected, "{}", got.body),
            None => assert!(numbers.iter().copied().eq(0..=last), "{numbers:?}"),
        }
    }
}

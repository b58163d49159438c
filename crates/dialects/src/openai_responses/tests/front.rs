//! The front door: paths, surveys, faults.

use contract::{FaultKind, Origin};
use http::{HeaderMap, Method};

use super::*;
use crate::dialect::Head;

fn routed(method: &Method, path: &str) -> Option<Route> {
    DIALECT.route(&Head {
        method,
        path,
        query: None,
        headers: &HeaderMap::new(),
    })
}

#[test]
fn each_path() {
    for prefix in ["", "/v1", "/openai/v1"] {
        let at = |method: &Method, rest: &str| routed(method, &format!("{prefix}{rest}"));
        let served = |rest: &str| {
            let route = at(&Method::POST, rest).expect("ours");
            assert_eq!(route.refused, None);
            route.operation
        };
        assert_eq!(served("/responses"), Operation::Chat);
        assert_eq!(served("/responses/input_tokens"), Operation::CountTokens);
        for (method, rest, kind) in [
            (Method::GET, "/responses", FaultKind::MethodNotAllowed),
            (Method::GET, "/responses/resp_1", FaultKind::UnknownPath),
            (Method::DELETE, "/responses/resp_1", FaultKind::UnknownPath),
            (
                Method::POST,
                "/responses/resp_1/cancel",
                FaultKind::UnknownPath,
            ),
            (
                Method::GET,
                "/responses/resp_1/input_items",
                FaultKind::UnknownPath,
            ),
            (Method::POST, "/responses/compact", FaultKind::UnknownPath),
        ] {
            let refused = at(&method, rest).expect("ours").refused.expect("refused");
            assert_eq!(refused.kind, kind, "{rest}");
        }
        assert_eq!(at(&Method::POST, "/responsesx"), None);
    }
}

#[test]
fn a_survey_finds_what_governs() {
    let body = r#"{"input":[{"role":"user","content":"x"},{"type":"additional_tools","tools":[{},{}]}],"model":"m","stream":true,"max_output_tokens":7,"tools":[{}]}"#;
    let doc = doc(body);
    let survey = DIALECT.survey(&chat_route(), doc.root()).expect("fine");
    assert_eq!((&*survey.model, survey.turns, survey.tools), ("m", 2, 3));
    assert_eq!(&body[survey.model_span.expect("there")], r#""m""#);
    assert_eq!(survey.output_tokens_max, Some(7));
    assert!(survey.stream && survey.stream_usage && survey.ask_usage.is_none());
    for (body, field) in [
        (r#"{"input":"x"}"#, "model"),
        (r#"{"model":"","input":"x"}"#, "model"),
        (r#"{"model":"m"}"#, "input"),
        (r#"{"model":"m","input":{}}"#, "input"),
        (r#"{"model":"m","input":"x","stream":1}"#, "stream"),
        (
            r#"{"model":"m","input":"x","max_output_tokens":0}"#,
            "max_output_tokens",
        ),
        (r#"{"model":"m","input":"x","tools":{}}"#, "tools"),
    ] {
        let doc = super::doc(body);
        let fault = DIALECT.survey(&chat_route(), doc.root()).expect_err(body);
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn a_fault_in_a_stream_is_an_error_event() {
    let fault = Fault::new(FaultKind::UpstreamBroken, Origin::Provider, "It broke.");
    let frame = DIALECT.write_fault_frame(&fault, REQUEST_ID, 7);
    let text = std::str::from_utf8(&frame).expect("text");
    let data = text
        .strip_prefix("event: error\ndata: ")
        .expect("an error event");
    let event = json(data.trim_end());
    assert_eq!(event["type"], "error");
    assert_eq!(
        (&event["message"], &event["code"]),
        (&"It broke.".into(), &"upstream_error".into())
    );
    assert_eq!(event["sequence_number"], 7);
    assert_eq!(
        event["error"]["type"], "server_error",
        "the SDKs raise at this object"
    );
}

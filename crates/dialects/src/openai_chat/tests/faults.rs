//! Errors, both ways.

use contract::fault::UpstreamError;
use contract::{FaultKind, Origin};
use http::HeaderMap;

use super::*;
use crate::dialect::Tally;

#[test]
fn faults_have_the_vendor_s_shape() {
    let fault = Fault::bad_request("`n`: wrong.").at("n");
    let body = DIALECT.write_fault(&fault, REQUEST_ID);
    assert_eq!(
        json(body.body),
        serde_json::json!({"error": {"message": "`n`: wrong.", "type": "invalid_request_error", "param": "n", "code": "invalid_request_error", "request_id": REQUEST_ID}})
    );
    let frame = DIALECT.write_fault_frame(&fault, REQUEST_ID, 0);
    assert!(frame.starts_with(b"data: {\"error\":") && frame.ends_with(b"}\n\n"));
    for kind in FaultKind::ALL {
        let fault = Fault::new(kind, Origin::Gateway, "x");
        let error = &json(DIALECT.write_fault(&fault, REQUEST_ID).body)["error"];
        assert_eq!(error["code"], kind.code());
        assert!(error["type"].is_string());
    }
}

#[test]
fn a_refusal_of_the_provider_keeps_its_words() {
    let mut fault = Fault::new(FaultKind::UpstreamRefused, Origin::Client, "refused");
    fault.upstream = Some(Box::new(UpstreamError {
        status: 422,
        code: Some("bad_schema".to_owned()),
        message: "Schema is bad".to_owned(),
        param: Some("tools[0]".to_owned()),
    }));
    let error = json(DIALECT.write_fault(&fault, REQUEST_ID).body)["error"].clone();
    assert_eq!(error["message"], "Schema is bad");
    assert_eq!(
        (&error["code"], &error["param"]),
        (&"bad_schema".into(), &"tools[0]".into())
    );
}

#[test]
fn any_error_body_is_read() {
    let read = |body: &str| DIALECT.read_error(400, &HeaderMap::new(), body.as_bytes());
    let cases = [
        (
            r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#,
            "m",
            Some("c"),
        ),
        (
            r#"{"error":{"message":"m","type":"t","param":null,"code":null}}"#,
            "m",
            Some("t"),
        ),
        (
            r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#,
            "m",
            Some("INVALID_ARGUMENT"),
        ),
        (r#"{"error":"m"}"#, "m", None),
        (
            r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#,
            "m",
            Some("BadRequestError"),
        ),
        (r#"{"detail":"m"}"#, "m", None),
        ("plain words", "plain words", None),
    ];
    for (body, message, code) in cases {
        let error = read(body);
        assert_eq!(
            (error.message.as_str(), error.code.as_deref()),
            (message, code),
            "{body}"
        );
    }
    for body in ["", "<html>busy</html>", "{}", "[]", "7"] {
        assert!(!read(body).message.is_empty(), "{body}");
        assert!(!read(body).message.contains("<html>"), "{body}");
    }
    let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(9_000));
    assert_eq!(read(&long).message.chars().count(), 2_000);
}

#[test]
fn an_error_or_rubbish_under_a_200_is_a_fault() {
    for (body, kind) in [
        (
            r#"{"error":{"message":"m","code":"server_error"}}"#,
            FaultKind::UpstreamBroken,
        ),
        (
            r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#,
            FaultKind::UpstreamRefused,
        ),
        (
            r#"{"object":"error","message":"m"}"#,
            FaultKind::UpstreamBroken,
        ),
        (r#"{"choices":[]}"#, FaultKind::UpstreamBroken),
        ("{}", FaultKind::UpstreamBroken),
        ("null", FaultKind::UpstreamBroken),
    ] {
        let doc = doc(body);
        let read = DIALECT.read_answer(Operation::Chat, doc.root());
        assert_eq!(read.expect_err(body).kind, kind, "{body}");
        let tallied = DIALECT.tally_answer(Operation::Chat, doc.root(), &mut Tally::default());
        assert_eq!(tallied.expect_err(body).kind, kind, "{body}");
    }
    let broken = r#"{"choices":[{"index":0,"message":{"content":7},"finish_reason":"stop"}]}"#;
    let fault = DIALECT.read_answer(Operation::Chat, doc(broken).root());
    assert_eq!(fault.expect_err("wrong type").origin, Origin::Provider);
}

#[test]
fn wrong_requests_name_the_field() {
    let message = |rest: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{rest}}}"#)
    };
    for (body, field) in [
        (message(r#","temperature":"hot""#), "temperature"),
        (message(r#","reasoning_effort":"huge""#), "reasoning_effort"),
        (message(r#","tool_choice":"some""#), "tool_choice"),
        (
            message(r#","response_format":{"type":"xml"}"#),
            "response_format.type",
        ),
        (
            message(r#","tools":[{"type":"function","function":{}}]"#),
            "tools[0].function.name",
        ),
        (message(r#","stop":[1]"#), "stop[0]"),
        (
            r#"{"model":"m","messages":[{"role":"boss","content":"x"}]}"#.to_owned(),
            "messages[0].role",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user"}]}"#.to_owned(),
            "messages[0].content",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#.to_owned(),
            "messages[0].content[0].text",
        ),
        (
            r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#.to_owned(),
            "messages[0].tool_call_id",
        ),
    ] {
        let fault = read(&body).expect_err(&body);
        assert_eq!(fault.field.as_deref(), Some(field), "{body}");
    }
}

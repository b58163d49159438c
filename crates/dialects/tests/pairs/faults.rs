//! Faults of every kind in every dialect: as bodies and as frames.

use contract::fault::UpstreamError;
use contract::{Event, Fault, FaultKind, Origin};
use http::HeaderMap;
use tollgate_dialects::Tally;
use tollgate_dialects::json::Doc;

use crate::account::Findings;
use crate::drive::{self, REQUEST_ID, dialects};

const MESSAGE: &str = "It \"broke\" \\ here:\n\u{1F600}. Do this next.";

fn faults() -> Vec<Fault> {
    let mut all: Vec<Fault> = FaultKind::ALL
        .into_iter()
        .map(|kind| Fault::new(kind, Origin::Gateway, MESSAGE).at("messages[0].content"))
        .collect();
    for status in [400, 404, 413, 422] {
        let mut refused = Fault::new(FaultKind::UpstreamRefused, Origin::Client, MESSAGE);
        refused.upstream = Some(Box::new(UpstreamError {
            status,
            code: Some("context_length_exceeded".to_owned()),
            message: MESSAGE.to_owned(),
            param: Some("messages".to_owned()),
        }));
        all.push(refused);
    }
    for fault in &mut all {
        fault.private = "secret: 10.0.0.1".to_owned();
    }
    all
}

#[test]
fn every_fault_is_read_back_by_a_client() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        for fault in faults() {
            findings.cases += 1;
            let name = format!("{} {}", dialect.id(), fault.kind.name());
            let body = dialect.write_fault(&fault, REQUEST_ID);
            if let Err(flaw) = Doc::request(body.body.clone()) {
                findings.add(format!("{name}: not JSON: {flaw:?}"));
            }
            let text = String::from_utf8_lossy(&body.body).into_owned();
            if text.contains("10.0.0.1") {
                findings.add(format!("{name}: shows what is private"));
            }
            if !body.content_type.contains("json") {
                findings.add(format!("{name}: content type {}", body.content_type));
            }
            let headers: HeaderMap = body.headers.into_iter().collect();
            let read = dialect.read_error(fault.status(), &headers, &body.body);
            if !read.message.contains(MESSAGE) {
                findings.add(format!("{name}: the message is not read back from {text}"));
            }
            if read.code.as_deref().unwrap_or("").is_empty() {
                findings.add(format!("{name}: no type or code in {text}"));
            }
        }
    }
    findings.settle(24);
}

#[test]
fn a_fault_frame_ends_a_stream_as_a_failure() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        for fault in faults() {
            findings.cases += 1;
            let name = format!("{} {}", dialect.id(), fault.kind.name());
            let frame = dialect.write_fault_frame(&fault, REQUEST_ID, 0);
            let read = drive::read_stream(dialect, &frame, frame.len());
            let told = match &read {
                Ok(events) => events.iter().any(|event| matches!(event, Event::Fault(_))),
                Err(_) => true,
            };
            let ended = read.iter().flatten().any(|event| *event == Event::End);
            if !told || ended {
                findings.add(format!("{name}: told {told}, ended {ended}"));
            }
            let mut watcher = dialect.stream_watcher(false);
            let mut tally = Tally::default();
            let seen = drive::each_frame(dialect.framing(), &frame, frame.len(), |frame| {
                watcher.see(frame, &mut tally).map(drop)
            });
            if seen.is_ok() && tally.fault.is_none() {
                findings.add(format!("{name}: the watcher sees no fault"));
            }
            if tally.ended {
                findings.add(format!("{name}: the watcher sees an end"));
            }
        }
    }
    findings.settle(24);
}

//! The load generator against the fake upstream: what it counts is what was sent.

use super::{Bounds, Target, closed, hold, open};
use crate::upstream::{Options, Upstream};
use serde_json::json;
use std::time::Duration;

async fn fast() -> Upstream {
    Upstream::start(Options {
        fast: true,
        ..Options::default()
    })
    .await
    .unwrap()
}

fn target(up: &Upstream, text: &str, stream: bool) -> Target {
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream});
    Target::post(
        &format!("{}/v1/chat/completions", up.url()),
        &[],
        body.to_string().as_bytes(),
    )
    .unwrap()
}

fn requests(n: u64) -> Bounds {
    Bounds {
        time: Duration::from_secs(60),
        requests: n,
    }
}

#[tokio::test]
async fn a_closed_loop_counts_answers_and_events() {
    let up = fast().await;
    let report = closed(target(&up, "[chunks=10]", true), 3, requests(7)).await;
    assert_eq!((report.ok, report.errors, report.first_error), (7, 0, None));
    // The role chunk, ten words, the finish chunk, the usage chunk and [DONE].
    assert_eq!(report.events, 7 * 14);
}

#[tokio::test]
async fn errors_are_counted_and_told() {
    let up = Upstream::start(Options::default()).await.unwrap();
    let report = closed(target(&up, "hi", false), 1, requests(2)).await;
    assert_eq!(
        (report.ok, report.errors, report.first_error.as_deref()),
        (0, 2, Some("status 401"))
    );
}

#[test]
fn an_open_loop_sends_what_was_due() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let up = runtime.block_on(fast());
    let report = open(&target(&up, "hi", false), 1000.0, 4, requests(25)).unwrap();
    assert_eq!((report.ok, report.errors), (25, 0));
    assert_eq!(
        report.json()["latency_us"]["max"].as_u64().map(|m| m > 0),
        Some(true)
    );
}

#[tokio::test]
async fn held_streams_are_open_when_all_have_begun() {
    let up = fast().await;
    let bounds = Bounds {
        time: Duration::ZERO,
        requests: 1,
    };
    let mut seen = None;
    hold(target(&up, "[pace=600000]", true), 5, bounds, |r| {
        seen = Some(r.clone())
    })
    .await;
    assert_eq!(
        seen,
        Some(json!({"begun": 5, "ended": 0, "failed": 0, "open": 5}))
    );
}

//! What hyper would have let through gets a 4xx and a closed connection, and
//! the door is not asked.

use super::*;

use crate::edge::framing::Limits;

fn refused(edge: &TestEdge, request: &str, status: u16, expected: &str) {
    let answer = edge.talk(request.as_bytes());
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{request:?}: {answer}"
    );
    assert!(
        answer.contains("connection: close\r\n"),
        "{request:?}: {answer}"
    );
    assert!(answer.ends_with(expected), "{request:?}: {answer}");
    assert!(edge.saw_nothing(), "{request:?} reached the door");
}

#[test]
fn each_violation_is_answered_and_never_served() {
    let edge = TestEdge::start();
    let with = |headers: &str| format!("POST /v1/x?y HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
    let cases = [
        (
            with("content-length: 3\r\ntransfer-encoding: chunked\r\n"),
            "length_and_transfer_encoding",
        ),
        (
            with("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
            "repeated_transfer_encoding",
        ),
        (
            with("transfer-encoding: gzip, chunked\r\n"),
            "unsupported_transfer_encoding",
        ),
        (
            with("content-length: 3\r\ncontent-length: 3\r\n"),
            "repeated_content_length",
        ),
        (with("content-length: +3\r\n"), "invalid_content_length"),
        (with("host: a\r\n"), "repeated_host"),
        ("POST /v1/x HTTP/1.1\r\n\r\n".to_owned(), "missing_host"),
        (
            "POST http://b/v1/x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            "authority_mismatch",
        ),
        (
            "POST /v1/x HTTP/1.1\nhost: a\n\n".to_owned(),
            "bare_line_feed",
        ),
        (with("tollgate_user: x\r\n"), "underscore_name"),
        (
            with("authorization: a\r\nauthorization: b\r\n"),
            "repeated_header",
        ),
        (with("x: a\r\n b\r\n"), "obsolete_fold"),
        (with("x : a\r\n"), "space_before_colon"),
    ];
    for (request, rule) in cases {
        // A bare LF ends the request line, so its path is not known.
        let path = if rule == "bare_line_feed" {
            ""
        } else {
            "/v1/x"
        };
        refused(&edge, &request, 400, &format!("{rule} at {path}"));
    }
    refused(
        &edge,
        "GET /v1/../admin HTTP/1.1\r\nhost: a\r\n\r\n",
        400,
        "dot_segment at /v1/../admin",
    );
    refused(
        &edge,
        &with("expect: tea\r\n"),
        417,
        "unsupported_expectation at /v1/x",
    );
    refused(
        &edge,
        &with(&"x: y\r\n".repeat(200)),
        431,
        "too_many_headers at /v1/x",
    );
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    refused(&edge, &with(&long), 431, "head_too_large at /v1/x");
    let target = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(20_000));
    refused(&edge, &target, 414, "target_too_long at ");
    edge.stop();
}

#[test]
fn the_answer_survives_what_the_client_sends_after() {
    let edge = TestEdge::start();
    let mut request = "POST /v1/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned();
    request.push_str(&"x".repeat(500_000));
    refused(&edge, &request, 400, "repeated_host at /v1/x");
    edge.stop();
}

#[test]
fn a_good_request_before_a_bad_one_is_served() {
    let edge = TestEdge::start();
    let good = post("/echo", "", "hello");
    let bad = "GET /%2e%2e HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = edge.talk(format!("{good}{bad}{good}").as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("hello"),
        "{answer}"
    );
    assert!(answer.ends_with("dot_segment at /%2e%2e"), "{answer}");
    assert_eq!(edge.next_seen(), Seen::Call("/echo".to_owned()));
    assert!(edge.saw_nothing());
    edge.stop();
}

#[test]
fn a_client_cannot_forge_the_stand_in() {
    let edge = TestEdge::start();
    let answer = edge.talk(b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    edge.stop();
}

#[test]
fn a_broken_chunk_is_told_to_the_one_who_reads_the_body() {
    let edge = TestEdge::start();
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = edge.talk(format!("{head}5\r\nhello\r\n5\nhello\r\n0\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("does not end with CR LF"), "{answer}");
    let answer = edge.talk(format!("{head}5\r\nhello\r\n0\r\nx-evil: 1\r\n\r\n").as_bytes());
    assert!(answer.contains("trailer fields"), "{answer}");
    edge.stop();
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let mut plan = plan();
    plan.settings.timeouts.head = Duration::from_millis(40);
    let edge = TestEdge::with(plan, BodyLimits::default());
    let answer = edge.talk(b"POST /echo HTTP/1.1\r\nhost: a\r\nx: y");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(edge.talk(b""), "", "a connection without a byte is closed");
    assert!(edge.saw_nothing());
    edge.stop();
}

#[test]
fn an_idle_connection_is_closed() {
    let mut plan = plan();
    plan.settings.timeouts.idle = Duration::from_millis(40);
    let edge = TestEdge::with(plan, BodyLimits::default());
    let answer = edge.talk(post("/echo", "", "hello").as_bytes());
    assert!(answer.ends_with("hello"), "{answer}");
    edge.stop();
}

#[test]
fn a_body_that_stalls_or_is_too_large_is_refused() {
    let limits = BodyLimits {
        bytes_max: 10,
        idle_max: Duration::from_millis(20),
        ..BodyLimits::default()
    };
    let edge = TestEdge::with(plan(), limits);
    let answer = edge.talk(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhello");
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("too slowly"),
        "{answer}"
    );
    let answer = edge.talk(post("/echo", "", &"x".repeat(300_000)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = edge.talk(
        post(
            "/echo",
            "content-encoding: br\r\nconnection: close\r\n",
            "hello",
        )
        .as_bytes(),
    );
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    edge.stop();
}

#[test]
fn limits_can_be_widened() {
    let mut plan = plan();
    plan.settings.limits = Limits {
        headers_max: 150,
        ..Limits::default()
    };
    let edge = TestEdge::with(plan, BodyLimits::default());
    let headers = format!("{}{CLOSE}", "x: y\r\n".repeat(120));
    let answer = edge.talk(post("/echo", &headers, "hello").as_bytes());
    assert!(answer.ends_with("hello"), "{answer}");
    edge.stop();
}

#[test]
fn connections_above_the_limit_are_told_so() {
    let mut plan = plan();
    plan.settings.connections_max = 1;
    let edge = TestEdge::with(plan, BodyLimits::default());
    let mut first = edge.connect();
    first
        .write_all(post("/echo", "", "hello").as_bytes())
        .unwrap();
    read_until(&mut first, "hello");
    let answer = edge.talk(post("/echo", "", "hello").as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"),
        "{answer}"
    );
    assert_eq!(
        edge.running
            .control()
            .counts()
            .turned_away
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    drop(first);
    edge.stop();
}

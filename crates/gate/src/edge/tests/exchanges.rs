//! Exchanges that go well, and those whose client goes away.

#![expect(
    clippy::disallowed_methods,
    reason = "the client's runtime ends its tasks with the test"
)]

use super::*;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

#[test]
fn requests_follow_one_another_on_a_connection() {
    let edge = TestEdge::start();
    let mut stream = edge.connect();
    for round in 0..3 {
        let body = format!("hello {round}");
        stream
            .write_all(post("/echo", "", &body).as_bytes())
            .unwrap();
        read_until(&mut stream, &body);
    }
    let chunked = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
    let last = post("/echo", CLOSE, "the end");
    stream
        .write_all(format!("{chunked}{}{last}", post("/echo", "", "one")).as_bytes())
        .unwrap();
    let answer = read_to_end(stream);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert!(
        answer.contains("abcdefg") && answer.ends_with("the end"),
        "{answer}"
    );
    edge.stop();
}

#[test]
fn a_head_byte_by_byte_is_a_head() {
    let edge = TestEdge::start();
    let mut stream = edge.connect();
    for byte in post("/echo", CLOSE, "hello").as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(read_to_end(stream).ends_with("hello"));
    edge.stop();
}

#[test]
fn large_heads_and_bodies_pass_whole() {
    let edge = TestEdge::start();
    let headers = format!("x: {}\r\n{CLOSE}", "y".repeat(50_000));
    let body = "0123456789".repeat(200_000);
    let mut stream = edge.connect();
    let mut writer = stream.try_clone().unwrap();
    let request = post("/echo", &headers, &body);
    let writing = std::thread::spawn(move || writer.write_all(request.as_bytes()).unwrap());
    let answer = read_to_end(&mut stream);
    writing.join().unwrap();
    assert!(answer.ends_with(&body), "{} bytes came", answer.len());
    edge.stop();
}

#[test]
fn targets_reach_the_door_in_origin_form() {
    let edge = TestEdge::start();
    edge.talk(b"GET http://a/echo?x=1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert_eq!(edge.next_seen(), Seen::Call("/echo?x=1".to_owned()));
    edge.stop();
}

#[test]
fn expect_continue_is_answered_only_when_the_body_is_wanted() {
    let limits = BodyLimits {
        bytes_max: 10,
        ..BodyLimits::default()
    };
    let edge = TestEdge::with(plan(), limits);
    let head = |length| {
        format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\
                 expect: 100-continue\r\n{CLOSE}\r\n"
        )
    };
    let mut stream = edge.connect();
    stream.write_all(head(5).as_bytes()).unwrap();
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    assert!(read_to_end(stream).ends_with("hello"));
    let answer = edge.talk(head(11).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    edge.stop();
}

#[test]
fn an_upgrade_that_is_not_served_gets_a_clean_answer() {
    let edge = TestEdge::start();
    let mut stream = edge.connect();
    stream
        .write_all(
            b"GET /v1/responses HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n\r\n",
        )
        .unwrap();
    assert!(read_until(&mut stream, "no upgrade here").starts_with("HTTP/1.1 400 "));
    stream
        .write_all(post("/echo", CLOSE, "still here").as_bytes())
        .unwrap();
    assert!(read_to_end(stream).ends_with("still here"));
    edge.stop();
}

#[test]
fn a_cut_answer_does_not_look_complete() {
    let edge = TestEdge::start();
    let mut stream = edge.connect();
    stream.write_all(post("/cut", "", "").as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Whether by an end or by a reset, the last chunk must be missing.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    edge.stop();
}

#[test]
fn a_client_that_goes_away_ends_the_work_at_once() {
    let edge = TestEdge::start();
    let mut stream = edge.connect();
    stream
        .write_all(post("/stream", "", "hello").as_bytes())
        .unwrap();
    read_until(&mut stream, "piece\r\n");
    assert_eq!(edge.next_seen(), Seen::Call("/stream".to_owned()));
    drop(stream);
    assert_eq!(edge.next_seen(), Seen::Dropped("/stream"));
    let mut stream = edge.connect();
    stream.write_all(post("/hang", "", "").as_bytes()).unwrap();
    assert_eq!(edge.next_seen(), Seen::Call("/hang".to_owned()));
    // Half an end is an end: nobody is left to read the answer.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(edge.next_seen(), Seen::Dropped("/hang"));
    edge.stop();
}

#[test]
fn http2_with_prior_knowledge_is_served_and_held_to_the_rules() {
    let edge = TestEdge::start();
    let address = edge.address();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let driven = tokio::task::spawn(connection);
        let mut ask = async |path: &str, header: &str| {
            let request = http::Request::post(format!("http://a{path}"))
                .header(header, "1")
                .body(Full::new(Bytes::from_static(b"hello")))
                .unwrap();
            let reply = sender.send_request(request).await.unwrap();
            let status = reply.status().as_u16();
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(ask("/echo", "x").await, (200, "hello".to_owned()));
        assert_eq!(
            ask("/v1/../x", "x").await,
            (400, "dot_segment at /v1/../x".to_owned())
        );
        let refused = (400, "underscore_name at /echo".to_owned());
        assert_eq!(ask("/echo", "tollgate_user").await, refused);
        assert_eq!(ask("/echo", "x").await, (200, "hello".to_owned()));
        drop(sender);
        driven.await.unwrap().unwrap();
    });
    assert_eq!(edge.next_seen(), Seen::Call("/echo".to_owned()));
    assert_eq!(edge.next_seen(), Seen::Call("/echo".to_owned()));
    assert!(edge.saw_nothing());
    edge.stop();
}

#[test]
fn an_http2_client_that_resets_ends_the_work_at_once() {
    let edge = TestEdge::start();
    let address = edge.address();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let edge = runtime.block_on(async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let _driven = tokio::task::spawn(connection);
        let request = http::Request::post("http://a/stream")
            .body(Full::new(Bytes::new()))
            .unwrap();
        let reply = sender.send_request(request).await.unwrap();
        drop(reply);
        let request = http::Request::post("http://a/echo")
            .body(Full::new(Bytes::new()))
            .unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        // The client must go on living until the server has seen the reset.
        let watch = move || {
            let mut seen = [edge.next_seen(), edge.next_seen(), edge.next_seen()];
            seen.sort_by_key(|s| format!("{s:?}"));
            (edge, seen)
        };
        let (edge, seen) = tokio::task::spawn_blocking(watch).await.unwrap();
        assert_eq!(seen[2], Seen::Dropped("/stream"));
        edge
    });
    drop(runtime);
    edge.stop();
}

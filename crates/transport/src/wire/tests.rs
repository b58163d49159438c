//! The wire against scripted peers on loopback: HTTP/1.1, the pool and its
//! limits. TLS, proxies and HTTP/2 are in the modules below.

mod multiplex;
mod peer;
mod secure;

use std::time::Duration;

use contract::seams::{Wire, WireFaultKind};
use futures_of_tests::{join_all, poll_once};
use peer::{Peer, drain, fetch, listen, post};

use super::HttpWire;
use crate::options::WireOptions;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn wire() -> HttpWire {
    HttpWire::new(WireOptions::default())
}

/// Small pieces of future plumbing.
mod futures_of_tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::Poll;

    pub(super) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        let mut future = Pin::new(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }

    pub(super) async fn join_all<T: Send + 'static>(
        futures: impl IntoIterator<Item: Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
        let mut outputs = Vec::new();
        for task in tasks {
            outputs.push(task.await.unwrap());
        }
        outputs
    }
}

/// The fault of one request whose peer answers `answer` and closes.
async fn fault_of(answer: &'static str) -> (WireFaultKind, bool) {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        peer.say(answer).await;
    });
    let fault = fetch(&wire(), post(&endpoint, &["x"])).await.unwrap_err();
    server.await.unwrap();
    (fault.kind, fault.sent)
}

/// The body of one answer whose peer says `parts` and closes.
async fn body_of(parts: &[&'static str]) -> String {
    let parts = parts.to_vec();
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        for part in parts {
            peer.say(part).await;
            tokio::task::yield_now().await;
        }
    });
    let body = fetch(&wire(), post(&endpoint, &["x"])).await.unwrap();
    server.await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_connection_serves_again_and_pieces_arrive_as_one_body() {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let first = peer.request().await.unwrap();
        peer.say(OK).await;
        let second = peer.request().await.unwrap();
        peer.say(OK).await;
        (first, second)
    });
    let wire = wire();
    let sent = wire
        .send(post(&endpoint, &["{\"a\":", "", "1", "}"]))
        .await
        .unwrap();
    assert_eq!(sent.status, 200);
    assert_eq!(sent.headers["content-length"], "2");
    assert_eq!(drain(sent).await.unwrap(), b"ok");
    assert_eq!((wire.stats().open, wire.stats().idle), (1, 1));
    assert_eq!(fetch(&wire, post(&endpoint, &[])).await.unwrap(), b"ok");
    let (first, second) = server.await.unwrap();
    assert_eq!(first.body, "{\"a\":1}");
    let port = endpoint.port;
    assert_eq!(
        first.head,
        format!(
            "POST /v1/chat?a=b HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\
             content-type: application/json\r\ncontent-length: 7\r\n\r\n"
        )
    );
    assert!(second.head.contains("content-length: 0\r\n"));
    assert_eq!((wire.stats().connects, wire.stats().reuses), (1, 1));
}

#[tokio::test]
async fn bodies_of_every_framing_are_read() {
    assert_eq!(
        body_of(&["HTTP/1.1 200 OK\r\n\r\n", "to the", " close"]).await,
        "to the close"
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    assert_eq!(
        body_of(&[chunked, "1\r", "\nc\r\n0\r\n", "\r\n"]).await,
        "abc"
    );
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\n";
    assert_eq!(body_of(&[interim, OK]).await, "ok");
    let split = &[
        "HTTP/1.1 200 ",
        "OK\r\nconten",
        "t-length: 3\r\n\r",
        "\nabc",
    ];
    assert_eq!(body_of(split).await, "abc");
}

#[tokio::test]
async fn what_breaks_is_told_apart() {
    use WireFaultKind as K;
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab";
    assert_eq!(fault_of(short).await, (K::ResetInBody, true));
    let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
    assert_eq!(fault_of(cut).await, (K::ResetInBody, true));
    let bad = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(fault_of(bad).await, (K::Protocol, true));
    assert_eq!(fault_of("").await, (K::ResetBeforeHead, true));
    assert_eq!(
        fault_of("HTTP/1.1 200 OK\r\na: b").await,
        (K::ResetBeforeHead, true)
    );
    assert_eq!(fault_of("SSH-2.0-x\r\n\r\n").await, (K::Protocol, true));
    assert_eq!(
        fault_of("HTTP/1.1 101 Up\r\n\r\n").await,
        (K::Protocol, true)
    );
}

#[tokio::test]
async fn a_head_beyond_its_limit_is_refused() {
    let long: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(70_000)).into());
    assert_eq!(fault_of(long).await.0, WireFaultKind::Protocol);
}

#[tokio::test]
async fn an_answer_dropped_early_closes_its_connection_at_once() {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
            .await;
        peer.gone().await;
        Peer::accept(&listener).await.serve(OK).await
    });
    let wire = wire();
    let mut inbound = wire.send(post(&endpoint, &["x"])).await.unwrap();
    let chunk = std::future::poll_fn(|cx| inbound.body.poll_chunk(cx)).await;
    assert_eq!(chunk.unwrap().unwrap(), "some");
    drop(inbound);
    assert_eq!((wire.stats().open, wire.stats().idle), (0, 0));
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    drop(wire);
    assert_eq!(server.await.unwrap(), 1);
}

#[tokio::test]
async fn a_send_dropped_before_the_head_closes_its_connection_at_once() {
    let (listener, endpoint) = listen().await;
    let wire = wire();
    let mut send = wire.send(post(&endpoint, &["x"]));
    let mut peer = tokio::select! {
        _ = &mut send => panic!("nobody answered"),
        peer = async {
            let mut peer = Peer::accept(&listener).await;
            peer.request().await.unwrap();
            peer
        } => peer,
    };
    drop(send);
    peer.gone().await;
    assert_eq!(wire.stats().open, 0);
}

#[tokio::test]
async fn connections_that_must_not_serve_again_are_closed() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more",
    ] {
        let (listener, endpoint) = listen().await;
        let server = tokio::spawn(async move { Peer::accept(&listener).await.serve(answer).await });
        let wire = wire();
        assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
        assert_eq!(wire.stats().open, 0, "{answer}");
        assert_eq!(server.await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_stale_idle_connection_is_replaced_unseen() {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        peer.say(OK).await;
        // Closed while idle, by a peer that does not announce it.
        drop(peer);
        listener
    });
    let wire = HttpWire::new(WireOptions {
        probe_after: Duration::ZERO,
        ..WireOptions::default()
    });
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    let listener = server.await.unwrap();
    let server = tokio::spawn(async move { Peer::accept(&listener).await.serve(OK).await });
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    assert_eq!((wire.stats().open, wire.stats().connects), (1, 2));
    drop(wire);
    assert_eq!(server.await.unwrap(), 1);
}

#[tokio::test]
async fn a_request_of_which_nothing_was_sent_is_sent_again_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_, mut endpoint) = listen().await;
    endpoint.port = listener.local_addr().unwrap().port();
    let (read, was_read) = std::sync::mpsc::channel();
    let (reset, was_reset) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let answer = || {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\nx") {
                let mut part = [0; 1024];
                let n = tcp.read(&mut part).unwrap();
                bytes.extend_from_slice(&part[..n]);
            }
            tcp.write_all(OK.as_bytes()).unwrap();
            tcp
        };
        let first = answer();
        was_read.recv().unwrap();
        let no_linger = Some(Duration::ZERO);
        socket2::SockRef::from(&first)
            .set_linger(no_linger)
            .unwrap();
        drop(first);
        reset.send(()).unwrap();
        answer()
    });
    let wire = wire();
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    // This blocks the runtime, so that it cannot notice the reset.
    read.send(()).unwrap();
    was_reset.recv().unwrap();
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    // It was found open, failed, and was replaced.
    assert_eq!((wire.stats().connects, wire.stats().reuses), (2, 1));
    drop(server.join().unwrap());
}

#[tokio::test]
async fn a_request_that_may_have_been_processed_is_not_sent_twice() {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        peer.say(OK).await;
        peer.request().await.unwrap();
        drop(peer);
        listener
    });
    let wire = wire();
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    let fault = fetch(&wire, post(&endpoint, &["x"])).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.sent),
        (WireFaultKind::ResetBeforeHead, true)
    );
    assert_eq!(wire.stats().connects, 1);
    drop(server.await.unwrap());
}

#[tokio::test]
async fn an_early_refusal_of_a_large_request_is_heard() {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.say("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            .await;
        peer
    });
    let large: &'static str = Box::leak("x".repeat(16 << 20).into());
    let wire = wire();
    let inbound = wire.send(post(&endpoint, &[large])).await.unwrap();
    assert_eq!(inbound.status, 413);
    assert_eq!(drain(inbound).await.unwrap(), b"no");
    assert_eq!(
        wire.stats().open,
        0,
        "a half-sent request spoils the connection"
    );
    drop(server.await.unwrap());
}

#[tokio::test]
async fn no_head_in_time_is_a_head_timeout() {
    let (listener, endpoint) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        // From here on nothing happens but time.
        tokio::time::pause();
        peer.gone().await;
    });
    let fault = fetch(&wire(), post(&endpoint, &["x"])).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (WireFaultKind::HeadTimeout, true));
    server.await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let (listener, endpoint) = listen().await;
    drop(listener);
    let wire = wire();
    let fault = fetch(&wire, post(&endpoint, &["x"])).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (WireFaultKind::Connect, false));
    assert_eq!(wire.stats().open, 0);
}

#[tokio::test]
async fn requests_over_the_limit_wait_their_turn_and_the_queue_is_bounded() {
    let (listener, mut endpoint) = listen().await;
    endpoint.connections_max = 1;
    let wire = HttpWire::new(WireOptions {
        waiters_max: 1,
        ..WireOptions::default()
    });
    let mut first = wire.send(post(&endpoint, &["1"]));
    let mut peer = tokio::select! {
        _ = &mut first => panic!("nobody answered"),
        peer = Peer::accept(&listener) => peer,
    };
    let mut left = wire.send(post(&endpoint, &["2"]));
    assert!(poll_once(&mut left).await.is_pending());
    let fault = wire.send(post(&endpoint, &["3"])).await.err().unwrap();
    assert_eq!((fault.kind, fault.sent), (WireFaultKind::Exhausted, false));
    // One that left makes room in the queue.
    drop(left);
    let mut second = wire.send(post(&endpoint, &["4"]));
    assert!(poll_once(&mut second).await.is_pending());
    assert_eq!(wire.stats().waiting, 1);

    let server = tokio::spawn(async move {
        let mut bodies = Vec::new();
        while let Some(request) = peer.request().await {
            bodies.push(request.body);
            peer.say(OK).await;
        }
        bodies
    });
    assert_eq!(drain(first.await.unwrap()).await.unwrap(), b"ok");
    assert_eq!(drain(second.await.unwrap()).await.unwrap(), b"ok");
    assert_eq!(wire.stats().connects, 1);
    drop(wire);
    assert_eq!(server.await.unwrap(), ["1", "4"]);
}

#[tokio::test]
async fn waiting_in_vain_is_exhausted() {
    let (listener, mut endpoint) = listen().await;
    endpoint.connections_max = 1;
    let wire = wire();
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        peer.say("HTTP/1.1 200 OK\r\n\r\n").await;
        peer
    });
    let held = wire.send(post(&endpoint, &["1"])).await.unwrap();
    tokio::time::pause();
    let fault = wire.send(post(&endpoint, &["2"])).await.err().unwrap();
    assert_eq!((fault.kind, fault.sent), (WireFaultKind::Exhausted, false));
    drop(held);
    server.await.unwrap().gone().await;
}

#[tokio::test]
async fn many_at_once_share_the_allowed_connections() {
    let (listener, mut endpoint) = listen().await;
    endpoint.connections_max = 4;
    tokio::spawn(async move {
        loop {
            let peer = Peer::accept(&listener).await;
            tokio::spawn(async move { peer.serve(OK).await });
        }
    });
    let wire = std::sync::Arc::new(wire());
    let requests = (0..64).map(|_| {
        let (wire, outbound) = (std::sync::Arc::clone(&wire), post(&endpoint, &["x"]));
        async move { fetch(&wire, outbound).await }
    });
    for body in join_all(requests).await {
        assert_eq!(body.unwrap(), b"ok");
    }
    let stats = wire.stats();
    assert_eq!((stats.connects, stats.reuses), (4, 60));
    assert_eq!((stats.open, stats.idle, stats.waiting), (4, 4, 0));
    wire.close_idle();
    assert_eq!((wire.stats().open, wire.stats().idle), (0, 0));
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let (listener, endpoint) = listen().await;
    let mut server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await.unwrap();
        peer.say(OK).await;
        peer.gone().await;
    });
    let wire = wire();
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    assert!(poll_once(&mut server).await.is_pending());
    tokio::time::pause();
    server.await.unwrap();
    assert_eq!(wire.stats().open, 0);
}

#[tokio::test]
async fn a_plain_request_goes_through_a_proxy_in_absolute_form() {
    let (listener, mut endpoint) = listen().await;
    endpoint.proxy = Some(contract::seams::Proxy {
        host: "127.0.0.1".into(),
        port: endpoint.port,
        authorization: Some(contract::Secret::new("Basic eA==".into())),
    });
    endpoint.host = "upstream.invalid".into();
    endpoint.authority = http::HeaderValue::from_static("upstream.invalid");
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let request = peer.request().await.unwrap();
        peer.say(OK).await;
        request.head
    });
    assert_eq!(
        fetch(&wire(), post(&endpoint, &["x"])).await.unwrap(),
        b"ok"
    );
    let head = server.await.unwrap();
    assert!(
        head.starts_with("POST http://upstream.invalid/v1/chat?a=b HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("proxy-authorization: Basic eA==\r\n"),
        "{head}"
    );
}

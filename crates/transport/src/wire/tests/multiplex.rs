//! HTTP/2 against the `h2` crate's server: ALPN, limits of streams, resets
//! and farewells.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use contract::seams::{Endpoint, HttpVersion, Wire, WireFaultKind};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::futures_of_tests::join_all;
use super::peer::{drain, fetch, listen, post};
use super::secure::listen_tls;
use super::wire;

async fn listen_h2() -> (TcpListener, Endpoint) {
    let (listener, mut endpoint) = listen().await;
    endpoint.version = HttpVersion::Http2;
    (listener, endpoint)
}

async fn accept(listener: &TcpListener, streams_max: u32) -> Connection<TcpStream, Bytes> {
    let (tcp, _) = listener.accept().await.unwrap();
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(streams_max);
    builder.handshake(tcp).await.unwrap()
}

/// Reads a request's body and echoes it.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        bytes.extend_from_slice(&chunk);
    }
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(bytes.into(), true).unwrap();
}

/// Serves one connection by `handle` until its client is done.
async fn serve<F>(
    mut connection: Connection<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, Bytes>,
    handle: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(handle(request, respond));
    }
}

#[tokio::test]
async fn alpn_chooses_http2_and_one_connection_serves_all() {
    let (listener, acceptor, endpoint) = listen_tls(&["h2", "http/1.1"]).await;
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let tls = acceptor.accept(tcp).await.unwrap();
        serve(h2::server::handshake(tls).await.unwrap(), echo).await;
    });
    let wire = Arc::new(wire());
    let requests = (0..16).map(|_| {
        let (wire, outbound) = (Arc::clone(&wire), post(&endpoint, &["a", "", "b"]));
        async move { fetch(&wire, outbound).await }
    });
    for body in join_all(requests).await {
        assert_eq!(body.unwrap(), b"ab");
    }
    let stats = wire.stats();
    assert_eq!((stats.connects, stats.open, stats.idle), (1, 1, 1));
    drop(wire);
    server.await.unwrap();
}

#[tokio::test]
async fn a_body_larger_than_the_window_is_sent_whole() {
    let (listener, endpoint) = listen_h2().await;
    tokio::spawn(async move { serve(accept(&listener, 8).await, echo).await });
    let large: &'static str = Box::leak("x".repeat(1 << 20).into());
    let body = fetch(&wire(), post(&endpoint, &["a", large]))
        .await
        .unwrap();
    assert_eq!(body.len(), (1 << 20) + 1);
}

#[tokio::test]
async fn more_streams_than_one_connection_allows_open_others_within_the_limit() {
    let (listener, mut endpoint) = listen_h2().await;
    endpoint.connections_max = 3;
    let (peak, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&peak);
    tokio::spawn(async move {
        loop {
            let connection = accept(&listener, 2).await;
            let (peak, now) = (Arc::clone(&peak), Arc::clone(&now));
            tokio::spawn(serve(connection, move |request, respond| {
                let (peak, now) = (Arc::clone(&peak), Arc::clone(&now));
                async move {
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                    echo(request, respond).await;
                }
            }));
        }
    });
    let wire = Arc::new(wire());
    let requests = (0..40).map(|_| {
        let (wire, outbound) = (Arc::clone(&wire), post(&endpoint, &["x"]));
        async move { fetch(&wire, outbound).await }
    });
    for body in join_all(requests).await {
        assert_eq!(body.unwrap(), b"x");
    }
    assert_eq!(wire.stats().connects, 3);
    assert!(
        seen.load(Ordering::SeqCst) <= 6,
        "two streams on each of three connections"
    );
}

#[tokio::test]
async fn long_streams_do_not_block_those_beyond_the_limit() {
    let (listener, endpoint) = listen_h2().await;
    tokio::spawn(async move {
        loop {
            let connection = accept(&listener, 1).await;
            tokio::spawn(serve(connection, async |_, mut respond| {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data("on".into(), false).unwrap();
                // Open until the client resets it.
                let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            }));
        }
    });
    let wire = wire();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(wire.send(post(&endpoint, &["x"])).await.unwrap());
    }
    assert_eq!(wire.stats().open, 4);
}

#[tokio::test]
async fn a_dropped_call_resets_its_stream_at_once_before_and_after_the_head() {
    let (listener, endpoint) = listen_h2().await;
    let (resets, mut reset) = tokio::sync::mpsc::unbounded_channel();
    let (arrivals, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        serve(accept(&listener, 8).await, move |request, mut respond| {
            let (resets, arrivals) = (resets.clone(), arrivals.clone());
            async move {
                arrivals.send(()).unwrap();
                let headless = request.headers().contains_key("x-headless");
                let reason = if headless {
                    std::future::poll_fn(|cx| respond.poll_reset(cx)).await
                } else {
                    let mut stream = respond.send_response(Response::new(()), false).unwrap();
                    std::future::poll_fn(|cx| stream.poll_reset(cx)).await
                };
                resets.send(reason.unwrap()).unwrap();
            }
        })
        .await;
    });
    let wire = wire();
    let inbound = wire.send(post(&endpoint, &["x"])).await.unwrap();
    arrived.recv().await.unwrap();
    drop(inbound);
    assert_eq!(reset.recv().await, Some(Reason::CANCEL));

    let mut outbound = post(&endpoint, &["x"]);
    outbound
        .headers
        .insert("x-headless", http::HeaderValue::from_static("1"));
    tokio::select! {
        _ = wire.send(outbound) => panic!("nobody answered"),
        _ = arrived.recv() => {}
    }
    assert_eq!(reset.recv().await, Some(Reason::CANCEL));
    assert_eq!((wire.stats().connects, wire.stats().idle), (1, 1));
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_once() {
    let (listener, endpoint) = listen_h2().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    tokio::spawn(async move {
        loop {
            let connection = accept(&listener, 8).await;
            let tries = Arc::clone(&counted);
            tokio::spawn(serve(connection, move |request, mut respond| {
                let tries = tries.fetch_add(1, Ordering::SeqCst);
                async move {
                    if tries == 0 {
                        respond.send_reset(Reason::REFUSED_STREAM);
                    } else {
                        echo(request, respond).await;
                    }
                }
            }));
        }
    });
    assert_eq!(fetch(&wire(), post(&endpoint, &["x"])).await.unwrap(), b"x");
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_farewell_moves_new_requests_to_another_connection() {
    let (listener, endpoint) = listen_h2().await;
    tokio::spawn(async move {
        loop {
            let mut connection = accept(&listener, 8).await;
            tokio::spawn(async move {
                let (request, respond) = connection.accept().await.unwrap().unwrap();
                tokio::spawn(echo(request, respond));
                connection.graceful_shutdown();
                while connection.accept().await.is_some() {}
            });
        }
    });
    let wire = wire();
    for _ in 0..3 {
        assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"x");
    }
    assert!(wire.stats().connects > 1);
}

#[tokio::test]
async fn broken_streams_are_told_apart() {
    use WireFaultKind as K;
    for (case, kind) in [
        ("before", K::ResetBeforeHead),
        ("reset", K::ResetInBody),
        ("polite", K::ResetInBody),
        ("short", K::ResetInBody),
    ] {
        let (listener, endpoint) = listen_h2().await;
        let reading = Arc::new(Notify::new());
        let read = Arc::clone(&reading);
        tokio::spawn(async move {
            serve(accept(&listener, 8).await, move |_, respond| {
                cut(case, respond, Arc::clone(&read))
            })
            .await;
        });
        let fault = match wire().send(post(&endpoint, &["x"])).await {
            Ok(mut inbound) => {
                let chunk = std::future::poll_fn(|cx| inbound.body.poll_chunk(cx)).await;
                assert_eq!(chunk.unwrap().unwrap(), "some");
                reading.notify_one();
                drain(inbound).await.unwrap_err()
            }
            Err(fault) => fault,
        };
        assert_eq!(
            (fault.kind, fault.sent),
            (kind, true),
            "{case}: {}",
            fault.detail
        );
    }
}

/// Breaks an answer off in the way of `case`, once its data was read.
async fn cut(case: &str, mut respond: SendResponse<Bytes>, read: Arc<Notify>) {
    if case == "before" {
        return respond.send_reset(Reason::INTERNAL_ERROR);
    }
    let mut response = Response::new(());
    if case == "short" {
        let length = http::HeaderValue::from_static("9");
        response.headers_mut().insert("content-length", length);
    }
    let mut stream = respond.send_response(response, false).unwrap();
    stream.send_data("some".into(), false).unwrap();
    // The end must not overtake the data.
    read.notified().await;
    match case {
        "reset" => stream.send_reset(Reason::INTERNAL_ERROR),
        "polite" => stream.send_reset(Reason::NO_ERROR),
        _ => stream.send_data(Bytes::new(), true).unwrap(),
    }
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let (listener, endpoint) = listen_h2().await;
    let server = tokio::spawn(async move {
        let mut connection = accept(&listener, 8).await;
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        let stream = respond.send_response(Response::new(()), false).unwrap();
        // Drive until the head is out, then never again.
        while let std::task::Poll::Ready(Some(_)) =
            super::futures_of_tests::poll_once(&mut Box::pin(connection.accept())).await
        {}
        (connection, request, respond, stream)
    });
    let wire = wire();
    let inbound = wire.send(post(&endpoint, &["x"])).await.unwrap();
    let held = server.await.unwrap();
    tokio::time::pause();
    let fault = drain(inbound).await.unwrap_err();
    assert_eq!(fault.kind, WireFaultKind::ResetInBody);
    assert_eq!(wire.stats().open, 0);
    drop(held);
}

//! TLS with an authority of the endpoint's own, and tunnels through a proxy.

use std::sync::Arc;

use contract::seams::{Endpoint, HttpVersion, Proxy, WireFaultKind};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::peer::{Peer, fetch, listen, post};
use super::{OK, wire};

/// A server's TLS for `localhost` and 127.0.0.1, and the PEM that vouches for it.
pub(super) fn acceptor(alpn: &[&str]) -> (TlsAcceptor, Arc<str>) {
    let names = vec!["localhost".into(), "127.0.0.1".into()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem().into())
}

/// A TLS endpoint with its listener and acceptor.
pub(super) async fn listen_tls(alpn: &[&str]) -> (TcpListener, TlsAcceptor, Endpoint) {
    let (listener, mut endpoint) = listen().await;
    let (acceptor, pem) = acceptor(alpn);
    endpoint.tls = true;
    endpoint.ca_pem = Some(pem);
    (listener, acceptor, endpoint)
}

/// Answers every request on one TLS connection; whether the handshake resumed
/// an earlier session.
async fn serve_tls(listener: &TcpListener, acceptor: &TlsAcceptor) -> bool {
    let (tcp, _) = listener.accept().await.unwrap();
    let mut tls = acceptor.accept(tcp).await.unwrap();
    let mut bytes = Vec::new();
    while tls.read_buf(&mut bytes).await.is_ok_and(|n| n > 0) {
        if bytes.ends_with(b"\r\n\r\nx") {
            bytes.clear();
            tls.write_all(OK.as_bytes()).await.unwrap();
        }
    }
    let kind = tls.get_ref().1.handshake_kind();
    kind == Some(rustls::HandshakeKind::Resumed)
}

#[tokio::test]
async fn tls_trusts_the_endpoints_authority_and_resumes_sessions() {
    let (listener, acceptor, endpoint) = listen_tls(&["http/1.1"]).await;
    let server = tokio::spawn(async move {
        let first = serve_tls(&listener, &acceptor).await;
        let second = serve_tls(&listener, &acceptor).await;
        (first, second)
    });
    let wire = wire();
    for _ in 0..3 {
        assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    }
    assert_eq!((wire.stats().connects, wire.stats().reuses), (1, 2));
    wire.close_idle();
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    drop(wire);
    assert_eq!(server.await.unwrap(), (false, true));
}

#[tokio::test]
async fn an_unknown_authority_is_a_tls_fault() {
    let (listener, acceptor, mut endpoint) = listen_tls(&[]).await;
    endpoint.ca_pem = Some(self::acceptor(&[]).1);
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        acceptor.accept(tcp).await.is_err()
    });
    let fault = fetch(&wire(), post(&endpoint, &["x"])).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (WireFaultKind::Tls, false));
    assert!(server.await.unwrap());
}

#[tokio::test]
async fn a_malformed_authority_is_a_tls_fault() {
    let (_listener, mut endpoint) = listen().await;
    endpoint.tls = true;
    endpoint.ca_pem = Some("nothing".into());
    let fault = fetch(&wire(), post(&endpoint, &["x"])).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (WireFaultKind::Tls, false));
}

#[tokio::test]
async fn http2_that_the_peer_does_not_offer_is_a_tls_fault() {
    let (listener, acceptor, mut endpoint) = listen_tls(&[]).await;
    endpoint.version = HttpVersion::Http2;
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        drop(acceptor.accept(tcp).await);
    });
    let fault = fetch(&wire(), post(&endpoint, &["x"])).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (WireFaultKind::Tls, false));
    server.await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_connect_timeout_for_all_who_wait() {
    let (listener, mut endpoint) = listen().await;
    endpoint.tls = true;
    let server = tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let hello = peer.tcp.read_u8().await.unwrap();
        tokio::time::pause();
        // The rest of the hello, then the end.
        let mut rest = Vec::new();
        let _ = peer.tcp.read_to_end(&mut rest).await;
        hello
    });
    let wire = wire();
    let (one, two) = tokio::join!(
        fetch(&wire, post(&endpoint, &["x"])),
        fetch(&wire, post(&endpoint, &["x"]))
    );
    for fault in [one.unwrap_err(), two.unwrap_err()] {
        assert_eq!(
            (fault.kind, fault.sent),
            (WireFaultKind::ConnectTimeout, false)
        );
    }
    assert_eq!(server.await.unwrap(), 22, "a TLS handshake record");
    assert_eq!((wire.stats().open, wire.stats().waiting), (0, 0));
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let (listener, acceptor, mut endpoint) = listen_tls(&["http/1.1"]).await;
    let (proxy, proxied) = listen().await;
    let upstream = endpoint.port;
    endpoint.host = "localhost".into();
    endpoint.proxy = Some(Proxy {
        host: proxied.host,
        port: proxied.port,
        authorization: Some(contract::Secret::new("Basic eA==".into())),
    });
    let tunnel = tokio::spawn(async move {
        let mut peer = Peer::accept(&proxy).await;
        let head = peer.request().await.unwrap().head;
        let mut tcp = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
        peer.say("HTTP/1.1 200 Connection established\r\n\r\n")
            .await;
        let _ = copy_bidirectional(&mut peer.tcp, &mut tcp).await;
        head
    });
    let server = tokio::spawn(async move { serve_tls(&listener, &acceptor).await });
    let wire = wire();
    assert_eq!(fetch(&wire, post(&endpoint, &["x"])).await.unwrap(), b"ok");
    drop(wire);
    let target = format!("localhost:{upstream}");
    assert_eq!(
        tunnel.await.unwrap(),
        format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        )
    );
    server.await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_proxy_fault() {
    for answer in [
        "HTTP/1.1 407 Who?\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\n\r\nearly",
        "what\r\n\r\n",
        "",
    ] {
        let (proxy, mut endpoint) = listen().await;
        endpoint.tls = true;
        endpoint.proxy = Some(Proxy {
            host: endpoint.host.clone(),
            port: endpoint.port,
            authorization: None,
        });
        let server = tokio::spawn(async move {
            let mut peer = Peer::accept(&proxy).await;
            peer.request().await.unwrap();
            peer.say(answer).await;
        });
        let fault = fetch(&wire(), post(&endpoint, &["x"])).await.unwrap_err();
        assert_eq!(
            (fault.kind, fault.sent),
            (WireFaultKind::Proxy, false),
            "{answer}"
        );
        server.await.unwrap();
    }
}

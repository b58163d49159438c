//! The other side of the wire in tests: raw TCP on loopback, scripted.

use std::sync::Arc;

use bytes::Bytes;
use contract::seams::{Endpoint, HttpVersion, Inbound, Outbound, Wire, WireFault};
use http::{HeaderMap, HeaderValue, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::HttpWire;

/// A listener on loopback and a plain endpoint for it.
pub(super) async fn listen() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint {
        id: "upstream".into(),
        tls: false,
        host: "127.0.0.1".into(),
        port,
        authority: HeaderValue::from_str(&format!("127.0.0.1:{port}")).unwrap(),
        ca_pem: None,
        proxy: None,
        version: HttpVersion::Auto,
        connections_max: 8,
        connect_ms: 20_000,
    };
    (listener, endpoint)
}

pub(super) fn post(endpoint: &Endpoint, pieces: &[&'static str]) -> Outbound {
    Outbound {
        endpoint: Arc::new(endpoint.clone()),
        method: Method::POST,
        path: "/v1/chat?a=b".into(),
        headers: HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )]),
        body: pieces
            .iter()
            .map(|s| Bytes::from_static(s.as_bytes()))
            .collect(),
        head_ms: 20_000,
    }
}

/// Reads a body to its end.
pub(super) async fn drain(mut inbound: Inbound) -> Result<Vec<u8>, WireFault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = std::future::poll_fn(|cx| inbound.body.poll_chunk(cx)).await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

/// Sends and reads all.
pub(super) async fn fetch(wire: &HttpWire, outbound: Outbound) -> Result<Vec<u8>, WireFault> {
    drain(wire.send(outbound).await?).await
}

/// One accepted connection.
pub(super) struct Peer {
    pub(super) tcp: TcpStream,
}

/// A request as it was read.
pub(super) struct Received {
    pub(super) head: String,
    pub(super) body: String,
}

impl Peer {
    pub(super) async fn accept(listener: &TcpListener) -> Self {
        let (tcp, _) = listener.accept().await.unwrap();
        Self { tcp }
    }

    /// Reads one request; `None` when the client is gone.
    pub(super) async fn request(&mut self) -> Option<Received> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
                break at + 4;
            }
            if self.tcp.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while bytes.len() < end + length {
            if self.tcp.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        assert_eq!(bytes.len(), end + length, "bytes after the request");
        let body = String::from_utf8(bytes[end..].to_vec()).unwrap();
        Some(Received { head, body })
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).await.unwrap();
    }

    /// Answers requests until the client leaves; how many there were.
    pub(super) async fn serve(mut self, answer: &str) -> usize {
        let mut served = 0;
        while self.request().await.is_some() {
            self.say(answer).await;
            served += 1;
        }
        served
    }

    /// Waits until the client closed or reset the connection.
    pub(super) async fn gone(&mut self) {
        let mut byte = [0; 1];
        let read = self.tcp.read(&mut byte).await;
        assert!(matches!(read, Ok(0) | Err(_)), "the client sent more");
    }
}

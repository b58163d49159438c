//! From an endpoint to a connected stream: name, TCP, proxy and TLS, all
//! within the endpoint's `connect_ms`. Not here: pooling, HTTP after the
//! handshake.

use std::sync::Arc;
use std::time::Duration;

use contract::seams::{Endpoint, HttpVersion, Proxy, WireFault, WireFaultKind};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::dns::Resolver;
use crate::fault::unsent;
use crate::stream::Stream;

/// Largest answer of a proxy to `CONNECT`, bytes.
const PROXY_HEAD_BYTES_MAX: usize = 8 << 10;

/// A connected stream and the protocol to speak on it.
pub(crate) enum Dialed {
    /// HTTP/1.1.
    Http1(Stream),
    /// HTTP/2.
    Http2(Stream),
}

/// Connects to `endpoint`. `tls` is needed for a TLS endpoint.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    resolver: &Resolver,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Dialed, WireFault> {
    let patience = Duration::from_millis(endpoint.connect_ms);
    let deadline = Instant::now() + patience;
    match timeout_at(deadline, steps(endpoint, resolver, tls, deadline)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(unsent(
            WireFaultKind::ConnectTimeout,
            format_args!(
                "connecting to {}:{} took over {} ms",
                endpoint.host, endpoint.port, endpoint.connect_ms
            ),
        )),
    }
}

/// Whether requests to `endpoint` go to its proxy in absolute form.
pub(crate) fn is_absolute(endpoint: &Endpoint) -> bool {
    endpoint.proxy.is_some() && !endpoint.tls && endpoint.version != HttpVersion::Http2
}

async fn steps(
    endpoint: &Endpoint,
    resolver: &Resolver,
    tls: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> Result<Dialed, WireFault> {
    let tcp = match &endpoint.proxy {
        None => tcp(&endpoint.host, endpoint.port, resolver, deadline).await?,
        Some(proxy) => {
            let tcp = tcp(&proxy.host, proxy.port, resolver, deadline).await?;
            if is_absolute(endpoint) {
                tcp
            } else {
                tunnel(tcp, endpoint, proxy).await?
            }
        }
    };
    let Some(config) = tls else {
        return Ok(match endpoint.version {
            HttpVersion::Auto | HttpVersion::Http1 => Dialed::Http1(Stream::Plain(tcp)),
            HttpVersion::Http2 => Dialed::Http2(Stream::Plain(tcp)),
        });
    };
    handshake(tcp, endpoint, config).await
}

async fn tcp(
    host: &str,
    port: u16,
    resolver: &Resolver,
    deadline: Instant,
) -> Result<TcpStream, WireFault> {
    let addresses = resolver.resolve(host).await.map_err(|error| {
        unsent(
            WireFaultKind::Dns,
            format_args!("{host} did not resolve: {error}"),
        )
    })?;
    let mut last = String::new();
    for (tried, address) in addresses.iter().enumerate() {
        // An address that swallows packets may use only its share of the time.
        let remaining = deadline.saturating_duration_since(Instant::now());
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(1);
        match timeout(remaining / untried, TcpStream::connect((*address, port))).await {
            Ok(Ok(tcp)) => {
                // A request is written whole; waiting for more only delays it.
                tcp.set_nodelay(true).map_err(|error| {
                    unsent(
                        WireFaultKind::Connect,
                        format_args!("{host}:{port}: {error}"),
                    )
                })?;
                return Ok(tcp);
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) if untried == 1 => {
                return Err(unsent(
                    WireFaultKind::ConnectTimeout,
                    format_args!("{host}:{port} ({address}) did not accept in time"),
                ));
            }
            Err(_) => "it did not accept in time".clone_into(&mut last),
        }
    }
    Err(unsent(
        WireFaultKind::Connect,
        format_args!("no connection to {host}:{port}: {last}"),
    ))
}

/// Asks a proxy for a tunnel to the endpoint (RFC 9110, 9.3.6).
async fn tunnel(
    mut tcp: TcpStream,
    endpoint: &Endpoint,
    proxy: &Proxy,
) -> Result<TcpStream, WireFault> {
    let refused = |detail: String| {
        let proxy = format_args!("the proxy {}:{} {detail}", proxy.host, proxy.port).to_string();
        unsent(WireFaultKind::Proxy, proxy)
    };
    let target = if endpoint.host.contains(':') {
        format!("[{}]:{}", endpoint.host, endpoint.port)
    } else {
        format!("{}:{}", endpoint.host, endpoint.port)
    };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(authorization) = &proxy.authorization {
        let value = authorization.expose();
        if value.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err(refused(
                "has an authorization with a control character".into(),
            ));
        }
        request.push_str("Proxy-Authorization: ");
        request.push_str(value);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    tcp.write_all(request.as_bytes())
        .await
        .map_err(|error| refused(format!("broke off: {error}")))?;
    let status = proxy_status(&mut tcp).await.map_err(refused)?;
    if !(200..300).contains(&status) {
        return Err(refused(format!(
            "answered {status} to a tunnel to {target}"
        )));
    }
    Ok(tcp)
}

/// Reads a proxy's answer to its empty line; its status. Nothing may follow
/// a tunnel granted: in it the client speaks first.
async fn proxy_status(tcp: &mut TcpStream) -> Result<u16, String> {
    let mut head = Vec::with_capacity(512);
    while memchr::memmem::find(&head, b"\r\n\r\n").is_none() {
        if head.len() >= PROXY_HEAD_BYTES_MAX {
            return Err(format!("sent an answer over {PROXY_HEAD_BYTES_MAX} bytes"));
        }
        let read = tcp.read_buf(&mut head).await;
        if read.map_err(|error| format!("broke off: {error}"))? == 0 {
            return Err("closed the connection instead of answering".into());
        }
    }
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut slots);
    let parsed = response.parse(&head);
    let parsed = parsed.map_err(|error| format!("sent a malformed answer: {error}"))?;
    let status = response.code.unwrap_or_default();
    if (200..300).contains(&status) && parsed != httparse::Status::Complete(head.len()) {
        return Err("spoke before the tunnel was used".into());
    }
    Ok(status)
}

async fn handshake(
    tcp: TcpStream,
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
) -> Result<Dialed, WireFault> {
    let failed = |detail: String| {
        let detail = format!(
            "TLS with {}:{} failed: {detail}",
            endpoint.host, endpoint.port
        );
        unsent(WireFaultKind::Tls, detail)
    };
    let name =
        ServerName::try_from(endpoint.host.clone()).map_err(|error| failed(error.to_string()))?;
    let tls = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let agreed_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = Stream::Tls(Box::new(tls));
    match (endpoint.version, agreed_h2) {
        (HttpVersion::Auto | HttpVersion::Http2, true) => Ok(Dialed::Http2(stream)),
        (HttpVersion::Auto | HttpVersion::Http1, false) => Ok(Dialed::Http1(stream)),
        (HttpVersion::Http2, false) => Err(failed("the upstream does not offer HTTP/2".into())),
        (HttpVersion::Http1, true) => Err(failed("the upstream insists on HTTP/2".into())),
    }
}

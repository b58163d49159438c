//! TLS with its reload, both HTTP versions, probes, unix sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::gateway::{Home, KEY, chat, post};
use crate::upstream::Upstream;
use crate::{HANG, until};

const DOOR: &str = "/v1/chat/completions";

/// Writes a fresh pair as `cert.pem` and `key.pem`, and gives the certificate.
fn write_pair(home: &Home) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, text) in [
        ("key.pem", pair.signing_key.serialize_pem()),
        ("cert.pem", pair.cert.pem()),
    ] {
        std::fs::write(home.path("new"), text).unwrap();
        std::fs::rename(home.path("new"), home.path(name)).unwrap();
    }
    CertificateDer::from_pem_slice(pair.cert.pem().as_bytes()).unwrap()
}

/// Runs something asynchronous to its end, if it comes to one.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(HANG, future).await };
    runtime.block_on(bounded).expect("it comes to an end")
}

/// Shakes hands trusting only this certificate; the chosen protocol and the
/// stream.
async fn shake(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<(Option<Vec<u8>>, tokio_rustls::client::TlsStream<TcpStream>)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TcpStream::connect(address).await?;
    let stream = connector.connect(name, socket).await?;
    let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    Ok((chosen, stream))
}

/// Some chats at once on one HTTP/2 connection; the statuses.
async fn chats_over_h2<S>(io: S, scheme: &str) -> Vec<u16>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io));
    let (sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let calls = [false, true, false].map(|stream| {
        let mut sender = sender.clone();
        let request = http::Request::post(format!("{scheme}://localhost{DOOR}"))
            .header("authorization", format!("Bearer {KEY}"))
            .body(Full::new(Bytes::from(chat("m", stream))))
            .unwrap();
        tokio::spawn(async move {
            let answer = sender.send_request(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.ends_with(b"[DONE]\n\n"), stream, "{body:?}");
            status
        })
    });
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap());
    }
    drop(sender);
    connection.abort();
    statuses
}

#[test]
fn tls_serves_both_protocols_and_takes_a_new_certificate() {
    let up = Upstream::good();
    let home = Home::new();
    let first = write_pair(&home);
    let tls = "{address: '127.0.0.1:0', tls: {cert: cert.pem, key: key.pem}}";
    let listen = format!("listen: {{data: {tls}, admin: {{address: '127.0.0.1:0'}}}}");
    home.configure(&up.config(&listen));
    let gateway = home.start();
    assert!(
        gateway.told("data").starts_with("https://"),
        "{}",
        gateway.banner()
    );
    let address = gateway.data();
    let statuses = run(async {
        let offer: [&[u8]; 2] = [b"h2", b"http/1.1"];
        let (chosen, stream) = shake(address, &first, &offer).await.unwrap();
        assert_eq!(chosen.as_deref(), Some(&b"h2"[..]));
        chats_over_h2(stream, "https").await
    });
    assert_eq!(statuses, [200, 200, 200]);
    let chosen = run(async { shake(address, &first, &[b"http/1.1"]).await.unwrap().0 });
    assert_eq!(chosen.as_deref(), Some(&b"http/1.1"[..]));

    let second = write_pair(&home);
    until("the new certificate is in force", || {
        run(shake(address, &second, &[b"h2"])).is_ok()
    });
    assert!(run(shake(address, &first, &[b"h2"])).is_err());
    gateway.hears("listener data: the new certificate is in force");
    std::fs::write(home.path("cert.pem"), "rubbish").unwrap();
    gateway.hears("the old one stays in force");
    assert!(run(shake(address, &second, &[b"h2"])).is_ok());
    gateway.stop();
}

#[test]
fn http2_is_served_without_tls_to_those_who_know() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    let address = gateway.data();
    let statuses = run(async {
        let socket = TcpStream::connect(address).await.unwrap();
        chats_over_h2(socket, "http").await
    });
    assert_eq!(statuses, [200, 200, 200]);
    gateway.stop();
}

#[test]
fn a_unix_socket_answers_and_is_gone_after() {
    let up = Upstream::good();
    let home = Home::new();
    let path = home.path("side.sock");
    let listen = format!(
        "listen: {{data: {{unix: '{}', unix_mode: '0660'}}, admin: {{address: '127.0.0.1:0'}}}}",
        path.display()
    );
    home.configure(&up.config(&listen));
    let gateway = home.start();
    assert_eq!(gateway.told("data"), format!("unix:{}", path.display()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660);
    let mut client = Client::unix(&path).unwrap();
    for _ in 0..2 {
        post(&mut client, KEY, DOOR, &chat("m", false)).unwrap();
        assert_eq!(client.answer().unwrap().status, 200);
    }
    drop(client);
    gateway.stop();
    assert!(!path.exists());
}

#[test]
fn probes_answer_on_both_listeners_without_a_key_or_a_record() {
    let up = Upstream::good();
    let home = Home::with(&up.config(""));
    let gateway = home.start();
    gateway.await_ready();
    for address in [gateway.data(), gateway.admin()] {
        for path in ["/livez", "/readyz", "/healthz"] {
            let mut client = Client::connect(address).unwrap();
            client.send("GET", path, &[], b"").unwrap();
            assert_eq!(client.answer().unwrap().status, 200, "{path}");
        }
    }
    assert_eq!(gateway.logs(&home, &[]).len(), 0);
    gateway.stop();
}

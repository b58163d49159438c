//! TLS with its reload, and unix sockets.

use super::*;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::edge::tls::{Tls, TlsFiles};

/// A folder that is removed at its end.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollgate-edge-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes a fresh pair, and gives the certificate.
fn write_pair(folder: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(pair.cert.pem().as_bytes()).unwrap()
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles {
        certificates: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_ca: None,
    }
}

/// Shakes hands trusting only `trusted`; sends one request over HTTP/1.
fn ask(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> Result<(Option<Vec<u8>>, String), std::io::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(HANG)).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    let chosen = session.alpn_protocol().map(<[u8]>::to_vec);
    if chosen.as_deref() == Some(b"h2") {
        return Ok((chosen, String::new()));
    }
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(post("/echo", CLOSE, "hello").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok((chosen, answer))
}

#[test]
fn tls_serves_both_protocols_and_reloads() {
    let folder = Folder::new();
    let first = write_pair(&folder.0);
    let tls = Tls::load(files(&folder.0)).unwrap();
    let spec = ListenerSpec {
        tls: Some(Arc::clone(&tls)),
        ..tcp_spec()
    };
    let listener = Listener::open(&spec, &mut Inherited::default()).unwrap();
    // The acceptor may see the change of the files before the test does.
    let plan = Plan {
        notices: Arc::new(drop),
        ..plan()
    };
    let edge = TestEdge::on(vec![listener], plan, BodyLimits::default());
    let (alpn, answer) = ask(edge.address(), &first, b"http/1.1").unwrap();
    assert_eq!(alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert!(answer.ends_with("hello"), "{answer}");
    let (alpn, _) = ask(edge.address(), &first, b"h2").unwrap();
    assert_eq!(alpn.as_deref(), Some(&b"h2"[..]));

    let second = write_pair(&folder.0);
    tls.reload().unwrap();
    assert!(tls.reload_if_changed().is_none(), "nothing changed since");
    assert!(
        ask(edge.address(), &second, b"http/1.1")
            .unwrap()
            .1
            .ends_with("hello")
    );
    assert!(
        ask(edge.address(), &first, b"http/1.1").is_err(),
        "the old one is gone"
    );

    std::fs::write(folder.0.join("key.pem"), "rubbish").unwrap();
    let why = tls
        .reload_if_changed()
        .expect("it changed")
        .unwrap_err()
        .to_string();
    assert!(
        why.contains("private key") && why.contains("key.pem"),
        "{why}"
    );
    assert!(
        ask(edge.address(), &second, b"http/1.1").is_ok(),
        "the last good pair stays"
    );
    let control = edge.running.control().clone();
    // What a worker counts is there once it has ended.
    edge.stop();
    assert_eq!(control.counts().tls_failed.load(Ordering::Relaxed), 1);
}

#[test]
fn a_missing_certificate_is_named() {
    let folder = Folder::new();
    let why = Tls::load(files(&folder.0)).unwrap_err().to_string();
    assert!(
        why.contains("cert.pem") && why.contains("no such file"),
        "{why}"
    );
}

#[test]
fn a_unix_socket_is_served_with_its_mode_and_cleared_after() {
    let folder = Folder::new();
    let path = folder.0.join("data.sock");
    // What a process that died leaves behind.
    drop(UnixListener::bind(&path).unwrap());
    let address = Address::Unix {
        path: path.clone(),
        mode: 0o600,
    };
    let spec = ListenerSpec {
        name: "side".to_owned(),
        address,
        tls: None,
    };
    let listener = Listener::open(&spec, &mut Inherited::default()).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let edge = TestEdge::on(vec![listener], plan(), BodyLimits::default());
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream
        .write_all(post("/facts", CLOSE, "").as_bytes())
        .unwrap();
    assert!(read_to_end(stream).ends_with("side true"));
    let why = Listener::open(&spec, &mut Inherited::default())
        .unwrap_err()
        .to_string();
    assert!(why.contains("another process listens"), "{why}");
    edge.stop();
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    let why = Listener::open(&spec, &mut Inherited::default())
        .unwrap_err()
        .to_string();
    assert!(why.contains("not a socket"), "{why}");
}

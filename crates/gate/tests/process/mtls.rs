//! Client certificates: who is let in, and whom they stand for.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::client::{Answer, Client};
use crate::gateway::{Home, KEY, chat, post};
use crate::{HANG, until};

/// An authority of client certificates.
type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a client shows.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn shown(by: &Authority, id: &str) -> Shown {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    Shown {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
    }
}

/// Writes the pair of the listener; its certificate.
fn write_pair(home: &Home) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(home.path("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    std::fs::write(home.path("cert.pem"), pair.cert.pem()).unwrap();
    pair.cert.der().clone()
}

fn write_authority(home: &Home, authority: &Authority) {
    std::fs::write(home.path("new"), authority.pem()).unwrap();
    std::fs::rename(home.path("new"), home.path("clients.pem")).unwrap();
}

/// One call over TLS with what is shown and a key, if any.
fn call(
    address: SocketAddr,
    server: &CertificateDer<'static>,
    shown: Option<&Shown>,
    key: Option<&str>,
) -> std::io::Result<Answer> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(shown) => config
            .with_client_auth_cert(shown.chain.clone(), shown.key.clone_key())
            .unwrap(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(HANG))?;
    let mut client = Client::over(rustls::StreamOwned::new(session, socket));
    let body = chat("sandbox/echo", false);
    match key {
        Some(key) => post(&mut client, key, "/v1/chat/completions", &body)?,
        None => {
            let headers = [("content-type", "application/json")];
            client.send("POST", "/v1/chat/completions", &headers, body.as_bytes())?;
        }
    }
    client.answer()
}

fn config(client_auth: &str) -> String {
    format!(
        "providers: {{sandbox: {{}}}}\nlisten:\n  data:\n    address: '127.0.0.1:0'\n    tls:\n      \
         {{cert: cert.pem, key: key.pem, client_ca: clients.pem{client_auth}}}\n  \
         admin: {{address: '127.0.0.1:0'}}\nidentity:\n  certificates:\n    \
         - {{match: {{spiffe: 'spiffe://acme/ns/prod/*'}}, tenant: acme, app: batch, user: nightly}}\n"
    )
}

#[test]
fn a_required_certificate_identifies() {
    let home = Home::with(&config(""));
    let server = write_pair(&home);
    let trusted = authority();
    write_authority(&home, &trusted);
    let gateway = home.start();
    let call = |shown: Option<&Shown>, key| call(gateway.data(), &server, shown, key);
    let prod = shown(&trusted, "spiffe://acme/ns/prod/sa/nightly");
    let answer = call(Some(&prod), None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(call(Some(&prod), Some(KEY)).unwrap().status, 200);
    assert_eq!(
        call(Some(&prod), Some("tg-wrong-0123456789abcdef"))
            .unwrap()
            .status,
        401
    );
    let unmapped = shown(&trusted, "spiffe://acme/ns/dev/sa/x");
    let answer = call(Some(&unmapped), None).unwrap();
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("does not know whom it stands for"));
    assert_eq!(call(Some(&unmapped), Some(KEY)).unwrap().status, 200);
    // Without one of the authority there is no connection at all.
    assert!(call(None, Some(KEY)).is_err());
    let forged = shown(&authority(), "spiffe://acme/ns/prod/sa/nightly");
    assert!(call(Some(&forged), Some(KEY)).is_err());
    let lines = gateway.logs(&home, &[]);
    let first = &lines[0];
    assert_eq!(
        first["key_id"], "certificate:spiffe://acme/ns/prod/sa/nightly",
        "{first}"
    );
    assert_eq!(
        (&first["tenant"], &first["app"]),
        (&"acme".into(), &"batch".into())
    );
    assert_eq!(lines[1]["key_id"], "test", "the key identifies");
    assert_eq!(lines.len(), 5, "refused handshakes are no calls");
    gateway.stop();
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let home = Home::with(&config(", client_auth: optional"));
    let server = write_pair(&home);
    let trusted = authority();
    write_authority(&home, &trusted);
    let gateway = home.start();
    let call = |shown: Option<&Shown>, key| call(gateway.data(), &server, shown, key);
    let prod = shown(&trusted, "spiffe://acme/ns/prod/sa/nightly");
    assert_eq!(call(Some(&prod), None).unwrap().status, 200);
    assert_eq!(call(None, Some(KEY)).unwrap().status, 200);
    assert_eq!(call(None, None).unwrap().status, 401);
    let forged = shown(&authority(), "spiffe://acme/ns/prod/sa/nightly");
    assert!(call(Some(&forged), Some(KEY)).is_err());
    gateway.stop();
}

#[test]
fn another_authority_takes_over_without_a_restart() {
    let home = Home::with(&config(""));
    let server = write_pair(&home);
    let (first, second) = (authority(), authority());
    write_authority(&home, &first);
    let gateway = home.start();
    let call = |by: &Shown| call(gateway.data(), &server, Some(by), None);
    let old = shown(&first, "spiffe://acme/ns/prod/a");
    let new = shown(&second, "spiffe://acme/ns/prod/a");
    assert_eq!(call(&old).unwrap().status, 200);
    assert!(call(&new).is_err());
    write_authority(&home, &second);
    until("the new authority counts", || {
        call(&new).is_ok_and(|answer| answer.status == 200)
    });
    assert!(call(&old).is_err(), "the old one does not any more");
    gateway.stop();
}

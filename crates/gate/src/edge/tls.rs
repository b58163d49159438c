//! TLS of a listener: certificate and key from files, read again when they
//! change, the last good pair kept in force; and who vouches for the
//! certificates of clients.
//!
//! Deliberately not here: whom a client certificate stands for (`access`), and
//! the choice of a crypto provider for outbound TLS (`transport`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Where certificate, key and authorities of clients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// PEM with the certificate first and its chain behind.
    pub(crate) certificates: PathBuf,
    /// PEM with the private key.
    pub(crate) key: PathBuf,
    /// Authorities of client certificates, if clients are asked for one.
    pub(crate) client_ca: Option<ClientCa>,
}

/// Who vouches for client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientCa {
    /// PEM with their certificates.
    pub(crate) file: PathBuf,
    /// Clients may come without one.
    pub(crate) optional: bool,
}

/// Why a pair of files cannot be used. The text is for the operator.
#[derive(Debug)]
pub(crate) struct TlsFault(String);

impl std::fmt::Display for TlsFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsFault {}

/// TLS in force for a listener.
pub(crate) struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    /// Kept over reloads and shared by all workers, so that clients resume.
    /// Not where clients show certificates: a session must not be resumed
    /// under authorities that no longer vouch for it.
    tickets: Option<Arc<dyn ProducesTickets>>,
    /// The state of the files when they were last tried.
    stamp: Mutex<Stamp>,
}

/// What tells that a file was replaced: time of change and length. Links are
/// followed, so a swapped symlink of a mounted secret counts.
type Stamp = [Option<(SystemTime, u64)>; 3];

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// When a file cannot be read, holds no PEM of its kind, or the key does
    /// not belong to the certificate.
    pub(crate) fn load(files: TlsFiles) -> Result<Arc<Self>, TlsFault> {
        let tickets = match files.client_ca {
            None => Some(tickets()?),
            Some(_) => None,
        };
        let stamp = stamp(&files);
        let config = configure(&files, tickets.as_ref())?;
        Ok(Arc::new(Self {
            files,
            config: ArcSwap::from(config),
            tickets,
            stamp: Mutex::new(stamp),
        }))
    }

    /// The configuration in force.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files again. On an error what was in force stays in force.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub(crate) fn reload(&self) -> Result<(), TlsFault> {
        *self.stamp.lock().expect("no holder of this lock panics") = stamp(&self.files);
        self.config
            .store(configure(&self.files, self.tickets.as_ref())?);
        Ok(())
    }

    /// Reads the files again if they changed since they were last tried.
    pub(crate) fn reload_if_changed(&self) -> Option<Result<(), TlsFault>> {
        let known = *self.stamp.lock().expect("no holder of this lock panics");
        (known != stamp(&self.files)).then(|| self.reload())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let client_ca = files.client_ca.as_ref().map(|ca| &ca.file);
    let all = [Some(&files.certificates), Some(&files.key), client_ca];
    all.map(|path| {
        let metadata = std::fs::metadata(path?).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn configure(
    files: &TlsFiles,
    tickets: Option<&Arc<dyn ProducesTickets>>,
) -> Result<Arc<ServerConfig>, TlsFault> {
    let chain = certificates("certificate", &files.certificates)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| unreadable("private key", &files.key, &e))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsFault(format!("TLS 1.2 and 1.3 are not available: {e}.")))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => builder.with_client_cert_verifier(verifier(ca, provider)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|e| {
        let (certificates, key) = (files.certificates.display(), files.key.display());
        TlsFault(format!(
            "{certificates} and {key} cannot be used together: {e}. \
                 Check that the key belongs to the first certificate."
        ))
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = match tickets {
        Some(tickets) => Arc::clone(tickets),
        None => self::tickets()?,
    };
    Ok(Arc::new(config))
}

fn tickets() -> Result<Arc<dyn ProducesTickets>, TlsFault> {
    aws_lc_rs::Ticketer::new()
        .map_err(|e| TlsFault(format!("No session tickets could be made: {e}.")))
}

fn verifier(
    ca: &ClientCa,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let path = ca.file.display();
    let mut roots = RootCertStore::empty();
    for authority in certificates("authority of client certificates", &ca.file)? {
        roots.add(authority).map_err(|e| {
            TlsFault(format!(
                "An authority of client certificates in {path} is no use: {e}."
            ))
        })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match ca.optional {
        true => builder.allow_unauthenticated(),
        false => builder,
    };
    builder.build().map_err(|e| {
        TlsFault(format!(
            "The authorities of client certificates in {path} are no use: {e}."
        ))
    })
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let all: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable(what, path, &e))?;
    match all.is_empty() {
        true => Err(TlsFault(format!(
            "There is no certificate in {}. It must be PEM.",
            path.display()
        ))),
        false => Ok(all),
    }
}

fn unreadable(what: &str, path: &Path, error: &rustls_pki_types::pem::Error) -> TlsFault {
    let why = match error {
        rustls_pki_types::pem::Error::Io(e) if e.kind() == io::ErrorKind::NotFound => {
            "there is no such file".to_owned()
        }
        other => other.to_string(),
    };
    TlsFault(format!(
        "The {what} in {} cannot be read: {why}. It must be PEM.",
        path.display()
    ))
}

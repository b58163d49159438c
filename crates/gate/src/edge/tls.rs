//! TLS of a listener: certificate and key from files, read again when they
//! change, the last good pair kept in force.
//!
//! Deliberately not here: client certificates, and the choice of a crypto
//! provider for outbound TLS (`transport`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::ProducesTickets;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// PEM with the certificate first and its chain behind.
    pub(crate) certificates: PathBuf,
    /// PEM with the private key.
    pub(crate) key: PathBuf,
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
    tickets: Arc<dyn ProducesTickets>,
    /// The state of the files when they were last tried.
    stamp: Mutex<Stamp>,
}

/// What tells that a file was replaced: time of change and length. Links are
/// followed, so a swapped symlink of a mounted secret counts.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// When a file cannot be read, holds no PEM of its kind, or the key does
    /// not belong to the certificate.
    pub(crate) fn load(files: TlsFiles) -> Result<Arc<Self>, TlsFault> {
        let tickets = aws_lc_rs::Ticketer::new()
            .map_err(|e| TlsFault(format!("No session tickets could be made: {e}.")))?;
        let stamp = stamp(&files);
        let config = configure(&files, &tickets)?;
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
        self.config.store(configure(&self.files, &self.tickets)?);
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
    [&files.certificates, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn configure(
    files: &TlsFiles,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, TlsFault> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable("certificate", &files.certificates, &e))?;
    if chain.is_empty() {
        let path = files.certificates.display();
        return Err(TlsFault(format!(
            "There is no certificate in {path}. It must be PEM."
        )));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| unreadable("private key", &files.key, &e))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsFault(format!("TLS 1.2 and 1.3 are not available: {e}.")))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| {
            let (certificates, key) = (files.certificates.display(), files.key.display());
            TlsFault(format!(
                "{certificates} and {key} cannot be used together: {e}. \
                 Check that the key belongs to the first certificate."
            ))
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(tickets);
    Ok(Arc::new(config))
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

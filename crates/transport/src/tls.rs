//! TLS settings: rustls over aws-lc-rs, the platform's roots and those of the
//! endpoint. Settings are shared between endpoints that ask for the same, and
//! with them the memory of resumable sessions. Not here: client certificates.

use std::sync::{Arc, Mutex, OnceLock};

use contract::seams::{Endpoint, HttpVersion};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Most TLS sessions remembered for resumption by one set of settings.
const SESSIONS_MAX: usize = 256;

/// Settings kept before those that no endpoint uses are dropped.
const UNUSED_MAX: usize = 32;

/// TLS settings, by what they were made from.
#[derive(Default)]
pub(crate) struct TlsSettings {
    made: Mutex<Vec<Made>>,
}

struct Made {
    ca_pem: Option<Arc<str>>,
    version: HttpVersion,
    config: Arc<ClientConfig>,
}

impl TlsSettings {
    /// The settings for an endpoint.
    ///
    /// # Errors
    /// What is wrong with the endpoint's or the platform's authorities.
    pub(crate) fn of(&self, endpoint: &Endpoint) -> Result<Arc<ClientConfig>, String> {
        let mut made = self.made.lock().expect("no holder of this lock panics");
        let known = made
            .iter()
            .find(|made| made.ca_pem == endpoint.ca_pem && made.version == endpoint.version);
        if let Some(known) = known {
            return Ok(Arc::clone(&known.config));
        }
        let config = Arc::new(config(endpoint)?);
        if made.len() >= UNUSED_MAX {
            made.retain(|made| Arc::strong_count(&made.config) > 1);
        }
        made.push(Made {
            ca_pem: endpoint.ca_pem.clone(),
            version: endpoint.version,
            config: Arc::clone(&config),
        });
        Ok(config)
    }
}

fn config(endpoint: &Endpoint) -> Result<ClientConfig, String> {
    let roots = match &endpoint.ca_pem {
        None => Arc::clone(platform_roots()),
        Some(pem) => Arc::new(with_authorities(pem)?),
    };
    if roots.is_empty() {
        return Err(
            "neither the platform nor the endpoint names a certificate authority; \
             install the platform's CA bundle or set one for the endpoint"
                .into(),
        );
    }
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    config.alpn_protocols = match endpoint.version {
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    Ok(config)
}

fn with_authorities(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::clone(platform_roots());
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|der| roots.add(der).map_err(|error| error.to_string()))
            .map_err(|error| {
                format!("a certificate authority of the endpoint is malformed: {error}")
            })?;
    }
    if roots.len() == before {
        return Err("the endpoint's certificate authorities hold no certificate".into());
    }
    Ok(roots)
}

/// The platform's roots, read once. What cannot be read is left out: a
/// platform may carry certificates that this TLS does not accept.
fn platform_roots() -> &'static Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    })
}

fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

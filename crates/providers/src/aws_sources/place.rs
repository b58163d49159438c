//! Addresses of the services that lend credentials.

use std::fmt::Write as _;
use std::sync::Arc;

use contract::seams::{Endpoint, HttpVersion, Outbound, Pieces, Proxy};
use http::{HeaderMap, HeaderValue, Method, Uri};
use sha2::{Digest, Sha256};

/// Most connections to one of them: they are asked one thing at a time.
const CONNECTIONS_MAX: u32 = 4;
/// Longest time to connect, milliseconds. A metadata service is a hop away;
/// where there is none, the packets are lost.
const CONNECT_MS: u64 = 3_000;
/// Longest time to the head of an answer, milliseconds.
const HEAD_MS: u64 = 10_000;

/// How what is not on the same machine is reached.
#[derive(Clone, Default)]
pub(crate) struct Way {
    pub(crate) proxy: Option<Proxy>,
    pub(crate) ca_pem: Option<Arc<str>>,
}

/// The address of a service.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    endpoint: Arc<Endpoint>,
    path: String,
}

impl Place {
    /// The place behind a URL, or what is wrong with it. A query is kept.
    pub(crate) fn at(url: &str, way: &Way) -> Result<Self, String> {
        let not_url = || "it is not a URL of `http` or `https`".to_owned();
        let uri: Uri = url.parse().map_err(|_| not_url())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(not_url()),
        };
        let authority = uri.authority().ok_or_else(not_url)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err("it holds a name or password, or no host".to_owned());
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let endpoint = Endpoint {
            id: id(url, way),
            tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_| not_url())?,
            ca_pem: way.ca_pem.clone(),
            proxy: way.proxy.clone(),
            version: HttpVersion::Http1,
            connections_max: CONNECTIONS_MAX,
            connect_ms: CONNECT_MS,
        };
        Ok(Self {
            endpoint: Arc::new(endpoint),
            path: path.to_owned(),
        })
    }

    pub(crate) fn host(&self) -> &str {
        &self.endpoint.host
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.endpoint.tls
    }

    /// Tells this place from others.
    pub(super) fn note(&self, note: &mut dyn FnMut(&str)) {
        note(&self.endpoint.id);
        note(&self.path);
    }

    /// A request to this place. A path of its own comes after that of the
    /// place.
    pub(super) fn request(&self, method: Method, path: &str) -> Outbound {
        let base = match path {
            "" => self.path.as_str(),
            _ => self.path.trim_end_matches('/'),
        };
        Outbound {
            endpoint: self.endpoint.clone(),
            method,
            path: format!("{base}{path}"),
            headers: HeaderMap::new(),
            body: Pieces::new(),
            head_ms: HEAD_MS,
        }
    }
}

/// Names the origin and all settings, as the key of a pool must.
fn id(url: &str, way: &Way) -> String {
    let mut hash = Sha256::new();
    let mut note = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    note(url);
    note(way.ca_pem.as_deref().unwrap_or_default());
    if let Some(proxy) = &way.proxy {
        note(&proxy.host);
        note(&proxy.port.to_string());
        note(
            proxy
                .authorization
                .as_ref()
                .map_or("", |text| text.expose()),
        );
    }
    let mut id = "credentials:".to_owned();
    for byte in &hash.finalize()[..16] {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

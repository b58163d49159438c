//! Addresses of upstreams and proxies.

use std::sync::Arc;

use contract::Secret;
use contract::seams::{Endpoint, HttpVersion, Proxy};
use http::{HeaderValue, Uri};

use crate::document::text::without_login;

/// What is wrong with an address, and what to write instead.
type Wrong = (String, String);

/// Origin and path of a base URL.
pub(super) struct Base {
    tls: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
    /// Without a trailing slash; may be empty.
    pub(super) path: String,
}

/// How an endpoint is reached, besides its address.
#[derive(Default)]
pub(super) struct Reach {
    pub(super) ca_pem: Option<Arc<str>>,
    pub(super) proxy: Option<Proxy>,
    pub(super) version: HttpVersion,
    pub(super) connections_max: u32,
    pub(super) connect_ms: u64,
}

/// Parses a base URL. It may not hold credentials, so it may be shown.
pub(super) fn base(text: &str) -> Result<Base, Wrong> {
    let instead = || "write it like `https://models.example.com/v1`".to_owned();
    without_login(text)?;
    let not_url = || (format!("`{text}` is not a URL"), instead());
    let uri: Uri = text.parse().map_err(|_| not_url())?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(other) => return Err((format!("`{other}` is not spoken here"), instead())),
        None => {
            return Err((
                format!("`{text}` does not begin with `http://` or `https://`"),
                instead(),
            ));
        }
    };
    if uri.query().is_some() || text.contains('#') {
        return Err((
            "a base URL has no query or fragment".to_owned(),
            "end it before the `?` or `#`".to_owned(),
        ));
    }
    let authority = uri.authority().ok_or_else(not_url)?;
    let host = authority.host();
    if host.is_empty() {
        return Err(not_url());
    }
    Ok(Base {
        tls,
        host: host.trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        authority: HeaderValue::try_from(authority.as_str()).map_err(|_| not_url())?,
        path: uri.path().trim_end_matches('/').to_owned(),
    })
}

/// Parses the address of a proxy, whose text may hold a password and is
/// therefore never shown.
pub(super) fn proxy(text: &str) -> Result<Proxy, Wrong> {
    let wrong = |what: &str| {
        (
            what.to_owned(),
            "write it like `http://proxy.internal:3128` or `http://name:password@host:port`"
                .to_owned(),
        )
    };
    let rest = text
        .strip_prefix("http://")
        .ok_or_else(|| wrong("only proxies that are spoken to in plain HTTP are supported"))?;
    let (login, address) = match rest.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, rest),
    };
    let uri: Uri = format!("http://{}", address.trim_end_matches('/'))
        .parse()
        .map_err(|_| wrong("this is not the address of a proxy"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if host.is_empty() || uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("this is not the address of a proxy"));
    }
    Ok(Proxy {
        host: host.to_owned(),
        port: uri.port_u16().unwrap_or(80),
        authorization: login.map(|login| Secret::new(basic(&percent_decoded(login)))),
    })
}

impl Base {
    /// The endpoint. Its id names the origin and all settings, so that a
    /// changed setting gets a pool of its own.
    pub(super) fn endpoint(self, reach: Reach) -> Endpoint {
        let mut settings = blake3::Hasher::new();
        let mut note = |text: &str| {
            settings.update(text.as_bytes());
            settings.update(&[0]);
        };
        note(reach.ca_pem.as_deref().unwrap_or_default());
        note(match reach.version {
            HttpVersion::Auto => "auto",
            HttpVersion::Http1 => "1",
            HttpVersion::Http2 => "2",
        });
        note(&reach.connections_max.to_string());
        note(&reach.connect_ms.to_string());
        if let Some(proxy) = &reach.proxy {
            note(&format!("{}:{}", proxy.host, proxy.port));
            note(
                proxy
                    .authorization
                    .as_ref()
                    .map_or("", |secret| secret.expose()),
            );
        }
        let settings = settings.finalize().to_hex();
        let scheme = if self.tls { "https" } else { "http" };
        Endpoint {
            id: format!("{scheme}://{}:{}#{}", self.host, self.port, &settings[..16]),
            tls: self.tls,
            host: self.host,
            port: self.port,
            authority: self.authority,
            ca_pem: reach.ca_pem,
            proxy: reach.proxy,
            version: reach.version,
            connections_max: reach.connections_max,
            connect_ms: reach.connect_ms,
        }
    }
}

/// `Basic` credentials (RFC 7617).
fn basic(login: &[u8]) -> String {
    use base64::Engine;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(login)
    )
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = (*byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let decoded = pair
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    out
}

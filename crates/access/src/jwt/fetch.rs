//! How the keys of an issuer are fetched: what is asked, and what the answers
//! mean. Deliberately not here: asking; the assembly carries it.

use std::sync::Arc;

use contract::seams::{Endpoint, HttpVersion, Outbound, Pieces};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Deserialize;

use super::keys::KeySet;

/// Longest time to connect, milliseconds.
const CONNECT_MS: u64 = 5_000;
/// Longest time for the head of an answer, milliseconds.
const HEAD_MS: u64 = 5_000;
/// Where OpenID Connect describes an issuer.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Where the keys of an issuer come from.
#[derive(Debug)]
pub struct Source {
    id: Arc<str>,
    name: Arc<str>,
    issuer: Box<str>,
    is_discovered: bool,
    first: Place,
    ca_pem: Option<Arc<str>>,
    refresh_s: u64,
    stale_s: u64,
}

/// How old keys may get.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// They are fetched again after so many seconds.
    pub refresh_s: u64,
    /// They are relied upon for so many seconds while fetching fails.
    pub stale_s: u64,
}

/// A request to make, or the end.
#[derive(Debug)]
pub enum Step {
    /// Send this, and come back with the answer.
    Send(Box<Outbound>),
    /// These are the keys.
    Done(KeySet),
    /// There are none, and why.
    Failed(String),
}

/// What came of a request.
#[derive(Debug)]
pub enum Heard {
    /// An answer with its body.
    Answer {
        /// Status.
        status: u16,
        /// Body.
        body: Vec<u8>,
    },
    /// None, and why.
    Nothing(String),
}

#[derive(Deserialize)]
struct Described {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    /// The source of an issuer's keys: at `jwks_uri`, or where the issuer
    /// says.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn new(
        name: &Arc<str>,
        issuer: &str,
        jwks_uri: Option<&str>,
        ca_pem: Option<Arc<str>>,
        ages: Ages,
    ) -> Result<Arc<Self>, &'static str> {
        let described_at = format!("{}{DISCOVERY}", issuer.trim_end_matches('/'));
        let url = jwks_uri.unwrap_or(&described_at);
        let first = Place::read(url)?;
        let mut hash = blake3::Hasher::new();
        for text in [name, issuer, url, ca_pem.as_deref().unwrap_or_default()] {
            hash.update(text.as_bytes());
            hash.update(&[0]);
        }
        hash.update(&ages.refresh_s.to_le_bytes());
        Ok(Arc::new(Self {
            id: hash.finalize().to_hex()[..32].into(),
            name: name.clone(),
            issuer: issuer.into(),
            is_discovered: jwks_uri.is_none(),
            first,
            ca_pem,
            refresh_s: ages.refresh_s,
            stale_s: ages.stale_s,
        }))
    }

    /// What tells it from others.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The issuer's name in the document.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Keys are fetched again after so many seconds.
    pub fn refresh_s(&self) -> u64 {
        self.refresh_s
    }

    /// Keys are relied upon for so many seconds.
    pub fn stale_s(&self) -> u64 {
        self.stale_s
    }

    /// The next step after what was heard so far.
    pub fn next(&self, heard: &[Heard]) -> Step {
        match heard {
            [] => self.send(&self.first),
            [described] if self.is_discovered => match self.described(described) {
                Ok(place) => self.send(&place),
                Err(why) => Step::Failed(why),
            },
            [.., last] => {
                let keys = body(last, "the set of keys").and_then(|body| {
                    KeySet::read(body).map_err(|why| format!("the set of keys is no use: {why}"))
                });
                match keys {
                    Ok(keys) => Step::Done(keys),
                    Err(why) => Step::Failed(why),
                }
            }
        }
    }

    /// Where the issuer says that its keys are.
    fn described(&self, heard: &Heard) -> Result<Place, String> {
        let body = body(heard, "the description of the issuer")?;
        let described: Described = serde_json::from_slice(body)
            .map_err(|_| "the description of the issuer cannot be read".to_owned())?;
        // OpenID Connect Discovery 1.0, section 4.3: it must be the same.
        if described.issuer != *self.issuer {
            return Err(
                "the description is of another issuer: write `issuer` exactly as it says"
                    .to_owned(),
            );
        }
        let place = Place::read(&described.jwks_uri)
            .map_err(|why| format!("the `jwks_uri` of the issuer cannot be used: {why}"))?;
        match self.first.tls && !place.tls {
            true => Err("the `jwks_uri` of the issuer is not `https`".to_owned()),
            false => Ok(place),
        }
    }

    fn send(&self, place: &Place) -> Step {
        let scheme = if place.tls { "https" } else { "http" };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Step::Send(Box::new(Outbound {
            endpoint: Arc::new(Endpoint {
                id: format!("{scheme}://{}:{}#keys-{}", place.host, place.port, self.id),
                tls: place.tls,
                host: place.host.clone(),
                port: place.port,
                authority: place.authority.clone(),
                ca_pem: self.ca_pem.clone(),
                proxy: None,
                version: HttpVersion::Http1,
                connections_max: 1,
                connect_ms: CONNECT_MS,
            }),
            method: Method::GET,
            path: place.path.clone(),
            headers,
            body: Pieces::new(),
            head_ms: HEAD_MS,
        }))
    }
}

fn body<'h>(heard: &'h Heard, what: &str) -> Result<&'h [u8], String> {
    match heard {
        Heard::Answer { status: 200, body } => Ok(body),
        Heard::Answer { status, .. } => Err(format!("{what} was answered with status {status}")),
        Heard::Nothing(why) => Err(why.clone()),
    }
}

/// An address that keys may be fetched from: `https`, or this machine.
#[derive(Clone, Debug)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
    path: String,
}

impl Place {
    fn read(url: &str) -> Result<Self, &'static str> {
        let not_url = "it is not an URL such as `https://login.example.com`";
        if url.contains(['#', '@']) || url.len() > 2_048 {
            return Err(not_url);
        }
        let uri: Uri = url.parse().map_err(|_| not_url)?;
        let authority = uri.authority().ok_or(not_url)?;
        let host = authority.host().trim_matches(['[', ']']);
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_here(host) => false,
            Some("http") => {
                return Err("keys that come over plain `http` could be anybody's: use `https`");
            }
            Some(_) | None => return Err(not_url),
        };
        if host.is_empty() {
            return Err(not_url);
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_| not_url)?,
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

fn is_here(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

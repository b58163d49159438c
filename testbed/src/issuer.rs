//! A small real OpenID Connect issuer: discovery, published keys, tokens
//! signed with ES256, rotation, and an outage on demand.
//!
//! It uses threads and the standard library's sockets only, and nothing of
//! the testbed, so that the gateway's own process tests can take this file in
//! as it is. Deliberately not here: logging anybody in. Whoever asks for a
//! token gets one with the claims they name.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// How long a token is valid, seconds.
const LIFE_S: u64 = 600;
/// Keys that are published: the newest, and the one before.
const KEYS_MAX: usize = 2;
/// Longest line of a request, bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A running issuer. Its thread ends with the process.
#[derive(Clone)]
pub struct Issuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Newest last.
    keys: Vec<(String, EcdsaKeyPair)>,
    made: usize,
    is_down: bool,
    fetches: u64,
}

impl Issuer {
    /// Starts on this address; port 0 is a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(address: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let issuer = Self {
            address: listener.local_addr()?,
            state: Arc::new(Mutex::new(State {
                keys: Vec::new(),
                made: 0,
                is_down: false,
                fetches: 0,
            })),
        };
        issuer.rotate();
        let serving = issuer.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let serving = serving.clone();
                // A caller that goes away is no news.
                std::thread::spawn(move || serving.serve(&socket).ok());
            }
        });
        Ok(issuer)
    }

    /// What it puts into `iss`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a new key, which signs from now on. The one before stays
    /// published.
    pub fn rotate(&self) {
        let mut state = self.state();
        state.made += 1;
        let name = format!("key-{}", state.made);
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .expect("the library makes keys");
        state.keys.push((name, pair));
        if state.keys.len() > KEYS_MAX {
            state.keys.remove(0);
        }
    }

    /// From now on it hangs up on everybody, or answers again.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    /// How often its keys were fetched.
    pub fn fetches(&self) -> u64 {
        self.state().fetches
    }

    /// A token with these claims besides `iss`, `iat` and `exp`, which can be
    /// overridden.
    pub fn token(&self, claims: &Map<String, Value>) -> String {
        let now_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut all = json!({"iss": self.url(), "iat": now_s, "exp": now_s + LIFE_S});
        if let Value::Object(all) = &mut all {
            all.extend(claims.clone());
        }
        let state = self.state();
        let (name, pair) = state.keys.last().expect("there is a key from the start on");
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": name});
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", encode(&head), encode(&all));
        let signature = pair
            .sign(&SystemRandom::new(), message.as_bytes())
            .expect("the library signs");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request on a connection.
    fn serve(&self, socket: &TcpStream) -> std::io::Result<()> {
        if self.state().is_down {
            return Ok(());
        }
        let mut lines = BufReader::new(socket);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let target = line.split(' ').nth(1).unwrap_or("/").to_owned();
        while line.trim_end() != "" && line.len() < LINE_BYTES_MAX {
            line.clear();
            lines.read_line(&mut line)?;
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (status, kind, body) = match path {
            "/.well-known/openid-configuration" => ("200 OK", "application/json", self.described()),
            "/keys" => ("200 OK", "application/json", self.published()),
            "/token" => ("200 OK", "text/plain", self.token(&claims(query))),
            "/rotate" => {
                self.rotate();
                ("200 OK", "text/plain", "rotated\n".to_owned())
            }
            _ => ("404 Not Found", "text/plain", "nothing here\n".to_owned()),
        };
        let length = body.len();
        let mut socket = socket;
        socket.write_all(
            format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            )
            .as_bytes(),
        )
    }

    fn described(&self) -> String {
        json!({
            "issuer": self.url(),
            "jwks_uri": format!("{}/keys", self.url()),
            "token_endpoint": format!("{}/token", self.url()),
            "id_token_signing_alg_values_supported": ["ES256"],
            "subject_types_supported": ["public"],
            "response_types_supported": ["token"],
        })
        .to_string()
    }

    fn published(&self) -> String {
        let mut state = self.state();
        state.fetches += 1;
        let keys: Vec<Value> = state
            .keys
            .iter()
            .map(|(name, pair)| {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": name,
                    "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
                })
            })
            .collect();
        json!({ "keys": keys }).to_string()
    }
}

/// The claims that a query names, all as texts.
fn claims(query: &str) -> Map<String, Value> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect()
}

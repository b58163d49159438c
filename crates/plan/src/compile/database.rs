//! The database that replicas share, checked.
//!
//! Deliberately not here: reading the address (`store-remote`).

use std::ops::RangeInclusive;
use std::sync::Arc;

use contract::Secret;

use super::{Findings, check_time};
use crate::document::{DatabaseEntry, DatabaseUnavailable, Document};
use crate::interpolate::Sources;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const SHARED_SECRET_BYTES_MIN: usize = 32;
const SCHEMA_MAX: usize = 48;
/// What a gateway runs is renewed between other questions: none may take long.
const DEADLINE_MS: RangeInclusive<u64> = 10..=1_000;
/// A running call is not renewed while the database is away.
const TTL_MS_MIN: u64 = 60_000;
const LAG_MS: RangeInclusive<u64> = 1_000..=86_400_000;

/// The database that replicas share.
#[derive(Clone, Debug)]
pub struct SharedDatabase {
    /// Address of the server.
    pub url: Arc<Secret<String>>,
    /// Where the tables are.
    pub schema: String,
    /// Certificate authorities beside those of the platform, PEM.
    pub ca_pem: Option<Arc<str>>,
    /// What replicas share beside it; without it, each keeps its own keys.
    pub shared_secret: Option<Arc<Secret<String>>>,
    /// Longest wait of a call, milliseconds.
    pub deadline_ms: u64,
    /// How long records may wait, milliseconds.
    pub max_lag_ms: u64,
    /// Whether calls are refused once records wait for longer.
    pub is_closed: bool,
}

impl PartialEq for SharedDatabase {
    fn eq(&self, other: &Self) -> bool {
        let secret = |it: &Self| it.shared_secret.as_ref().map(|it| it.expose().clone());
        self.url.expose() == other.url.expose()
            && secret(self) == secret(other)
            && self.schema == other.schema
            && self.ca_pem == other.ca_pem
            && (self.deadline_ms, self.max_lag_ms) == (other.deadline_ms, other.max_lag_ms)
            && self.is_closed == other.is_closed
    }
}

impl Eq for SharedDatabase {}

/// `None`: there is none.
pub(super) fn compile(
    document: &Document,
    sources: &dyn Sources,
    findings: &mut Findings,
) -> Option<SharedDatabase> {
    let entry = &document.database;
    if !is_schema(&entry.schema) {
        findings.error(
            "database.schema",
            "this is no name of a schema",
            "write up to 48 lower-case letters, digits and `_`, beginning with a letter and not \
             with `pg_`",
        );
    }
    check_time(entry.deadline, DEADLINE_MS, "database.deadline", findings);
    check_time(entry.max_lag, LAG_MS, "database.max_lag", findings);
    let ca_pem = entry
        .ca_file
        .as_ref()
        .and_then(|path| authorities(path, sources, findings));
    let shared_secret = shared_secret(entry, findings);
    let url = entry.url.as_ref()?.secret().expose();
    let idempotency = &document.idempotency;
    if idempotency.enabled && idempotency.ttl.0 < TTL_MS_MIN {
        findings.error(
            "idempotency.ttl",
            "with a `database`, the key of a running call could come free while it is away",
            "write `1m` or more: longer than the longest call, and than an outage may last",
        );
    }
    let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
    match rest.map(modes) {
        None => findings.error(
            "database.url",
            "this is no address of a PostgreSQL server",
            "write `postgres://user:password@host:5432/name`",
        ),
        Some(modes) if modes.iter().any(|mode| !is_plain(mode)) => findings.error(
            "database.url",
            "with this `sslmode` nobody knows whether TLS is used",
            "leave `sslmode` out (TLS, verified), or write `sslmode=disable` where nobody can \
             listen on the way",
        ),
        Some(_) => {}
    }
    Some(SharedDatabase {
        url: Arc::new(Secret::new(url.clone())),
        schema: entry.schema.clone(),
        ca_pem,
        shared_secret,
        deadline_ms: entry.deadline.0,
        max_lag_ms: entry.max_lag.0,
        is_closed: match entry.on_unavailable {
            DatabaseUnavailable::Open => false,
            DatabaseUnavailable::Closed => true,
        },
    })
}

fn shared_secret(entry: &DatabaseEntry, findings: &mut Findings) -> Option<Arc<Secret<String>>> {
    let secret = entry.shared_secret.as_ref()?.secret();
    if secret.expose().len() < SHARED_SECRET_BYTES_MIN {
        findings.error(
            "database.shared_secret",
            format!("this secret has fewer than {SHARED_SECRET_BYTES_MIN} bytes"),
            "write what `openssl rand -hex 32` prints, the same for all replicas",
        );
    }
    Some(Arc::new(Secret::new(secret.expose().clone())))
}

/// It stands in statements as it is.
fn is_schema(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= SCHEMA_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.starts_with("pg_")
        && name.chars().all(fits)
}

/// What an address says of TLS.
fn modes(address: &str) -> Vec<&str> {
    let Some((_, parameters)) = address.split_once('?') else {
        return Vec::new();
    };
    let named = parameters.split('&').filter_map(|it| it.split_once('='));
    named
        .filter(|(name, _)| *name == "sslmode")
        .map(|(_, mode)| mode)
        .collect()
}

/// `prefer` and `allow` would go on without TLS where somebody in between says
/// so. All others but `disable` are held as `verify-full`.
fn is_plain(mode: &str) -> bool {
    ["disable", "require", "verify-ca", "verify-full"].contains(&mode)
}

fn authorities(path: &str, sources: &dyn Sources, findings: &mut Findings) -> Option<Arc<str>> {
    let read =
        sources
            .file(path)
            .and_then(|text| match text.contains("-----BEGIN CERTIFICATE-----") {
                true => Ok(Arc::from(text)),
                false => Err("it holds no certificate in PEM form".to_owned()),
            });
    let told = read.map_err(|why| {
        findings.error(
            "database.ca_file",
            format!("the file `{path}` cannot be used: {why}"),
            "write the path of a PEM file with one or more certificates",
        );
    });
    told.ok()
}

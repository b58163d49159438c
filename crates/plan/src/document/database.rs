//! The database that replicas share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Millis, SecretText};

/// The PostgreSQL database that replicas share. Without `url` there is none,
/// and each gateway keeps its own records only.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseEntry {
    /// Address of the server: `postgres://user:password@host:port/name`, or
    /// `postgres:///name?host=/folder&user=name` for a Unix socket. TLS is
    /// used and verified unless it says `sslmode=disable`. Preferably as
    /// `${env:NAME}` or `${file:path}` where it holds a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretText>,
    /// Tables are kept in this schema, which is made where it is missing.
    /// Replicas of one schema belong together. Lower-case letters, digits and
    /// `_`, up to 48.
    pub schema: String,
    /// PEM file of certificate authorities, beside those of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// What replicas share beside the database, the same text of at least 32
    /// bytes for all of them, as `${env:NAME}` or `${file:path}`. With it
    /// virtual keys, and plans that the admin API owns, are of all replicas;
    /// the key of the digests of keys is made of it. Without it each gateway
    /// keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_secret: Option<SecretText>,
    /// Longest wait of a call for the database, `1s` at most.
    pub deadline: Millis,
    /// How long records may wait to be in the database before
    /// `on_unavailable` applies.
    pub max_lag: Millis,
    /// What becomes of new calls once records wait for longer than `max_lag`.
    pub on_unavailable: DatabaseUnavailable,
}

impl Default for DatabaseEntry {
    fn default() -> Self {
        Self {
            url: None,
            schema: "tollgate".to_owned(),
            ca_file: None,
            shared_secret: None,
            deadline: Millis(250),
            max_lag: Millis(60_000),
            on_unavailable: DatabaseUnavailable::default(),
        }
    }
}

/// What happens while the database cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseUnavailable {
    /// Calls go on. Records wait in the journal of their gateway, and nothing
    /// is lost.
    #[default]
    Open,
    /// New calls are refused with 503 until the records are in the database.
    Closed,
}

//! What other rooms say about themselves, for `/v1/status`.
//!
//! Deliberately not here: gathering it, which `gate` does.

use serde::Serialize;

/// Figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// When the plan in force was loaded, microseconds since the Unix epoch.
    pub plan_loaded_us: u64,
    /// Connections of callers.
    pub connections: ConnectionFigures,
    /// Listeners, those for calls first.
    pub listeners: Vec<ListenerFigures>,
    /// Pools of connections to upstreams, over all workers.
    pub pools: Vec<PoolFigures>,
    /// Keys of the issuers of tokens.
    pub issuers: Vec<IssuerFigures>,
}

/// Connections of callers since the start, over all listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConnectionFigures {
    /// Accepted.
    pub accepted: u64,
    /// Refused because too many were open.
    pub turned_away: u64,
    /// Ended in a TLS handshake that failed.
    pub tls_failed: u64,
}

/// One listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListenerFigures {
    /// Its name: `data`, `admin`..
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Connections that are open.
    pub open: u64,
}

/// The connections to one endpoint of an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolFigures {
    /// The providers that use it; null if only an earlier plan did.
    pub provider: Option<String>,
    /// Host and port.
    pub address: String,
    /// Connections open.
    pub open: u64,
    /// Of these, serving no call.
    pub idle: u64,
    /// Of these, serving a call.
    pub in_use: u64,
    /// Calls waiting for a connection.
    pub waiting: u64,
    /// Most connections that may be open.
    pub limit: u64,
}

/// The keys of one issuer of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IssuerFigures {
    /// Its name in the document.
    pub name: String,
    /// Keys at hand; 0: its tokens are answered with 503.
    pub keys: u64,
    /// When they were fetched, Unix seconds; 0: never.
    pub fetched_s: u64,
    /// Fetches that failed since.
    pub failures: u64,
    /// Why the last one failed; null if it did not.
    pub trouble: Option<String>,
}

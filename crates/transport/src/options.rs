//! The limits of a wire that are not a property of one endpoint. Not here:
//! what the [`Endpoint`](contract::seams::Endpoint) itself says.

use std::time::Duration;

/// Limits of one [`HttpWire`](crate::HttpWire). [`Default`] gives the values
/// named at each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireOptions {
    /// Most idle HTTP/1.1 connections kept for one endpoint. Default 512: fewer
    /// would close and open connections all the time under that many requests.
    pub idle_max: usize,
    /// How long a connection may be idle before it is closed. Default 60 s,
    /// below the 75 s after which nginx closes.
    pub idle_timeout: Duration,
    /// How old a connection may grow before it takes no new request, so that
    /// changes of DNS and of balancers are followed. Default 10 min.
    pub age_max: Duration,
    /// An idle connection is asked by a system call whether its peer closed it
    /// if it was idle for at least this long; younger ones are judged by what
    /// the runtime already knows. Default 1 s.
    pub probe_after: Duration,
    /// Most requests that wait for a connection to one endpoint; one more is
    /// [`Exhausted`](contract::seams::WireFaultKind::Exhausted). Default 1024.
    pub waiters_max: usize,
    /// How long a resolved name is believed. Default 5 s.
    pub dns_ttl: Duration,
    /// Most names whose addresses are remembered. Default 256.
    pub dns_names_max: usize,
    /// Largest head of an answer over HTTP/1.1 and largest header list over
    /// HTTP/2, bytes. Default 64 KiB.
    pub head_bytes_max: usize,
    /// Most streams at once on one HTTP/2 connection, if the peer allows as
    /// many; then another connection is opened. Default 100.
    pub h2_streams_max: usize,
    /// Bytes the peer may send ahead on one HTTP/2 stream: the memory a slow
    /// reader can hold, and the throughput of one stream in one round trip.
    /// Default 128 KiB.
    pub h2_stream_window: u32,
    /// The same for a whole HTTP/2 connection. Default 16 MiB, above the sum
    /// of its streams, so that a slow reader cannot stop its neighbours.
    pub h2_connection_window: u32,
    /// How often an HTTP/2 connection with open streams is pinged, and how
    /// long the answer may take before it is given up. Default 20 s.
    pub h2_ping: Duration,
}

impl Default for WireOptions {
    fn default() -> Self {
        Self {
            idle_max: 512,
            idle_timeout: Duration::from_secs(60),
            age_max: Duration::from_secs(600),
            probe_after: Duration::from_secs(1),
            waiters_max: 1024,
            dns_ttl: Duration::from_secs(5),
            dns_names_max: 256,
            head_bytes_max: 64 << 10,
            h2_streams_max: 100,
            h2_stream_window: 128 << 10,
            h2_connection_window: 16 << 20,
            h2_ping: Duration::from_secs(20),
        }
    }
}

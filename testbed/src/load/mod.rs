//! The load generator: HTTP/1.1 keep-alive clients that measure and do not judge.
//!
//! `closed` keeps N connections busy; `open` sends at a fixed rate and measures from the moment a
//! request was due, so that a stalled server cannot hide its stalls; `hold` keeps N slow streams
//! open. All are bounded in count and time. Deliberately not here: TLS, HTTP/2, and any opinion
//! on the figures (`bench`).

mod client;
mod closed;
mod hold;
mod open;

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

pub use closed::closed;
pub use hold::hold;
pub use open::open;

/// Longest latency that is told apart, in microseconds: one minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// What is sent, and to where.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address to connect to.
    pub addr: SocketAddr,
    /// The whole request: head and body, as bytes.
    pub request: Vec<u8>,
}

impl Target {
    /// A POST of JSON to `http://host:port/path`.
    ///
    /// # Errors
    /// A sentence, when the URL is not of that form.
    pub fn post(url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| format!("{url}: only http:// URLs are supported"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let addr = authority
            .parse()
            .map_err(|_| format!("{authority}: write the address as ip:port"))?;
        let mut request = format!(
            "POST /{path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        Ok(Self { addr, request })
    }
}

/// When a run ends: at the earlier of both.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Wall time of the run.
    pub time: Duration,
    /// Most requests of the run.
    pub requests: u64,
}

/// What a run saw. Latencies are in microseconds.
#[derive(Debug)]
pub struct Report {
    /// Answers with a 2xx status and a complete body.
    pub ok: u64,
    /// Other statuses, broken bodies and failed connections.
    pub errors: u64,
    /// The first error in words.
    pub first_error: Option<String>,
    /// SSE records seen.
    pub events: u64,
    /// Body bytes seen.
    pub bytes: u64,
    /// Wall time of the run.
    pub elapsed: Duration,
    total: Histogram<u64>,
    first_byte: Histogram<u64>,
}

impl Default for Report {
    fn default() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)
                .expect("the bounds are constants that the histogram takes")
        };
        Self {
            ok: 0,
            errors: 0,
            first_error: None,
            events: 0,
            bytes: 0,
            elapsed: Duration::ZERO,
            total: histogram(),
            first_byte: histogram(),
        }
    }
}

impl Report {
    fn record(&mut self, outcome: Result<client::Sample, String>) {
        match outcome {
            Ok(s) => {
                self.ok += 1;
                self.events += s.events;
                self.bytes += s.bytes;
                self.total.saturating_record(micros(s.total));
                self.first_byte.saturating_record(micros(s.first_byte));
            }
            Err(why) => {
                self.errors += 1;
                self.first_error.get_or_insert(why);
            }
        }
    }

    fn merge(&mut self, other: Report) {
        self.ok += other.ok;
        self.errors += other.errors;
        self.events += other.events;
        self.bytes += other.bytes;
        self.first_error = self.first_error.take().or(other.first_error);
        self.total
            .add(&other.total)
            .expect("both histograms have the same bounds");
        self.first_byte
            .add(&other.first_byte)
            .expect("both histograms have the same bounds");
    }

    /// The report as JSON; latencies in microseconds.
    pub fn json(&self) -> Value {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        let shape = |h: &Histogram<u64>| {
            json!({
                "p50": h.value_at_quantile(0.5), "p90": h.value_at_quantile(0.9), "p99": h.value_at_quantile(0.99),
                "p999": h.value_at_quantile(0.999), "max": h.max(), "mean": h.mean(),
            })
        };
        json!({
            "ok": self.ok, "errors": self.errors, "first_error": self.first_error,
            "events": self.events, "bytes": self.bytes, "seconds": seconds,
            "rps": self.ok as f64 / seconds, "events_per_second": self.events as f64 / seconds,
            "latency_us": shape(&self.total), "first_byte_us": shape(&self.first_byte),
        })
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

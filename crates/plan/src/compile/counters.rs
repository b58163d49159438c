//! Where limits and budgets are counted, checked.

use std::ops::RangeInclusive;
use std::sync::Arc;

use contract::Secret;

use super::{Findings, check_time};
use crate::document::{CountersBackend, CountersEntry, CountersUnavailable, Document};

const SCHEMES: [&str; 3] = ["redis://", "rediss://", "unix://"];
const DEADLINE_MS: RangeInclusive<u64> = 1..=5_000;
const LEASE_MS: RangeInclusive<u64> = 1_000..=3_600_000;

/// How replicas share their counters.
#[derive(Clone, Debug)]
pub struct SharedCounters {
    /// Address of the server.
    pub url: Arc<Secret<String>>,
    /// Replicas of one group share their counters.
    pub group: String,
    /// Longest wait of a call, milliseconds.
    pub deadline_ms: u64,
    /// How long shares hold without a word of the server, milliseconds.
    pub lease_ms: u64,
    /// Percent of each limit that is taken beyond the shares without the
    /// server; `None`: nothing.
    pub open_percent: Option<u8>,
}

impl PartialEq for SharedCounters {
    fn eq(&self, other: &Self) -> bool {
        self.url.expose() == other.url.expose()
            && self.group == other.group
            && (self.deadline_ms, self.lease_ms) == (other.deadline_ms, other.lease_ms)
            && self.open_percent == other.open_percent
    }
}

impl Eq for SharedCounters {}

/// `None`: each process counts for itself.
pub(super) fn compile(document: &Document, findings: &mut Findings) -> Option<SharedCounters> {
    let entry = &document.counters;
    match entry.backend {
        CountersBackend::Local => {
            if entry.url.is_some() {
                findings.warn(
                    "counters.url",
                    "counters are local, so the server is not asked: each replica lets in all \
                     that the limits allow",
                    "write `backend: valkey`, or leave `url` out",
                );
            }
            None
        }
        CountersBackend::Valkey => {
            refuse_velocity(document, findings);
            shared(entry, findings)
        }
    }
}

/// What is usual is not known where a replica holds only its shares.
fn refuse_velocity(document: &Document, findings: &mut Findings) {
    for (nth, brake) in document.brakes.iter().enumerate() {
        if brake.velocity.is_some() {
            findings.error(
                format!("brakes[{nth}].velocity"),
                "what is usual cannot be told from counters that replicas share",
                "leave `velocity` out, or write `counters: {backend: local}`",
            );
        }
    }
}

fn shared(entry: &CountersEntry, findings: &mut Findings) -> Option<SharedCounters> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let group = &entry.group;
    if group.is_empty() || group.len() > 64 || !group.chars().all(fits) {
        findings.error(
            "counters.group",
            "this is no name of a group",
            "write up to 64 letters, digits, `-`, `_` and `.`",
        );
    }
    check_time(entry.deadline, DEADLINE_MS, "counters.deadline", findings);
    check_time(entry.lease, LEASE_MS, "counters.lease", findings);
    if !(1..=100).contains(&entry.allowance_percent) {
        findings.error(
            "counters.allowance_percent",
            "this is no share of a limit",
            "write 1 to 100",
        );
    }
    let Some(url) = &entry.url else {
        findings.error(
            "counters.url",
            "it does not say where the server is",
            "add `url: redis://host:6379/`, or `backend: local`",
        );
        return None;
    };
    let text = url.secret().expose();
    if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        findings.error(
            "counters.url",
            "this is no address of a Valkey or Redis server",
            "write `redis://host:6379/`, `rediss://host:6379/` for TLS, or `unix:///path`",
        );
    }
    Some(SharedCounters {
        url: Arc::new(Secret::new(text.clone())),
        group: group.clone(),
        deadline_ms: entry.deadline.0,
        lease_ms: entry.lease.0,
        open_percent: match entry.on_unavailable {
            CountersUnavailable::Closed => None,
            CountersUnavailable::Open => Some(entry.allowance_percent),
        },
    })
}

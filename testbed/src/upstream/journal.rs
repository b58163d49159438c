//! What came in: the last requests whole, and counters of what was answered or cut off by the peer.
//!
//! Not here: the HTTP form of the control API (`routes`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How one exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
    Aborted,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    method: String,
    path: String,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: Bytes,
    fault: Option<String>,
    status: u16,
    state: State,
    frames: u64,
    bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    keep: usize,
    entries: Mutex<VecDeque<Entry>>,
    received: AtomicU64,
    finished: AtomicU64,
    aborted: AtomicU64,
    connections: AtomicU64,
}

impl Journal {
    pub(crate) fn new(keep: usize) -> Arc<Self> {
        Arc::new(Self {
            keep,
            entries: Mutex::default(),
            received: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        })
    }

    /// Records an arrival; the witness belongs to the exchange until its body ends.
    pub(crate) fn open(self: &Arc<Self>, head: &Parts, body: Bytes) -> Witness {
        let id = self.received.fetch_add(1, Ordering::Relaxed) + 1;
        let headers = head
            .headers
            .iter()
            .map(|(n, v)| {
                (
                    n.to_string(),
                    String::from_utf8_lossy(v.as_bytes()).into_owned(),
                )
            })
            .collect();
        let version = if head.version == http::Version::HTTP_2 {
            "HTTP/2"
        } else {
            "HTTP/1.1"
        };
        let path = head
            .uri
            .path_and_query()
            .map_or_else(String::new, |p| p.to_string());
        let entry = Entry {
            id,
            method: head.method.to_string(),
            path,
            version,
            headers,
            body,
            fault: None,
            status: 0,
            state: State::Open,
            frames: 0,
            bytes: 0,
        };
        let mut entries = self.entries.lock().expect("no holder of this lock panics");
        while entries.len() >= self.keep.max(1) {
            entries.pop_front();
        }
        entries.push_back(entry);
        Witness {
            journal: self.clone(),
            id,
            ended: false,
        }
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn edit(&self, id: u64, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.entries.lock().expect("no holder of this lock panics");
        if let Some(entry) = entries.iter_mut().rev().find(|e| e.id == id) {
            change(entry);
        }
    }

    /// The last `last` requests, oldest first.
    pub(crate) fn list(&self, last: usize) -> Value {
        let entries = self.entries.lock().expect("no holder of this lock panics");
        let skip = entries.len().saturating_sub(last);
        entries.iter().skip(skip).map(|e| json!({
            "id": e.id, "method": e.method, "path": e.path, "version": e.version,
            "headers": e.headers, "body": STANDARD.encode(&e.body),
            "json": serde_json::from_slice::<Value>(&e.body).ok(),
            "fault": e.fault, "status": e.status,
            "state": match e.state { State::Open => "open", State::Done => "done", State::Aborted => "aborted" },
            "frames_sent": e.frames, "bytes_sent": e.bytes,
        })).collect()
    }

    pub(crate) fn clear(&self) {
        self.entries
            .lock()
            .expect("no holder of this lock panics")
            .clear();
        for counter in [
            &self.received,
            &self.finished,
            &self.aborted,
            &self.connections,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn stats(&self) -> Value {
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        let (received, finished, aborted) = (
            read(&self.received),
            read(&self.finished),
            read(&self.aborted),
        );
        json!({
            "received": received, "finished": finished, "aborted_by_peer": aborted,
            "open": received.saturating_sub(finished + aborted), "connections": read(&self.connections),
        })
    }
}

/// Watches one exchange; dropped before its end it counts as aborted by the peer.
#[derive(Debug)]
pub(crate) struct Witness {
    journal: Arc<Journal>,
    id: u64,
    ended: bool,
}

impl Witness {
    pub(crate) fn answering(&self, status: u16, fault: Option<String>) {
        self.journal.edit(self.id, |e| {
            e.status = status;
            e.fault = fault;
        });
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.journal.edit(self.id, |e| {
            e.frames += 1;
            e.bytes += bytes as u64;
        });
    }

    pub(crate) fn finished(mut self) {
        self.ended = true;
        self.journal.finished.fetch_add(1, Ordering::Relaxed);
        self.journal.edit(self.id, |e| e.state = State::Done);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if !self.ended {
            self.journal.aborted.fetch_add(1, Ordering::Relaxed);
            self.journal.edit(self.id, |e| e.state = State::Aborted);
        }
    }
}

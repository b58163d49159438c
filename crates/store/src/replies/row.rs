//! What is kept of a call with an idempotency key.

use serde_json::{Value, json};

/// An idempotency key, by whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyKey {
    /// Tenant.
    pub tenant: String,
    /// App.
    pub app: String,
    /// BLAKE3 of the key as the caller wrote it.
    pub digest: [u8; 32],
}

/// What is kept of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyRow {
    /// BLAKE3 of all that it asked.
    pub request: [u8; 32],
    /// Its id.
    pub by: String,
    /// When it began, microseconds since the Unix epoch.
    pub started_us: u64,
    /// Until when this is kept.
    pub expires_us: u64,
    /// Where it stands.
    pub state: ReplyState,
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyState {
    /// It runs.
    Running,
    /// It was answered.
    Completed {
        /// Status of the answer.
        status: u16,
        /// The answer, where it was kept. Told to a claim that asks the same.
        reply: Option<KeptReply>,
    },
    /// It may have been carried out: its process is gone, or nobody heard how
    /// the provider ended it.
    Unknown,
}

/// An answer as the caller got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReply {
    /// Status.
    pub status: u16,
    /// Headers that are told again, by their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte; of a stream, all that was streamed.
    pub body: Vec<u8>,
}

impl KeptReply {
    /// What it counts for.
    pub fn bytes(&self) -> u64 {
        let headers = self.headers.iter();
        let head: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        (head + self.body.len()) as u64
    }

    /// Its headers as JSON.
    pub fn head(&self) -> String {
        let headers = self.headers.iter();
        Value::from_iter(headers.map(|(name, value)| json!([name, value]))).to_string()
    }

    /// What [`KeptReply::head`] wrote.
    pub fn read(status: u16, head: &str, body: Vec<u8>) -> Option<Self> {
        let headers: Vec<(String, String)> = serde_json::from_str::<Vec<[String; 2]>>(head)
            .ok()?
            .into_iter()
            .map(|[name, value]| (name, value))
            .collect();
        Some(Self {
            status,
            headers,
            body,
        })
    }
}

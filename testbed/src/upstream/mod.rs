//! The fake upstream: one server that plays the vendors as their documents say, deterministically.
//!
//! Readers (`chat`, `responses`, `messages`, `gemini`, `converse`) are strict as the vendors are;
//! `mind` decides the answer from the prompt; writers (`*_write`) shape it; `faults` spoils it on
//! request; `journal` remembers what came in. Ports, trigger phrases, fault names and the control
//! API are listed in `UPSTREAM.md`. Deliberately not here: anything of the gateway.

mod answer;
mod auth;
mod catalog;
mod chat;
mod chat_turns;
mod chat_write;
mod converse;
mod converse_write;
mod eventstream;
mod fail;
mod fast;
mod faults;
mod gemini;
mod gemini_write;
mod journal;
mod messages;
mod messages_turns;
mod messages_write;
mod mind;
mod prompt;
mod responses;
mod responses_write;
mod routes;
mod schema;
mod seal;
mod server;
mod sigv4;
mod spoil;
mod stored;
mod strict;
mod tokens;
mod wire;

#[cfg(test)]
mod tests;

pub use server::Upstream;

/// Creation time of every answer, in Unix seconds: a constant keeps answers deterministic.
pub(crate) const CREATED: u64 = 1_790_000_000;

/// How a fake upstream is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on, for example `127.0.0.1:0`.
    pub listen: String,
    /// The API key that every vendor surface expects; `None` accepts any non-empty key.
    pub key: Option<String>,
    /// AWS access key id and secret for SigV4.
    pub aws: (String, String),
    /// How many received requests are remembered.
    pub keep: usize,
    /// Milliseconds before each frame of a stream; 0 sends as fast as it goes.
    pub chunk_ms: u64,
    /// Milliseconds before the head of an answer.
    pub delay_ms: u64,
    /// Canned answers with minimal CPU, for benches; nothing is validated or remembered.
    pub fast: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            key: Some("test-upstream-key".to_owned()),
            aws: ("AKIDTESTBED".to_owned(), "testbed-secret".to_owned()),
            keep: 256,
            chunk_ms: 0,
            delay_ms: 0,
            fast: false,
        }
    }
}

//! What policy says of a call that nobody makes: the facts are read strictly,
//! the key is one that the asker may know of, and nothing changes.
//!
//! Deliberately not here: finding the key and deciding, both of which are
//! handed in.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::auth::By;
use crate::reply::Reply;

/// Longest key, model, use case, data class or tool, bytes.
const WORD_BYTES_MAX: usize = 512;
/// Most tools.
const TOOLS_MAX: usize = 128;
/// Input tokens of a call that does not say how many it has.
const INPUT_TOKENS: u64 = 100;

/// The facts of a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFacts {
    /// Id of the key that calls.
    pub key: String,
    /// The model, as a caller would name it.
    pub model: String,
    /// Use case that the call names.
    pub use_case: Option<String>,
    /// Data class that the call names.
    pub data_class: Option<String>,
    /// A stream is asked for.
    #[serde(default)]
    pub stream: bool,
    /// Names of the tools on offer.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Input tokens.
    #[serde(default = "input_tokens")]
    pub input_tokens: u64,
    /// Output tokens that it asks for.
    pub output_tokens: Option<u64>,
}

/// A key whose calls can be explained.
pub struct Subject {
    /// The tenants that it belongs to in the plans that decide about it. Whoever
    /// asks must see them all.
    pub tenants: Vec<Arc<str>>,
    /// Explains a call with it.
    pub explain: Explain,
}

/// What policy says of a call, or what is wrong with the call.
pub type Explain = Box<dyn FnOnce(&CallFacts) -> Result<Value, String>>;

/// Finds a key that works at this time (microseconds since the Unix epoch), in
/// what is in force.
pub type FindKey = Arc<dyn Fn(&str, u64) -> Option<Subject> + Send + Sync>;

fn input_tokens() -> u64 {
    INPUT_TOKENS
}

/// Explains a call.
pub(crate) fn explain(find: &FindKey, body: &[u8], by: &By) -> Result<Reply, Reply> {
    let facts = read(body)?;
    let found = find(&facts.key, by.now_us).filter(|subject| {
        let mut tenants = subject.tenants.iter();
        tenants.all(|tenant| by.actor.sees(tenant))
    });
    // A key of another tenant is as one that does not exist.
    let subject = found.ok_or_else(|| {
        Reply::fault(
            404,
            "unknown_key",
            "There is no such key in force. `tollgate keys list` shows the virtual keys and GET \
             /v1/plan those of the configuration; a key that expired or was revoked is none.",
        )
    })?;
    let told = (subject.explain)(&facts).map_err(|why| bad(&format!("{why}.")))?;
    Ok(Reply::json(&told))
}

fn read(body: &[u8]) -> Result<CallFacts, Reply> {
    let facts: CallFacts = serde_json::from_slice(body)
        .map_err(|error| bad(&format!("The body cannot be used: {error}.")))?;
    let words = [
        ("key", Some(&facts.key)),
        ("model", Some(&facts.model)),
        ("use_case", facts.use_case.as_ref()),
        ("data_class", facts.data_class.as_ref()),
    ];
    let tools = facts.tools.iter().map(|tool| ("tools", Some(tool)));
    for (name, word) in words.into_iter().chain(tools) {
        let Some(word) = word else {
            continue;
        };
        if word.is_empty() || word.len() > WORD_BYTES_MAX {
            return Err(bad(&format!(
                "The field `{name}` is not usable: write 1 to {WORD_BYTES_MAX} bytes."
            )));
        }
    }
    if facts.tools.len() > TOOLS_MAX {
        return Err(bad(&format!(
            "The field `tools` has {} names; write at most {TOOLS_MAX}.",
            facts.tools.len()
        )));
    }
    Ok(facts)
}

fn bad(message: &str) -> Reply {
    Reply::fault(400, "bad_body", message)
}

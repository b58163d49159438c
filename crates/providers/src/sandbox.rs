//! The built-in model: deterministic, inside the gateway, for a first run and
//! for tests. It answers, calls tools, fills JSON schemas, thinks, embeds and
//! reports usage. Every answer is labelled by the header `tollgate-provider:
//! sandbox`, and in its body where there is room: free text by `[sandbox]`, the
//! id of an answer and of a tool call by the word `sandbox` in it.
//!
//! Deliberately not here: streaming (the path cuts answers into pieces) and
//! wire formats.

mod mind;
mod schema;

use contract::answer::EmbedAnswer;
use contract::request::{Embed, EmbedInput};
use contract::seams::Outbound;
use contract::{Answer, CountAnswer, Fault, Request, Task, Usage, UsageSource};
use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::kind::{Kind, LocalModel, Provider};
use crate::lending::Readings;

/// The sandbox.
pub(crate) static KIND: Kind = Kind {
    serves: &["sandbox/*"],
    needs_key: false,
    ..Kind::new(
        "sandbox",
        "A deterministic model inside the gateway, for trying things out. No data leaves.",
        &Sandbox,
    )
};

/// Length of a vector where the caller does not choose.
const DIMENSIONS_DEFAULT: usize = 64;
/// Longest vector that a caller may choose.
const DIMENSIONS_MAX: usize = 4_096;
/// What stands in the ids of its answers and tool calls.
const LABEL: &str = "sandbox";
/// What the sandbox calls itself.
const NAME: &str = "sandbox/echo";

struct Sandbox;

impl Provider for Sandbox {
    fn authorize(&self, _: &Account, _: &mut Outbound, _: Readings<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn local(&self) -> Option<&'static dyn LocalModel> {
        Some(&Sandbox)
    }
}

impl LocalModel for Sandbox {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        match &request.task {
            Task::Chat(chat) => Ok(Answer::Chat(mind::answer(chat)?)),
            Task::CountTokens(chat) => Ok(Answer::Count(CountAnswer {
                input_tokens: mind::input_tokens(chat),
                cached_tokens: 0,
                estimated: false,
            })),
            Task::Embed(embed) => Ok(Answer::Embed(vectors(embed)?)),
        }
    }
}

fn vectors(embed: &Embed) -> Result<EmbedAnswer, Fault> {
    let length = embed
        .dimensions
        .map_or(DIMENSIONS_DEFAULT, |length| length as usize);
    if length == 0 || length > DIMENSIONS_MAX {
        return Err(Fault::bad_request(format!(
            "`dimensions` must be from 1 to {DIMENSIONS_MAX} for the sandbox."
        ))
        .at("dimensions"));
    }
    let mut usage = Usage {
        source: UsageSource::Provider,
        ..Usage::default()
    };
    let vectors = embed
        .inputs
        .iter()
        .map(|input| match input {
            EmbedInput::Text(text) => {
                usage.input += mind::tokens(text);
                vector(text.as_bytes(), length)
            }
            EmbedInput::Tokens(ids) => {
                usage.input += ids.len() as u64;
                let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
                vector(&bytes, length)
            }
        })
        .collect();
    Ok(EmbedAnswer {
        model: Some(NAME.to_owned()),
        vectors,
        usage: Some(usage),
    })
}

/// A vector of length one that only the same bytes get.
fn vector(bytes: &[u8], length: usize) -> Vec<f32> {
    let mut raw = Vec::with_capacity(length);
    let mut block = Sha256::digest(bytes);
    while raw.len() < length {
        raw.extend(block.iter().map(|byte| f32::from(*byte) - 127.5));
        block = Sha256::digest(block);
    }
    raw.truncate(length);
    let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.into_iter().map(|x| x / norm).collect()
}

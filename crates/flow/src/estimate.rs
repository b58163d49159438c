//! Tokens of a request, estimated by its words, good enough for bounds and
//! declared as an estimate; and what the figures of providers have taught about
//! such counts.

pub(crate) mod factors;
pub(crate) mod guess;
pub(crate) mod request;
pub(crate) mod scaled;
mod words;

use contract::chat::{Chat, Media, OutputFormat, Part, PartKind, ToolKind};
use contract::request::EmbedInput;
use contract::{Request, Task};
use meter::Vocabulary;
use request::Sample;

/// Tokens that a message costs besides its text.
const TOKENS_PER_TURN: u64 = 4;
/// Tokens of an image whose size is not known.
const TOKENS_PER_IMAGE: u64 = 1_000;

/// An estimate of the input tokens of a request, by all its words.
pub(crate) fn tokens(request: &Request) -> u64 {
    walk(request, &mut words::tokens)
}

/// The same by a vocabulary, or else by words, of which 16 KB of text are
/// looked at, spread over all of it.
pub(crate) fn sampled(request: &Request, by: Option<&Vocabulary>) -> u64 {
    let mut bytes = 0_usize;
    walk(request, &mut |text| {
        bytes = bytes.saturating_add(text.len());
        0
    });
    let mut sample = Sample::over(bytes);
    let rest = walk(request, &mut |text| {
        sample.take_parts(text, |text| text_tokens(text, by));
        0
    });
    rest.saturating_add(sample.total())
}

/// Tokens of a text.
fn text_tokens(text: &str, by: Option<&Vocabulary>) -> u64 {
    match by {
        Some(vocabulary) => vocabulary.tokens(text),
        None => words::tokens(text),
    }
}

fn walk(request: &Request, text: &mut dyn FnMut(&str) -> u64) -> u64 {
    match &request.task {
        Task::CountTokens(chat) | Task::Chat(chat) => estimate(chat, text),
        Task::Embed(embed) => {
            let inputs = embed.inputs.iter();
            inputs
                .map(|input| match input {
                    EmbedInput::Text(words) => text(words),
                    EmbedInput::Tokens(tokens) => tokens.len() as u64,
                })
                .sum()
        }
    }
}

fn estimate(chat: &Chat, text: &mut dyn FnMut(&str) -> u64) -> u64 {
    let mut tokens = 0;
    for turn in &chat.turns {
        tokens += TOKENS_PER_TURN;
        for part in &turn.parts {
            tokens += self::part(part, text);
        }
    }
    for tool in &chat.tools {
        let definition = match &tool.kind {
            ToolKind::Function { schema } => schema.as_ref(),
            ToolKind::Custom { format } => format.as_ref(),
            ToolKind::Hosted { json, .. } => Some(json),
        };
        tokens += text(&tool.name);
        tokens += tool.description.as_deref().map_or(0, &mut *text);
        tokens += definition.map_or(0, |json| text(json.as_str()));
    }
    let format = match &chat.format {
        OutputFormat::JsonSchema { schema, .. } => text(schema.as_str()),
        OutputFormat::Text | OutputFormat::JsonObject => 0,
    };
    tokens + format
}

/// Base64 of a file or a sound for one token: a page of a PDF has some 20 KB
/// and 2,000 tokens, a minute of sound 1 MB and 2,000.
const BASE64_PER_TOKEN: u64 = 8;

fn part(part: &Part, text: &mut dyn FnMut(&str) -> u64) -> u64 {
    if let PartKind::File {
        source: Media::Base64 { data, .. },
        ..
    }
    | PartKind::Audio {
        source: Media::Base64 { data, .. },
        ..
    } = &part.kind
    {
        return (data.len() as u64 / BASE64_PER_TOKEN).max(TOKENS_PER_IMAGE);
    }
    let mut tokens = 0;
    each_text(part, &mut |words| {
        tokens += words.map_or(TOKENS_PER_IMAGE, &mut *text);
    });
    tokens
}

/// Hands out the texts of a part; `None` stands for what is no text.
fn each_text<'a>(part: &'a Part, take: &mut impl FnMut(Option<&'a str>)) {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Thinking { text } | PartKind::Refusal { text } => {
            take(Some(text));
        }
        PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::RedactedThinking => take(None),
        PartKind::ToolCall(call) => {
            take(Some(&call.name));
            take(Some(&call.arguments));
        }
        PartKind::ToolResult(result) => {
            result.parts.iter().for_each(|part| each_text(part, take));
            result
                .json
                .iter()
                .for_each(|json| take(Some(json.as_str())));
        }
        PartKind::Opaque { json, .. } => take(Some(json.as_str())),
    }
}

#[cfg(test)]
mod tests;

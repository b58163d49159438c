//! Output items as a client sees them.

use contract::answer::TokenLogprob;
use contract::chat::{Citation, CitationTarget, Media, Part, PartKind, ToolCall};

use super::{ID, proof, write_items};
use crate::carry;
use crate::json::{self, ArrayWriter, ObjectWriter};
use crate::openai::{Losses, is_foreign};

/// Mints ids of items: the vendor's prefix, the response's own part, and the
/// number of the item.
#[derive(Debug)]
pub(super) struct Ids {
    stem: String,
}

impl Ids {
    /// Ids for the items of this response.
    pub(super) fn new(response_id: &str) -> Self {
        let stem = response_id.strip_prefix("resp_").unwrap_or(response_id);
        Self {
            stem: stem.to_owned(),
        }
    }

    /// The id of an item: its own if it is one of this format.
    pub(super) fn of(&self, own: Option<&str>, prefix: &str, number: usize) -> String {
        match own {
            Some(id) if id.starts_with(prefix) => id.to_owned(),
            Some(_) | None => format!("{prefix}{}{number:02x}", self.stem),
        }
    }
}

/// A part of a message, gathered until the message is complete.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// A refusal, not a text.
    pub(super) refusal: bool,
    /// The words.
    pub(super) text: String,
    /// Annotations, each as JSON text.
    pub(super) annotations: Vec<String>,
    /// Log probabilities of the words.
    pub(super) logprobs: Vec<TokenLogprob>,
}

impl Said {
    /// Writes the content part.
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        if self.refusal {
            object.str("type", "refusal");
            object.str("refusal", &self.text);
            return;
        }
        object.str("type", "output_text");
        object.str("text", &self.text);
        object.array("annotations", |array| {
            for annotation in &self.annotations {
                array.raw(annotation);
            }
        });
        object.array("logprobs", |array| write_logprobs(array, &self.logprobs));
    }

    /// Takes a citation.
    pub(super) fn cite(&mut self, citation: &Citation, losses: &mut Losses) -> Option<String> {
        let length = u32::try_from(self.text.chars().count()).unwrap_or(u32::MAX);
        let Some(annotation) = write_citation(citation, length) else {
            losses.add("citations", "only pages and files can be cited");
            return None;
        };
        self.annotations.push(annotation.clone());
        Some(annotation)
    }
}

/// Tokens with their bytes, which this format always tells.
pub(super) fn write_logprobs(array: &mut ArrayWriter<'_>, tokens: &[TokenLogprob]) {
    for token in tokens {
        array.object(|object| {
            write_logprob(object, token);
            object.array("top_logprobs", |top| {
                for token in &token.top {
                    top.object(|object| write_logprob(object, token));
                }
            });
        });
    }
}

fn write_logprob(object: &mut ObjectWriter<'_>, token: &TokenLogprob) {
    object.str("token", &token.token);
    object.array("bytes", |array| {
        let bytes = token.bytes.as_deref();
        for byte in bytes.unwrap_or(token.token.as_bytes()) {
            array.int(*byte);
        }
    });
    object.float("logprob", token.logprob);
}

/// An annotation; a citation that does not say where it belongs is of the
/// whole part, which is `length` characters long.
fn write_citation(citation: &Citation, length: u32) -> Option<String> {
    if let Some((dialect, raw)) = &citation.raw
        && *dialect == ID
    {
        return Some(raw.as_str().to_owned());
    }
    let (start, end) = citation.span.unwrap_or((0, length));
    match &citation.target {
        CitationTarget::Url { url, title } => Some(json::object(|object| {
            object.str("type", "url_citation");
            object.int("start_index", start);
            object.int("end_index", end);
            object.str("url", url);
            object.str("title", title.as_deref().unwrap_or(url));
        })),
        CitationTarget::File { id, name } => Some(json::object(|object| {
            object.str("type", "file_citation");
            object.str("file_id", id);
            object.str("filename", name.as_deref().unwrap_or(id));
            object.int("index", end);
        })),
        CitationTarget::Document { .. } => None,
    }
}

/// A message item.
pub(super) fn message(id: &str, status: &str, said: &[Said]) -> String {
    json::object(|item| {
        item.str("id", id);
        item.str("type", "message");
        item.str("status", status);
        item.str("role", "assistant");
        item.array("content", |array| {
            for part in said {
                array.object(|object| part.write(object));
            }
        });
    })
}

/// A tool-call item; a token of another vendor rides in its call id.
pub(super) fn call(id: &str, status: &str, call: &ToolCall, call_id: &str) -> String {
    json::object(|item| {
        write_items::write_call(item, call, call_id, Some(id));
        if !call.custom {
            item.str("status", status);
        }
    })
}

/// The call id to show.
pub(super) fn call_id(id: &str, part: &Part) -> String {
    match &part.signature {
        Some(signature) if signature.dialect != ID => carry::load_id(id, signature),
        Some(_) | None => id.to_owned(),
    }
}

/// The prefix of a call's item id.
pub(super) fn call_prefix(custom: bool) -> &'static str {
    if custom { "ctc_" } else { "fc_" }
}

/// The item of a part that stands alone; `None`, with a loss declared, if
/// this format has none for it.
pub(super) fn whole(part: &Part, ids: &Ids, number: usize, losses: &mut Losses) -> Option<String> {
    let own = part.id.as_deref();
    match &part.kind {
        PartKind::Thinking { text } => Some(proof::item(part, &ids.of(own, "rs_", number), text)),
        PartKind::RedactedThinking => Some(proof::item(part, &ids.of(own, "rs_", number), "")),
        PartKind::ToolCall(called) => {
            let id = ids.of(own, call_prefix(called.custom), number);
            Some(call(&id, "completed", called, &call_id(&called.id, part)))
        }
        PartKind::Image {
            source: Media::Base64 { mime, data },
            ..
        } => Some(json::object(|item| {
            item.str("id", &ids.of(own, "ig_", number));
            item.str("type", "image_generation_call");
            item.str("status", "completed");
            item.str("result", data);
            item.opt_str("output_format", mime.strip_prefix("image/"));
        })),
        PartKind::Opaque { dialect, json, .. } if *dialect == ID => Some(json.as_str().to_owned()),
        PartKind::Opaque { what, .. } => {
            losses.add(what.clone(), "only its own format has a place for it");
            None
        }
        PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. } => {
            losses.add("media", "the format has no item for it");
            None
        }
        PartKind::Text { .. } | PartKind::Refusal { .. } | PartKind::ToolResult(_) => {
            losses.add("part", "an answer of this format holds none");
            None
        }
    }
}

/// Declares a token on text, for which this format has no place.
pub(super) fn note_text(part: &Part, losses: &mut Losses) {
    if is_foreign(part.signature.as_ref(), ID) {
        losses.add("thought signature", "the format has no place on text");
    }
}

//! Writing a whole answer for a client.

use contract::answer::{ChatAnswer, Choice, FinishReason};
use contract::chat::{Citation, CitationTarget, Media, Part, PartKind, ToolCall};
use contract::request::Task;
use contract::text::RawJson;
use contract::{Answer, Fault};

use super::{ID, echo, embed, finish, usage, write_turns};
use crate::carry;
use crate::dialect::{Asked, Written};
use crate::json::{self, ObjectWriter};
use crate::openai::{Losses, is_foreign, logprobs, tier_word};

/// Writes an answer.
pub(crate) fn write(answer: &Answer, asked: &Asked<'_>) -> Written {
    match answer {
        Answer::Chat(answer) => write_chat(answer, asked),
        Answer::Embed(answer) => {
            let base64 = matches!(
                asked.request.map(|request| &request.task),
                Some(Task::Embed(embed)) if embed.base64
            );
            embed::write_answer(answer, base64, asked)
        }
        // No route of this dialect counts; the figure itself is still told.
        Answer::Count(count) => Written {
            body: json::object(|root| root.int("input_tokens", count.input_tokens)).into(),
            losses: Vec::new(),
        },
    }
}

fn write_chat(answer: &ChatAnswer, asked: &Asked<'_>) -> Written {
    let mut losses = Losses::default();
    losses.add_extras(&answer.extras);
    let body = json::object(|root| {
        root.str("id", &answer_id(answer.id.as_deref(), asked));
        root.str("object", "chat.completion");
        root.int("created", answer.created_s.unwrap_or(asked.now_s));
        root.str("model", asked.model);
        root.array("choices", |array| {
            for (index, choice) in answer.choices.iter().enumerate() {
                array.object(|object| {
                    object.int("index", index);
                    write_choice(object, choice, asked, &mut losses);
                });
            }
        });
        if let Some(figures) = answer.usage.as_ref().filter(|told| told.is_told()) {
            root.object("usage", |object| usage::write(object, figures));
        }
        let tier = answer.service_tier.as_deref();
        root.opt_str("service_tier", tier.and_then(tier_word));
    });
    Written {
        body: body.into(),
        losses: losses.into_vec(),
    }
}

/// The id to show: the vendor's own if it is one of this format.
pub(super) fn answer_id(id: Option<&str>, asked: &Asked<'_>) -> String {
    match id {
        Some(id) if id.starts_with("chatcmpl-") => id.to_owned(),
        Some(_) | None => asked.id("chatcmpl-"),
    }
}

fn write_choice(
    object: &mut ObjectWriter<'_>,
    choice: &Choice,
    asked: &Asked<'_>,
    losses: &mut Losses,
) {
    let mut message = Message::default();
    for part in &choice.parts {
        message.take(part, asked, losses);
    }
    let refused = !message.refusal.is_empty();
    object.object("message", |object| message.write(object));
    match choice.logprobs.as_slice() {
        [] => object.null("logprobs"),
        tokens => object.object("logprobs", |object| {
            object.array("content", |array| logprobs::write(array, tokens));
            object.null("refusal");
        }),
    }
    let reason = choice.finish.as_ref().map(|finish| finish.reason);
    if reason == Some(FinishReason::Pause) {
        losses.add("pause_turn", "the format knows no paused answer");
    }
    if choice
        .finish
        .as_ref()
        .is_some_and(|it| it.stop_sequence.is_some())
    {
        losses.add("stop_sequence", "the answer does not name it");
    }
    object.str_or_null(
        "finish_reason",
        reason.map(|reason| finish::word(reason, refused)),
    );
}

/// The message of a choice, gathered from its parts.
#[derive(Default)]
struct Message {
    text: String,
    /// Characters of `text` so far, for the spans of citations.
    chars: u32,
    spoken: bool,
    refusal: String,
    reasoning: String,
    blocks: Vec<String>,
    annotations: Vec<String>,
    images: Vec<String>,
    audio: Option<String>,
    calls: Vec<String>,
}

impl Message {
    fn take(&mut self, part: &Part, asked: &Asked<'_>, losses: &mut Losses) {
        match &part.kind {
            PartKind::Text { text, citations } => {
                if is_foreign(part.signature.as_ref(), ID) {
                    losses.add("thought signature", "the format has no place on text");
                }
                self.take_text(text, citations, losses);
            }
            PartKind::Refusal { text } => self.refusal.push_str(text),
            PartKind::Thinking { text } => {
                self.reasoning.push_str(text);
                let signature = part.signature.as_ref();
                if let Some(proof) = signature.filter(|proof| !echo::is_plain(proof)) {
                    let proof = carry::show_signature(proof, ID);
                    self.blocks.push(echo::block(text, &proof));
                }
            }
            PartKind::RedactedThinking => {
                if let Some(data) = &part.signature {
                    let data = carry::show_signature(data, ID);
                    self.blocks.push(echo::redacted_block(&data));
                }
            }
            PartKind::ToolCall(call) => self.calls.push(write_call(call, part)),
            PartKind::Image { source, .. } => match image_object(source) {
                Ok(image) => self.images.push(image),
                Err(_) => losses.add("image", "an image by reference"),
            },
            PartKind::Audio { source, transcript } => {
                let id = part.id.clone().unwrap_or_else(|| asked.id("audio_"));
                match audio_object(source, transcript.as_deref(), &id, asked.now_s) {
                    Some(audio) => self.audio = Some(audio),
                    None => losses.add("audio", "sound by reference"),
                }
            }
            PartKind::Opaque { what, .. } => {
                losses.add(what.clone(), "only its own format has a place for it");
            }
            PartKind::File { .. } => losses.add("file", "a message holds no files"),
            PartKind::ToolResult(_) => {
                losses.add("tool_result", "an answer of this format holds none");
            }
        }
    }

    fn take_text(&mut self, text: &str, citations: &[Citation], losses: &mut Losses) {
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        for citation in citations {
            match write_citation(citation, self.chars, length) {
                Some(annotation) => self.annotations.push(annotation.as_str().to_owned()),
                None => losses.add("citations", "only pages of the web can be cited"),
            }
        }
        self.text.push_str(text);
        self.spoken = true;
        self.chars = self.chars.saturating_add(length);
    }

    fn write(&self, object: &mut ObjectWriter<'_>) {
        object.str("role", "assistant");
        object.str_or_null("content", self.spoken.then_some(self.text.as_str()));
        let refusal = Some(self.refusal.as_str()).filter(|text| !text.is_empty());
        object.str_or_null("refusal", refusal);
        if !self.reasoning.is_empty() {
            object.str("reasoning_content", &self.reasoning);
        }
        echo::write_blocks(object, &self.blocks);
        write_raws(object, "annotations", &self.annotations);
        write_raws(object, "images", &self.images);
        if let Some(audio) = &self.audio {
            object.raw("audio", audio);
        }
        write_raws(object, "tool_calls", &self.calls);
    }
}

fn write_raws(object: &mut ObjectWriter<'_>, key: &str, raws: &[String]) {
    if !raws.is_empty() {
        object.array(key, |array| {
            for raw in raws {
                array.raw(raw);
            }
        });
    }
}

/// A tool call; a token of another vendor rides in its id.
fn write_call(call: &ToolCall, part: &Part) -> String {
    json::object(|object| {
        write_turns::write_call(object, call, &call_id(&call.id, part));
        if let Some(raw) = echo::extra_content(part.signature.as_ref()) {
            object.raw("extra_content", raw);
        }
    })
}

fn call_id(id: &str, part: &Part) -> String {
    match &part.signature {
        Some(signature) if signature.dialect != ID => carry::load_id(id, signature),
        Some(_) | None => id.to_owned(),
    }
}

/// An annotation, if the citation is of a page. Its span is in characters of
/// the whole text, where our part begins at `from` and is `length` long; a
/// citation that does not say where it belongs is of the whole part.
pub(super) fn write_citation(citation: &Citation, from: u32, length: u32) -> Option<RawJson> {
    let CitationTarget::Url { url, title } = &citation.target else {
        return None;
    };
    let (start, end) = citation.span.unwrap_or((0, length));
    Some(RawJson::new(json::object(|object| {
        object.str("type", "url_citation");
        object.object("url_citation", |cited| {
            cited.int("start_index", from.saturating_add(start));
            cited.int("end_index", from.saturating_add(end));
            cited.str("title", title.as_deref().unwrap_or(url));
            cited.str("url", url);
        });
    })))
}

/// An image of an answer, in the extension that servers of this format use.
pub(super) fn image_object(source: &Media) -> Result<String, Fault> {
    let url = write_turns::image_url(source)?;
    Ok(json::object(|object| {
        object.str("type", "image_url");
        object.object("image_url", |image| image.str("url", &url));
    }))
}

/// Spoken output. It cannot be referred to later, so it expires at once.
pub(super) fn audio_object(
    source: &Media,
    transcript: Option<&str>,
    id: &str,
    now_s: u64,
) -> Option<String> {
    let Media::Base64 { data, .. } = source else {
        return None;
    };
    Some(json::object(|object| {
        object.str("id", id);
        object.str("data", data);
        object.int("expires_at", now_s);
        object.str("transcript", transcript.unwrap_or(""));
    }))
}

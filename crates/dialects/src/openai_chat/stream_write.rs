//! Writing events as a stream for a client.

use contract::answer::{FinishReason, TokenLogprob};
use contract::chat::{Citation, Part, PartKind, Signature};
use contract::event::{Delta, Event, PartHead};
use contract::{Loss, Usage};

use super::write_answer::{answer_id, audio_object, image_object, write_citation};
use super::{ID, echo, finish, usage};
use crate::carry;
use crate::dialect::{Asked, StreamWriter};
use crate::framing;
use crate::json::{self, ObjectWriter};
use crate::openai::{Losses, logprobs, tier_word};

/// Writes a stream.
pub(super) struct Writer {
    /// `"id":..,"object":..,"created":..,"model":..`: the same in all chunks.
    prefix: String,
    own_id: String,
    audio_id: String,
    now_s: u64,
    model: String,
    ask_usage: bool,
    usage: Option<Usage>,
    choices: Vec<ChoiceState>,
    losses: Losses,
    dead: bool,
}

#[derive(Default)]
struct ChoiceState {
    /// The role chunk was written.
    begun: bool,
    calls: u32,
    /// Characters of text in the parts before the open one.
    chars_before: u32,
    /// Characters of text in the open part.
    chars: u32,
    refused: bool,
    open: Open,
}

/// What is open in a choice.
#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    Text,
    Refusal,
    /// With the text so far, for the block that carries the proof.
    Thinking(String),
    /// Held back until it is known whether a token rides in its id.
    CallHead {
        id: String,
        name: String,
        custom: bool,
        extra: Option<String>,
    },
    /// Its head is written.
    Call {
        index: u32,
        custom: bool,
        empty: bool,
    },
}

impl Writer {
    /// A writer for a new stream.
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        let mut writer = Self {
            prefix: String::new(),
            own_id: answer_id(None, asked),
            audio_id: asked.id("audio_"),
            now_s: asked.now_s,
            model: asked.model.to_owned(),
            ask_usage: asked.stream_usage,
            usage: None,
            choices: Vec::new(),
            losses: Losses::default(),
            dead: false,
        };
        writer.set_prefix(None, None);
        writer
    }

    fn set_prefix(&mut self, id: Option<&str>, created_s: Option<u64>) {
        let id = id.filter(|id| id.starts_with("chatcmpl-"));
        let text = json::object(|root| {
            root.str("id", id.unwrap_or(&self.own_id));
            root.str("object", "chat.completion.chunk");
            root.int("created", created_s.unwrap_or(self.now_s));
            root.str("model", &self.model);
        });
        self.prefix = text[1..text.len() - 1].to_owned();
    }

    /// Writes a chunk with these choices and what else follows them.
    fn chunk(&self, rest: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: {");
        for piece in [&self.prefix, ",", rest, "}"] {
            framing::push_line(out, piece);
        }
        out.extend_from_slice(b"\n\n");
    }

    /// Writes a chunk of one choice.
    fn choice(&self, index: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let choices = json::array(|array| {
            array.object(|choice| {
                choice.int("index", index);
                write(choice);
            });
        });
        self.chunk(&format!("\"choices\":{choices}"), out);
    }

    fn delta(&self, index: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.choice(index, out, |choice| {
            choice.object("delta", write);
            choice.null("logprobs");
            choice.null("finish_reason");
        });
    }

    /// The state of a choice; its first chunk tells the role.
    fn begin(&mut self, index: u32, out: &mut Vec<u8>) {
        let at = index as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, ChoiceState::default);
        }
        if !std::mem::replace(&mut self.choices[at].begun, true) {
            self.delta(index, out, |delta| {
                delta.str("role", "assistant");
                delta.str("content", "");
                delta.null("refusal");
            });
        }
    }

    fn state(&mut self, index: u32) -> &mut ChoiceState {
        &mut self.choices[index as usize]
    }

    fn open(&mut self, index: u32, head: &PartHead, out: &mut Vec<u8>) {
        self.begin(index, out);
        self.close(index, out);
        let open = match head {
            PartHead::Text => Open::Text,
            PartHead::Thinking { .. } => Open::Thinking(String::new()),
            PartHead::ToolCall { id, name, custom } => Open::CallHead {
                id: id.clone(),
                name: name.clone(),
                custom: *custom,
                extra: None,
            },
            PartHead::Refusal => {
                self.state(index).refused = true;
                Open::Refusal
            }
            PartHead::Whole(part) => {
                self.whole(index, part, out);
                Open::Nothing
            }
        };
        self.state(index).open = open;
    }

    fn whole(&mut self, index: u32, part: &Part, out: &mut Vec<u8>) {
        match &part.kind {
            PartKind::RedactedThinking => {
                if let Some(data) = &part.signature {
                    let block = echo::redacted_block(&carry::show_signature(data, ID));
                    self.delta(index, out, |delta| echo::write_blocks(delta, &[block]));
                }
            }
            PartKind::Image { source, .. } => match image_object(source) {
                Ok(image) => self.delta(index, out, |delta| {
                    delta.array("images", |array| array.raw(&image));
                }),
                Err(_) => self.losses.add("image", "an image by reference"),
            },
            PartKind::Audio { source, transcript } => {
                let id = part.id.as_deref().unwrap_or(&self.audio_id);
                match audio_object(source, transcript.as_deref(), id, self.now_s) {
                    Some(audio) => self.delta(index, out, |delta| delta.raw("audio", &audio)),
                    None => self.losses.add("audio", "sound by reference"),
                }
            }
            PartKind::Opaque { what, .. } => self
                .losses
                .add(what.clone(), "only its own format has a place for it"),
            PartKind::File { .. } => self.losses.add("file", "a message holds no files"),
            PartKind::Text { .. }
            | PartKind::Thinking { .. }
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Refusal { .. } => {
                self.losses.add("part", "such a part does not come whole");
            }
        }
    }

    fn write_delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.text(index, text, out),
            Delta::Signature(signature) => self.signature(index, signature, out),
            Delta::Citation(citation) => self.citation(index, citation, out),
        }
    }

    fn text(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        self.release(index, out);
        let state = self.state(index);
        let key = match &mut state.open {
            Open::Text => {
                let more = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                state.chars = state.chars.saturating_add(more);
                "content"
            }
            Open::Refusal => "refusal",
            Open::Thinking(so_far) => {
                so_far.push_str(text);
                "reasoning_content"
            }
            Open::Call {
                index: call,
                custom,
                empty,
            } => {
                *empty = false;
                let (call, custom) = (*call, *custom);
                return self.arguments(index, call, custom, text, out);
            }
            Open::Nothing | Open::CallHead { .. } => return,
        };
        self.delta(index, out, |delta| delta.str(key, text));
    }

    fn arguments(&self, index: u32, call: u32, custom: bool, text: &str, out: &mut Vec<u8>) {
        let (member, key) = if custom {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        self.delta(index, out, |delta| {
            delta.array("tool_calls", |array| {
                array.object(|object| {
                    object.int("index", call);
                    object.object(member, |called| called.str(key, text));
                });
            });
        });
    }

    fn signature(&mut self, index: u32, signature: &Signature, out: &mut Vec<u8>) {
        let state = self.state(index);
        match &mut state.open {
            Open::Thinking(text) => {
                if !echo::is_plain(signature) {
                    let text = std::mem::take(text);
                    let block = echo::block(&text, &carry::show_signature(signature, ID));
                    self.delta(index, out, |delta| echo::write_blocks(delta, &[block]));
                }
            }
            Open::CallHead { id, extra, .. } => {
                if signature.dialect == ID {
                    *extra = echo::extra_content(Some(signature)).map(str::to_owned);
                } else {
                    *id = carry::load_id(id, signature);
                }
            }
            Open::Nothing | Open::Text | Open::Refusal | Open::Call { .. } => {
                self.losses
                    .add("thought signature", "it came where the format has no place");
            }
        }
    }

    fn citation(&mut self, index: u32, citation: &Citation, out: &mut Vec<u8>) {
        let state = self.state(index);
        match write_citation(citation, state.chars_before, state.chars) {
            Some(annotation) => self.delta(index, out, |delta| {
                delta.array("annotations", |array| array.raw(annotation.as_str()));
            }),
            None => self
                .losses
                .add("citations", "only pages of the web can be cited"),
        }
    }

    /// Writes the head of a call that was held back.
    fn release(&mut self, index: u32, out: &mut Vec<u8>) {
        let state = self.state(index);
        let Open::CallHead {
            id,
            name,
            custom,
            extra,
        } = &mut state.open
        else {
            return;
        };
        let (id, name, extra) = (std::mem::take(id), std::mem::take(name), extra.take());
        let (custom, call) = (*custom, state.calls);
        state.calls += 1;
        state.open = Open::Call {
            index: call,
            custom,
            empty: true,
        };
        let (kind, key) = if custom {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        self.delta(index, out, |delta| {
            delta.array("tool_calls", |array| {
                array.object(|object| {
                    object.int("index", call);
                    object.str("id", &id);
                    object.str("type", kind);
                    object.object(kind, |called| {
                        called.str("name", &name);
                        called.str(key, "");
                    });
                    if let Some(raw) = &extra {
                        object.raw("extra_content", raw);
                    }
                });
            });
        });
    }

    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        self.release(index, out);
        let state = self.state(index);
        let open = std::mem::take(&mut state.open);
        state.chars_before = state.chars_before.saturating_add(state.chars);
        state.chars = 0;
        match open {
            Open::Call {
                index: call,
                custom: false,
                empty: true,
            } => self.arguments(index, call, false, "{}", out),
            Open::Nothing
            | Open::Text
            | Open::Refusal
            | Open::Thinking(_)
            | Open::CallHead { .. }
            | Open::Call { .. } => {}
        }
    }

    fn finish(&mut self, index: u32, reason: FinishReason, out: &mut Vec<u8>) {
        self.begin(index, out);
        self.close(index, out);
        if reason == FinishReason::Pause {
            self.losses
                .add("pause_turn", "the format knows no paused answer");
        }
        let word = finish::word(reason, self.state(index).refused);
        self.choice(index, out, |choice| {
            choice.object("delta", |_| {});
            choice.null("logprobs");
            choice.str("finish_reason", word);
        });
    }

    fn logprobs(&mut self, index: u32, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        self.begin(index, out);
        self.choice(index, out, |choice| {
            choice.object("delta", |_| {});
            choice.object("logprobs", |object| {
                object.array("content", |array| logprobs::write(array, tokens));
                object.null("refusal");
            });
            choice.null("finish_reason");
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        // The vendor sends no usage chunk where it knows none: zeros would be
        // taken for figures.
        if let Some(figures) = self.usage.filter(|told| self.ask_usage && told.is_told()) {
            let text = json::object(|object| usage::write(object, &figures));
            self.chunk(&format!("\"choices\":[],\"usage\":{text}"), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.dead {
            return;
        }
        match event {
            Event::Open { id, created_s, .. } => {
                self.set_prefix(id.as_deref(), *created_s);
                self.begin(0, out);
            }
            Event::PartOpen { choice, head, .. } => self.open(*choice, head, out),
            Event::PartDelta { choice, delta, .. } => {
                self.begin(*choice, out);
                self.write_delta(*choice, delta, out);
            }
            Event::PartClose { choice, .. } => {
                self.begin(*choice, out);
                self.close(*choice, out);
            }
            Event::Logprobs { choice, tokens } => self.logprobs(*choice, tokens, out),
            Event::Usage(usage) => self.usage.get_or_insert_with(Usage::default).merge(usage),
            Event::Finish { choice, finish } => {
                if finish.stop_sequence.is_some() {
                    self.losses
                        .add("stop_sequence", "the answer does not name it");
                }
                self.finish(*choice, finish.reason, out);
            }
            Event::ServiceTier(tier) => {
                if let Some(word) = tier_word(tier) {
                    self.prefix.push_str(",\"service_tier\":");
                    json::push_string(&mut self.prefix, word);
                }
            }
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            // The flow writes the fault; nothing may follow it.
            Event::Fault(_) => self.dead = true,
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &[Loss] {
        self.losses.as_slice()
    }
}

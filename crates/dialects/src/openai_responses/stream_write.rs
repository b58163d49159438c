//! Writing events as a stream for a client: numbered, typed, each item told
//! from its beginning to its end and once more in the last event.

use contract::answer::FinishReason;
use contract::chat::{Part, Signature, ToolCall};
use contract::event::{Delta, Event, PartHead};
use contract::{Loss, Usage};

use super::ID;
use super::envelope::{Envelope, Stage, incomplete_reason};
use super::items::{self, Ids, Said};
use super::proof::{self, Proof};
use crate::carry;
use crate::dialect::{Asked, StreamWriter};
use crate::framing;
use crate::json::{self, ObjectWriter};
use crate::openai::Losses;

/// Writes a stream.
pub(super) struct Writer {
    envelope: Envelope,
    ids: Ids,
    number: u64,
    begun: bool,
    dead: bool,
    /// Items that are complete.
    output: Vec<String>,
    open: Open,
    refused: bool,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    losses: Losses,
}

/// The item that is open.
enum Open {
    Nothing,
    Message {
        id: String,
        said: Vec<Said>,
        /// Its last part goes on.
        speaking: bool,
    },
    Reasoning {
        id: String,
        text: String,
        signature: Option<Signature>,
    },
    Call {
        id: String,
        call: ToolCall,
        call_id: String,
        /// The beginning was told.
        told: bool,
    },
}

impl Writer {
    /// A writer for a new stream.
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        let envelope = Envelope::new(asked);
        Self {
            ids: Ids::new(&envelope.id),
            envelope,
            number: 0,
            begun: false,
            dead: false,
            output: Vec::new(),
            open: Open::Nothing,
            refused: false,
            finish: None,
            usage: None,
            losses: Losses::default(),
        }
    }

    /// Writes one numbered event.
    fn event(&mut self, kind: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let number = self.number;
        self.number += 1;
        let data = json::object(|event| {
            event.str("type", kind);
            event.int("sequence_number", number);
            write(event);
        });
        for piece in ["event: ", kind, "\ndata: "] {
            out.extend_from_slice(piece.as_bytes());
        }
        framing::push_line(out, &data);
        out.extend_from_slice(b"\n\n");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let response = self.envelope.write(Stage::InProgress, &[], None);
        for kind in ["response.created", "response.in_progress"] {
            self.event(kind, out, |event| event.raw("response", &response));
        }
    }

    /// Where the open item stands in the output.
    fn at(&self) -> usize {
        self.output.len()
    }

    fn item_added(&mut self, item: &str, out: &mut Vec<u8>) {
        let at = self.at();
        self.event("response.output_item.added", out, |event| {
            event.int("output_index", at);
            event.raw("item", item);
        });
    }

    fn item_done(&mut self, item: String, out: &mut Vec<u8>) {
        let at = self.at();
        self.event("response.output_item.done", out, |event| {
            event.int("output_index", at);
            event.raw("item", &item);
        });
        self.output.push(item);
    }

    fn open(&mut self, head: &PartHead, out: &mut Vec<u8>) {
        match head {
            PartHead::Text => self.speak(false, out),
            PartHead::Refusal => {
                self.refused = true;
                self.speak(true, out);
            }
            PartHead::Thinking { id } => {
                self.close_item(out);
                let id = self.ids.of(id.as_deref(), "rs_", self.at());
                let item = json::object(|item| {
                    item.str("id", &id);
                    item.str("type", "reasoning");
                    item.array("summary", |_| {});
                });
                self.item_added(&item, out);
                self.open = Open::Reasoning {
                    id,
                    text: String::new(),
                    signature: None,
                };
            }
            PartHead::ToolCall { id, name, custom } => {
                self.close_item(out);
                self.open = Open::Call {
                    id: self.ids.of(None, items::call_prefix(*custom), self.at()),
                    call: ToolCall {
                        id: id.clone(),
                        name: name.clone(),
                        arguments: String::new(),
                        custom: *custom,
                    },
                    call_id: id.clone(),
                    told: false,
                };
            }
            PartHead::Whole(part) => self.whole(part, out),
        }
    }

    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        self.close_item(out);
        let at = self.at();
        if let Some(item) = items::whole(part, &self.ids, at, &mut self.losses) {
            self.item_added(&item, out);
            self.item_done(item, out);
        }
    }

    /// Opens a part of a message; the message itself where none is open.
    fn speak(&mut self, refusal: bool, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Message { .. }) {
            self.close_item(out);
            let id = self.ids.of(None, "msg_", self.at());
            self.item_added(&items::message(&id, "in_progress", &[]), out);
            self.open = Open::Message {
                id,
                said: Vec::new(),
                speaking: false,
            };
        }
        self.hush(out);
        let part = Said {
            refusal,
            ..Said::default()
        };
        let Open::Message { said, speaking, .. } = &mut self.open else {
            return;
        };
        said.push(part.clone());
        *speaking = true;
        self.content_event("response.content_part.added", out, |event| {
            event.object("part", |object| part.write(object));
        });
    }

    /// An event about the last part of the open message.
    fn content_event(
        &mut self,
        kind: &str,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let Open::Message { id, said, .. } = &self.open else {
            return;
        };
        let (id, index, at) = (id.clone(), said.len().saturating_sub(1), self.at());
        self.event(kind, out, |event| {
            event.str("item_id", &id);
            event.int("output_index", at);
            event.int("content_index", index);
            write(event);
        });
    }

    /// Completes the part of the message that goes on.
    fn hush(&mut self, out: &mut Vec<u8>) {
        let Open::Message { said, speaking, .. } = &mut self.open else {
            return;
        };
        if !std::mem::take(speaking) {
            return;
        }
        let Some(part) = said.last().cloned() else {
            return;
        };
        if part.refusal {
            self.content_event("response.refusal.done", out, |event| {
                event.str("refusal", &part.text);
            });
        } else {
            self.content_event("response.output_text.done", out, |event| {
                event.str("text", &part.text);
                event.array("logprobs", |array| {
                    items::write_logprobs(array, &part.logprobs);
                });
            });
        }
        self.content_event("response.content_part.done", out, |event| {
            event.object("part", |object| part.write(object));
        });
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.text(text, out),
            Delta::Signature(signature) => self.signature(signature),
            Delta::Citation(citation) => {
                let Open::Message { said, .. } = &mut self.open else {
                    return;
                };
                let Some(part) = said.last_mut() else {
                    return;
                };
                let index = part.annotations.len();
                if let Some(annotation) = part.cite(citation, &mut self.losses) {
                    self.content_event("response.output_text.annotation.added", out, |event| {
                        event.int("annotation_index", index);
                        event.raw("annotation", &annotation);
                    });
                }
            }
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.tell_call(out);
        let at = self.at();
        match &mut self.open {
            Open::Message { said, .. } => {
                let Some(part) = said.last_mut() else {
                    return;
                };
                part.text.push_str(text);
                let refusal = part.refusal;
                if refusal {
                    self.content_event("response.refusal.delta", out, |event| {
                        event.str("delta", text);
                    });
                } else {
                    self.content_event("response.output_text.delta", out, |event| {
                        event.str("delta", text);
                        event.array("logprobs", |_| {});
                    });
                }
            }
            Open::Reasoning {
                id, text: so_far, ..
            } => {
                let first = so_far.is_empty();
                so_far.push_str(text);
                let id = id.clone();
                if first {
                    self.summary_event(
                        "response.reasoning_summary_part.added",
                        &id,
                        out,
                        |event| {
                            event.object("part", |part| write_summary(part, ""));
                        },
                    );
                }
                self.summary_event("response.reasoning_summary_text.delta", &id, out, |event| {
                    event.str("delta", text);
                });
            }
            Open::Call { id, call, .. } => {
                call.arguments.push_str(text);
                let (id, kind) = (id.clone(), call_event(call.custom, "delta"));
                self.event(kind, out, |event| {
                    event.str("item_id", &id);
                    event.int("output_index", at);
                    event.str("delta", text);
                });
            }
            Open::Nothing => {}
        }
    }

    fn summary_event(
        &mut self,
        kind: &str,
        id: &str,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let at = self.at();
        self.event(kind, out, |event| {
            event.str("item_id", id);
            event.int("output_index", at);
            event.int("summary_index", 0_u32);
            write(event);
        });
    }

    fn signature(&mut self, token: &Signature) {
        match &mut self.open {
            Open::Reasoning { signature, .. } => *signature = Some(token.clone()),
            Open::Call {
                call_id,
                told: false,
                ..
            } if token.dialect != ID => *call_id = carry::load_id(call_id, token),
            Open::Call { .. } | Open::Message { .. } | Open::Nothing => {
                if token.dialect != ID {
                    self.losses
                        .add("thought signature", "it came where the format has no place");
                }
            }
        }
    }

    /// Tells the beginning of a call, which was held back until it was known
    /// whether a token rides in its id.
    fn tell_call(&mut self, out: &mut Vec<u8>) {
        let Open::Call {
            id,
            call,
            call_id,
            told,
        } = &mut self.open
        else {
            return;
        };
        if std::mem::replace(told, true) {
            return;
        }
        let item = json::object(|item| {
            let (kind, key) = if call.custom {
                ("custom_tool_call", "input")
            } else {
                ("function_call", "arguments")
            };
            item.str("type", kind);
            item.str("id", id);
            item.str("call_id", call_id);
            item.str("name", &call.name);
            item.str(key, "");
            if !call.custom {
                item.str("status", "in_progress");
            }
        });
        self.item_added(&item, out);
    }

    /// A part is complete; a message stays open, for more may follow.
    fn close_part(&mut self, out: &mut Vec<u8>) {
        match self.open {
            Open::Message { .. } => self.hush(out),
            Open::Reasoning { .. } | Open::Call { .. } => self.close_item(out),
            Open::Nothing => {}
        }
    }

    fn close_item(&mut self, out: &mut Vec<u8>) {
        self.hush(out);
        self.tell_call(out);
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Message { id, said, .. } => {
                self.item_done(items::message(&id, "completed", &said), out);
            }
            Open::Reasoning {
                id,
                text,
                signature,
            } => self.close_reasoning(&id, text, signature, out),
            Open::Call {
                id,
                mut call,
                call_id,
                ..
            } => {
                if call.arguments.is_empty() && !call.custom {
                    call.arguments.push_str("{}");
                }
                let key = if call.custom { "input" } else { "arguments" };
                let at = self.at();
                self.event(call_event(call.custom, "done"), out, |event| {
                    event.str("item_id", &id);
                    event.int("output_index", at);
                    event.str("name", &call.name);
                    event.str(key, &call.arguments);
                });
                self.item_done(items::call(&id, "completed", &call, &call_id), out);
            }
        }
    }

    fn close_reasoning(
        &mut self,
        id: &str,
        text: String,
        signature: Option<Signature>,
        out: &mut Vec<u8>,
    ) {
        if !text.is_empty() {
            self.summary_event("response.reasoning_summary_text.done", id, out, |event| {
                event.str("text", &text);
            });
            self.summary_event("response.reasoning_summary_part.done", id, out, |event| {
                event.object("part", |part| write_summary(part, &text));
            });
        }
        let place = signature
            .as_ref()
            .and_then(Proof::of)
            .map_or(proof::Place::Summary, |proof| proof.place);
        let encrypted = proof::shown(signature.as_ref(), false);
        let item = json::object(|item| proof::write(item, id, &text, place, encrypted.as_deref()));
        self.item_done(item, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close_item(out);
        let reason = self.finish.unwrap_or(FinishReason::Stop);
        let stage = Stage::Ended {
            reason,
            refused: self.refused,
        };
        let response = self
            .envelope
            .write(stage, &self.output, self.usage.as_ref());
        let kind = match incomplete_reason(reason, self.refused) {
            None => "response.completed",
            Some(_) => "response.incomplete",
        };
        self.event(kind, out, |event| event.raw("response", &response));
    }

    /// Whether an event is of the one choice that this format holds.
    fn is_ours(&mut self, choice: u32) -> bool {
        if choice > 0 {
            self.losses.add("choices", "the format holds one answer");
        }
        choice == 0
    }
}

fn call_event(custom: bool, what: &str) -> &'static str {
    match (custom, what) {
        (false, "delta") => "response.function_call_arguments.delta",
        (false, _) => "response.function_call_arguments.done",
        (true, "delta") => "response.custom_tool_call_input.delta",
        (true, _) => "response.custom_tool_call_input.done",
    }
}

fn write_summary(part: &mut ObjectWriter<'_>, text: &str) {
    part.str("type", "summary_text");
    part.str("text", text);
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.dead {
            return;
        }
        match event {
            Event::Open { id, created_s, .. } => {
                self.envelope.adopt(id.as_deref(), *created_s);
                self.ids = Ids::new(&self.envelope.id);
                self.begin(out);
            }
            Event::PartOpen { choice, head, .. } if self.is_ours(*choice) => {
                self.begin(out);
                self.open(head, out);
            }
            Event::PartDelta { choice, delta, .. } if self.is_ours(*choice) => {
                self.delta(delta, out);
            }
            Event::PartClose { choice, .. } if self.is_ours(*choice) => self.close_part(out),
            Event::Logprobs { choice, tokens } if self.is_ours(*choice) => {
                if let Open::Message { said, .. } = &mut self.open
                    && let Some(part) = said.iter_mut().rfind(|part| !part.refusal)
                {
                    part.logprobs.extend_from_slice(tokens);
                } else {
                    self.losses.add("logprobs", "they came outside of a text");
                }
            }
            Event::Finish { choice, finish } if self.is_ours(*choice) => {
                if finish.reason == FinishReason::Pause {
                    self.losses
                        .add("pause_turn", "the format knows no paused answer");
                }
                if finish.stop_sequence.is_some() {
                    self.losses
                        .add("stop_sequence", "the answer does not name it");
                }
                self.finish = Some(finish.reason);
            }
            Event::PartOpen { .. }
            | Event::PartDelta { .. }
            | Event::PartClose { .. }
            | Event::Logprobs { .. }
            | Event::Finish { .. } => {}
            Event::Usage(usage) => self.usage.get_or_insert_with(Usage::default).merge(usage),
            Event::ServiceTier(tier) => self.envelope.tier = Some(tier.clone()),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            // The flow writes the fault; nothing may follow it.
            Event::Fault(_) => self.dead = true,
            Event::End => self.end(out),
        }
    }

    fn next_number(&self) -> u64 {
        self.number
    }

    fn losses(&self) -> &[Loss] {
        self.losses.as_slice()
    }
}

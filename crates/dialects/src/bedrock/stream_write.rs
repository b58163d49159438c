//! Writing a Converse stream for a client.

use contract::answer::Finish;
use contract::chat::{Media, Part, PartKind, Signature};
use contract::event::{Delta, PartHead};
use contract::{Event, Loss, Usage};

use super::media::Medium;
use super::{ID, answer, citation, finish, usage};
use crate::dialect::StreamWriter;
use crate::framing::encode_message;
use crate::json::{self, ObjectWriter};
use crate::loss::Losses;
use crate::{carry, stand_in, tool_id};

/// Writes one stream.
#[derive(Debug, Default)]
pub(super) struct Writer {
    started: bool,
    /// Index of the next block.
    next: u32,
    /// Open parts of the first choice: part number, block index, kind.
    open: Vec<(u32, u32, Kind)>,
    pending: Option<PendingTool>,
    usage: Usage,
    tier: Option<String>,
    finish: Option<Finish>,
    calls: bool,
    losses: Losses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Tool,
    /// A call with free text, which is the one string of a JSON object here.
    Custom,
    /// All of the part was said.
    Closed,
}

/// A tool call whose start is held back for one delta: a token that belongs
/// to the call must ride in its id.
#[derive(Debug)]
struct PendingTool {
    part: u32,
    id: String,
    name: String,
    custom: bool,
    arguments: Option<String>,
}

impl Writer {
    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            put(out, "messageStart", |event| event.str("role", "assistant"));
        }
    }

    fn part_open(&mut self, part: u32, head: &PartHead, out: &mut Vec<u8>) {
        match head {
            PartHead::Text | PartHead::Refusal => {
                self.begin(part, Kind::Text);
            }
            PartHead::Thinking { .. } => {
                self.begin(part, Kind::Thinking);
            }
            PartHead::ToolCall { id, name, custom } => {
                self.calls = true;
                self.pending = Some(PendingTool {
                    part,
                    id: id.clone(),
                    name: name.clone(),
                    custom: *custom,
                    arguments: None,
                });
            }
            PartHead::Whole(whole) => self.whole(part, whole, out),
        }
    }

    fn begin(&mut self, part: u32, kind: Kind) -> u32 {
        let index = self.next;
        self.next += 1;
        self.open.push((part, index, kind));
        index
    }

    /// A part that comes whole, as far as a stream has a form for it.
    fn whole(&mut self, part: u32, whole: &Part, out: &mut Vec<u8>) {
        match &whole.kind {
            PartKind::RedactedThinking => {
                let index = self.begin(part, Kind::Closed);
                let data = answer::shown_blob(whole);
                put_delta(out, index, |delta| {
                    delta.object("reasoningContent", |out| out.str("redactedContent", &data));
                });
            }
            PartKind::Image {
                source: Media::Base64 { mime, data },
                ..
            } if Medium::Image.word(mime).is_some() => {
                let index = self.begin(part, Kind::Closed);
                let word = Medium::Image.word(mime).unwrap_or("png");
                put_start(out, index, |start| {
                    start.object("image", |image| image.str("format", word));
                });
                put_delta(out, index, |delta| {
                    delta.object("image", |image| {
                        image.object("source", |source| source.str("bytes", data));
                    });
                });
            }
            PartKind::Audio {
                transcript: Some(text),
                ..
            } => {
                self.losses
                    .declare("audio", "the sound was replaced by its transcript");
                self.begin(part, Kind::Text);
                self.text(part, text, out);
            }
            PartKind::Opaque { dialect, what, .. } if *dialect == ID => {
                self.losses
                    .declare(what.clone(), "a block that came whole has no streamed form");
            }
            PartKind::Text { .. }
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::Thinking { .. }
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Refusal { .. }
            | PartKind::Opaque { .. } => {
                if answer::block(whole, &mut self.losses).is_some() {
                    self.losses
                        .declare("content", "a part that came whole has no streamed form");
                }
            }
        }
    }

    /// Sends the start of a tool call that was held back.
    fn release(&mut self, signature: Option<&Signature>, out: &mut Vec<u8>) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let kind = if pending.custom {
            Kind::Custom
        } else {
            Kind::Tool
        };
        let index = self.begin(pending.part, kind);
        put_start(out, index, |start| {
            start.object("toolUse", |tool| {
                tool.str("toolUseId", &tool_id::show(&pending.id, signature));
                tool.str("name", &pending.name);
            });
        });
        if pending.custom {
            put_input(out, index, stand_in::CUSTOM_OPEN);
        }
        if let Some(arguments) = pending.arguments {
            self.text(pending.part, &arguments, out);
        }
    }

    fn part_delta(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.part == part) {
            match delta {
                Delta::Text(text) if pending.arguments.is_none() => {
                    pending.arguments = Some(text.clone());
                    return;
                }
                Delta::Signature(signature) => return self.release(Some(signature), out),
                Delta::Text(_) | Delta::Citation(_) => self.release(None, out),
            }
        }
        match delta {
            Delta::Text(text) => self.text(part, text, out),
            Delta::Signature(signature) => match self.block(part) {
                Some((index, Kind::Thinking)) => {
                    let shown = carry::show_signature(signature, ID);
                    put_delta(out, index, |delta| {
                        delta.object("reasoningContent", |out| out.str("signature", &shown));
                    });
                }
                Some((_, Kind::Text | Kind::Tool | Kind::Custom | Kind::Closed)) | None => {
                    self.losses.declare(
                        "signature",
                        "a token came where the stream has no place for it",
                    )
                }
            },
            Delta::Citation(cited) => match (self.block(part), citation::write(cited)) {
                (Some((index, Kind::Text)), Some(raw)) => {
                    put_delta(out, index, |delta| delta.raw("citation", raw.as_str()));
                }
                (_, _) => self
                    .losses
                    .declare("citations", "the source has no form here"),
            },
        }
    }

    fn text(&mut self, part: u32, text: &str, out: &mut Vec<u8>) {
        let Some((index, kind)) = self.block(part) else {
            return;
        };
        match kind {
            Kind::Text | Kind::Closed => put_delta(out, index, |delta| delta.str("text", text)),
            Kind::Thinking => put_delta(out, index, |delta| {
                delta.object("reasoningContent", |out| out.str("text", text));
            }),
            Kind::Tool => put_input(out, index, text),
            Kind::Custom => put_input(out, index, &stand_in::custom_piece(text)),
        }
    }

    fn part_close(&mut self, part: u32, out: &mut Vec<u8>) {
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.part == part)
        {
            self.release(None, out);
        }
        let Some(at) = self.open.iter().position(|(open, _, _)| *open == part) else {
            return;
        };
        let (_, index, kind) = self.open.remove(at);
        if kind == Kind::Custom {
            put_input(out, index, stand_in::CUSTOM_CLOSE);
        }
        put(out, "contentBlockStop", |event| {
            event.int("contentBlockIndex", index);
        });
    }

    fn block(&self, part: u32) -> Option<(u32, Kind)> {
        let found = self.open.iter().find(|(open, _, _)| *open == part)?;
        Some((found.1, found.2))
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        let finish = self.finish.take();
        if finish
            .as_ref()
            .is_some_and(|finish| finish.stop_sequence.is_some())
        {
            self.losses
                .declare("stop_sequence", "the answer does not name it");
        }
        let word = finish
            .as_ref()
            .map_or("end_turn", |finish| finish::word(finish, self.calls));
        put(out, "messageStop", |event| event.str("stopReason", word));
        put(out, "metadata", |event| {
            event.object("usage", |out| usage::write(&self.usage, out));
            answer::put_metrics(event);
            if let Some(tier) = answer::tier(self.tier.as_deref()) {
                event.object("serviceTier", |out| out.str("type", tier));
            }
        });
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        // Another part speaks: a tool call that is held back is due.
        let speaks = match event {
            Event::PartOpen { part, .. } | Event::PartDelta { part, .. } => Some(*part),
            Event::Open { .. }
            | Event::PartClose { .. }
            | Event::Logprobs { .. }
            | Event::Usage(_)
            | Event::Finish { .. }
            | Event::ServiceTier(_)
            | Event::Ping
            | Event::Fault(_)
            | Event::End => None,
        };
        let other = |pending: &PendingTool| speaks.is_some_and(|part| part != pending.part);
        if self.pending.as_ref().is_some_and(other) {
            self.release(None, out);
        }
        match event {
            Event::Open { .. } => self.start(out),
            Event::PartOpen {
                choice: 0,
                part,
                head,
            } => self.part_open(*part, head, out),
            Event::PartDelta {
                choice: 0,
                part,
                delta,
            } => self.part_delta(*part, delta, out),
            Event::PartClose { choice: 0, part } => self.part_close(*part, out),
            Event::PartOpen { .. } => {
                let why = "there is one answer here; the first was taken";
                self.losses.declare("choices", why);
            }
            Event::Logprobs { .. } => self.losses.declare("logprobs", "there are none here"),
            Event::Usage(usage) => self.usage.merge(usage),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::End => self.end(out),
            // Other alternatives; there is no sign of life in this framing;
            // the flow ends a faulty stream with `write_fault_frame`.
            Event::PartDelta { .. }
            | Event::PartClose { .. }
            | Event::Finish { .. }
            | Event::Ping
            | Event::Fault(_) => {}
        }
    }

    fn losses(&self) -> &[Loss] {
        self.losses.list()
    }
}

/// Appends one event.
pub(super) fn put(out: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    let payload = json::object(write);
    let headers = [
        (":event-type", name),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    out.extend_from_slice(&encode_message(&headers, payload.as_bytes()));
}

fn put_start(out: &mut Vec<u8>, index: u32, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    put(out, "contentBlockStart", |event| {
        event.object("start", write);
        event.int("contentBlockIndex", index);
    });
}

fn put_delta(out: &mut Vec<u8>, index: u32, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    put(out, "contentBlockDelta", |event| {
        event.object("delta", write);
        event.int("contentBlockIndex", index);
    });
}

fn put_input(out: &mut Vec<u8>, index: u32, piece: &str) {
    put_delta(out, index, |delta| {
        delta.object("toolUse", |tool| tool.str("input", piece));
    });
}

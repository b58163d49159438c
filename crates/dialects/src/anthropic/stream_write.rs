//! Writing a stream of messages for a client.

use contract::answer::Finish;
use contract::chat::{Part, PartKind, Signature};
use contract::event::{Delta, PartHead};
use contract::{Event, Loss, Usage};

use super::finish::{self, Held};
use super::{ID, answer, citation, usage};
use crate::dialect::{Asked, StreamWriter};
use crate::framing;
use crate::json::{self, ObjectWriter};
use crate::loss::Losses;
use crate::{carry, stand_in, tool_id};

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    model: String,
    /// The vendor's own id, or a fresh one in its manner.
    id: String,
    tier: Option<String>,
    started: bool,
    /// Index of the next block.
    next: u32,
    /// Open parts of the first choice: part number, block index, kind.
    open: Vec<(u32, u32, Kind)>,
    pending: Option<PendingTool>,
    usage: Usage,
    finish: Option<Finish>,
    held: Held,
    losses: Losses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Tool,
    /// A call with free text, which is the one string of a JSON object here.
    Custom,
    /// Nothing of the part is shown, or all of it was.
    Closed,
}

/// A tool call whose start is held back for one delta: a token that belongs
/// to the call must ride in its id, and comes right behind the arguments from
/// vendors that have one.
#[derive(Debug)]
struct PendingTool {
    part: u32,
    id: String,
    name: String,
    custom: bool,
    arguments: Option<String>,
}

impl Writer {
    /// A writer for a stream that was asked for so.
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        Self {
            model: asked.model.to_owned(),
            id: answer::message_id(None, asked),
            tier: None,
            started: false,
            next: 0,
            open: Vec::new(),
            pending: None,
            usage: Usage::default(),
            finish: None,
            held: Held::default(),
            losses: Losses::default(),
        }
    }

    fn lose(&mut self, what: impl Into<std::borrow::Cow<'static, str>>, why: &'static str) {
        self.losses.declare(what, why);
    }

    /// The start of the message. It waits for the first event behind `Open`
    /// that is neither usage nor tier, because it tells both.
    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        put(out, "message_start", |event| {
            event.object("message", |message| {
                message.str("id", &self.id);
                message.str("type", "message");
                message.str("role", "assistant");
                message.str("model", &self.model);
                message.array("content", |_| {});
                message.null("stop_reason");
                message.null("stop_sequence");
                message.object("usage", |out| {
                    usage::write(&self.usage, out);
                    out.opt_str("service_tier", answer::tier(self.tier.as_deref()));
                });
            });
        });
    }

    fn part_open(&mut self, part: u32, head: &PartHead, out: &mut Vec<u8>) {
        match head {
            PartHead::Text => self.begin(part, Kind::Text, TEXT, out),
            PartHead::Refusal => {
                self.held.refusal = true;
                self.begin(part, Kind::Text, TEXT, out);
            }
            PartHead::Thinking { .. } => self.begin(
                part,
                Kind::Thinking,
                r#"{"type":"thinking","thinking":"","signature":""}"#,
                out,
            ),
            PartHead::ToolCall { id, name, custom } => {
                self.held.tool_call = true;
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

    fn begin(&mut self, part: u32, kind: Kind, block: &str, out: &mut Vec<u8>) {
        let index = self.next;
        self.next += 1;
        self.open.push((part, index, kind));
        put(out, "content_block_start", |event| {
            event.int("index", index);
            event.raw("content_block", block);
        });
    }

    /// A part that comes whole: a start that says all, then the stop.
    fn whole(&mut self, part: u32, whole: &Part, out: &mut Vec<u8>) {
        self.held.tool_call |= matches!(whole.kind, PartKind::ToolCall(_));
        if let Some(block) = answer::block(whole, &mut self.losses) {
            self.begin(part, Kind::Closed, &block, out);
        }
    }

    /// Sends the start of a tool call that was held back.
    fn release(&mut self, signature: Option<&Signature>, out: &mut Vec<u8>) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let block = json::object(|block| {
            block.str("type", "tool_use");
            block.str("id", &tool_id::show(&pending.id, signature));
            block.str("name", &pending.name);
            block.object("input", |_| {});
        });
        let kind = if pending.custom {
            Kind::Custom
        } else {
            Kind::Tool
        };
        let index = self.next;
        self.begin(pending.part, kind, &block, out);
        if pending.custom {
            put_json(out, index, stand_in::CUSTOM_OPEN);
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
            Delta::Signature(signature) => self.signature(part, signature, out),
            Delta::Citation(cited) => match (self.block(part), citation::write(cited)) {
                (Some((index, Kind::Text)), Some(raw)) => {
                    put_delta(out, index, "citations_delta", |delta| {
                        delta.raw("citation", raw.as_str());
                    });
                }
                (_, _) => self.lose("citations", "the source has no form here"),
            },
        }
    }

    fn text(&mut self, part: u32, text: &str, out: &mut Vec<u8>) {
        let Some((index, kind)) = self.block(part) else {
            return;
        };
        let (word, key) = match kind {
            Kind::Text => ("text_delta", "text"),
            Kind::Thinking => ("thinking_delta", "thinking"),
            Kind::Tool => return put_json(out, index, text),
            Kind::Custom => return put_json(out, index, &stand_in::custom_piece(text)),
            Kind::Closed => return,
        };
        put_delta(out, index, word, |delta| delta.str(key, text));
    }

    fn signature(&mut self, part: u32, signature: &Signature, out: &mut Vec<u8>) {
        match self.block(part) {
            Some((index, Kind::Thinking)) => {
                let shown = carry::show_signature(signature, ID);
                put_delta(out, index, "signature_delta", |delta| {
                    delta.str("signature", &shown);
                });
            }
            Some((_, Kind::Text | Kind::Tool | Kind::Custom | Kind::Closed)) | None => {
                self.lose(
                    "signature",
                    "a token came where the stream has no place for it",
                );
            }
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
            put_json(out, index, stand_in::CUSTOM_CLOSE);
        }
        put(out, "content_block_stop", |event| event.int("index", index));
    }

    fn block(&self, part: u32) -> Option<(u32, Kind)> {
        let found = self.open.iter().find(|(open, _, _)| *open == part)?;
        Some((found.1, found.2))
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let finish = self.finish.take();
        let word = finish
            .as_ref()
            .map(|finish| finish::word(finish.reason, self.held));
        put(out, "message_delta", |event| {
            event.object("delta", |delta| {
                delta.str_or_null("stop_reason", word);
                let stop = finish.as_ref().and_then(|it| it.stop_sequence.as_deref());
                delta.str_or_null("stop_sequence", stop);
            });
            event.object("usage", |out| usage::write(&self.usage, out));
        });
        put(out, "message_stop", |_| {});
    }
}

const TEXT: &str = r#"{"type":"text","text":""}"#;

impl StreamWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        let waits = matches!(
            event,
            Event::Open { .. } | Event::Usage(_) | Event::ServiceTier(_) | Event::Fault(_)
        );
        if !waits {
            self.start(out);
        }
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
            Event::Open { id, .. } => {
                let own = id.as_ref().filter(|id| id.starts_with("msg_"));
                if let Some(id) = own {
                    self.id.clone_from(id);
                }
            }
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
                self.lose("choices", "a message is one answer; the first was taken");
            }
            Event::PartDelta { .. } | Event::PartClose { .. } => {}
            Event::Logprobs { .. } => self.lose("logprobs", "messages have none"),
            Event::Usage(usage) => self.usage.merge(usage),
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::Finish { .. } => {}
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::Ping => put(out, "ping", |_| {}),
            // The flow ends the stream with `write_fault_frame`.
            Event::Fault(_) => {}
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &[Loss] {
        self.losses.list()
    }
}

/// One event: its name stands in the frame and as its `type`.
/// Appends one event.
pub(super) fn put(out: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    let data = json::object(|event| {
        event.str("type", name);
        write(event);
    });
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    framing::push_line(out, &data);
    out.extend_from_slice(b"\n\n");
}

fn put_delta(out: &mut Vec<u8>, index: u32, word: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    put(out, "content_block_delta", |event| {
        event.int("index", index);
        event.object("delta", |delta| {
            delta.str("type", word);
            write(delta);
        });
    });
}

fn put_json(out: &mut Vec<u8>, index: u32, piece: &str) {
    put_delta(out, index, "input_json_delta", |delta| {
        delta.str("partial_json", piece);
    });
}

//! What the evidence needs of an answer, whichever way it comes: whole, as a
//! stream that passes verbatim, or as events.
//!
//! Deliberately not here: reading any wire format.

use contract::answer::FinishReason;
use contract::chat::PartKind;
use contract::event::{Delta, PartHead};
use contract::{Answer, Event, Fault, ServiceTier, Usage};

/// What the evidence needs of an answer.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Usage so far, as the provider told it.
    pub usage: Option<Usage>,
    /// The tier the answer is served in, where told.
    pub tier: Option<ServiceTier>,
    /// How much content was seen: what an estimate goes by where no usage is
    /// told.
    pub seen: Seen,
    /// Why the first choice ended.
    pub finish: Option<FinishReason>,
    /// The vendor's id of the answer.
    pub id: Option<String>,
    /// The model that answered, as the vendor says.
    pub model: Option<String>,
    /// Parts of reasoning that are open, by choice and place.
    pub(crate) thinking: Vec<(u32, u32)>,
    /// A content, reasoning or tool frame was seen: the stream is committed.
    pub committed: bool,
    /// The upstream's own end marker was seen.
    pub ended: bool,
    /// The upstream reported an error in the stream (the frame itself passes
    /// to a same-dialect client as it came).
    pub fault: Option<Fault>,
}

/// How much of an answer was seen go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Pieces of text, reasoning and arguments; most providers send one token
    /// or a few in each.
    pub pieces: u64,
    /// Their bytes, as they stood on the wire.
    pub bytes: u64,
    /// Images and sounds that came.
    pub media: u64,
    /// Of the pieces, those of reasoning.
    pub thoughts: u64,
    /// Their bytes.
    pub thought_bytes: u64,
    /// The last piece was one of reasoning.
    pub is_thinking: bool,
}

impl Seen {
    /// A piece of this many bytes came; an empty one is none.
    pub fn piece(&mut self, bytes: usize) {
        self.is_thinking &= bytes == 0;
        self.again(bytes);
    }

    /// A piece of reasoning came.
    pub fn thought(&mut self, bytes: usize) {
        self.is_thinking |= bytes > 0;
        if bytes > 0 {
            self.again(bytes);
        }
    }

    /// A piece came of the same kind as the one before.
    pub fn again(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.pieces = self.pieces.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.is_thinking {
            self.thoughts = self.thoughts.saturating_add(1);
            self.thought_bytes = self.thought_bytes.saturating_add(bytes as u64);
        }
    }
}

impl Seen {
    /// A part came whole.
    fn part(&mut self, kind: &PartKind) {
        match kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text } => self.piece(text.len()),
            PartKind::Thinking { text } => self.thought(text.len()),
            PartKind::ToolCall(call) => self.piece(call.name.len() + call.arguments.len()),
            PartKind::Image { .. } | PartKind::Audio { .. } | PartKind::File { .. } => {
                self.media = self.media.saturating_add(1);
            }
            PartKind::ToolResult(_) | PartKind::Opaque { .. } | PartKind::RedactedThinking => {
                self.pieces = self.pieces.saturating_add(1);
            }
        }
    }
}

impl Tally {
    /// What the provider told of usage, with the tier, which prices differ by.
    pub fn told(&self) -> Option<Usage> {
        let told = self.usage.is_some() || self.tier.is_some();
        told.then(|| Usage {
            tier: self.tier,
            ..self.usage.unwrap_or_default()
        })
    }

    /// Takes a vendor's word for the tier; one that says nothing yet leaves
    /// what is known.
    pub(crate) fn take_tier(&mut self, word: &str) {
        self.tier = ServiceTier::of(word).or(self.tier);
    }

    /// Takes what a whole answer tells.
    pub fn take(&mut self, answer: &Answer) {
        match answer {
            Answer::Chat(chat) => {
                self.usage = chat.usage;
                self.tier = chat.service_tier.as_deref().and_then(ServiceTier::of);
                let first = chat.choices.first();
                let finish = first.and_then(|choice| choice.finish.as_ref());
                self.finish = finish.map(|finish| finish.reason);
                self.id.clone_from(&chat.id);
                self.model.clone_from(&chat.model);
            }
            Answer::Embed(embed) => {
                self.usage = embed.usage;
                self.model.clone_from(&embed.model);
            }
            Answer::Count(_) => {}
        }
        self.committed = true;
        self.ended = true;
    }

    /// Takes what an event of a stream tells.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Open { id, model, .. } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            // Text and thinking open empty; every other part says something
            // by its start.
            Event::PartOpen { head, choice, part } => match head {
                PartHead::Text | PartHead::Refusal => {}
                PartHead::Thinking { .. } => self.thinking.push((*choice, *part)),
                PartHead::ToolCall { name, .. } => {
                    self.committed = true;
                    self.seen.piece(name.len());
                }
                PartHead::Whole(part) => {
                    self.committed = true;
                    self.seen.part(&part.kind);
                }
            },
            Event::PartDelta {
                delta,
                choice,
                part,
            } => {
                self.committed = true;
                match delta {
                    Delta::Text(text) if self.thinking.contains(&(*choice, *part)) => {
                        self.seen.thought(text.len());
                    }
                    Delta::Text(text) => self.seen.piece(text.len()),
                    Delta::Signature(_) | Delta::Citation(_) => {}
                }
            }
            Event::Logprobs { .. } => self.committed = true,
            Event::Usage(usage) => self.usage.get_or_insert_with(Usage::default).merge(usage),
            Event::Finish { choice: 0, finish } => {
                self.finish = Some(finish.reason);
                self.committed = true;
            }
            Event::ServiceTier(word) => self.take_tier(word),
            Event::PartClose { choice, part } => {
                self.thinking.retain(|open| *open != (*choice, *part));
            }
            Event::Finish { .. } | Event::Ping => {}
            Event::Fault(fault) => self.fault = Some(fault.clone()),
            Event::End => self.ended = true,
        }
    }
}

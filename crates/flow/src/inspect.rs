//! What comes back, held to the rules: tool calls as soon as they have a
//! name, texts once they are whole.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use access::policy::{Ruling, Verdict};
use access::{Given, Mode, Streams};
use contract::{Answer, Delta, Event, Fault, PartHead, PartKind};

use crate::held::{Held, refused};

/// Longest text of an answer that is gathered for rules that only watch,
/// bytes; what is longer is judged by its beginning.
const WATCHED_BYTES_MAX: usize = 1024 * 1024;

/// Looks at what comes back.
pub(crate) struct Inspector {
    held: Arc<Held>,
    rulings: Vec<Ruling>,
    /// Text so far, by choice.
    texts: BTreeMap<u32, String>,
    /// Parts that are text, by choice and number.
    open: BTreeSet<(u32, u32)>,
    streams: Streams,
    /// Tool calls of a stream wait for their approval, and what follows with
    /// them.
    waits: bool,
    /// Something waits for an approval.
    is_pending: bool,
}

impl Inspector {
    pub(crate) fn new(held: Arc<Held>) -> Self {
        let streams = held.chain.streams();
        let waits = held.chain.tool_wait_ms() > 0;
        Self {
            held,
            rulings: Vec::new(),
            texts: BTreeMap::new(),
            open: BTreeSet::new(),
            streams,
            waits,
            is_pending: false,
        }
    }

    /// A stream is held back whole, up to this many bytes, where a rule that
    /// needs the whole answer may still change what the caller gets.
    pub(crate) fn holds(&self) -> Option<usize> {
        let acts = self.held.chain.rules().any(|(_, named)| {
            matches!(named.kind.streams, Streams::Buffered(_)) && named.mode >= Mode::Warn
        });
        match self.streams {
            Streams::Buffered(limit) if acts => Some(limit),
            Streams::Buffered(_) | Streams::Before | Streams::Incremental | Streams::Refused => {
                None
            }
        }
    }

    /// Broken rules since the last call.
    pub(crate) fn take_rulings(&mut self) -> Vec<Ruling> {
        std::mem::take(&mut self.rulings)
    }

    /// A stream is held back from where something waits for an approval.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Something waits for an approval.
    pub(crate) fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// Looks at a whole answer. What needs an approval is in the rulings, and
    /// is no fault here.
    pub(crate) fn answer(&mut self, answer: &Answer) -> Result<(), Fault> {
        let Answer::Chat(chat) = answer else {
            return Ok(());
        };
        self.waits = true;
        for choice in &chat.choices {
            let mut text = String::new();
            for part in &choice.parts {
                match &part.kind {
                    PartKind::ToolCall(call) => self.judge(&Given::ToolCall(&call.name))?,
                    PartKind::Text { text: words, .. } => text.push_str(words),
                    PartKind::Image { .. }
                    | PartKind::Audio { .. }
                    | PartKind::File { .. }
                    | PartKind::Thinking { .. }
                    | PartKind::RedactedThinking
                    | PartKind::ToolResult(_)
                    | PartKind::Refusal { .. }
                    | PartKind::Opaque { .. } => {}
                }
            }
            self.judge_text(text)?;
        }
        Ok(())
    }

    /// Looks at an event before it is passed on.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), Fault> {
        match event {
            Event::PartOpen {
                head: PartHead::ToolCall { name, .. },
                ..
            } => self.judge(&Given::ToolCall(name)),
            Event::PartOpen {
                choice,
                head: PartHead::Whole(part),
                ..
            } => match &part.kind {
                PartKind::ToolCall(call) => self.judge(&Given::ToolCall(&call.name)),
                PartKind::Text { text, .. } => {
                    self.gather(*choice, text);
                    Ok(())
                }
                PartKind::Image { .. }
                | PartKind::Audio { .. }
                | PartKind::File { .. }
                | PartKind::Thinking { .. }
                | PartKind::RedactedThinking
                | PartKind::ToolResult(_)
                | PartKind::Refusal { .. }
                | PartKind::Opaque { .. } => Ok(()),
            },
            Event::PartOpen {
                choice,
                head: PartHead::Text,
                part,
            } => {
                self.texts.entry(*choice).or_default();
                self.open.insert((*choice, *part));
                Ok(())
            }
            Event::PartDelta {
                choice,
                part,
                delta: Delta::Text(text),
            } => {
                if self.open.contains(&(*choice, *part)) {
                    self.gather(*choice, text);
                }
                Ok(())
            }
            Event::Open { .. }
            | Event::PartOpen { .. }
            | Event::PartDelta { .. }
            | Event::PartClose { .. }
            | Event::Logprobs { .. }
            | Event::Usage(_)
            | Event::Finish { .. }
            | Event::ServiceTier(_)
            | Event::Ping
            | Event::Fault(_)
            | Event::End => Ok(()),
        }
    }

    /// The answer is whole: what needs all of it is judged now.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        for (_, text) in std::mem::take(&mut self.texts) {
            self.judge_text(text)?;
        }
        Ok(())
    }

    fn gather(&mut self, choice: u32, words: &str) {
        if !matches!(self.streams, Streams::Buffered(_)) {
            return;
        }
        let text = self.texts.entry(choice).or_default();
        let room = WATCHED_BYTES_MAX.saturating_sub(text.len());
        let fits = words.floor_char_boundary(room.min(words.len()));
        text.push_str(&words[..fits]);
    }

    fn judge_text(&mut self, text: String) -> Result<(), Fault> {
        match self.streams {
            Streams::Buffered(_) | Streams::Refused => self.judge(&Given::Text(Cow::Owned(text))),
            Streams::Before | Streams::Incremental => Ok(()),
        }
    }

    fn judge(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let verdict: Verdict = self.held.given(given);
        let judged = match verdict.denied() {
            Some(ruling) if self.waits && ruling.need.is_some() => {
                self.is_pending = true;
                Ok(())
            }
            Some(ruling) => Err(refused(ruling)),
            None => Ok(()),
        };
        self.rulings.extend(verdict.rulings);
        judged
    }
}

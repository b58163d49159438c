//! Ending a stream before its time.

use std::collections::BTreeMap;

use contract::Usage;
use contract::answer::FinishReason;

use super::{END_MARKER, finish, usage, watch};
use crate::dialect::StreamEnder;
use crate::framing::{self, Frame};
use crate::json::{self, Familiar, Json, Rules, Tape};

/// Members that all chunks of an answer share.
const SHARED: [&str; 6] = [
    "id",
    "object",
    "created",
    "model",
    "service_tier",
    "system_fingerprint",
];

/// Most choices that are ended.
const CHOICES_MAX: u64 = 128;

/// Ends one stream.
#[derive(Debug, Default)]
pub(super) struct Ender {
    tape: Tape,
    /// The delta before. One that differs in its text alone tells nothing new.
    before: Familiar,
    usage_wanted: bool,
    /// What all chunks say (id, time, model), as the first one said it.
    prefix: String,
    /// Choices that were seen, and whether their reason was told.
    choices: BTreeMap<u64, bool>,
    /// The chunk with the usage came.
    counted: bool,
    ended: bool,
}

impl Ender {
    /// For a new stream.
    pub(super) fn new(usage_wanted: bool) -> Self {
        Self {
            usage_wanted,
            ..Self::default()
        }
    }

    fn chunk(&self, rest: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: {");
        for piece in [&self.prefix, rest, "}"] {
            framing::push_line(out, piece);
        }
        out.extend_from_slice(b"\n\n");
    }
}

impl StreamEnder for Ender {
    fn see(&mut self, frame: Frame<'_>) {
        let data = frame.data.trim_ascii();
        if data == END_MARKER {
            self.ended = true;
        }
        if self.before.is(data) || self.tape.rescan(data, &Rules::ANSWER).is_err() {
            return;
        }
        let root = self.tape.root(data);
        let Some(choices) = root.field("choices") else {
            return;
        };
        if self.prefix.is_empty() && !choices.is_empty() {
            self.prefix = shared(root);
        }
        self.counted |= choices.is_empty() && root.field("usage").is_some();
        match watch::only_text(root) {
            Some(text) => self.before.learn(data, text.span()),
            None => self.before.forget(),
        }
        for (place, choice) in choices.items().enumerate() {
            let index = choice.get("index").and_then(|index| index.u64());
            let finished = self
                .choices
                .entry(index.unwrap_or(place as u64))
                .or_default();
            let word = choice.field("finish_reason").and_then(|word| word.str());
            *finished |= word.is_some_and(|word| !word.is_empty());
        }
    }

    fn end(&mut self, told: &Usage, out: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return false;
        }
        // Clients number what they got: one that said nothing yet is there.
        let last = self.choices.keys().next_back();
        for index in 0..last.map_or(0, |last| (*last).min(CHOICES_MAX)) {
            self.choices.entry(index).or_default();
        }
        let word = finish::word(FinishReason::Length, false);
        for (index, _) in self.choices.iter().filter(|(_, finished)| !**finished) {
            let choices = json::array(|array| {
                array.object(|choice| {
                    choice.int("index", *index);
                    choice.object("delta", |_| {});
                    choice.null("logprobs");
                    choice.str("finish_reason", word);
                });
            });
            self.chunk(&format!("\"choices\":{choices}"), out);
        }
        if self.usage_wanted && !self.counted {
            let text = json::object(|object| usage::write(object, told));
            self.chunk(&format!("\"choices\":[],\"usage\":{text}"), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.choices.values().any(|finished| !finished)
    }
}

/// The members that all chunks share, each with a comma behind it.
fn shared(root: Json<'_>) -> String {
    let mut prefix = String::new();
    for member in root.members() {
        let name = member.name();
        if SHARED.contains(&&*name) {
            json::push_string(&mut prefix, &name);
            prefix.push(':');
            prefix.push_str(member.value.raw());
            prefix.push(',');
        }
    }
    prefix
}

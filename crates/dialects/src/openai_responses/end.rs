//! Ending a stream before its time: the items that are open are told as they
//! are, incomplete, and once more in the last event.

use std::collections::BTreeMap;

use contract::Usage;
use contract::answer::FinishReason;

use super::envelope::incomplete_reason;
use super::usage;
use crate::dialect::StreamEnder;
use crate::framing::{self, Frame};
use crate::json::{self, Json, ObjectWriter, Rules, Tape};

/// Ends one stream.
#[derive(Debug, Default)]
pub(super) struct Ender {
    tape: Tape,
    told: Told,
}

/// What the client was told.
#[derive(Debug, Default)]
struct Told {
    next_number: u64,
    /// The response object, as JSON.
    response: String,
    items: BTreeMap<u64, Item>,
    ended: bool,
}

/// An item of the output.
#[derive(Debug, Default)]
struct Item {
    id: String,
    /// As it was told last, as JSON.
    text: String,
    done: bool,
    content: BTreeMap<u64, Part>,
    summary: BTreeMap<u64, Part>,
    /// Arguments of a call, or its free input.
    arguments: String,
}

/// A part of an item.
#[derive(Debug, Default)]
struct Part {
    /// As it was told first or last, as JSON.
    told: String,
    /// Its words.
    words: String,
    annotations: Vec<String>,
    /// The words were told whole.
    said: bool,
    done: bool,
}

impl StreamEnder for Ender {
    fn see(&mut self, frame: Frame<'_>) {
        let data = frame.data.trim_ascii();
        if self.tape.rescan(data, &Rules::ANSWER).is_ok() {
            self.told.take(self.tape.root(data));
        }
    }

    fn end(&mut self, figures: &Usage, out: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.told.ended, true) {
            return false;
        }
        let items = std::mem::take(&mut self.told.items);
        let mut output = Vec::with_capacity(items.len());
        for (at, item) in items {
            output.push(match item.done {
                true => item.text,
                false => self.told.close(at, item, out),
            });
        }
        let response = self.told.last(&output, figures);
        self.told.event("response.incomplete", out, |event| {
            event.raw("response", &response);
        });
        true
    }
}

impl Told {
    fn take(&mut self, root: Json<'_>) {
        let number = root.get("sequence_number").and_then(|number| number.u64());
        self.next_number = number.unwrap_or(self.next_number).saturating_add(1);
        let Some(kind) = root.get("type").and_then(|kind| kind.str()) else {
            return;
        };
        match &*kind {
            "response.completed" | "response.incomplete" | "response.failed" | "error" => {
                self.ended = true;
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = root.field("response") {
                    response.raw().clone_into(&mut self.response);
                }
            }
            kind => {
                let at = root.get("output_index").and_then(|index| index.u64());
                if let Some(at) = at {
                    self.items.entry(at).or_default().take(kind, root);
                }
            }
        }
    }

    /// Writes one numbered event.
    fn event(&mut self, kind: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let number = self.next_number;
        self.next_number += 1;
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

    /// Closes an item; gives it as it stands in the output.
    fn close(&mut self, at: u64, item: Item, out: &mut Vec<u8>) -> String {
        for (place, parts) in [
            ("content_index", &item.content),
            ("summary_index", &item.summary),
        ] {
            for (nth, part) in parts.iter().filter(|(_, part)| !part.done) {
                let name = |event: &mut ObjectWriter<'_>| {
                    event.str("item_id", &item.id);
                    event.int("output_index", at);
                    event.int(place, *nth);
                };
                let is_summary = place == "summary_index";
                if let Some((kind, key)) = part.whole_event(is_summary).filter(|_| !part.said) {
                    self.event(kind, out, |event| {
                        name(event);
                        event.str(key, &part.words);
                        if kind == "response.output_text.done" {
                            event.array("logprobs", |_| {});
                        }
                    });
                }
                let kind = match is_summary {
                    true => "response.reasoning_summary_part.done",
                    false => "response.content_part.done",
                };
                self.event(kind, out, |event| {
                    name(event);
                    event.raw("part", &part.whole());
                });
            }
        }
        // That its arguments are whole is not said of a call: they are not.
        let text = item.whole();
        self.event("response.output_item.done", out, |event| {
            event.int("output_index", at);
            event.raw("item", &text);
        });
        text
    }

    /// The response as the last event tells it.
    fn last(&self, output: &[String], figures: &Usage) -> String {
        let reason = incomplete_reason(FinishReason::Length, false).unwrap_or_default();
        let output = json::array(|array| output.iter().for_each(|item| array.raw(item)));
        let figures = json::object(|object| usage::write(object, figures));
        rewrite(
            &self.response,
            &[
                ("status", "\"incomplete\""),
                (
                    "incomplete_details",
                    &json::object(|object| object.str("reason", reason)),
                ),
                ("output", &output),
                ("usage", &figures),
            ],
        )
    }
}

impl Item {
    fn take(&mut self, kind: &str, root: Json<'_>) {
        let number = |key| root.get(key).and_then(|number| number.u64()).unwrap_or(0);
        let delta = || root.get("delta").and_then(|delta| delta.str());
        match kind {
            "response.output_item.added" | "response.output_item.done" => {
                let Some(item) = root.get("item") else {
                    return;
                };
                item.raw().clone_into(&mut self.text);
                let id = item.get("id").and_then(|id| id.str());
                self.id = id.map(|id| id.into_owned()).unwrap_or_default();
                self.done = kind.ends_with(".done");
                if self.done {
                    // All of it stands in the item now.
                    self.content.clear();
                    self.summary.clear();
                    self.arguments.clear();
                }
            }
            "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta"
            | "response.mcp_call_arguments.delta" => {
                self.arguments.push_str(&delta().unwrap_or_default());
            }
            _ if root.get("content_index").is_some() => {
                let part = self.content.entry(number("content_index")).or_default();
                part.take(kind, root);
            }
            _ if root.get("summary_index").is_some() => {
                let part = self.summary.entry(number("summary_index")).or_default();
                part.take(kind, root);
            }
            _ => {}
        }
    }

    /// The item as far as it came.
    fn whole(&self) -> String {
        let list = |parts: &BTreeMap<u64, Part>| {
            json::array(|array| parts.values().for_each(|part| array.raw(&part.whole())))
        };
        let (content, summary) = (list(&self.content), list(&self.summary));
        let arguments = json::string(&self.arguments);
        let key = match kind_of(&self.text).as_str() {
            "custom_tool_call" => "input",
            _ => "arguments",
        };
        let mut changes = vec![("status", "\"incomplete\"")];
        if !self.content.is_empty() {
            changes.push(("content", &content));
        }
        if !self.summary.is_empty() {
            changes.push(("summary", &summary));
        }
        if !self.arguments.is_empty() {
            changes.push((key, &arguments));
        }
        rewrite(&self.text, &changes)
    }
}

impl Part {
    fn take(&mut self, kind: &str, root: Json<'_>) {
        if let Some(part) = root.get("part") {
            part.raw().clone_into(&mut self.told);
            self.done = kind.ends_with(".done");
        } else if kind.ends_with(".delta") {
            if self.told.is_empty() {
                untold(kind).clone_into(&mut self.told);
            }
            let words = root.get("delta").and_then(|delta| delta.str());
            self.words.push_str(&words.unwrap_or_default());
        } else if kind.ends_with(".done") {
            self.said = true;
        } else if let Some(annotation) = root.get("annotation") {
            self.annotations.push(annotation.raw().to_owned());
        }
    }

    /// The event that tells its words whole, and the member that has them.
    fn whole_event(&self, is_summary: bool) -> Option<(&'static str, &'static str)> {
        match (kind_of(&self.told).as_str(), is_summary) {
            (_, true) => Some(("response.reasoning_summary_text.done", "text")),
            ("output_text", false) => Some(("response.output_text.done", "text")),
            ("refusal", false) => Some(("response.refusal.done", "refusal")),
            ("reasoning_text", false) => Some(("response.reasoning_text.done", "text")),
            (_, false) => None,
        }
    }

    /// The part as far as it came.
    fn whole(&self) -> String {
        if self.done {
            return self.told.clone();
        }
        let key = match kind_of(&self.told).as_str() {
            "refusal" => "refusal",
            _ => "text",
        };
        let words = json::string(&self.words);
        let annotations = json::array(|array| self.annotations.iter().for_each(|it| array.raw(it)));
        let mut changes = vec![(key, words.as_str())];
        if !self.annotations.is_empty() {
            changes.push(("annotations", &annotations));
        }
        rewrite(&self.told, &changes)
    }
}

/// A part whose beginning was not told, by the event of its first words.
fn untold(kind: &str) -> &'static str {
    match kind {
        "response.refusal.delta" => r#"{"type":"refusal","refusal":""}"#,
        "response.reasoning_text.delta" => r#"{"type":"reasoning_text","text":""}"#,
        "response.reasoning_summary_text.delta" => r#"{"type":"summary_text","text":""}"#,
        _ => r#"{"type":"output_text","text":"","annotations":[]}"#,
    }
}

/// The type of an object that is JSON text.
fn kind_of(text: &str) -> String {
    let Ok(tape) = Tape::scan(text.as_bytes(), &Rules::ANSWER) else {
        return String::new();
    };
    let kind = tape.root(text.as_bytes()).get("type");
    let kind = kind.and_then(|kind| kind.str().map(|kind| kind.into_owned()));
    kind.unwrap_or_default()
}

/// An object with some members changed, or put in behind the others.
fn rewrite(text: &str, changes: &[(&str, &str)]) -> String {
    let tape = Tape::scan(text.as_bytes(), &Rules::ANSWER).ok();
    let root = tape.as_ref().map(|tape| tape.root(text.as_bytes()));
    json::object(|out| {
        let mut left = changes.to_vec();
        for member in root.iter().flat_map(|root| root.members()) {
            let name = member.name();
            match left.iter().position(|(key, _)| *key == name) {
                Some(at) => {
                    let (key, value) = left.remove(at);
                    out.raw(key, value);
                }
                None => out.raw(&name, member.value.raw()),
            }
        }
        left.iter().for_each(|(key, value)| out.raw(key, value));
    })
}

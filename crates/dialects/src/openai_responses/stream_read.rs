//! Reading a provider's stream: a state machine over typed events.
//!
//! Kinds of events that are not known are passed over: the vendor adds some
//! without notice, and the items they tell of come whole when they are done.

use std::collections::HashMap;

use contract::chat::Part;
use contract::event::{Delta, Event, PartHead};
use contract::{ChatAnswer, Fault, Usage};

use super::proof::{self, Place};
use super::read_answer::{self, read_chat, read_time};
use super::{read_items, usage, watch};
use crate::dialect::StreamReader;
use crate::fold;
use crate::framing::Frame;
use crate::json::{self, Json, Rules, Tape, blame_provider};
use crate::openai::{fault, logprobs};

/// Most items that are followed in one stream.
const ITEMS_MAX: usize = 10_000;

/// Reads a stream.
#[derive(Default)]
pub(super) struct Reader {
    tape: Tape,
    opened: bool,
    ended: bool,
    broken: bool,
    /// What has become of each item, by its place in the output.
    items: HashMap<u32, Item>,
    /// The item and the content part that are open.
    open: Option<(u32, Option<u32>)>,
    parts: u32,
    called: bool,
    refused: bool,
    /// Searches of the web that are done.
    searches: u64,
}

/// What has been told of an item.
#[derive(Default)]
struct Item {
    kind: Kind,
    /// Some of its text came as deltas.
    told: bool,
    /// A content part of it was opened.
    spoke: bool,
    /// Log probabilities of the open content part came with its deltas.
    weighed: bool,
    place: Place,
    summaries: u32,
    id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    Call,
    #[default]
    Other,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if self.ended || self.broken {
            // Some servers add the sibling's end marker behind their own.
            return Ok(());
        }
        let data = frame.data.trim_ascii();
        let mut tape = std::mem::take(&mut self.tape);
        let result = match tape.rescan(data, &Rules::ANSWER) {
            Ok(()) => self.event(tape.root(data), events),
            Err(flaw) => Err(json::broken(&flaw, data)),
        };
        self.tape = tape;
        result.map_err(blame_provider)
    }

    fn close(&mut self, _events: &mut Vec<Event>) -> Result<(), Fault> {
        if self.ended || self.broken {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

impl Reader {
    fn event(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(kind) = root.as_object()?.opt_str("type")? else {
            let error = fault::find_in_band(root);
            self.fail(
                error.ok_or_else(|| root.fault("an event without a type"))?,
                events,
            );
            return Ok(());
        };
        match &*kind {
            "error" => {
                self.fail(watch::read_error(root), events);
                Ok(())
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                let response = root.need("response")?;
                self.begin(Some(response), events)?;
                events.extend(figures(response));
                Ok(())
            }
            "response.completed" | "response.incomplete" => {
                self.end(root.need("response")?, events)
            }
            "response.failed" => {
                let response = root.need("response")?;
                // What a failure cost is billed as well.
                events.extend(figures(response));
                let error = fault::find_in_band(response);
                self.fail(error.unwrap_or_else(read_answer::unexplained), events);
                Ok(())
            }
            "response.output_item.added" => self.item_added(root, events),
            "response.output_item.done" => self.item_done(root, events),
            other => self.part_event(other, root, events),
        }
    }

    fn fail(&mut self, fault: Fault, events: &mut Vec<Event>) {
        self.broken = true;
        events.push(Event::Fault(fault));
    }

    fn begin(&mut self, response: Option<Json<'_>>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.opened, true) {
            return Ok(());
        }
        let text = |key| match response {
            Some(response) => response.opt_string(key),
            None => Ok(None),
        };
        events.push(Event::Open {
            id: text("id")?,
            model: text("model")?,
            created_s: response
                .and_then(|response| response.field("created_at"))
                .and_then(read_time),
        });
        Ok(())
    }

    fn end(&mut self, response: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        self.begin(Some(response), events)?;
        self.leave(events);
        self.ended = true;
        let holds = response
            .field("output")
            .is_some_and(|items| !items.is_empty());
        if self.parts == 0 && holds {
            // Some servers tell the items only now.
            let answer: ChatAnswer = read_chat(response)?;
            events.extend(fold::unfold(answer).into_iter().skip(1));
            return Ok(());
        }
        if let Some(tier) = response.opt_string("service_tier")? {
            events.push(Event::ServiceTier(tier));
        }
        events.extend(figures(response));
        events.push(Event::Finish {
            choice: 0,
            finish: read_answer::finish(response, self.called, self.refused),
        });
        events.push(Event::End);
        Ok(())
    }

    fn item_added(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        self.begin(None, events)?;
        let at = root.need("output_index")?.as_u32()?;
        let item = root.need("item")?;
        let word = item.need_str("type")?;
        let kind = match &*word {
            "message" => Kind::Message,
            "reasoning" => Kind::Reasoning,
            "function_call" | "custom_tool_call" => Kind::Call,
            _ => Kind::Other,
        };
        if self.items.len() >= ITEMS_MAX {
            return Err(item.fault("more items than the gateway follows"));
        }
        let id = item.opt_string("id")?;
        self.items.insert(
            at,
            Item {
                kind,
                id: id.clone().unwrap_or_default(),
                ..Item::default()
            },
        );
        match kind {
            Kind::Message | Kind::Other => {}
            Kind::Reasoning => self.open_part((at, None), PartHead::Thinking { id }, events),
            Kind::Call => {
                self.called = true;
                let head = PartHead::ToolCall {
                    id: item.need_str("call_id")?.into_owned(),
                    name: item.need_str("name")?.into_owned(),
                    custom: word == "custom_tool_call",
                };
                self.open_part((at, None), head, events);
            }
        }
        Ok(())
    }

    fn item_done(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let at = root.need("output_index")?.as_u32()?;
        if !self.items.contains_key(&at) {
            self.item_added(root, events)?;
        }
        let item = root.need("item")?;
        let Some(state) = self.items.get(&at) else {
            return Ok(());
        };
        let (kind, told, spoke) = (state.kind, state.told, state.spoke);
        match kind {
            Kind::Message if spoke => {}
            Kind::Message => self.whole_message(at, item, events)?,
            Kind::Reasoning => self.reasoning_done(at, item, told, events)?,
            Kind::Call if !told => {
                let text = item.field("arguments").or_else(|| item.field("input"));
                if let Some(text) = text {
                    self.text((at, None), text.as_str()?.into_owned(), events)?;
                }
            }
            Kind::Call => {}
            Kind::Other => {
                let word = item.need_str("type")?;
                if usage::is_search(&item) {
                    // Billed even if the stream is cut before its usage.
                    self.searches += 1;
                    events.push(Event::Usage(Usage {
                        web_searches: self.searches,
                        ..Usage::default()
                    }));
                }
                self.whole(read_answer::opaque(item, &word), events);
            }
        }
        if self.open.is_some_and(|(open, _)| open == at) {
            self.leave(events);
        }
        Ok(())
    }

    /// A message that no content events told.
    fn whole_message(
        &mut self,
        at: u32,
        item: Json<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        for (index, part) in (0..).zip(item.opt_array("content")?.iter().flat_map(Json::items)) {
            self.content_added((at, Some(index)), part, events)?;
            let text = part.field("text").or_else(|| part.field("refusal"));
            if let Some(text) = text {
                self.text((at, Some(index)), text.as_str()?.into_owned(), events)?;
            }
        }
        Ok(())
    }

    fn reasoning_done(
        &mut self,
        at: u32,
        item: Json<'_>,
        told: bool,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        if self.open != Some((at, None)) {
            // It was closed by what came between; its proof is too late.
            return Ok(());
        }
        let whole: Part = proof::read_item(item)?;
        let text = match whole.kind {
            contract::PartKind::Thinking { text } => text,
            _ => String::new(),
        };
        let untold = text.is_empty();
        if !told && !untold {
            self.text((at, None), text, events)?;
        }
        // The item says where its text stands; where it holds none, the
        // deltas said it.
        let deltas = self.items.get(&at).filter(|_| untold);
        let signature = match deltas {
            Some(state) => {
                let encrypted = item.opt_str("encrypted_content")?;
                Some(proof::read(&state.id, state.place, encrypted.as_deref()).0)
            }
            None => whole.signature,
        };
        let Some(signature) = signature else {
            return Ok(());
        };
        self.delta(Delta::Signature(signature), events);
        Ok(())
    }

    fn part_event(
        &mut self,
        kind: &str,
        root: Json<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Some(kind) = kind.strip_prefix("response.") else {
            return Ok(());
        };
        let place = |key| -> Result<(u32, Option<u32>), Fault> {
            let at = root.need("output_index")?.as_u32()?;
            Ok((at, root.opt_u32(key)?))
        };
        let delta = || root.need_str("delta").map(|text| text.into_owned());
        match kind {
            "content_part.added" => {
                self.content_added(place("content_index")?, root.need("part")?, events)
            }
            "output_text.delta" | "refusal.delta" => {
                let place = place("content_index")?;
                self.ensure_content(place, kind == "refusal.delta", events);
                self.text(place, delta()?, events)?;
                let weighed = self.logprobs(root, events)?;
                if let Some(item) = self.items.get_mut(&place.0) {
                    item.weighed |= weighed;
                }
                Ok(())
            }
            // Repeats what the deltas told; some servers leave log
            // probabilities to it.
            "output_text.done" => {
                let (at, _) = place("content_index")?;
                let item = self.items.get_mut(&at);
                if !item.is_some_and(|item| std::mem::take(&mut item.weighed)) {
                    self.logprobs(root, events)?;
                }
                Ok(())
            }
            "output_text.annotation.added" => {
                let citation = root.field("annotation");
                let citation = citation.map(read_items::read_citation).transpose()?;
                if let Some(citation) = citation.flatten()
                    && self.open == Some(place("content_index")?)
                {
                    self.delta(Delta::Citation(Box::new(citation)), events);
                }
                Ok(())
            }
            "content_part.done" => {
                if self.open == Some(place("content_index")?) && self.open_is_message() {
                    self.leave(events);
                }
                Ok(())
            }
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.text((place("x")?.0, None), delta()?, events)
            }
            "reasoning_summary_text.delta" => {
                let (at, summary) = place("summary_index")?;
                self.reason(at, Place::Summary, summary.unwrap_or(0), delta()?, events)
            }
            "reasoning_text.delta" => {
                let (at, content) = place("content_index")?;
                self.reason(at, Place::Content, content.unwrap_or(0), delta()?, events)
            }
            // The rest repeats what was told, or tells how a hosted tool gets
            // on, whose item comes whole.
            _ => Ok(()),
        }
    }

    fn content_added(
        &mut self,
        place: (u32, Option<u32>),
        part: Json<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        match &*part.need_str("type")? {
            "output_text" => self.ensure_content(place, false, events),
            "refusal" => self.ensure_content(place, true, events),
            // Reasoning that is shown in full is a part of its item.
            _ => {}
        }
        Ok(())
    }

    fn ensure_content(
        &mut self,
        place: (u32, Option<u32>),
        refusal: bool,
        events: &mut Vec<Event>,
    ) {
        if self.open == Some(place) {
            return;
        }
        let item = self.items.entry(place.0).or_default();
        item.kind = Kind::Message;
        item.spoke = true;
        self.refused |= refusal;
        let head = if refusal {
            PartHead::Refusal
        } else {
            PartHead::Text
        };
        self.open_part(place, head, events);
    }

    fn open_is_message(&self) -> bool {
        self.open
            .and_then(|(at, _)| self.items.get(&at))
            .is_some_and(|item| item.kind == Kind::Message)
    }

    fn reason(
        &mut self,
        at: u32,
        place: Place,
        number: u32,
        text: String,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let item = self.items.entry(at).or_default();
        item.place = place;
        let next = number > item.summaries;
        item.summaries = item.summaries.max(number);
        let text = if next && item.told {
            format!("{}{text}", proof::GAP)
        } else {
            text
        };
        self.text((at, None), text, events)
    }

    fn text(
        &mut self,
        place: (u32, Option<u32>),
        text: String,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        if self.open != Some(place) {
            return Err(Fault::upstream_broken(
                "The provider sent a piece of an item that is not open. Try again.",
            )
            .because(format!("output item {} is not open", place.0)));
        }
        if let Some(item) = self.items.get_mut(&place.0) {
            item.told = true;
        }
        self.delta(Delta::Text(text), events);
        Ok(())
    }

    /// Whether there were any.
    fn logprobs(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<bool, Fault> {
        let Some(tokens) = root
            .opt_array("logprobs")?
            .filter(|tokens| !tokens.is_empty())
        else {
            return Ok(false);
        };
        events.push(Event::Logprobs {
            choice: 0,
            tokens: logprobs::read(tokens)?,
        });
        Ok(true)
    }

    fn delta(&mut self, delta: Delta, events: &mut Vec<Event>) {
        events.push(Event::PartDelta {
            choice: 0,
            part: self.parts.saturating_sub(1),
            delta,
        });
    }

    fn open_part(&mut self, place: (u32, Option<u32>), head: PartHead, events: &mut Vec<Event>) {
        self.leave(events);
        events.push(Event::PartOpen {
            choice: 0,
            part: self.parts,
            head,
        });
        self.open = Some(place);
        self.parts += 1;
    }

    fn leave(&mut self, events: &mut Vec<Event>) {
        if self.open.take().is_some() {
            events.push(Event::PartClose {
                choice: 0,
                part: self.parts - 1,
            });
        }
    }

    fn whole(&mut self, part: Part, events: &mut Vec<Event>) {
        let head = PartHead::Whole(Box::new(part));
        self.open_part((u32::MAX, None), head, events);
        self.leave(events);
    }
}

/// The usage that a response tells, if any.
fn figures(response: Json<'_>) -> Option<Event> {
    usage::of_response(response).map(Event::Usage)
}

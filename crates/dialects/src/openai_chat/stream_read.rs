//! Reading a provider's stream: a state machine over chunks.
//!
//! Choices may be interleaved; within a choice one part is open at a time,
//! because no server of this format is known to weave tool calls into one
//! another, and every other dialect needs whole parts in order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::Fault;
use contract::answer::FinishReason;
use contract::chat::{Media, Part, PartKind, Signature};
use contract::event::{Delta, Event, PartHead};

use super::echo::{self, Sender};
use super::read_answer::broken_off;
use super::read_parts::{read_citation, read_part};
use super::{END_MARKER, finish, usage};
use crate::dialect::StreamReader;
use crate::fold;
use crate::framing::Frame;
use crate::json::{Json, Rules, Tape, blame_provider};
use crate::openai::{fault, logprobs};

/// Most alternatives in one stream.
const CHOICES_MAX: u32 = 128;
/// Most bytes of spoken output that are held until they are whole.
const AUDIO_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most bytes of signed reasoning details that are kept to be echoed.
const DETAILS_BYTES_MAX: usize = 1024 * 1024;

/// Reads a stream.
#[derive(Default)]
pub(super) struct Reader {
    tape: Tape,
    opened: bool,
    ended: bool,
    broken: bool,
    tier: Option<String>,
    choices: Vec<ChoiceState>,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let data = frame.data.trim_ascii();
        if self.ended || self.broken {
            // Nothing after the end marker or an error belongs to the answer.
            return Ok(());
        }
        if data == END_MARKER {
            return self.end(events);
        }
        let mut tape = std::mem::take(&mut self.tape);
        let result = match tape.rescan(data, &Rules::ANSWER) {
            Ok(()) => self.chunk(tape.root(data), events),
            Err(flaw) => Err(Fault::upstream_broken(
                "The provider sent a stream event that is not valid JSON. Try again; if it \
                 persists, look at the provider's status.",
            )
            .because(format!("{} at byte {}", flaw.message(), flaw.offset))),
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
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Fault> {
        if !self.opened {
            return Err(Fault::upstream_broken(
                "The provider's stream ended without an answer. Try again.",
            ));
        }
        for (index, state) in (0..).zip(&mut self.choices) {
            state.settle(index, events);
        }
        events.push(Event::End);
        self.ended = true;
        Ok(())
    }

    fn chunk(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        root.as_object()?;
        if let Some(fault) = fault::find_in_band(root) {
            self.broken = true;
            events.push(Event::Fault(fault));
            return Ok(());
        }
        let choices = root.need("choices")?.as_array()?;
        let figures = root.field("usage").and_then(usage::read);
        // Some clouds begin with a chunk of filter results, without choices or
        // an id.
        if !self.opened && (!choices.is_empty() || figures.is_some()) {
            self.opened = true;
            let text = |key| {
                Ok(root
                    .opt_string(key)?
                    .filter(|text: &String| !text.is_empty()))
            };
            events.push(Event::Open {
                id: text("id")?,
                model: text("model")?,
                created_s: root.field("created").and_then(|created| created.u64()),
            });
        }
        if let Some(tier) = root.opt_string("service_tier")?
            && self.tier.as_ref() != Some(&tier)
        {
            self.tier = Some(tier.clone());
            events.push(Event::ServiceTier(tier));
        }
        for choice in choices.items() {
            self.choice(choice, events)?;
        }
        events.extend(figures.map(Event::Usage));
        Ok(())
    }

    fn choice(&mut self, choice: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let index = choice.opt_u32("index")?.unwrap_or(0);
        if index >= CHOICES_MAX {
            return Err(choice.fault("the index is beyond any number of choices"));
        }
        if self.choices.len() <= index as usize {
            self.choices
                .resize_with(index as usize + 1, ChoiceState::default);
        }
        let state = &mut self.choices[index as usize];
        let mut writer = Events { index, events };
        if let Some(delta) = choice.opt_object("delta")? {
            state.delta(delta, &mut writer)?;
        }
        if let Some(tokens) = choice
            .field("logprobs")
            .and_then(|all| all.field("content"))
        {
            let tokens = logprobs::read(tokens)?;
            if !tokens.is_empty() {
                writer.events.push(Event::Logprobs {
                    choice: index,
                    tokens,
                });
            }
        }
        if let Some(word) = choice.opt_str("finish_reason")?
            && !word.is_empty()
        {
            state.finish(&word, &mut writer)?;
        }
        Ok(())
    }
}

/// Where events of one choice go.
struct Events<'e> {
    index: u32,
    events: &'e mut Vec<Event>,
}

/// What is open in a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Refusal,
    /// The call with this place among the calls.
    Call(usize),
}

#[derive(Default)]
struct ChoiceState {
    open: Option<Open>,
    /// Parts so far; the open one is the last.
    parts: u32,
    calls: Vec<Call>,
    /// The proof of the open reasoning part.
    proof: Option<Signature>,
    details: String,
    details_signed: bool,
    audio: Option<Spoken>,
    refused: bool,
    finished: bool,
}

struct Call {
    index: u32,
    id: String,
}

#[derive(Default)]
struct Spoken {
    id: Option<String>,
    bytes: Vec<u8>,
    transcript: String,
}

impl ChoiceState {
    fn delta(&mut self, delta: Json<'_>, out: &mut Events<'_>) -> Result<(), Fault> {
        self.reasoning(delta, out)?;
        if let Some(text) = full(delta, "content")? {
            self.text(Open::Text, text, out);
        }
        for annotation in delta.opt_array("annotations")?.iter().flat_map(Json::items) {
            if let Some(citation) = read_citation(annotation)? {
                self.enter(Open::Text, out);
                self.push(Delta::Citation(Box::new(citation)), out);
            }
        }
        if let Some(text) = full(delta, "refusal")? {
            self.refused = true;
            self.text(Open::Refusal, text, out);
        }
        if let Some(audio) = delta.opt_object("audio")? {
            self.spoken(audio)?;
        }
        for image in delta.opt_array("images")?.iter().flat_map(Json::items) {
            let mut extras = contract::text::Extras::default();
            let part = read_part(image, &mut extras)?;
            self.whole(part, out);
        }
        for call in delta.opt_array("tool_calls")?.iter().flat_map(Json::items) {
            self.call(call, out)?;
        }
        if let Some(call) = delta.opt_object("function_call")? {
            self.legacy_call(call, out)?;
        }
        Ok(())
    }

    /// Reasoning, in whichever field this server sends it.
    fn reasoning(&mut self, delta: Json<'_>, out: &mut Events<'_>) -> Result<(), Fault> {
        let mut told = false;
        for field in echo::FIELDS {
            if let Some(text) = full(delta, field)? {
                // Some servers send one text under both names.
                if !told {
                    self.text(Open::Thinking, text, out);
                    self.proof.get_or_insert_with(|| echo::of_field(field));
                }
                told = true;
            }
        }
        for detail in delta
            .opt_array("reasoning_details")?
            .iter()
            .flat_map(Json::items)
        {
            self.detail(detail, told, out)?;
        }
        for block in delta
            .opt_array("thinking_blocks")?
            .iter()
            .flat_map(Json::items)
        {
            self.block(block, told, out)?;
        }
        Ok(())
    }

    fn detail(&mut self, detail: Json<'_>, told: bool, out: &mut Events<'_>) -> Result<(), Fault> {
        let raw = detail.raw();
        if self.details.len() + raw.len() > DETAILS_BYTES_MAX {
            return Err(detail.fault("the reasoning details are larger than the gateway keeps"));
        }
        self.enter(Open::Thinking, out);
        let text = echo::detail_text(detail);
        if !told && !text.is_empty() {
            self.text(Open::Thinking, text, out);
        }
        if !self.details.is_empty() {
            self.details.push(',');
        }
        self.details.push_str(raw);
        self.details_signed |= echo::is_signed(detail);
        Ok(())
    }

    fn block(&mut self, block: Json<'_>, told: bool, out: &mut Events<'_>) -> Result<(), Fault> {
        let part = echo::read_block(block, Sender::Provider)?;
        // The text of this reasoning may have come before, in a plain field
        // (which left its proof); the block then only brings the signature.
        let told = told || (self.open == Some(Open::Thinking) && self.proof.is_some());
        match part.kind {
            PartKind::Thinking { text } => {
                self.enter(Open::Thinking, out);
                if !told && !text.is_empty() {
                    self.text(Open::Thinking, text, out);
                }
                if let Some(proof) = part.signature {
                    self.proof = Some(proof);
                    self.leave(out);
                }
            }
            _ => self.whole(part, out),
        }
        Ok(())
    }

    fn spoken(&mut self, audio: Json<'_>) -> Result<(), Fault> {
        let spoken = self.audio.get_or_insert_with(Spoken::default);
        spoken.id = spoken.id.take().or(audio.opt_string("id")?);
        if let Some(data) = audio.opt_str("data")? {
            // Each chunk is base64 of its own; only the bytes can be joined.
            let bytes = STANDARD
                .decode(data.as_bytes())
                .map_err(|_| audio.fault("the data is not base64"))?;
            if spoken.bytes.len() + bytes.len() > AUDIO_BYTES_MAX {
                return Err(audio.fault("the audio is larger than the gateway holds"));
            }
            spoken.bytes.extend(bytes);
        }
        spoken
            .transcript
            .push_str(&audio.opt_str("transcript")?.unwrap_or_default());
        Ok(())
    }

    fn call(&mut self, call: Json<'_>, out: &mut Events<'_>) -> Result<(), Fault> {
        let id = call.opt_str("id")?.filter(|id| !id.is_empty());
        let index = call.opt_u32("index")?;
        let custom = call.field("custom");
        let body = match custom {
            Some(custom) => Some(custom),
            None => call.opt_object("function")?,
        };
        let place = self.place_of(index, id.as_deref());
        let place = match place {
            Some(place) => place,
            None => {
                let name = match body {
                    Some(body) => body.need_str("name")?,
                    None => return Err(call.fault("a new tool call without a function")),
                };
                let extra = call
                    .field("extra_content")
                    .map(|extra| echo::of_extra(extra.raw()));
                let id = match id {
                    Some(id) => id.into_owned(),
                    None => format!("call_{}_{}", out.index, self.calls.len()),
                };
                let head = PartHead::ToolCall {
                    id: id.clone(),
                    name: name.into_owned(),
                    custom: custom.is_some(),
                };
                self.open_call(index, id, head, out);
                if let Some(extra) = extra {
                    self.push(Delta::Signature(extra), out);
                }
                self.calls.len() - 1
            }
        };
        let key = if custom.is_some() {
            "input"
        } else {
            "arguments"
        };
        let Some(value) = body.and_then(|body| body.field(key)) else {
            return Ok(());
        };
        // Some servers send the arguments as the object itself.
        let text = match value.str() {
            Some(text) => text.into_owned(),
            None => value.as_object()?.raw().to_owned(),
        };
        self.arguments(place, text, call, out)
    }

    /// The call that a delta goes on with. Servers leave out the index, or
    /// give every call the same one: then the id tells them apart.
    fn place_of(&self, index: Option<u32>, id: Option<&str>) -> Option<usize> {
        let known = match index {
            Some(index) => self.calls.iter().rposition(|call| call.index == index),
            None => self.calls.len().checked_sub(1),
        }?;
        let same = id.is_none_or(|id| id == self.calls[known].id);
        same.then_some(known)
    }

    fn open_call(&mut self, index: Option<u32>, id: String, head: PartHead, out: &mut Events<'_>) {
        self.leave(out);
        let place = self.calls.len();
        self.calls.push(Call {
            index: index.unwrap_or(place as u32),
            id,
        });
        self.open_part(Open::Call(place), head, out);
    }

    fn arguments(
        &mut self,
        place: usize,
        text: String,
        call: Json<'_>,
        out: &mut Events<'_>,
    ) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        if self.open != Some(Open::Call(place)) {
            return Err(call.fault("arguments of a tool call that was already complete"));
        }
        self.push(Delta::Text(text), out);
        Ok(())
    }

    /// The call of before there were tools: one, without an id.
    fn legacy_call(&mut self, call: Json<'_>, out: &mut Events<'_>) -> Result<(), Fault> {
        if self.calls.is_empty() {
            let id = "call_function_0".to_owned();
            let head = PartHead::ToolCall {
                id: id.clone(),
                name: call.need_str("name")?.into_owned(),
                custom: false,
            };
            self.open_call(Some(0), id, head, out);
        }
        let text = call.opt_string("arguments")?.unwrap_or_default();
        self.arguments(0, text, call, out)
    }

    fn text(&mut self, kind: Open, text: String, out: &mut Events<'_>) {
        self.enter(kind, out);
        self.push(Delta::Text(text), out);
    }

    /// Opens a part of this kind unless it is the open one.
    fn enter(&mut self, kind: Open, out: &mut Events<'_>) {
        if self.open == Some(kind) {
            return;
        }
        let head = match kind {
            Open::Text => PartHead::Text,
            Open::Refusal => PartHead::Refusal,
            Open::Thinking | Open::Call(_) => PartHead::Thinking { id: None },
        };
        self.leave(out);
        self.open_part(kind, head, out);
    }

    fn open_part(&mut self, kind: Open, head: PartHead, out: &mut Events<'_>) {
        out.events.push(Event::PartOpen {
            choice: out.index,
            part: self.parts,
            head,
        });
        self.open = Some(kind);
        self.parts += 1;
    }

    fn push(&mut self, delta: Delta, out: &mut Events<'_>) {
        out.events.push(Event::PartDelta {
            choice: out.index,
            part: self.parts.saturating_sub(1),
            delta,
        });
    }

    /// Closes the open part; reasoning gets its proof.
    fn leave(&mut self, out: &mut Events<'_>) {
        let Some(open) = self.open.take() else {
            return;
        };
        if open == Open::Thinking {
            let details = std::mem::take(&mut self.details);
            if std::mem::take(&mut self.details_signed) {
                self.proof = Some(echo::of_details(&details));
            }
            if let Some(proof) = self.proof.take() {
                self.push(Delta::Signature(proof), out);
            }
        }
        out.events.push(Event::PartClose {
            choice: out.index,
            part: self.parts - 1,
        });
    }

    fn whole(&mut self, part: Part, out: &mut Events<'_>) {
        self.leave(out);
        let (choice, number) = (out.index, self.parts);
        self.parts += 1;
        out.events.push(Event::PartOpen {
            choice,
            part: number,
            head: PartHead::Whole(Box::new(part)),
        });
        out.events.push(Event::PartClose {
            choice,
            part: number,
        });
    }

    fn finish(&mut self, word: &str, out: &mut Events<'_>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        let finish = finish::read(word, !self.calls.is_empty(), self.refused);
        if finish.reason == FinishReason::Error {
            return Err(broken_off(word));
        }
        self.flush(out);
        out.events.push(Event::Finish {
            choice: out.index,
            finish,
        });
        Ok(())
    }

    /// Closes what is open, and gives the audio that was held.
    fn flush(&mut self, out: &mut Events<'_>) {
        self.leave(out);
        if let Some(spoken) = self.audio.take() {
            // Streams carry raw samples: the vendor streams `pcm16` only.
            let source = Media::Base64 {
                mime: "audio/pcm".to_owned(),
                data: STANDARD.encode(spoken.bytes),
            };
            let transcript = Some(spoken.transcript).filter(|text| !text.is_empty());
            self.whole(
                Part {
                    id: spoken.id,
                    ..PartKind::Audio { source, transcript }.into()
                },
                out,
            );
        }
    }

    /// At the end marker: some servers leave out the finishing chunk.
    fn settle(&mut self, index: u32, events: &mut Vec<Event>) {
        let mut out = Events { index, events };
        if self.finished {
            self.flush(&mut out);
            return;
        }
        self.flush(&mut out);
        let reason = if self.calls.is_empty() {
            FinishReason::Stop
        } else {
            FinishReason::ToolCalls
        };
        out.events.push(Event::Finish {
            choice: index,
            finish: reason.into(),
        });
    }
}

/// A string member that is neither absent nor empty.
fn full(delta: Json<'_>, key: &str) -> Result<Option<String>, Fault> {
    Ok(delta.opt_string(key)?.filter(|text| !text.is_empty()))
}

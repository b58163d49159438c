//! Reading a stream: whole answers in pieces, without an end marker. The end
//! is a finish reason for every candidate, then a clean close. Where a part
//! begins and ends is inferred: adjacent text of one kind is one part, and a
//! signature ends it.
//!
//! A whole answer is read by the same machine, as a stream of one piece.

use contract::answer::Finish;
use contract::chat::{Part, PartKind, Signature};
use contract::event::{Delta, PartHead};
use contract::{Event, Fault, RawJson};

use super::read_parts::{self, MINTED, PartReader};
use super::{citation, fault, finish, logprobs, usage};
use crate::dialect::StreamReader;
use crate::fold;
use crate::framing::Frame;
use crate::json::{self, Json, Rules, Tape, blame_provider};

/// Most candidates of one answer; the vendor's own limit is eight.
const CANDIDATES_MAX: u32 = 64;
/// Members of a candidate that only this vendor's clients understand: what the
/// answer is based on and how it was judged. They travel as opaque parts
/// behind all others; pieces of a stream repeat them, and the last one counts.
pub(super) const BASIS: [&str; 4] = [
    "groundingMetadata",
    "urlContextMetadata",
    "safetyRatings",
    "finishMessage",
];

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tape: Tape,
    state: State,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        self.tape
            .rescan(frame.data, &Rules::ANSWER)
            .map_err(|flaw| json::broken(&flaw, frame.data))?;
        let root = self.tape.root(frame.data);
        self.state.piece(root, events).map_err(blame_provider)
    }

    fn close(&mut self, events: &mut Vec<Event>) -> Result<(), Fault> {
        self.state.end(events)
    }
}

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub(super) struct State {
    opened: bool,
    id: String,
    choices: Vec<Choice>,
    /// The finish of an answer whose prompt was blocked.
    blocked: Option<Finish>,
    /// The tier that was told last.
    tier: Option<String>,
}

#[derive(Debug, Default)]
struct Choice {
    seen: bool,
    /// Number of the next part.
    parts: u32,
    open: Option<Open>,
    calls: u32,
    finish: Option<String>,
    /// Bytes of text so far, and before the open part; `None` once a
    /// character takes more than one, so that bytes no longer count them.
    plain: Option<(u32, u32)>,
    /// Sources that were told; later pieces repeat them.
    cited: Vec<String>,
    /// Members of [`BASIS`], as they were told last.
    basis: Vec<(&'static str, String)>,
}

/// A part that may go on.
#[derive(Clone, Copy, Debug)]
struct Open {
    part: u32,
    thought: bool,
}

impl State {
    /// Reads one piece. Members that are newer than this reader are ignored,
    /// as the vendor's own clients do.
    pub(super) fn piece(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(detail) = fault::detail(root) {
            events.push(Event::Fault(fault::in_band(detail)));
            return Ok(());
        }
        let mut candidates = None;
        let mut feedback = None;
        for member in root.as_object()?.members() {
            let value = member.value;
            if value.is_null() {
                continue;
            }
            match &*member.name() {
                "candidates" => candidates = Some(value.as_array()?),
                "promptFeedback" => feedback = Some(value.as_object()?),
                _ => {}
            }
        }
        let told = usage::of_answer(root);
        if told.is_some() || candidates.is_some() || feedback.is_some() {
            self.open(root, events)?;
        }
        for (place, candidate) in candidates.iter().flat_map(Json::items).enumerate() {
            self.candidate(candidate, place, events)?;
        }
        if let Some(word) = feedback.and_then(|feedback| feedback.field("blockReason")) {
            self.blocked = Some(finish::blocked(&word.as_str()?));
        }
        events.extend(told.map(Event::Usage));
        if let Some(tier) = usage::tier(root).filter(|tier| self.tier.as_ref() != Some(tier)) {
            self.tier = Some(tier.clone());
            events.push(Event::ServiceTier(tier));
        }
        Ok(())
    }

    fn open(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.opened, true) {
            return Ok(());
        }
        let id = root.opt_string("responseId")?;
        self.id = id.clone().unwrap_or_default();
        events.push(Event::Open {
            id,
            model: root.opt_string("modelVersion")?,
            created_s: None,
        });
        Ok(())
    }

    fn candidate(
        &mut self,
        candidate: Json<'_>,
        place: usize,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        // Protobuf JSON may leave out an index of zero.
        let index = match candidate.as_object()?.opt_u32("index")? {
            Some(index) => index,
            None => u32::try_from(place).unwrap_or(u32::MAX),
        };
        if index >= CANDIDATES_MAX {
            return Err(candidate.fault("the index of a candidate is out of range"));
        }
        let at = index as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let choice = &mut self.choices[at];
        if !std::mem::replace(&mut choice.seen, true) {
            choice.plain = Some((0, 0));
        }
        let mut out = Out { index, events };
        let parts = match candidate.opt_object("content")? {
            Some(content) => content.opt_array("parts")?,
            None => None,
        };
        for part in parts.iter().flat_map(Json::items) {
            choice.part(part, &self.id, &mut out)?;
        }
        choice.rest(candidate, &mut out)
    }

    /// The answer ended: closes what is open.
    ///
    /// # Errors
    /// `UpstreamBroken` if a candidate was not finished.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Fault> {
        let whole = self.choices.iter().all(|choice| choice.finish.is_some());
        if !whole || (self.choices.is_empty() && self.blocked.is_none()) {
            return Err(fold::unfinished());
        }
        self.finish(events);
        Ok(())
    }

    /// Whether there is an answer at all.
    pub(super) fn is_empty(&self) -> bool {
        self.choices.is_empty() && self.blocked.is_none()
    }

    /// Closes what is open, finished or not.
    pub(super) fn finish(&mut self, events: &mut Vec<Event>) {
        for (index, choice) in self.choices.iter_mut().enumerate() {
            let mut out = Out {
                index: index as u32,
                events,
            };
            choice.close(&mut out);
            for (name, raw) in std::mem::take(&mut choice.basis) {
                choice.whole(read_parts::opaque(name, RawJson::new(raw)), &mut out);
            }
            if let Some(word) = choice.finish.take() {
                let finish = finish::read(&word, choice.calls > 0);
                events.push(Event::Finish {
                    choice: index as u32,
                    finish,
                });
            }
        }
        if let Some(finish) = self.blocked.take().filter(|_| self.choices.is_empty()) {
            events.push(Event::Finish { choice: 0, finish });
        }
        events.push(Event::End);
    }
}

/// Where the events of a choice go.
struct Out<'e> {
    index: u32,
    events: &'e mut Vec<Event>,
}

impl Out<'_> {
    fn open(&mut self, part: u32, head: PartHead) {
        self.events.push(Event::PartOpen {
            choice: self.index,
            part,
            head,
        });
    }

    fn delta(&mut self, part: u32, delta: Delta) {
        self.events.push(Event::PartDelta {
            choice: self.index,
            part,
            delta,
        });
    }

    fn close(&mut self, part: u32) {
        self.events.push(Event::PartClose {
            choice: self.index,
            part,
        });
    }
}

impl Choice {
    fn part(&mut self, part: Json<'_>, id: &str, out: &mut Out<'_>) -> Result<(), Fault> {
        let call = part.field("functionCall");
        if call.is_some_and(|call| call.field("partialArgs").is_some()) {
            return Err(part.fault("arguments come in pieces, which nobody asked for"));
        }
        // The vendor may leave out the id of a call; ours must differ from
        // those of other turns, because clients tell calls apart by it.
        let mint = match id {
            "" => {
                let crc = crc32fast::hash(part.raw().as_bytes());
                format!("{MINTED}{crc:08x}_{}", self.calls)
            }
            id => format!("{MINTED}{id}_{}", self.calls),
        };
        let Part {
            kind, signature, ..
        } = PartReader::default().part(part, "", &mint)?;
        match kind {
            PartKind::Text { text, .. } => self.text(text, false, signature, out),
            PartKind::Thinking { text } => self.text(text, true, signature, out),
            PartKind::ToolCall(call) => {
                self.calls += 1;
                let part = self.begin(out);
                out.open(
                    part,
                    PartHead::ToolCall {
                        id: call.id,
                        name: call.name,
                        custom: false,
                    },
                );
                // In front of the arguments: where it rides in the call's id,
                // a writer needs it before it shows the id.
                if let Some(signature) = signature {
                    out.delta(part, Delta::Signature(signature));
                }
                out.delta(part, Delta::Text(call.arguments));
                out.close(part);
            }
            kind @ (PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::RedactedThinking
            | PartKind::ToolResult(_)
            | PartKind::Refusal { .. }
            | PartKind::Opaque { .. }) => {
                let whole = Part {
                    signature,
                    ..kind.into()
                };
                self.whole(whole, out);
            }
        }
        Ok(())
    }

    fn text(&mut self, text: String, thought: bool, token: Option<Signature>, out: &mut Out<'_>) {
        if text.is_empty() && token.is_none() {
            return;
        }
        let part = match self.open {
            Some(open) if open.thought == thought => open.part,
            Some(_) | None => {
                let part = self.begin(out);
                self.open = Some(Open { part, thought });
                let head = if thought {
                    PartHead::Thinking { id: None }
                } else {
                    PartHead::Text
                };
                out.open(part, head);
                if let Some((total, before)) = &mut self.plain {
                    *before = *total;
                }
                part
            }
        };
        if !thought {
            self.plain = self.plain.filter(|_| text.is_ascii());
            if let Some((total, _)) = &mut self.plain {
                *total = total.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
            }
        }
        if !text.is_empty() {
            out.delta(part, Delta::Text(text));
        }
        if let Some(token) = token {
            out.delta(part, Delta::Signature(token));
            self.close(out);
        }
    }

    /// What a candidate tells besides its content.
    ///
    /// Counts and averages are told by the usage and the log probabilities;
    /// members that are newer than this reader have no place in a stream.
    fn rest(&mut self, candidate: Json<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
        for member in candidate.members() {
            let value = member.value;
            if value.is_null() {
                continue;
            }
            match &*member.name() {
                "citationMetadata" => self.citations(value, out)?,
                "logprobsResult" => {
                    let tokens = logprobs::read(value)?;
                    if !tokens.is_empty() {
                        out.events.push(Event::Logprobs {
                            choice: out.index,
                            tokens,
                        });
                    }
                }
                "finishReason" => {
                    let word = value.as_str()?;
                    if word != "FINISH_REASON_UNSPECIFIED" {
                        self.finish = Some(word.into_owned());
                    }
                }
                name => {
                    if let Some(name) = BASIS.into_iter().find(|known| *known == name) {
                        self.basis.retain(|(known, _)| *known != name);
                        self.basis.push((name, value.raw().to_owned()));
                    }
                }
            }
        }
        Ok(())
    }

    fn citations(&mut self, metadata: Json<'_>, out: &mut Out<'_>) -> Result<(), Fault> {
        for source in citation::sources(metadata)? {
            if self.cited.iter().any(|told| told == source.raw()) {
                continue;
            }
            self.cited.push(source.raw().to_owned());
            let open = self.open.filter(|open| !open.thought);
            let plain = self.plain.filter(|_| open.is_some());
            let cited = citation::read(source, |start, end| {
                let (_, before) = plain?;
                Some((start.checked_sub(before)?, end.checked_sub(before)?))
            })?;
            let part = match open {
                Some(open) => open.part,
                None => {
                    let part = self.begin(out);
                    let thought = false;
                    self.open = Some(Open { part, thought });
                    out.open(part, PartHead::Text);
                    part
                }
            };
            out.delta(part, Delta::Citation(Box::new(cited)));
        }
        Ok(())
    }

    fn whole(&mut self, whole: Part, out: &mut Out<'_>) {
        let part = self.begin(out);
        out.open(part, PartHead::Whole(Box::new(whole)));
        out.close(part);
    }

    /// The number of a new part; what was open is closed.
    fn begin(&mut self, out: &mut Out<'_>) -> u32 {
        self.close(out);
        let part = self.parts;
        self.parts += 1;
        part
    }

    fn close(&mut self, out: &mut Out<'_>) {
        if let Some(open) = self.open.take() {
            out.close(open.part);
        }
    }
}

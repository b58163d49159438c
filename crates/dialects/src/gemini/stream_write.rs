//! Writing a stream for a client: each piece is an answer of its own; the last
//! one bears the finish reasons and the usage. There is no end marker.

use contract::answer::{Finish, TokenLogprob};
use contract::chat::{Citation, Part, PartKind, Signature, ToolCall};
use contract::event::{Delta, PartHead};
use contract::{Event, Loss, Usage};

use super::answer::Ending;
use super::{finish, logprobs, signature, usage, write_parts};
use crate::dialect::{Asked, StreamWriter};
use crate::framing;
use crate::json::{self, ObjectWriter};
use crate::loss::Losses;

/// Most arguments of one call that are held until it is complete, in bytes.
const ARGUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    model: String,
    id: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    /// The stream broke: nothing that looks like an end may follow.
    faulted: bool,
    losses: Losses,
}

#[derive(Debug, Default)]
struct Choice {
    open: Vec<Open>,
    ending: Ending,
    logprobs: Vec<TokenLogprob>,
    finish: Option<Finish>,
    /// A call was too large to hold, so the answer is not whole.
    cut: bool,
}

/// A part that is not complete.
#[derive(Debug)]
struct Open {
    part: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text {
        thought: bool,
    },
    /// A call, held until it is complete: its arguments are shown whole.
    Call {
        call: ToolCall,
        signature: Option<Signature>,
    },
    /// A part that was sent whole.
    Whole,
}

impl Writer {
    /// A writer for a stream that was asked for so.
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        Self {
            model: asked.model.to_owned(),
            id: asked.request_id.to_owned(),
            choices: Vec::new(),
            usage: None,
            faulted: false,
            losses: Losses::default(),
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = index as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        &mut self.choices[at]
    }

    /// One piece with one part of one candidate.
    fn put_part(&self, choice: u32, part: &str, out: &mut Vec<u8>) {
        self.put(out, None, |out| {
            out.array("candidates", |array| {
                array.object(|out| {
                    put_content(part, out);
                    out.int("index", choice);
                });
            });
        });
    }

    fn put(
        &self,
        out: &mut Vec<u8>,
        told: Option<&Usage>,
        write: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let data = json::object(|out| {
            write(out);
            if let Some(told) = told.filter(|told| told.is_told()) {
                out.object("usageMetadata", |out| usage::write(told, out));
            }
            out.str("modelVersion", &self.model);
            out.str("responseId", &self.id);
        });
        out.extend_from_slice(b"data: ");
        framing::push_line(out, &data);
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn part_open(&mut self, choice: u32, part: u32, head: &PartHead, out: &mut Vec<u8>) {
        let kind = match head {
            PartHead::Text => Kind::Text { thought: false },
            PartHead::Thinking { .. } => Kind::Text { thought: true },
            PartHead::Refusal => {
                self.choice(choice).ending.refused = true;
                Kind::Text { thought: false }
            }
            PartHead::ToolCall { id, name, custom } => Kind::Call {
                call: ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                    custom: *custom,
                },
                signature: None,
            },
            PartHead::Whole(whole) => {
                self.whole(choice, whole, out);
                Kind::Whole
            }
        };
        self.choice(choice).open.push(Open { part, kind });
    }

    fn whole(&mut self, choice: u32, whole: &Part, out: &mut Vec<u8>) {
        // Made first, so that the choice and the losses can both be changed.
        self.choice(choice);
        let ending = &mut self.choices[choice as usize].ending;
        if let Some(shown) = ending.part(whole, &mut self.losses) {
            self.put_part(choice, &shown, out);
        }
    }

    fn part_delta(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Delta::Citation(cited) = delta {
            return self.cite(choice, cited);
        }
        let shown = {
            let choice = self.choice(choice);
            let Some(open) = choice.open.iter_mut().find(|open| open.part == part) else {
                return;
            };
            match (&mut open.kind, delta) {
                (Kind::Text { thought }, Delta::Text(text)) => piece(text, *thought, None),
                (Kind::Text { thought }, Delta::Signature(token)) => {
                    piece("", *thought, Some(token))
                }
                (Kind::Call { call, .. }, Delta::Text(text)) => {
                    if call.arguments.len() + text.len() > ARGUMENT_BYTES_MAX {
                        choice.cut = true;
                    } else {
                        call.arguments.push_str(text);
                    }
                    return;
                }
                (Kind::Call { signature, .. }, Delta::Signature(token)) => {
                    *signature = Some(token.clone());
                    return;
                }
                (Kind::Text { .. } | Kind::Call { .. }, Delta::Citation(_)) | (Kind::Whole, _) => {
                    return;
                }
            }
        };
        self.put_part(choice, &shown, out);
    }

    fn cite(&mut self, choice: u32, cited: &Citation) {
        self.choice(choice);
        let ending = &mut self.choices[choice as usize].ending;
        ending.cite(cited, &mut self.losses);
    }

    fn part_close(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        let open = &mut self.choice(choice).open;
        let Some(at) = open.iter().position(|open| open.part == part) else {
            return;
        };
        match open.remove(at).kind {
            Kind::Text { .. } | Kind::Whole => {}
            Kind::Call { .. } if self.choices[choice as usize].cut => self.losses.declare(
                "tool_calls.arguments",
                "the arguments are larger than what can be held until they are whole",
            ),
            Kind::Call { call, signature } => {
                let part = Part {
                    signature,
                    ..PartKind::ToolCall(call).into()
                };
                if let Some(shown) = write_parts::shown(&part, &mut self.losses) {
                    self.put_part(choice, &shown, out);
                }
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let candidates: Vec<String> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| choice.last(index))
            .collect();
        self.put(out, self.usage.as_ref(), |out| {
            out.array("candidates", |array| {
                candidates.iter().for_each(|one| array.raw(one));
            });
        });
    }
}

impl Choice {
    /// The candidate of the last piece.
    fn last(&self, index: usize) -> String {
        json::object(|out| {
            // The vendor's last piece holds an empty text as well.
            put_content(r#"{"text":""}"#, out);
            match &self.finish {
                // An answer that lacks a call must never look complete.
                _ if self.cut => out.str("finishReason", "MALFORMED_FUNCTION_CALL"),
                Some(finish) => {
                    out.str("finishReason", finish::word(finish, self.ending.refused));
                }
                None => {}
            }
            out.int("index", index);
            self.ending.write(out);
            logprobs::write(&self.logprobs, out);
        })
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.faulted {
            return;
        }
        match event {
            Event::Open { id, .. } => {
                if let Some(id) = id {
                    self.id.clone_from(id);
                }
            }
            Event::PartOpen { choice, part, head } => self.part_open(*choice, *part, head, out),
            Event::PartDelta {
                choice,
                part,
                delta,
            } => self.part_delta(*choice, *part, delta, out),
            Event::PartClose { choice, part } => self.part_close(*choice, *part, out),
            Event::Logprobs { choice, tokens } => {
                self.choice(*choice).logprobs.extend_from_slice(tokens);
            }
            Event::Usage(told) => {
                usage::declare(told, &mut self.losses);
                self.usage.get_or_insert_with(Usage::default).merge(told);
            }
            Event::Finish { choice, finish } => {
                Ending::declare(finish, &mut self.losses);
                self.choice(*choice).finish = Some(finish.clone());
            }
            Event::ServiceTier(_) => self
                .losses
                .declare("service_tier", "answers do not tell it here"),
            // A piece that says nothing is no sign of life to these clients.
            Event::Ping => {}
            // The flow ends the stream with `write_fault_frame`.
            Event::Fault(_) => self.faulted = true,
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &[Loss] {
        self.losses.list()
    }
}

/// The content of a candidate with one part.
pub(super) fn put_content(part: &str, out: &mut ObjectWriter<'_>) {
    out.object("content", |out| {
        out.array("parts", |array| array.raw(part));
        out.str("role", "model");
    });
}

/// A piece of a text.
fn piece(text: &str, thought: bool, token: Option<&Signature>) -> String {
    json::object(|out| {
        out.str("text", text);
        if thought {
            out.bool("thought", true);
        }
        if let Some(token) = token {
            out.str("thoughtSignature", &signature::show(token, false));
        }
    })
}

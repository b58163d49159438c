//! Reading a Converse stream: `messageStart`, blocks with their deltas (text
//! and reasoning blocks have no start), `messageStop`, then `metadata` with
//! the usage.

use contract::answer::{Finish, FinishReason};
use contract::chat::{Media, Part, PartKind, Signature};
use contract::event::{Delta, PartHead};
use contract::{Event, Fault, RawJson};

use super::content_read::{opaque, redacted};
use super::media::Medium;
use super::{ID, citation, fault, finish, usage};
use crate::dialect::StreamReader;
use crate::fold;
use crate::framing::{Frame, FrameKind};
use crate::json::{self, Json, Rules, Tape, blame_provider};
use crate::stand_in::{FORMAT_TOOL, arguments};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tape: Tape,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    stopped: bool,
    ended: bool,
    parts: u32,
    open: Vec<Open>,
    finish: Option<Finish>,
    /// Tool calls other than the output format's.
    calls: bool,
    unwrapped: bool,
}

/// A block that is not complete.
#[derive(Debug)]
struct Open {
    index: u64,
    /// Number of the part; of blocks that come whole, not told yet.
    part: u32,
    block: Block,
}

#[derive(Debug)]
enum Block {
    Text,
    Thinking,
    Tool { empty: bool },
    Redacted(String),
    Image { format: String, bytes: String },
    Server(ServerBlock),
}

/// A block of a tool that the vendor runs itself.
#[derive(Debug)]
struct ServerBlock {
    what: String,
    members: Vec<(String, String)>,
    input: String,
    content: Vec<String>,
}

impl StreamReader for Reader {
    fn read(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if self.state.ended {
            // Nothing of the answer can follow its end.
            return Ok(());
        }
        if frame.kind == FrameKind::Exception {
            events.push(Event::Fault(fault::in_band(frame)));
            return Ok(());
        }
        self.tape
            .rescan(frame.data, &Rules::ANSWER)
            .map_err(|flaw| json::broken(&flaw, frame.data))?;
        let root = self.tape.root(frame.data);
        self.state
            .event(frame.event, root, events)
            .map_err(blame_provider)
    }

    fn close(&mut self, events: &mut Vec<Event>) -> Result<(), Fault> {
        if self.state.stopped && !self.state.ended {
            // The content is whole; only the usage is missing.
            self.state.end(events);
        }
        if self.state.ended {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

impl State {
    fn event(&mut self, name: &[u8], root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        root.as_object()?;
        match name {
            b"messageStart" => {
                if std::mem::replace(&mut self.started, true) {
                    return Err(root.fault("a message starts twice in one stream"));
                }
                events.push(Event::Open {
                    id: None,
                    model: None,
                    created_s: None,
                });
                Ok(())
            }
            b"contentBlockStart" => self.block_start(root, events),
            b"contentBlockDelta" => self.block_delta(root, events),
            b"contentBlockStop" => self.block_stop(root, events),
            b"messageStop" => {
                if !self.started || !self.open.is_empty() {
                    return Err(root.fault("a message stops in the middle"));
                }
                self.finish = Some(finish::read(&root.need_str("stopReason")?));
                self.stopped = true;
                Ok(())
            }
            b"metadata" => self.metadata(root, events),
            // The service model may gain event types; its own clients skip
            // those they do not know.
            _ => Ok(()),
        }
    }

    /// Traces and latency are the vendor's own and have no canonical place in
    /// a stream.
    fn metadata(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(told) = root.field("usage") {
            events.push(Event::Usage(usage::read(told)));
        }
        events.extend(usage::tier(root).map(Event::ServiceTier));
        if self.stopped {
            self.end(events);
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        if let Some(mut finish) = self.finish.take() {
            if self.unwrapped && !self.calls && finish.reason == FinishReason::ToolCalls {
                finish.reason = FinishReason::Stop;
            }
            events.push(Event::Finish { choice: 0, finish });
        }
        self.ended = true;
        events.push(Event::End);
    }

    fn block_start(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let index = self.index(root)?;
        if self.open.iter().any(|open| open.index == index) {
            return Err(root.fault("a block starts twice"));
        }
        let start = root.need("start")?.as_object()?;
        let Some(member) = start.members().find(|member| !member.value.is_null()) else {
            // A text block may be announced by an empty start.
            return Ok(());
        };
        let (name, told) = (member.name(), member.value.as_object()?);
        match &*name {
            "toolUse" if told.field("type").is_none() => {
                let tool = told.need_str("name")?;
                let head = if tool == FORMAT_TOOL {
                    self.unwrapped = true;
                    PartHead::Text
                } else {
                    self.calls = true;
                    PartHead::ToolCall {
                        id: told.need_str("toolUseId")?.into_owned(),
                        name: tool.into_owned(),
                        custom: false,
                    }
                };
                self.open(index, head, Block::Tool { empty: true }, events);
            }
            "image" => {
                let format = told.need_str("format")?.into_owned();
                let bytes = String::new();
                self.hold(index, Block::Image { format, bytes });
            }
            _ => {
                let members = told
                    .members()
                    .map(|member| (member.name().into_owned(), member.value.raw().to_owned()));
                self.hold(
                    index,
                    Block::Server(ServerBlock {
                        what: name.into_owned(),
                        members: members.collect(),
                        input: String::new(),
                        content: Vec::new(),
                    }),
                );
            }
        }
        Ok(())
    }

    fn index(&self, root: Json<'_>) -> Result<u64, Fault> {
        if !self.started {
            return Err(root.fault("a block comes before its message"));
        }
        root.need("contentBlockIndex")?.as_u64()
    }

    fn open(&mut self, index: u64, head: PartHead, block: Block, events: &mut Vec<Event>) -> u32 {
        let part = self.parts;
        self.parts += 1;
        self.open.push(Open { index, part, block });
        events.push(Event::PartOpen {
            choice: 0,
            part,
            head,
        });
        part
    }

    /// A block that becomes a part when it is whole.
    fn hold(&mut self, index: u64, block: Block) {
        self.open.push(Open {
            index,
            part: 0,
            block,
        });
    }

    fn block_delta(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let index = self.index(root)?;
        let delta = root.need("delta")?.as_object()?;
        let Some(member) = delta.members().find(|member| !member.value.is_null()) else {
            return Err(delta.fault("a delta that says nothing"));
        };
        let (name, told) = (member.name(), member.value);
        if !self.open.iter().any(|open| open.index == index) {
            self.open_by_delta(index, &name, told, events)?;
        }
        let open = self.open.iter_mut().find(|open| open.index == index);
        let Some(Open { part, block, .. }) = open else {
            return Err(root.fault("a delta belongs to no open block"));
        };
        let part = *part;
        match (block, &*name) {
            (Block::Text, "text") => push_text(&told.as_str()?, part, events),
            (Block::Text, "citation") => {
                let cited = Box::new(citation::read(told)?);
                events.push(delta_of(part, Delta::Citation(cited)));
            }
            (Block::Thinking, "reasoningContent") => reasoning(told, part, events)?,
            (Block::Redacted(data), "reasoningContent") => {
                data.push_str(&told.as_object()?.need_str("redactedContent")?);
            }
            (Block::Tool { empty }, "toolUse") => {
                let input = told.as_object()?.need_str("input")?;
                *empty &= input.is_empty();
                push_text(&input, part, events);
            }
            (Block::Image { bytes, .. }, "image") => {
                if let Some(source) = told.as_object()?.opt_object("source")? {
                    bytes.push_str(&source.need_str("bytes")?);
                }
            }
            (Block::Server(block), _) => block.grow(told)?,
            (
                Block::Text
                | Block::Thinking
                | Block::Redacted(_)
                | Block::Tool { .. }
                | Block::Image { .. },
                "text" | "citation" | "reasoningContent" | "toolUse" | "image" | "toolResult",
            ) => return Err(delta.fault("the delta does not fit its block")),
            // A kind of delta that is newer than this reader.
            (
                Block::Text
                | Block::Thinking
                | Block::Redacted(_)
                | Block::Tool { .. }
                | Block::Image { .. },
                _,
            ) => {}
        }
        Ok(())
    }

    /// Text and reasoning begin with their first delta.
    fn open_by_delta(
        &mut self,
        index: u64,
        name: &str,
        told: Json<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        match name {
            "text" | "citation" => {
                self.open(index, PartHead::Text, Block::Text, events);
            }
            "reasoningContent" if told.as_object()?.field("redactedContent").is_some() => {
                self.hold(index, Block::Redacted(String::new()));
            }
            "reasoningContent" => {
                let head = PartHead::Thinking { id: None };
                self.open(index, head, Block::Thinking, events);
            }
            "toolUse" | "toolResult" | "image" => {
                return Err(told.fault("the block has not started"));
            }
            // A kind of block that is newer than this reader.
            _ => self.hold(
                index,
                Block::Server(ServerBlock {
                    what: name.to_owned(),
                    members: Vec::new(),
                    input: String::new(),
                    content: Vec::new(),
                }),
            ),
        }
        Ok(())
    }

    fn block_stop(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let index = self.index(root)?;
        let Some(at) = self.open.iter().position(|open| open.index == index) else {
            // An empty text block: announced by nothing, ended by this.
            return Ok(());
        };
        let open = self.open.remove(at);
        let whole = match open.block {
            Block::Text | Block::Thinking => None,
            Block::Tool { empty } => {
                if empty {
                    events.push(delta_of(open.part, Delta::Text("{}".to_owned())));
                }
                None
            }
            Block::Redacted(data) => Some(redacted(&data)),
            Block::Image { format, bytes } => Some(image(&format, bytes)),
            Block::Server(block) => Some(block.finish()),
        };
        let part = match whole {
            None => open.part,
            Some(whole) => {
                let part = self.parts;
                self.parts += 1;
                events.push(Event::PartOpen {
                    choice: 0,
                    part,
                    head: PartHead::Whole(Box::new(whole)),
                });
                part
            }
        };
        events.push(Event::PartClose { choice: 0, part });
        Ok(())
    }
}

impl ServerBlock {
    fn grow(&mut self, told: Json<'_>) -> Result<(), Fault> {
        if told.kind() == json::Kind::Array {
            self.content
                .extend(told.items().map(|item| item.raw().to_owned()));
        } else if let Some(input) = told.field("input") {
            self.input.push_str(&input.as_str()?);
        } else {
            self.content.push(told.raw().to_owned());
        }
        Ok(())
    }

    fn finish(self) -> Part {
        let input = arguments(&self.input);
        let is_json = Tape::scan(input.as_bytes(), &Rules::ANSWER).is_ok();
        let json = json::object(|out| {
            out.object(&self.what, |out| {
                for (name, value) in &self.members {
                    out.raw(name, value);
                }
                if self.content.is_empty() && is_json {
                    out.raw("input", input);
                } else {
                    out.array("content", |array| {
                        self.content.iter().for_each(|item| array.raw(item));
                    });
                }
            });
        });
        opaque(&self.what, RawJson::new(json))
    }
}

fn reasoning(told: Json<'_>, part: u32, events: &mut Vec<Event>) -> Result<(), Fault> {
    if let Some(text) = told.as_object()?.opt_str("text")? {
        push_text(&text, part, events);
    }
    if let Some(value) = told
        .opt_string("signature")?
        .filter(|text| !text.is_empty())
    {
        let signature = Signature { dialect: ID, value };
        events.push(delta_of(part, Delta::Signature(signature)));
    }
    Ok(())
}

fn image(format: &str, data: String) -> Part {
    PartKind::Image {
        source: Media::Base64 {
            mime: Medium::Image.mime(format),
            data,
        },
        detail: None,
    }
    .into()
}

fn push_text(text: &str, part: u32, events: &mut Vec<Event>) {
    if !text.is_empty() {
        events.push(delta_of(part, Delta::Text(text.to_owned())));
    }
}

fn delta_of(part: u32, delta: Delta) -> Event {
    Event::PartDelta {
        choice: 0,
        part,
        delta,
    }
}

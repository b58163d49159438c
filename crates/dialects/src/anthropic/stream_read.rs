//! Reading a stream of messages: `message_start`, blocks with their deltas,
//! `message_delta` (cumulative, may repeat), `message_stop`.

use contract::answer::{Finish, FinishReason};
use contract::chat::Signature;
use contract::event::{Delta, PartHead};
use contract::{Event, Fault, Usage};

use super::content_read::{BlockReader, opaque_raw};
use super::opaque::OpaqueBlock;
use super::{ID, citation, fault, finish, usage};
use crate::dialect::StreamReader;
use crate::fold;
use crate::framing::Frame;
use crate::json::{self, Json, Rules, Tape, blame_provider};
use crate::stand_in::FORMAT_TOOL;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tape: Tape,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    ended: bool,
    parts: u32,
    open: Vec<Open>,
    usage: Usage,
    finish: Option<Finish>,
    stop_sequence: Option<String>,
    /// Tool calls other than the output format's.
    calls: bool,
    unwrapped: bool,
}

/// A block that is not complete.
#[derive(Debug)]
struct Open {
    index: u64,
    part: u32,
    block: Block,
}

#[derive(Debug)]
enum Block {
    Text,
    Thinking,
    /// A tool call and its input as told at its start, until a delta comes.
    Tool {
        input: Option<String>,
    },
    /// A part that was sent whole.
    Whole,
    Opaque(OpaqueBlock),
}

impl StreamReader for Reader {
    fn read(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if self.state.ended {
            // Nothing of the answer can follow its end marker.
            return Ok(());
        }
        self.tape
            .rescan(frame.data, &Rules::ANSWER)
            .map_err(|flaw| json::broken(&flaw, frame.data))?;
        let root = self.tape.root(frame.data);
        self.state.event(root, events).map_err(blame_provider)
    }

    fn close(&mut self, _events: &mut Vec<Event>) -> Result<(), Fault> {
        if self.state.ended {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

impl State {
    fn event(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        match &*root.as_object()?.need_str("type")? {
            "message_start" => self.start(root.need("message")?.as_object()?, events),
            "content_block_start" => self.open(root, events),
            "content_block_delta" => self.delta(root, events),
            "content_block_stop" => self.close(root, events),
            "message_delta" => self.message_delta(root, events),
            "message_stop" => self.stop(events),
            "ping" => {
                events.push(Event::Ping);
                Ok(())
            }
            "error" => {
                events.push(Event::Fault(fault::in_band(root)));
                Ok(())
            }
            // The vendor announces that new event types may come and asks
            // clients to ignore them.
            _ => Ok(()),
        }
    }

    fn start(&mut self, message: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.started, true) {
            return Err(message.fault("a message starts twice in one stream"));
        }
        events.push(Event::Open {
            id: message.opt_string("id")?,
            model: message.opt_string("model")?,
            created_s: None,
        });
        if let Some(told) = message.field("usage") {
            self.usage = usage::read_opening(told);
            events.push(Event::Usage(self.usage));
            events.extend(usage::tier(told).map(Event::ServiceTier));
        }
        Ok(())
    }

    fn open(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if !self.started {
            return Err(root.fault("a block comes before its message"));
        }
        let index = root.need("index")?.as_u64()?;
        if self.open.iter().any(|open| open.index == index) {
            return Err(root.fault("a block starts twice"));
        }
        let block = root.need("content_block")?.as_object()?;
        let kind = block.need_str("type")?;
        let (head, state, first) = match &*kind {
            "text" => (Some(PartHead::Text), Block::Text, block.opt_string("text")?),
            "thinking" => (
                Some(PartHead::Thinking { id: None }),
                Block::Thinking,
                block.opt_string("thinking")?,
            ),
            "tool_use" => {
                let (head, input) = self.tool(block)?;
                (Some(head), Block::Tool { input }, None)
            }
            "redacted_thinking" => {
                let part = BlockReader::default().block(block)?;
                (Some(PartHead::Whole(Box::new(part))), Block::Whole, None)
            }
            _ => (None, Block::Opaque(OpaqueBlock::new(&kind, block)), None),
        };
        let part = self.parts;
        self.open.push(Open {
            index,
            part,
            block: state,
        });
        if let Some(head) = head {
            self.parts += 1;
            events.push(Event::PartOpen {
                choice: 0,
                part,
                head,
            });
        }
        if let Some(text) = first.filter(|text| !text.is_empty()) {
            events.push(delta(part, Delta::Text(text)));
        }
        for cited in block.opt_array("citations")?.iter().flat_map(Json::items) {
            let cited = Box::new(citation::read(cited)?);
            events.push(delta(part, Delta::Citation(cited)));
        }
        Ok(())
    }

    fn tool(&mut self, block: Json<'_>) -> Result<(PartHead, Option<String>), Fault> {
        let name = block.need_str("name")?.into_owned();
        let input = block.opt_object("input")?;
        let input = input.map_or_else(|| "{}".to_owned(), |input| input.raw().to_owned());
        if name == FORMAT_TOOL {
            self.unwrapped = true;
            return Ok((PartHead::Text, Some(input)));
        }
        self.calls = true;
        let head = PartHead::ToolCall {
            id: block.need_str("id")?.into_owned(),
            name,
            custom: false,
        };
        Ok((head, Some(input)))
    }

    fn delta(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let index = root.need("index")?.as_u64()?;
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else {
            return Err(root.fault("a delta belongs to no open block"));
        };
        let told = root.need("delta")?.as_object()?;
        let kind = told.need_str("type")?;
        let part = open.part;
        match (&mut open.block, &*kind) {
            (Block::Text, "text_delta") => push_text(told.need_str("text")?, part, events),
            (Block::Text, "citations_delta") => {
                let cited = Box::new(citation::read(told.need("citation")?)?);
                events.push(delta(part, Delta::Citation(cited)));
            }
            (Block::Thinking, "thinking_delta") => {
                push_text(told.need_str("thinking")?, part, events);
            }
            (Block::Thinking, "signature_delta") => {
                let value = told.need_str("signature")?.into_owned();
                events.push(delta(
                    part,
                    Delta::Signature(Signature { dialect: ID, value }),
                ));
            }
            (Block::Tool { input }, "input_json_delta") => {
                let json = told.need_str("partial_json")?;
                if !json.is_empty() {
                    *input = None;
                }
                push_text(json, part, events);
            }
            (Block::Opaque(block), _) => block.grow(told),
            (
                Block::Text | Block::Thinking | Block::Tool { .. } | Block::Whole,
                "text_delta" | "citations_delta" | "thinking_delta" | "signature_delta"
                | "input_json_delta",
            ) => return Err(told.fault("the delta does not fit its block")),
            // A kind of delta that is newer than this reader, for a block
            // whose content is told by the kinds it knows.
            (Block::Text | Block::Thinking | Block::Tool { .. } | Block::Whole, _) => {}
        }
        Ok(())
    }

    fn close(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        let index = root.need("index")?.as_u64()?;
        let Some(at) = self.open.iter().position(|open| open.index == index) else {
            return Err(root.fault("a block stops that is not open"));
        };
        let open = self.open.remove(at);
        let mut part = open.part;
        match open.block {
            Block::Text | Block::Thinking | Block::Whole | Block::Tool { input: None } => {}
            Block::Tool { input: Some(input) } => events.push(delta(part, Delta::Text(input))),
            Block::Opaque(block) => {
                // Opaque blocks come whole, so they take their number now.
                part = self.parts;
                self.parts += 1;
                let (what, json) = block.finish();
                events.push(Event::PartOpen {
                    choice: 0,
                    part,
                    head: PartHead::Whole(Box::new(opaque_raw(&what, json))),
                });
            }
        }
        events.push(Event::PartClose { choice: 0, part });
        Ok(())
    }

    fn message_delta(&mut self, root: Json<'_>, events: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(told) = root.opt_object("delta")? {
            if let Some(stop) = told.opt_string("stop_sequence")? {
                self.stop_sequence = Some(stop);
            }
            if let Some(word) = told.opt_str("stop_reason")? {
                self.finish = Some(finish::read(&word, None));
            }
        }
        if let Some(told) = root.field("usage") {
            self.usage = usage::read(told, &self.usage);
            events.push(Event::Usage(self.usage));
            events.extend(usage::tier(told).map(Event::ServiceTier));
        }
        Ok(())
    }

    fn stop(&mut self, events: &mut Vec<Event>) -> Result<(), Fault> {
        if !self.started || !self.open.is_empty() {
            return Err(Fault::upstream_broken(
                "The provider ended a message in the middle. Try again; if it persists, look \
                 at the provider's status.",
            ));
        }
        if let Some(mut finish) = self.finish.take() {
            finish.stop_sequence = self.stop_sequence.take();
            if self.unwrapped && !self.calls && finish.reason == FinishReason::ToolCalls {
                finish.reason = FinishReason::Stop;
            }
            events.push(Event::Finish { choice: 0, finish });
        }
        self.ended = true;
        events.push(Event::End);
        Ok(())
    }
}

fn push_text(text: std::borrow::Cow<'_, str>, part: u32, events: &mut Vec<Event>) {
    if !text.is_empty() {
        events.push(delta(part, Delta::Text(text.into_owned())));
    }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::PartDelta {
        choice: 0,
        part,
        delta,
    }
}

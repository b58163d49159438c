//! Watching a stream of messages that passes verbatim.

use contract::{Fault, Usage};

use super::{fault, finish, usage};
use crate::dialect::{Keep, StreamWatcher, Tally};
use crate::fold;
use crate::framing::Frame;
use crate::json::{self, Familiar, Json, Kind, Rules, Tape, blame_provider};

/// Watches one stream.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    tape: Tape,
    /// The delta before. One that differs in its text alone tells nothing new.
    before: Familiar,
}

impl StreamWatcher for Watcher {
    fn see(&mut self, frame: Frame<'_>, tally: &mut Tally) -> Result<Keep, Fault> {
        let is_delta = frame.event == b"content_block_delta";
        if is_delta && self.before.is(frame.data) {
            tally.seen.again(self.before.text_bytes(frame.data));
            return Ok(Keep::Pass);
        }
        self.tape
            .rescan(frame.data, &Rules::ANSWER)
            .map_err(|flaw| json::broken(&flaw, frame.data))?;
        // Most frames are deltas; of them only that they came matters.
        let root = self.tape.root(frame.data);
        if is_delta {
            tally.committed = true;
            if let Some((text, is_thought)) = text_of(root) {
                count(text, is_thought, tally);
                self.before.learn(frame.data, text.span());
            }
        } else {
            note(root, tally).map_err(blame_provider)?;
        }
        Ok(Keep::Pass)
    }

    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        if tally.ended || tally.fault.is_some() {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

fn count(text: Json<'_>, is_thought: bool, tally: &mut Tally) {
    match is_thought {
        true => tally.seen.thought(text.text_bytes()),
        false => tally.seen.piece(text.text_bytes()),
    }
}

/// The text, thinking or piece of arguments in a delta, and whether it is
/// thinking.
fn text_of(root: Json<'_>) -> Option<(Json<'_>, bool)> {
    let mut members = root.field("delta")?.members();
    let text = members.find(|member| {
        let is_text = matches!(member.value.kind(), Kind::String | Kind::EscapedString);
        // A signature is no part of what the model wrote.
        is_text && !member.is("type") && !member.is("signature")
    });
    text.map(|member| (member.value, member.is("thinking")))
}

fn take_tier(told: Json<'_>, tally: &mut Tally) {
    if let Some(word) = usage::tier(told) {
        tally.take_tier(&word);
    }
}

fn note(root: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    match &*root.as_object()?.need_str("type")? {
        "message_start" => {
            let message = root.need("message")?;
            tally.id = message.opt_string("id")?;
            tally.model = message.opt_string("model")?;
            if let Some(told) = message.field("usage") {
                tally.usage = Some(usage::read_opening(told));
                take_tier(told, tally);
            }
        }
        "content_block_start" => {
            // Text and thinking start empty; every other block says something
            // by its start.
            let block = root.need("content_block")?;
            let kind = block.need_str("type")?;
            tally.committed |= !matches!(&*kind, "text" | "thinking");
            for key in ["text", "thinking", "name"] {
                if let Some(text) = block.get(key) {
                    count(text, key == "thinking", tally);
                }
            }
        }
        "content_block_delta" => {
            tally.committed = true;
            if let Some((text, is_thought)) = text_of(root) {
                count(text, is_thought, tally);
            }
        }
        "message_delta" => {
            if let Some(told) = root.field("usage") {
                let before = tally.usage.unwrap_or_default();
                let now = usage::read(told, &before);
                tally.usage.get_or_insert_with(Usage::default).merge(&now);
                take_tier(told, tally);
            }
            let stop = root
                .field("delta")
                .and_then(|told| told.field("stop_reason"));
            if let Some(word) = stop {
                tally.finish = Some(finish::read(&word.as_str()?, None).reason);
            }
        }
        "message_stop" => tally.ended = true,
        "error" => tally.fault = Some(fault::in_band(root)),
        // Pings, block stops, and event types that are newer than this watcher.
        _ => {}
    }
    Ok(())
}

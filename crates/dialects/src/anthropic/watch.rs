//! Watching a stream of messages that passes verbatim.

use contract::Fault;

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
            return Ok(Keep::Pass);
        }
        self.tape
            .rescan(frame.data, &Rules::ANSWER)
            .map_err(|flaw| json::broken(&flaw, frame.data))?;
        // Most frames are deltas; of them only that they came matters.
        let root = self.tape.root(frame.data);
        if is_delta {
            tally.committed = true;
            if let Some(text) = text_of(root) {
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

/// The text, thinking or piece of arguments in a delta.
fn text_of(root: Json<'_>) -> Option<Json<'_>> {
    let mut members = root.field("delta")?.members();
    let text = members.find(|member| {
        matches!(member.value.kind(), Kind::String | Kind::EscapedString) && !member.is("type")
    });
    text.map(|member| member.value)
}

fn note(root: Json<'_>, tally: &mut Tally) -> Result<(), Fault> {
    match &*root.as_object()?.need_str("type")? {
        "message_start" => {
            let message = root.need("message")?;
            tally.id = message.opt_string("id")?;
            tally.model = message.opt_string("model")?;
            let told = message.opt_object("usage")?;
            tally.usage = told.map(usage::read_opening).transpose()?;
        }
        "content_block_start" => {
            // Text and thinking start empty; every other block says something
            // by its start.
            let block = root.need("content_block")?.need_str("type")?;
            tally.committed |= !matches!(&*block, "text" | "thinking");
        }
        "content_block_delta" => tally.committed = true,
        "message_delta" => {
            if let Some(told) = root.opt_object("usage")? {
                let before = tally.usage.unwrap_or_default();
                tally.usage = Some(usage::read(told, &before)?);
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

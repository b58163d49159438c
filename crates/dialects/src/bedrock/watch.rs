//! Watching a Converse stream that passes verbatim.

use contract::Fault;

use super::{fault, finish, usage};
use crate::dialect::{Keep, Seen, StreamWatcher, Tally};
use crate::fold;
use crate::framing::{Frame, FrameKind};
use crate::json::{self, Json, Rules, Tape, blame_provider};

/// Watches one stream.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    tape: Tape,
    stopped: bool,
}

impl StreamWatcher for Watcher {
    fn see(&mut self, frame: Frame<'_>, tally: &mut Tally) -> Result<Keep, Fault> {
        if frame.kind == FrameKind::Exception {
            tally.fault = Some(fault::in_band(frame));
            return Ok(Keep::Pass);
        }
        self.tape
            .rescan(frame.data, &Rules::ANSWER)
            .map_err(|flaw| json::broken(&flaw, frame.data))?;
        match frame.event {
            // Most frames are deltas; of them only that they came matters, and
            // how much text they bore.
            b"contentBlockDelta" => {
                tally.committed = true;
                count(self.tape.root(frame.data), &mut tally.seen);
            }
            b"contentBlockStart" => {
                tally.committed = true;
                let start = self.tape.root(frame.data).field("start");
                let name = start.and_then(|start| start.field("toolUse")?.field("name"));
                tally.seen.piece(name.map_or(0, |name| name.text_bytes()));
            }
            b"messageStop" | b"metadata" => {
                let root = self.tape.root(frame.data);
                note(frame.event, root, &mut self.stopped, tally).map_err(blame_provider)?;
            }
            _ => {}
        }
        Ok(Keep::Pass)
    }

    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        if self.stopped {
            // The content is whole, with or without the metadata behind it.
            tally.ended = true;
        }
        if tally.ended || tally.fault.is_some() {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

/// Counts the text, reasoning or piece of arguments in a delta.
fn count(root: Json<'_>, seen: &mut Seen) {
    let Some(delta) = root.field("delta") else {
        return;
    };
    let bytes = |text: Option<Json<'_>>| text.map_or(0, |text| text.text_bytes());
    let input = || delta.field("toolUse")?.field("input");
    match delta.field("reasoningContent") {
        Some(reasoning) => seen.thought(bytes(reasoning.field("text"))),
        None => seen.piece(bytes(delta.field("text").or_else(input))),
    }
}

fn note(event: &[u8], root: Json<'_>, stopped: &mut bool, tally: &mut Tally) -> Result<(), Fault> {
    if event == b"messageStop" {
        let word = root.as_object()?.need_str("stopReason")?;
        tally.finish = Some(finish::read(&word).reason);
        *stopped = true;
        return Ok(());
    }
    if let Some(told) = root.as_object()?.field("usage") {
        tally.usage = Some(usage::read(told));
    }
    if let Some(word) = usage::tier(root) {
        tally.take_tier(&word);
    }
    tally.ended = *stopped;
    Ok(())
}

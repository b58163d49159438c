//! Ending a Converse stream before its time.

use contract::Usage;
use contract::answer::{Finish, FinishReason};

use super::stream_write::put;
use super::{answer, finish, usage};
use crate::dialect::StreamEnder;
use crate::framing::{Frame, FrameKind};
use crate::json::{Rules, Tape};

/// Ends one stream.
#[derive(Debug, Default)]
pub(super) struct Ender {
    tape: Tape,
    /// Indexes of the blocks that are open; some begin with their first delta.
    open: Vec<u64>,
    /// The reason was told.
    stopped: bool,
    /// The figures behind it were.
    ended: bool,
}

impl StreamEnder for Ender {
    fn see(&mut self, frame: Frame<'_>) {
        let is_stop = frame.event == b"contentBlockStop";
        match frame.event {
            _ if frame.kind != FrameKind::Event => {}
            b"contentBlockStart" | b"contentBlockDelta" | b"contentBlockStop" => {
                if self.tape.rescan(frame.data, &Rules::ANSWER).is_err() {
                    return;
                }
                let index = self.tape.root(frame.data).get("contentBlockIndex");
                let Some(index) = index.and_then(|index| index.u64()) else {
                    return;
                };
                if is_stop {
                    self.open.retain(|open| *open != index);
                } else if !self.open.contains(&index) {
                    self.open.push(index);
                }
            }
            b"messageStop" => self.stopped = true,
            b"metadata" => self.ended = true,
            _ => {}
        }
    }

    fn end(&mut self, told: &Usage, out: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return false;
        }
        for index in self.open.drain(..) {
            put(out, "contentBlockStop", |event| {
                event.int("contentBlockIndex", index);
            });
        }
        if !self.stopped {
            let length = Finish::from(FinishReason::Length);
            put(out, "messageStop", |event| {
                event.str("stopReason", finish::word(&length, false));
            });
        }
        put(out, "metadata", |event| {
            event.object("usage", |out| usage::write(told, out));
            answer::put_metrics(event);
        });
        !self.stopped
    }
}

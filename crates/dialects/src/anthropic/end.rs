//! Ending a stream of messages before its time.

use contract::Usage;
use contract::answer::FinishReason;

use super::finish::{self, Held};
use super::stream_write::put;
use super::usage;
use crate::dialect::StreamEnder;
use crate::framing::Frame;
use crate::json::{Json, Rules, Tape};

/// Ends one stream.
#[derive(Debug, Default)]
pub(super) struct Ender {
    tape: Tape,
    /// Indexes of the blocks that are open.
    open: Vec<u64>,
    /// The reason was told.
    stopped: bool,
    /// The end marker was.
    ended: bool,
}

impl StreamEnder for Ender {
    fn see(&mut self, frame: Frame<'_>) {
        match frame.event {
            // Most frames are deltas, which open and close nothing.
            b"content_block_delta" | b"ping" => {}
            b"content_block_start" | b"content_block_stop" => {
                if self.tape.rescan(frame.data, &Rules::ANSWER).is_err() {
                    return;
                }
                let root = self.tape.root(frame.data);
                let Some(index) = root.get("index").and_then(|index| index.u64()) else {
                    return;
                };
                self.open.retain(|open| *open != index);
                if frame.event == b"content_block_start" {
                    self.open.push(index);
                }
            }
            b"message_delta" => {
                let read = self.tape.rescan(frame.data, &Rules::ANSWER);
                self.stopped |= read.is_ok() && tells_reason(self.tape.root(frame.data));
            }
            b"message_stop" => self.ended = true,
            _ => {}
        }
    }

    fn end(&mut self, told: &Usage, out: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return false;
        }
        for index in self.open.drain(..) {
            put(out, "content_block_stop", |event| event.int("index", index));
        }
        if !self.stopped {
            put(out, "message_delta", |event| {
                event.object("delta", |delta| {
                    let word = finish::word(FinishReason::Length, Held::default());
                    delta.str("stop_reason", word);
                    delta.null("stop_sequence");
                });
                event.object("usage", |out| usage::write(told, out));
            });
        }
        put(out, "message_stop", |_| {});
        !self.stopped
    }
}

fn tells_reason(root: Json<'_>) -> bool {
    let delta = root.field("delta");
    delta.is_some_and(|delta| delta.field("stop_reason").is_some())
}

//! Ending a stream before its time: a last piece with the reason and the
//! usage. There is no end marker.

use std::collections::BTreeMap;

use contract::Usage;
use contract::answer::{Finish, FinishReason};

use super::stream_write::put_content;
use super::{finish, usage};
use crate::dialect::StreamEnder;
use crate::framing::{self, Frame};
use crate::json::{self, Json, Rules, Tape};

/// Most candidates that are ended.
const CANDIDATES_MAX: u64 = 64;

/// Ends one stream.
#[derive(Debug, Default)]
pub(super) struct Ender {
    tape: Tape,
    /// Candidates that were seen, and whether their reason was told.
    candidates: BTreeMap<u64, bool>,
    /// The prompt was refused, so there is no candidate.
    blocked: bool,
    model: Option<String>,
    id: Option<String>,
}

impl StreamEnder for Ender {
    fn see(&mut self, frame: Frame<'_>) {
        if self.tape.rescan(frame.data, &Rules::ANSWER).is_err() {
            return;
        }
        for member in self.tape.root(frame.data).members() {
            let value = member.value;
            match &*member.name_bytes() {
                b"candidates" => {
                    for (place, candidate) in value.items().enumerate() {
                        let index = candidate.get("index").and_then(|index| index.u64());
                        let index = index.unwrap_or(place as u64);
                        let finished = self.candidates.entry(index).or_default();
                        *finished |= tells_reason(candidate);
                    }
                }
                b"modelVersion" => self.model = text(value),
                b"responseId" => self.id = text(value),
                b"promptFeedback" => self.blocked |= value.field("blockReason").is_some(),
                _ => {}
            }
        }
    }

    fn end(&mut self, told: &Usage, out: &mut Vec<u8>) -> bool {
        // Clients number what they got: one that said nothing yet is there.
        let last = self.candidates.keys().next_back();
        for index in 0..last.map_or(0, |last| (*last).min(CANDIDATES_MAX)) {
            self.candidates.entry(index).or_default();
        }
        let cut: Vec<u64> = self
            .candidates
            .iter_mut()
            .filter_map(|(index, finished)| (!std::mem::replace(finished, true)).then_some(*index))
            .collect();
        if self.blocked || cut.is_empty() {
            return false;
        }
        let length = Finish::from(FinishReason::Length);
        let data = json::object(|out| {
            out.array("candidates", |array| {
                for index in cut {
                    array.object(|out| {
                        put_content(r#"{"text":""}"#, out);
                        out.str("finishReason", finish::word(&length, false));
                        out.int("index", index);
                    });
                }
            });
            out.object("usageMetadata", |out| usage::write(told, out));
            out.opt_str("modelVersion", self.model.as_deref());
            out.opt_str("responseId", self.id.as_deref());
        });
        out.extend_from_slice(b"data: ");
        framing::push_line(out, &data);
        out.extend_from_slice(b"\r\n\r\n");
        true
    }
}

fn tells_reason(candidate: Json<'_>) -> bool {
    let word = candidate
        .field("finishReason")
        .and_then(|reason| reason.str());
    word.is_some_and(|word| word != "FINISH_REASON_UNSPECIFIED")
}

fn text(value: Json<'_>) -> Option<String> {
    value.str().map(|text| text.into_owned())
}

//! Watching a stream that passes verbatim.

use contract::answer::FinishReason;
use contract::{Fault, Usage};

use super::{answer, fault, finish, usage};
use crate::dialect::{Keep, Seen, StreamWatcher, Tally};
use crate::fold;
use crate::framing::Frame;
use crate::json::{self, Json, Kind, Rules, Tape, blame_provider};

/// Watches one stream.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    tape: Tape,
    progress: Progress,
}

impl StreamWatcher for Watcher {
    fn see(&mut self, frame: Frame<'_>, tally: &mut Tally) -> Result<Keep, Fault> {
        self.tape
            .rescan(frame.data, &Rules::ANSWER)
            .map_err(|flaw| json::broken(&flaw, frame.data))?;
        let root = self.tape.root(frame.data);
        if let Some(detail) = fault::detail(root) {
            tally.fault = Some(fault::in_band(detail));
            return Ok(Keep::Pass);
        }
        note(root, &mut self.progress, tally).map_err(blame_provider)?;
        tally.ended = self.progress.is_whole();
        Ok(Keep::Pass)
    }

    fn close(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        if self.progress.is_whole() || tally.fault.is_some() {
            Ok(())
        } else {
            Err(fold::unfinished())
        }
    }
}

/// How far an answer has come: which candidates were seen, which finished.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    seen: u64,
    finished: u64,
    called: bool,
    blocked: bool,
}

impl Progress {
    /// Whether there is no answer at all.
    pub(super) fn is_empty(self) -> bool {
        self.seen == 0 && !self.blocked
    }

    /// Whether every candidate is finished.
    fn is_whole(self) -> bool {
        !self.is_empty() && self.seen == self.finished
    }
}

/// Takes from an answer, or a piece of one, what the evidence needs.
pub(super) fn note(
    root: Json<'_>,
    progress: &mut Progress,
    tally: &mut Tally,
) -> Result<(), Fault> {
    for member in root.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        if member.is("candidates") {
            for (place, one) in value.as_array()?.items().enumerate() {
                candidate(one, place, progress, tally)?;
            }
        } else if member.is("responseId") {
            if tally.id.is_none() {
                tally.id = Some(value.as_str()?.into_owned());
            }
        } else if member.is("modelVersion") {
            if tally.model.is_none() {
                tally.model = Some(value.as_str()?.into_owned());
            }
        } else if member.is("promptFeedback") && value.field("blockReason").is_some() {
            progress.blocked = true;
            tally.finish.get_or_insert(FinishReason::ContentFilter);
            // The refusal is the answer.
            tally.committed = true;
        }
    }
    if let Some(told) = usage::of_answer(root) {
        tally.usage.get_or_insert_with(Usage::default).merge(&told);
    }
    if let Some(word) = usage::tier_word(root) {
        tally.take_tier(&word);
    }
    Ok(())
}

fn is_true(value: Json<'_>) -> bool {
    value.kind() == Kind::True
}

/// Counts what a part says.
fn count(part: Json<'_>, seen: &mut Seen) {
    for member in part.members() {
        let value = member.value;
        match &*member.name_bytes() {
            b"text" if part.field("thought").is_some_and(is_true) => {
                seen.thought(value.text_bytes());
            }
            b"text" => seen.piece(value.text_bytes()),
            b"functionCall" => {
                let name = value.get("name").map_or(0, |name| name.text_bytes());
                let args = value.get("args").map_or(0, |args| args.span().len());
                seen.piece(name + args);
            }
            b"inlineData" => seen.media = seen.media.saturating_add(1),
            _ => {}
        }
    }
}

fn candidate(
    candidate: Json<'_>,
    place: usize,
    progress: &mut Progress,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let mut index = place as u64;
    let mut word = None;
    let mut called = false;
    for member in candidate.as_object()?.members() {
        let value = member.value;
        if value.is_null() {
            continue;
        }
        if member.is("content") {
            let parts = value.as_object()?.opt_array("parts")?;
            for part in parts.iter().flat_map(Json::items) {
                tally.committed |= answer::says(part);
                count(part, &mut tally.seen);
                called |= part.field("functionCall").is_some();
            }
        } else if member.is("index") {
            index = value.as_u64()?;
        } else if member.is("finishReason") {
            word = Some(value.as_str()?);
        }
    }
    if index >= 64 {
        return Err(candidate.fault("the index of a candidate is out of range"));
    }
    progress.seen |= 1 << index;
    progress.called |= called && index == 0;
    if let Some(word) = word.filter(|word| word != "FINISH_REASON_UNSPECIFIED") {
        progress.finished |= 1 << index;
        if index == 0 {
            tally.finish = Some(finish::read(&word, progress.called).reason);
        }
        // An answer without content is committed by its end.
        tally.committed = true;
    }
    Ok(())
}

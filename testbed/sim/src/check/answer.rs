//! The answer as the caller got it: complete or visibly not, nothing of any
//! other attempt in it, and in agreement with the record.

use dialects::framing::FRAME_BYTES_MAX;
use evidence::Outcome;
use serde_json::Value;

use super::attempts::Served;
use super::{Case, Findings, head};
use crate::expect::{Ending, Told};
use crate::ledger::{Call, Who};
use crate::seen;

/// Bytes of a stream that may be gathered before they are passed on. A
/// translation may make fewer bytes of more, so several times the limit of
/// the flow.
const GATHERED_BYTES_MAX: usize = 4 * 16 * 1024;

/// Checks the answer of an exchange.
pub(super) fn check(
    case: &Case<'_>,
    served: Option<&Served<'_>>,
    held: usize,
    findings: &mut Findings,
) {
    let Case { index, heard, .. } = case;
    let Some(status) = heard.status else {
        findings.demand(case.record.outcome == Outcome::Cancelled, "outcome", || {
            format!(
                "x{index} heard nothing and is recorded as {:?}",
                case.record.outcome
            )
        });
        return;
    };
    findings.demand(!heard.cut, "stream-end", || format!("x{index} was cut off"));
    head::record(case, status, findings);
    if status >= 400 {
        head::refused(case, status, served, findings);
        return;
    }
    head::losses(case, findings);
    strays(case, served, findings);
    if heard.streamed {
        stream(case, served, findings);
        memory(case, served, held, findings);
    } else {
        whole(case, served, findings);
    }
}

/// Nothing of another attempt, or of another exchange, is in the answer.
fn strays(case: &Case<'_>, served: Option<&Served<'_>>, findings: &mut Findings) {
    let Some(served) = served else { return };
    let own = Who {
        exchange: case.index,
        candidate: served.candidate,
    };
    let marks = seen::marks(&case.heard.body);
    let stray = marks.iter().find(|(who, _)| *who != own);
    findings.demand(stray.is_none(), "leak", || {
        format!("x{}: {own} answered, and {stray:?} is in it", case.index)
    });
}

fn whole(case: &Case<'_>, served: Option<&Served<'_>>, findings: &mut Findings) {
    let Case {
        index,
        heard,
        record,
        ..
    } = case;
    findings.demand(record.outcome == Outcome::Complete, "outcome", || {
        format!(
            "x{index} got a whole answer and is recorded as {:?}",
            record.outcome
        )
    });
    let json = serde_json::from_slice::<Value>(&heard.body);
    findings.demand(json.is_ok(), "whole-json", || {
        format!("x{index}: the answer is no JSON: {json:?}")
    });
    findings.demand(!case.plan.stream, "whole-json", || {
        format!("x{index} asked for a stream and got a whole answer")
    });
    let Some(Served {
        candidate,
        call: Some((call, _)),
        ..
    }) = served
    else {
        return;
    };
    if case.same(*candidate) {
        findings.demand(heard.body == call.pulled, "verbatim", || {
            format!("x{index}: the bytes of the answer changed")
        });
    }
    let sorted = |bytes: &[u8]| {
        let mut marks: Vec<usize> = seen::marks(bytes).iter().map(|mark| mark.1).collect();
        marks.sort_unstable();
        marks
    };
    findings.demand(
        sorted(&heard.body) == sorted(&call.pulled),
        "content",
        || format!("x{index}: words were lost or doubled"),
    );
}

fn stream(case: &Case<'_>, served: Option<&Served<'_>>, findings: &mut Findings) {
    let Case {
        index,
        heard,
        record,
        plan,
        ..
    } = case;
    let got = seen::stream(plan.front.id(), &heard.body);
    let told = served.and_then(|served| Some((served, served.call.as_ref()?.1.told.as_ref()?)));
    let upstream_whole = told.is_none_or(|(_, told)| told.ending == Ending::Whole);
    let ends = |frame: &seen::Frame| {
        // Behind its finish, this dialect's metadata may be missing.
        frame.end || (upstream_whole && frame.finish && plan.front.id().0 == "bedrock")
    };
    let first_end = got.frames.iter().position(ends);
    let errors = got.frames.iter().filter(|frame| frame.error).count();
    if heard.finished {
        findings.demand(got.rest == 0, "stream-end", || {
            format!("x{index}: the stream ends within a frame")
        });
        let outcome = if upstream_whole {
            Outcome::Complete
        } else {
            Outcome::Cut
        };
        findings.demand(record.outcome == outcome, "outcome", || {
            format!("x{index}: the stream is recorded as {:?}", record.outcome)
        });
    }
    if heard.finished && upstream_whole {
        findings.demand(errors == 0 && first_end.is_some(), "stream-end", || {
            format!("x{index}: a good stream has {errors} errors and end {first_end:?}")
        });
        findings.demand(record.fault.is_none(), "outcome", || {
            format!("x{index}: a good stream has the fault {:?}", record.fault)
        });
    }
    if heard.finished && !upstream_whole {
        let last = got.frames.last().is_some_and(|frame| frame.error);
        findings.demand(last && errors == 1, "stream-end", || {
            format!("x{index}: a broken stream has {errors} errors, the last frame is one: {last}")
        });
        let told_end = told.is_some_and(|(_, told)| {
            let before = &told.stream.frames[..told.stop];
            before.iter().any(|frame| frame.finish)
        });
        let excused = told_end && matches!(plan.front.id().0, "bedrock");
        findings.demand(first_end.is_none() || excused, "stream-end", || {
            format!("x{index}: a broken stream has an end marker")
        });
        if let Some((served, _)) = told {
            blamed(case, served, findings);
        }
    }
    if let Some((served, told)) = told {
        content(case, (served, told), &got, findings);
    }
}

/// The record names the fault that cut a stream.
fn blamed(case: &Case<'_>, served: &Served<'_>, findings: &mut Findings) {
    let Some((_, expect)) = &served.call else {
        return;
    };
    let fault = case.record.fault.as_ref();
    let kind = fault.map_or("none", |fault| &*fault.kind);
    findings.demand(expect.kinds.contains(&kind), "fault", || {
        format!(
            "x{}: cut by {kind} instead of {:?}",
            case.index, expect.kinds
        )
    });
    let origin = fault.map_or("none", |fault| &*fault.origin);
    findings.demand(origin == "provider", "origin", || {
        format!("x{}: the cut is blamed on {origin}", case.index)
    });
}

/// What the stream says is what the upstream said.
fn content(
    case: &Case<'_>,
    (served, told): (&Served<'_>, &Told),
    got: &seen::Stream,
    findings: &mut Findings,
) {
    let Case { index, heard, .. } = case;
    let Some((call, _)) = &served.call else {
        return;
    };
    let complete = heard.finished && told.ending == Ending::Whole;
    if case.same(served.candidate) {
        verbatim(case, (call, told), got, findings);
    }
    let marks = |frames: &[seen::Frame]| -> Vec<usize> {
        let marks = frames.iter().flat_map(|frame| &frame.marks);
        marks.map(|mark| mark.1).collect()
    };
    let said = marks(&told.stream.frames[..told.stop]);
    let heard_words = marks(&got.frames);
    let holds = if complete {
        said == heard_words
    } else {
        said.starts_with(&heard_words)
    };
    findings.demand(holds, "content", || {
        format!("x{index}: the upstream said {said:?}, the caller heard {heard_words:?}")
    });
}

/// The same dialect on both sides: the bytes pass as they came.
fn verbatim(
    case: &Case<'_>,
    (call, told): (&Call, &Told),
    got: &seen::Stream,
    findings: &mut Findings,
) {
    let Case {
        index, heard, plan, ..
    } = case;
    let complete = heard.finished && told.ending == Ending::Whole;
    // A server that tells usage unasked is not asked: nothing of it is ours.
    let asked = providers::kind(case.candidate(call.who.candidate).kind)
        .is_some_and(|kind| !kind.quirks.usage_unasked);
    let hides = plan.front.id().0 == "openai_chat" && !plan.usage && asked;
    // The LF of a blank line may arrive behind a frame that was hidden, and
    // then passes alone: an empty line, which says nothing.
    let visible = |bytes: &[u8]| -> Vec<u8> {
        let bytes = bytes.iter().copied();
        bytes
            .filter(|byte| !hides || !matches!(byte, b'\r' | b'\n'))
            .collect()
    };
    let mut wanted = Vec::new();
    let mut enough = 0;
    for frame in &told.stream.frames[..told.stop] {
        if !(hides && frame.only_usage) {
            wanted.extend(visible(&call.pulled[frame.range.clone()]));
        }
        if frame.end && enough == 0 {
            enough = wanted.len();
        }
    }
    // An error that the upstream reported passes as it came; one of ours
    // stands behind what passed.
    let ours = told.ending != Ending::Error && told.ending != Ending::Whole;
    let passed = match got.frames.last() {
        Some(last) if ours && last.error => &heard.body[..last.range.start],
        Some(_) | None => &heard.body[..],
    };
    let passed = &visible(passed)[..];
    let holds = if complete {
        wanted.starts_with(passed) && passed.len() >= enough
    } else if heard.finished {
        wanted == passed
    } else {
        wanted.starts_with(passed)
    };
    findings.demand(holds, "verbatim", || {
        format!(
            "x{index}: {} bytes passed of {}",
            passed.len(),
            wanted.len()
        )
    });
}

fn memory(case: &Case<'_>, served: Option<&Served<'_>>, held: usize, findings: &mut Findings) {
    let Some(served) = served else { return };
    let Some(script) = &case.candidate(served.candidate).script else {
        return;
    };
    let frame = script.frame_bytes_max.min(FRAME_BYTES_MAX);
    let limit = GATHERED_BYTES_MAX + frame + script.chunk_bytes_max;
    findings.demand(held <= limit, "memory", || {
        format!(
            "x{}: {held} bytes were held, the limit is {limit}",
            case.index
        )
    });
}

//! The catalogue of faults: what an upstream does with one call.

use bytes::Bytes;
use contract::seams::WireFaultKind;
use contract::{Fault, FaultKind, Origin};
use dialects::Dialect;

use crate::answers::{self, Told};
use crate::chance::Chance;
use crate::ledger::Who;
use crate::seen;

/// What an upstream does with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers well.
    Good,
    /// The wire fails before the head.
    Wire(WireFaultKind),
    /// Says nothing until the deadline of the head, which the wire keeps.
    NoHead,
    /// Refuses.
    Status {
        code: u16,
        retry_after_s: Option<u64>,
        body: ErrorBody,
    },
    /// Closes in the middle of the answer.
    Cut,
    /// Closes before anything.
    Empty,
    /// The connection breaks in the middle of the answer.
    Reset,
    /// Falls silent in the middle of the answer.
    Stall,
    /// Bytes that are no answer.
    Garbage,
    /// An error body under a 200.
    ErrorUnder200,
    /// A good answer under the wrong content type.
    WrongType,
    /// A good answer that is said to be compressed.
    Gzip,
    /// More than is accepted: a body, or one frame.
    Huge,
    /// Stream: all but the end marker.
    NoEnd,
    /// Stream: a role and no more.
    RoleOnly,
    /// Stream: an error frame in the middle, perhaps an end marker behind it.
    InBand { end_behind: bool },
    /// Stream: one frame in the middle cannot be read.
    BadFrame,
    /// Stream: comments without end before the first content.
    Flood,
    /// Stream: the end marker twice.
    EndTwice,
    /// Stream: rubbish behind the end marker.
    BytesBehindEnd,
    /// Stream: a reset behind the end marker.
    ResetBehindEnd,
    /// Stream: silence behind the end marker.
    StallBehindEnd,
}

/// The body of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorBody {
    /// As the vendor documents it.
    Vendor,
    Html,
    Empty,
    Garbage,
    /// The vendor's, cut off by silence.
    Silent,
}

/// What comes before the body.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    Fails(WireFaultKind),
    Silent,
    Answers {
        status: u16,
        headers: Vec<(&'static str, String)>,
    },
}

/// One step of a body.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Bytes(Bytes),
    /// What follows comes so much later.
    Wait {
        ms: u64,
    },
    /// Nothing follows, not even an end.
    Silence,
    Reset,
}

/// One call, step by step.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) after_ms: u64,
    pub(crate) head: Head,
    pub(crate) steps: Vec<Step>,
    /// The longest frame, or the body where it comes whole, in bytes.
    pub(crate) frame_bytes_max: usize,
    /// The longest piece that arrives at once, in bytes.
    pub(crate) chunk_bytes_max: usize,
}

/// Whom a script is written for.
pub(crate) struct Part<'a> {
    pub(crate) who: Who,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) stream: bool,
    pub(crate) answer_bytes_max: usize,
    pub(crate) told: Told,
    pub(crate) chance: &'a mut Chance,
}

/// Longest pauses of a healthy script together, milliseconds: below every
/// deadline of the plan.
const PAUSES_MS_MAX: u64 = 4_000;
/// A frame that no dialect accepts, bytes.
const HUGE_FRAME_BYTES: usize = dialects::framing::FRAME_BYTES_MAX + 4_096;
/// Comments before the first content, bytes.
const FLOOD_BYTES: usize = 1_200 * 1_024;

/// An act that fits a call, healthy every third time.
pub(crate) fn draw(stream: bool, chance: &mut Chance) -> Act {
    if chance.one_in(3) {
        return Act::Good;
    }
    if stream && chance.one_in(2) {
        return draw_streamed(chance);
    }
    match chance.below(14) {
        0 => Act::Wire(chance.pick(&[
            WireFaultKind::Dns,
            WireFaultKind::Connect,
            WireFaultKind::Tls,
            WireFaultKind::ConnectTimeout,
            WireFaultKind::ResetBeforeHead,
            WireFaultKind::Protocol,
            WireFaultKind::Exhausted,
        ])),
        1 => Act::NoHead,
        2..=4 => Act::Status {
            code: chance.pick(&[
                302, 400, 401, 402, 403, 404, 408, 413, 422, 429, 429, 500, 502, 503, 504, 529,
            ]),
            retry_after_s: chance.one_in(2).then(|| 1 + chance.below(90)),
            body: chance.pick(&[
                ErrorBody::Vendor,
                ErrorBody::Vendor,
                ErrorBody::Html,
                ErrorBody::Empty,
                ErrorBody::Garbage,
                ErrorBody::Silent,
            ]),
        },
        5 => Act::Cut,
        6 => Act::Empty,
        7 => Act::Reset,
        8 => Act::Stall,
        9 => Act::Garbage,
        10 => Act::ErrorUnder200,
        11 => Act::WrongType,
        12 => Act::Gzip,
        _ if stream && !chance.one_in(16) => Act::NoEnd,
        _ => Act::Huge,
    }
}

fn draw_streamed(chance: &mut Chance) -> Act {
    match chance.below(12) {
        0 => Act::NoEnd,
        1 => Act::RoleOnly,
        2 => Act::InBand { end_behind: false },
        3 => Act::InBand { end_behind: true },
        4 => Act::BadFrame,
        5 if chance.one_in(3) => Act::Flood,
        6 => Act::EndTwice,
        7 => Act::BytesBehindEnd,
        8 => Act::ResetBehindEnd,
        9 => Act::StallBehindEnd,
        10 => Act::Cut,
        _ => Act::Reset,
    }
}

/// Writes the script of an act.
pub(crate) fn script(act: Act, part: &mut Part<'_>) -> Script {
    let mut script = Script {
        after_ms: part.chance.below(1_500),
        head: Head::Silent,
        steps: Vec::new(),
        frame_bytes_max: 0,
        chunk_bytes_max: 0,
    };
    match act {
        Act::Wire(kind) => script.head = Head::Fails(kind),
        Act::NoHead => {}
        Act::Status {
            code,
            retry_after_s,
            body,
        } => refuse(&mut script, part, (code, retry_after_s, body)),
        Act::Good
        | Act::Cut
        | Act::Empty
        | Act::Reset
        | Act::Stall
        | Act::Garbage
        | Act::ErrorUnder200
        | Act::WrongType
        | Act::Gzip
        | Act::Huge
        | Act::NoEnd
        | Act::RoleOnly
        | Act::InBand { .. }
        | Act::BadFrame
        | Act::Flood
        | Act::EndTwice
        | Act::BytesBehindEnd
        | Act::ResetBehindEnd
        | Act::StallBehindEnd => answer(act, &mut script, part),
    }
    script
}

fn refuse(script: &mut Script, part: &mut Part<'_>, what: (u16, Option<u64>, ErrorBody)) {
    let (status, retry_after_s, body) = what;
    let fault = Fault::new(FaultKind::UpstreamRefused, Origin::Provider, "no");
    let vendor = part.dialect.write_fault(&fault, "up").body.to_vec();
    let (content_type, bytes) = match body {
        ErrorBody::Vendor | ErrorBody::Silent => ("application/json", vendor),
        ErrorBody::Html => ("text/html", b"<html><body>Bad</body></html>".to_vec()),
        ErrorBody::Empty => ("application/json", Vec::new()),
        ErrorBody::Garbage => ("application/json", b"{\"error\":{\"mess\xff".to_vec()),
    };
    let mut headers = vec![("content-type", content_type.to_owned())];
    headers.extend(retry_after_s.map(|s| ("retry-after", s.to_string())));
    script.head = Head::Answers { status, headers };
    let kept = match body {
        ErrorBody::Silent => bytes.len() / 2,
        ErrorBody::Vendor | ErrorBody::Html | ErrorBody::Empty | ErrorBody::Garbage => bytes.len(),
    };
    pieces(script, &[bytes[..kept].to_vec()], part.chance);
    if body == ErrorBody::Silent {
        script.steps.push(Step::Silence);
    }
}

fn answer(act: Act, script: &mut Script, part: &mut Part<'_>) {
    let streamed = part.stream && act != Act::ErrorUnder200;
    let mut content_type = if streamed {
        part.dialect.framing().content_type()
    } else {
        "application/json"
    };
    if act == Act::WrongType {
        content_type = "text/plain";
    }
    let mut headers = vec![
        ("content-type", content_type.to_owned()),
        ("x-request-id", format!("up-{}", part.who)),
    ];
    if act == Act::Gzip {
        headers.push(("content-encoding", "gzip".into()));
    }
    script.head = Head::Answers {
        status: 200,
        headers,
    };
    let mut said = answers::answer(part.dialect, part.who, part.chance);
    answers::tell(&mut said, part.told);
    let frames = if streamed {
        let frames = answers::frames(part.dialect, said, part.chance);
        streamed_body(act, frames, part)
    } else {
        let whole = answers::whole(part.dialect, said).to_vec();
        vec![whole_body(act, whole, part)]
    };
    pieces(script, &frames, part.chance);
    match act {
        Act::Reset | Act::ResetBehindEnd => script.steps.push(Step::Reset),
        Act::Stall | Act::StallBehindEnd => script.steps.push(Step::Silence),
        Act::Good
        | Act::Wire(_)
        | Act::NoHead
        | Act::Status { .. }
        | Act::Cut
        | Act::Empty
        | Act::Garbage
        | Act::ErrorUnder200
        | Act::WrongType
        | Act::Gzip
        | Act::Huge
        | Act::NoEnd
        | Act::RoleOnly
        | Act::InBand { .. }
        | Act::BadFrame
        | Act::Flood
        | Act::EndTwice
        | Act::BytesBehindEnd => {}
    }
}

/// A body that comes whole.
fn whole_body(act: Act, mut whole: Vec<u8>, part: &mut Part<'_>) -> Vec<u8> {
    match act {
        Act::Cut | Act::Reset | Act::Stall => whole.truncate(part.chance.index(whole.len())),
        Act::Empty => whole.clear(),
        Act::Garbage => {
            whole = part
                .chance
                .pick(&[
                    &b"<html>"[..],
                    b"[]",
                    b"{}",
                    b"{\"id\":",
                    b"\xff\xfe",
                    b"null",
                ])
                .to_vec();
        }
        Act::ErrorUnder200 => {
            let fault = Fault::upstream_broken("Something broke.");
            whole = part.dialect.write_fault(&fault, "up").body.to_vec();
        }
        Act::Huge => whole.extend(std::iter::repeat_n(b' ', part.answer_bytes_max + 1)),
        Act::Good
        | Act::Wire(_)
        | Act::NoHead
        | Act::Status { .. }
        | Act::WrongType
        | Act::Gzip
        | Act::NoEnd
        | Act::RoleOnly
        | Act::InBand { .. }
        | Act::BadFrame
        | Act::Flood
        | Act::EndTwice
        | Act::BytesBehindEnd
        | Act::ResetBehindEnd
        | Act::StallBehindEnd => {}
    }
    whole
}

/// The frames of a stream; what is cut within a frame ends in a piece of one.
fn streamed_body(act: Act, mut frames: Vec<Vec<u8>>, part: &mut Part<'_>) -> Vec<Vec<u8>> {
    let id = part.dialect.id();
    let one = |frame: &[u8]| seen::stream(id, frame).frames.pop().unwrap_or_default();
    let middle = part.chance.index(frames.len());
    match act {
        Act::Cut | Act::Reset | Act::Stall => {
            frames.truncate(middle + 1);
            let last = &mut frames[middle];
            // Behind the blank line the frame would be whole.
            last.truncate(part.chance.index(last.len().saturating_sub(3).max(1)));
            frames.retain(|frame| !frame.is_empty());
        }
        Act::Empty => frames.clear(),
        Act::Garbage => frames = vec![b"HTTP/1.1 200 rubbish <html> \xff\xfe\r\n\r\n".to_vec(); 2],
        Act::NoEnd => {
            // Also without what may stand for the end.
            let kept = frames.iter().position(|frame| {
                let told = one(frame);
                told.finish || told.end
            });
            frames.truncate(kept.unwrap_or(frames.len()));
        }
        Act::RoleOnly => {
            let kept = frames.iter().position(|frame| one(frame).sign);
            frames.truncate(kept.unwrap_or(0));
        }
        Act::InBand { end_behind } => in_band(&mut frames, middle, end_behind, part),
        Act::BadFrame => frames[middle] = bad_frame(part.dialect),
        Act::Flood => {
            let comment = b": so far, so good\n\n";
            let count = FLOOD_BYTES / comment.len();
            frames.insert(0, comment.repeat(if seen::is_text(id) { count } else { 0 }));
        }
        Act::Huge => frames[middle] = huge_frame(part.dialect),
        Act::EndTwice => frames.extend(frames.last().cloned()),
        // Where no frame is the end marker, half a frame may be half of one
        // that was still to come.
        Act::BytesBehindEnd => frames.push(if id.0 == "gemini" || part.chance.one_in(2) {
            bad_frame(part.dialect)
        } else {
            b"behind the end".to_vec()
        }),
        Act::Good
        | Act::Wire(_)
        | Act::NoHead
        | Act::Status { .. }
        | Act::ErrorUnder200
        | Act::WrongType
        | Act::Gzip
        | Act::ResetBehindEnd
        | Act::StallBehindEnd => {}
    }
    frames
}

fn in_band(frames: &mut Vec<Vec<u8>>, at: usize, end_behind: bool, part: &mut Part<'_>) {
    let kind = part
        .chance
        .pick(&[FaultKind::UpstreamBroken, FaultKind::UpstreamBusy]);
    let fault = Fault::new(kind, Origin::Provider, "The engine stopped.");
    let end = frames.last().cloned();
    frames.truncate(at);
    frames.push(part.dialect.write_fault_frame(&fault, "up", 0).to_vec());
    frames.extend(end.filter(|_| end_behind));
}

/// A frame that is whole but cannot be read.
fn bad_frame(dialect: &dyn Dialect) -> Vec<u8> {
    if seen::is_text(dialect.id()) {
        return b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\n\n"
            .to_vec();
    }
    let mut frame = dialects::framing::encode_message(
        &[(":message-type", "event"), (":event-type", "messageStop")],
        b"{\"stopReason\":",
    )
    .to_vec();
    frame.truncate(frame.len());
    frame
}

fn huge_frame(dialect: &dyn Dialect) -> Vec<u8> {
    if seen::is_text(dialect.id()) {
        let mut frame = b"data: \"".to_vec();
        frame.resize(HUGE_FRAME_BYTES, b'x');
        return frame;
    }
    // Its length alone tells that it is too long.
    let length = u32::try_from(HUGE_FRAME_BYTES).expect("a few MiB");
    [&length.to_be_bytes()[..], &[0; 8]].concat()
}

/// Cuts the frames into the pieces in which they arrive.
fn pieces(script: &mut Script, frames: &[Vec<u8>], chance: &mut Chance) {
    script.frame_bytes_max = frames.iter().map(Vec::len).max().unwrap_or(0);
    let all = frames.concat();
    let manner = chance.below(5);
    let mut rest = &all[..];
    let mut frames = frames.iter();
    let mut pauses_ms = 0;
    while !rest.is_empty() {
        let length = match manner {
            0 => frames.next().map_or(rest.len(), Vec::len),
            1 => rest.len(),
            2 => 1 + chance.index(64),
            3 => 1 + chance.index(4_096),
            _ if all.len() < 1_500 => 1,
            _ => 1 + chance.index(512),
        };
        // What is very long comes in long pieces.
        let length = length.max(rest.len() / 512).min(rest.len());
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        if piece.is_empty() {
            continue;
        }
        if chance.one_in(6) {
            let ms = chance.below(800).min(PAUSES_MS_MAX - pauses_ms);
            pauses_ms += ms;
            script.steps.push(Step::Wait { ms });
        }
        script.chunk_bytes_max = script.chunk_bytes_max.max(piece.len());
        script
            .steps
            .push(Step::Bytes(Bytes::copy_from_slice(piece)));
    }
}

//! What an upstream call must come to, judged by its script and by the bytes
//! that were taken of it. The tables of statuses and kinds are written out
//! here a second time on purpose: they are the public contract.

use contract::seams::WireFaultKind;
use dialects::framing::FRAME_BYTES_MAX;
use serde_json::Value;

use crate::acts::{Act, Head};
use crate::ledger::{Call, Tail};
use crate::scenario::CandidatePlan;
use crate::seen::{self, Stream, Tokens};

/// Whether a call commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    Must,
    May,
    MustNot,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its end marker was seen: what follows counts for nothing.
    Whole,
    /// The upstream reported an error.
    Error,
    /// A frame could not be read.
    Hurt,
    /// It closed, or broke, before its end marker.
    Short,
    /// It was still going.
    Going,
}

/// A stream that was taken from an upstream.
pub(crate) struct Told {
    pub(crate) stream: Stream,
    pub(crate) ending: Ending,
    /// Frames before this one count.
    pub(crate) stop: usize,
}

/// What a call must come to.
pub(crate) struct Expect {
    pub(crate) commit: Commit,
    /// Kinds of the fault, if it has one.
    pub(crate) kinds: &'static [&'static str],
    /// Another candidate is to be tried after its fault.
    pub(crate) goes_on: bool,
    /// The stream, if the call was one.
    pub(crate) told: Option<Told>,
    /// What it reported, as far as it was taken.
    pub(crate) usage: Tokens,
}

const BROKEN: &[&str] = &["upstream_broken"];
const REPORTED: &[&str] = &["upstream_broken", "upstream_busy"];
const LATE: &[&str] = &["timeout"];

/// What this call must come to.
pub(crate) fn expect(plan: &CandidatePlan, stream: bool, call: &Call) -> Expect {
    let fails = |kinds: &'static [&'static str], goes_on| Expect {
        commit: Commit::MustNot,
        kinds,
        goes_on,
        told: None,
        usage: Tokens::default(),
    };
    let head = plan.script.as_ref().map(|script| &script.head);
    match (plan.act, head) {
        (Act::Wire(kind), _) => fails(wire(kind), true),
        (Act::NoHead, _) => fails(LATE, true),
        (Act::Status { code, .. }, _) => {
            let kinds = status_kind(code);
            fails(kinds, kinds != ["upstream_refused"])
        }
        (Act::Gzip, _) => fails(BROKEN, true),
        (_, Some(Head::Answers { .. })) if stream && is_streamed(plan.act) => streamed(plan, call),
        (Act::WrongType, _) if stream => fails(BROKEN, true),
        (Act::ErrorUnder200, _) => fails(REPORTED, true),
        (Act::Stall, _) => fails(LATE, true),
        (act, _) if is_good_whole(act) => whole(plan, call),
        (_, _) => fails(BROKEN, true),
    }
}

fn is_streamed(act: Act) -> bool {
    !matches!(act, Act::ErrorUnder200 | Act::WrongType)
}

fn is_good_whole(act: Act) -> bool {
    !matches!(
        act,
        Act::Cut | Act::Empty | Act::Reset | Act::Garbage | Act::Huge
    )
}

fn wire(kind: WireFaultKind) -> &'static [&'static str] {
    match kind {
        WireFaultKind::ConnectTimeout | WireFaultKind::HeadTimeout => LATE,
        WireFaultKind::Exhausted => &["overloaded"],
        WireFaultKind::Dns
        | WireFaultKind::Connect
        | WireFaultKind::Tls
        | WireFaultKind::Proxy
        | WireFaultKind::ResetBeforeHead
        | WireFaultKind::ResetInBody
        | WireFaultKind::Protocol => BROKEN,
    }
}

/// The kind of a provider's refusal.
fn status_kind(code: u16) -> &'static [&'static str] {
    match code {
        401..=403 | 407 => BROKEN,
        408 | 504 | 524 => LATE,
        429 => &["upstream_busy"],
        400..=499 => &["upstream_refused"],
        _ => BROKEN,
    }
}

fn whole(plan: &CandidatePlan, call: &Call) -> Expect {
    let json: Option<Value> = serde_json::from_slice(&call.pulled).ok();
    // Nothing is read of a body whose end was not seen.
    let json = json.filter(|_| call.tail == Tail::Ended);
    let usage = json
        .zip(plan.spoken)
        .map(|(json, dialect)| seen::usage(dialect.id(), &json));
    Expect {
        commit: Commit::Must,
        kinds: &[],
        goes_on: false,
        told: None,
        usage: usage.unwrap_or_default(),
    }
}

fn streamed(plan: &CandidatePlan, call: &Call) -> Expect {
    let told = told(plan, call);
    let before = &told.stream.frames[..told.stop];
    let content = before.iter().any(|frame| frame.content);
    let finish = before.iter().any(|frame| frame.finish);
    let commit = match told.ending {
        Ending::Whole => Commit::Must,
        Ending::Error | Ending::Hurt | Ending::Short | Ending::Going if content => Commit::Must,
        // An answer without content is committed by its finish in some
        // dialects, and by its end in others.
        Ending::Error | Ending::Hurt | Ending::Short | Ending::Going if finish => Commit::May,
        Ending::Error | Ending::Hurt | Ending::Short | Ending::Going => Commit::MustNot,
    };
    let flooded = plan.act == Act::Flood;
    let kinds = match told.ending {
        Ending::Whole if !flooded => &[],
        Ending::Error => REPORTED,
        Ending::Going if !flooded => LATE,
        Ending::Whole | Ending::Going | Ending::Hurt | Ending::Short => BROKEN,
    };
    Expect {
        commit: if flooded { Commit::May } else { commit },
        kinds,
        goes_on: true,
        usage: told.stream.usage(told.stop),
        told: Some(told),
    }
}

/// The stream of a call.
fn told(plan: &CandidatePlan, call: &Call) -> Told {
    let dialect = plan.spoken.expect("only the sandbox has none").id();
    let stream = seen::stream(dialect, &call.pulled);
    let count = stream.frames.len();
    let mut found = None;
    // Behind its finish, this dialect's metadata may be missing.
    let mut finished = false;
    for (at, frame) in stream.frames.iter().enumerate() {
        finished |= frame.finish && dialect.0 == "bedrock";
        found = if frame.end {
            Some((Ending::Whole, count))
        } else if frame.error {
            Some((Ending::Error, at + 1))
        } else if frame.hurt && finished {
            Some((Ending::Whole, at))
        } else if frame.hurt {
            Some((Ending::Hurt, at))
        } else {
            continue;
        };
        break;
    }
    let hurt = matches!(plan.act, Act::Huge | Act::Garbage) || stream.rest > FRAME_BYTES_MAX;
    let (ending, stop) = found.unwrap_or(match call.tail {
        _ if finished && stream.rest == 0 => (Ending::Whole, count),
        Tail::Open if hurt => (Ending::Hurt, count),
        Tail::Ended | Tail::Broke => (Ending::Short, count),
        Tail::Open => (Ending::Going, count),
    });
    Told {
        stream,
        ending,
        stop,
    }
}

/// The status that a caller gets for a kind of fault.
pub(crate) fn status_of(kind: &str) -> Option<u16> {
    Some(match kind {
        "bad_request" | "unsupported" | "blocked" => 400,
        "unauthenticated" => 401,
        "over_budget" => 402,
        "forbidden" => 403,
        "unknown_model" | "unknown_path" => 404,
        "method_not_allowed" => 405,
        "too_large" => 413,
        "unsupported_media" => 415,
        "conflict" => 422,
        "rate_limited" | "upstream_busy" => 429,
        "cancelled" => 499,
        "upstream_broken" => 502,
        "overloaded" => 503,
        "timeout" => 504,
        // As the provider gave it.
        "upstream_refused" => return None,
        _ => 500,
    })
}

/// Whether a caller is told to try again.
pub(crate) fn should_retry(kind: &str) -> bool {
    matches!(
        kind,
        "rate_limited"
            | "upstream_busy"
            | "upstream_broken"
            | "overloaded"
            | "timeout"
            | "internal"
    )
}

/// Whose fault a kind is.
pub(crate) fn origins_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "upstream_busy" | "upstream_broken" | "timeout" => &["provider"],
        "overloaded" | "rate_limited" | "over_budget" | "internal" => &["gateway"],
        "upstream_refused" => &["client", "provider"],
        _ => &["client"],
    }
}

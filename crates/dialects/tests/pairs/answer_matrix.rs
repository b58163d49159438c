//! Answers and streams: read from a provider of one dialect, written for a
//! client of another, read as that client reads them.

use bytes::Bytes;
use contract::answer::FinishReason;
use contract::chat::{Part, PartKind};
use contract::{ChatAnswer, Event, Loss};
use tollgate_dialects::{Dialect, fold};

use crate::account::{Findings, silent};
use crate::answer_leaves::{is_wordless, leaves, nearest, unwrapped};
use crate::drive::{self, dialects, pairs};
use crate::request_leaves::Scope;
use crate::{answers, fixtures};

/// An answer as a provider of a dialect sent it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) name: String,
    pub(crate) answer: ChatAnswer,
}

/// All answers of providers of this dialect: its fixtures, whole and
/// streamed, and every canonical answer in its words.
pub(crate) fn answered(dialect: &dyn Dialect, findings: &mut Findings) -> Vec<Answered> {
    let mut all = Vec::new();
    let mut take = |name: String, read: Result<ChatAnswer, contract::Fault>| match read {
        Ok(answer) => all.push(Answered { name, answer }),
        Err(fault) => findings.add(format!("{name}: not read: {fault:?}")),
    };
    for fixture in fixtures::answers(dialect) {
        take(fixture.name, drive::read_answer(dialect, &fixture.bytes));
    }
    for fixture in fixtures::streams(dialect) {
        take(
            format!("{} (stream)", fixture.name),
            drive::read_folded(dialect, &fixture.bytes),
        );
    }
    for (name, answer) in answers::all(dialect.id()) {
        let name = format!("{}/{name}", dialect.id());
        let body = drive::write_answer(dialect, &answer).body;
        take(name, drive::read_answer(dialect, &body));
    }
    all
}

fn scope(from: &dyn Dialect, to: &dyn Dialect) -> Scope {
    if from.id() == to.id() {
        Scope::Own
    } else {
        Scope::Foreign
    }
}

/// What vanished, with the reason of the end left out: its words differ.
fn vanished(
    (before, after): (&ChatAnswer, &ChatAnswer),
    losses: &[Loss],
    (to, scope): (&dyn Dialect, Scope),
) -> Vec<String> {
    let mut lost = silent(&leaves(before, scope), &leaves(after, scope), losses);
    lost.retain(|fact| !fact.starts_with("finish ") && !is_wordless(fact, to.id()));
    lost
}

#[test]
fn nothing_of_an_answer_vanishes_silently() {
    let mut findings = Findings::default();
    for (from, to) in pairs() {
        for Answered { name, answer } in answered(from, &mut findings) {
            findings.cases += 1;
            let written = drive::write_answer(to, &answer);
            let copy = match drive::read_answer(to, &written.body) {
                Ok(copy) => unwrapped(copy, to.id()),
                Err(fault) => {
                    findings.add(format!("{name} -> {}: not read: {fault:?}", to.id()));
                    continue;
                }
            };
            for fact in vanished((&answer, &copy), &written.losses, (to, scope(from, to))) {
                findings.add(format!("{name} -> {}: silently lost: {fact}", to.id()));
            }
            check_finish(
                &format!("{name} -> {}", to.id()),
                (&answer, &copy),
                &mut findings,
            );
        }
    }
    findings.settle(100);
}

/// The reason of the end is the same or the nearest one that the dialect has.
fn check_finish(name: &str, (before, after): (&ChatAnswer, &ChatAnswer), findings: &mut Findings) {
    let reason = |answer: &ChatAnswer| {
        let first = answer.choices.first()?;
        first.finish.as_ref().map(|finish| finish.reason)
    };
    let (Some(was), Some(is)) = (reason(before), reason(after)) else {
        if reason(before).is_some() {
            findings.add(format!("{name}: no reason of the end"));
        }
        return;
    };
    let held = |wanted: fn(&PartKind) -> bool| {
        let parts = before
            .choices
            .first()
            .map_or(&[][..], |choice| &choice.parts);
        parts.iter().any(|part: &Part| wanted(&part.kind))
    };
    // A refusal or a call in the content may be what the reason says.
    let refused = was == FinishReason::Stop
        && matches!(is, FinishReason::Refusal | FinishReason::ContentFilter)
        && held(|kind| matches!(kind, PartKind::Refusal { .. }));
    let said = was == FinishReason::Refusal
        && is == FinishReason::Stop
        && after.choices[0]
            .parts
            .iter()
            .any(|part| matches!(part.kind, PartKind::Refusal { .. }));
    let called =
        is == FinishReason::ToolCalls && held(|kind| matches!(kind, PartKind::ToolCall(_)));
    if !nearest(was).contains(&is) && !refused && !said && !called {
        findings.add(format!(
            "{name}: finish {} became {}",
            was.name(),
            is.name()
        ));
    }
}

/// A stream says what the whole answer says, whoever it came from.
#[test]
fn streams_say_what_whole_answers_say() {
    let mut findings = Findings::default();
    for (from, to) in pairs() {
        for Answered { name, answer } in answered(from, &mut Findings::default()) {
            findings.cases += 1;
            let name = format!("{name} -> {}", to.id());
            let (stream, losses) = drive::write_stream(to, &fold::unfold(answer.clone()));
            let streamed = match drive::read_folded(to, &stream) {
                Ok(copy) => unwrapped(copy, to.id()),
                Err(fault) => {
                    let text = String::from_utf8_lossy(&stream);
                    findings.add(format!("{name}: not read: {fault:?} in {text}"));
                    continue;
                }
            };
            for fact in vanished((&answer, &streamed), &losses, (to, Scope::Foreign)) {
                findings.add(format!("{name}: silently lost in the stream: {fact}"));
            }
            let body = drive::write_answer(to, &answer).body;
            let Ok(whole) = drive::read_answer(to, &body) else {
                continue;
            };
            let whole = unwrapped(whole, to.id());
            for fact in silent(
                &leaves(&whole, Scope::Foreign),
                &leaves(&streamed, Scope::Foreign),
                &losses,
            ) {
                findings.add(format!("{name}: whole, but not in the stream: {fact}"));
            }
            for fact in silent(
                &leaves(&streamed, Scope::Foreign),
                &leaves(&whole, Scope::Foreign),
                &drive::write_answer(to, &answer).losses,
            ) {
                // A caller who asked for usage gets a report even where the
                // provider made none.
                if answer.usage.is_some() || !fact.ends_with(" 0") {
                    findings.add(format!("{name}: in the stream, but not whole: {fact}"));
                }
            }
        }
    }
    findings.settle(100);
}

/// The events as the provider sent them, not as an answer unfolds: deltas of
/// any size, parts that interleave.
#[test]
fn streams_of_fixtures_translate_as_they_come() {
    let mut findings = Findings::default();
    for (from, to) in pairs() {
        for fixture in fixtures::streams(from) {
            findings.cases += 1;
            let name = format!("{} -> {}", fixture.name, to.id());
            let events = drive::read_stream(from, &fixture.bytes, fixture.bytes.len())
                .expect("a fixture is read");
            let whole = fold::fold(events.clone()).expect("a fixture is whole");
            let (stream, losses) = drive::write_stream(to, &events);
            match drive::read_folded(to, &stream) {
                Err(fault) => findings.add(format!("{name}: not read: {fault:?}")),
                Ok(copy) => {
                    let copy = unwrapped(copy, to.id());
                    for fact in vanished((&whole, &copy), &losses, (to, Scope::Foreign)) {
                        findings.add(format!("{name}: silently lost: {fact}"));
                    }
                }
            }
        }
    }
    findings.settle(dialects().count());
}

/// Chunks do not matter: one byte at a time gives the events of one chunk.
#[test]
fn any_chunking_gives_the_same_events() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        let written = answers::all(dialect.id())
            .into_iter()
            .map(|(name, answer)| {
                let (stream, _) = drive::write_stream(dialect, &fold::unfold(answer));
                (name, Bytes::from(stream))
            });
        let found = fixtures::streams(dialect)
            .into_iter()
            .map(|fixture| (fixture.name, fixture.bytes));
        for (name, stream) in found.chain(written) {
            findings.cases += 1;
            let once = drive::read_stream(dialect, &stream, stream.len().max(1));
            for piece in [1, 2, 3, 7, 64] {
                let cut = drive::read_stream(dialect, &stream, piece);
                if cut != once {
                    findings.add(format!("{name} of {}: by {piece} bytes", dialect.id()));
                }
            }
        }
    }
    findings.settle(20);
}

/// The sums and classes of usage survive every pair, whole and streamed.
#[test]
fn usage_survives_every_pair() {
    let mut findings = Findings::default();
    for (from, to) in pairs() {
        for (name, usage) in answers::usages() {
            findings.cases += 1;
            let mut answer = answers::of(vec![Part::text("Hello")], FinishReason::Stop);
            answer.usage = Some(usage);
            let name = format!("{name}: {} -> {}", from.id(), to.id());
            let told = drive::write_answer(from, &answer).body;
            let read = drive::read_answer(from, &told).expect("own words");
            let (stream, _) = drive::write_stream(to, &fold::unfold(read.clone()));
            let copy = drive::read_folded(to, &stream).expect("own words");
            let (before, after) = (read.usage, copy.usage);
            let (Some(before), Some(after)) = (before, after) else {
                findings.add(format!("{name}: usage is gone"));
                continue;
            };
            let sums = |usage: &contract::Usage| (usage.input_total(), usage.output_total());
            if sums(&before) != sums(&after) || sums(&usage) != sums(&before) {
                findings.add(format!("{name}: {usage:?}, {before:?}, {after:?}"));
            }
            // A class that a dialect has no word for is plain there; those
            // that are priced apart must be kept.
            let written = |usage: &contract::Usage| usage.cached_write + usage.cached_write_1h;
            let classes = [
                ("cached_read", before.cached_read, after.cached_read),
                ("cache writes", written(&before), written(&after)),
                ("reasoning tokens", before.reasoning, after.reasoning),
            ];
            for (class, was, is) in classes {
                if was != is && !is_wordless(&format!("usage {class}"), to.id()) {
                    findings.add(format!("{name}: {was} {class} became {is}"));
                }
            }
        }
    }
    findings.settle(32);
}

/// After a fault nothing that looks like an end is written.
#[test]
fn a_fault_is_never_followed_by_an_end() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        for (name, answer) in answers::all(dialect.id()) {
            let mut events = fold::unfold(answer);
            let fault = contract::Fault::upstream_broken("The provider broke off. Try again.");
            // As the flow does it: nothing behind the fault is written, and
            // its frame comes last.
            events.truncate((events.len() / 2).max(1));
            events.push(Event::Fault(fault.clone()));
            findings.cases += 1;
            let (mut stream, _) = drive::write_stream(dialect, &events);
            if drive::read_folded(dialect, &stream).is_ok() {
                findings.add(format!("{name} of {}: whole without its end", dialect.id()));
            }
            stream.extend_from_slice(&dialect.write_fault_frame(&fault, drive::REQUEST_ID, 0));
            if let Ok(read) = drive::read_folded(dialect, &stream) {
                findings.add(format!(
                    "{name} of {}: read as whole: {read:?}",
                    dialect.id()
                ));
            }
        }
    }
    findings.settle(20);
}

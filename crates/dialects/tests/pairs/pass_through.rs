//! Same dialect on both sides: the caller's bytes travel as they came. Only
//! the model's name is another, where it is.

use bytes::Bytes;
use contract::Operation;
use tollgate_dialects::json::{Doc, string};
use tollgate_dialects::splice::{Edit, apply};
use tollgate_dialects::{Dialect, Keep, Tally, fold};

use crate::account::Findings;
use crate::drive::{self, dialects};
use crate::fixtures::{self, Fixture};
use crate::{answer_matrix, answers};

fn operation(fixture: &Fixture) -> Operation {
    if fixtures::is_embedding(&fixture.bytes) {
        Operation::Embed
    } else {
        Operation::Chat
    }
}

#[test]
fn a_request_keeps_every_byte_but_the_name_of_the_model() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        for fixture in fixtures::requests(dialect) {
            findings.cases += 1;
            let route = drive::route_of(dialect, operation(&fixture), "from/path", false);
            let doc = Doc::request(fixture.bytes.clone()).expect("a fixture is JSON");
            let survey = dialect
                .survey(&route, doc.root())
                .expect("a fixture is served");
            let Some(span) = survey.model_span.clone() else {
                if survey.model != "from/path" {
                    findings.add(format!("{}: a model without a place", fixture.name));
                }
                continue;
            };
            let with = |name: &str| {
                let edit = Edit {
                    span: span.clone(),
                    with: string(name).into(),
                };
                Bytes::from(apply(&fixture.bytes, vec![edit]).concat())
            };
            if with(&survey.model) != fixture.bytes {
                findings.add(format!("{}: the same name changes bytes", fixture.name));
            }
            let other = with("another \"model\"");
            let tail = fixture.bytes.len() - span.end;
            let same = other[..span.start] == fixture.bytes[..span.start]
                && other[other.len() - tail..] == fixture.bytes[span.end..];
            let doc = Doc::request(other.clone()).expect("still JSON");
            let named = dialect
                .survey(&route, doc.root())
                .expect("still served")
                .model;
            if !same || named != "another \"model\"" {
                findings.add(format!("{}: another name changes more", fixture.name));
            }
        }
    }
    findings.settle(4);
}

/// What the survey says is what reading says.
#[test]
fn survey_and_reading_agree() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        for fixture in fixtures::requests(dialect) {
            findings.cases += 1;
            let route = drive::route_of(dialect, operation(&fixture), "from/path", false);
            let doc = Doc::request(fixture.bytes.clone()).expect("a fixture is JSON");
            let survey = dialect
                .survey(&route, doc.root())
                .expect("a fixture is served");
            let request = dialect
                .read_request(&route, doc.root())
                .expect("it is read");
            if survey.model != request.model || survey.stream != request.stream {
                findings.add(format!("{}: {survey:?} {}", fixture.name, request.model));
            }
        }
    }
    findings.settle(4);
}

/// Whole answers pass; the tally says what reading says.
#[test]
fn an_answer_passes_and_is_counted() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        let written = answers::all(dialect.id())
            .into_iter()
            .map(|(name, answer)| (name, drive::write_answer(dialect, &answer).body));
        let found = fixtures::answers(dialect)
            .into_iter()
            .map(|fixture| (fixture.name, fixture.bytes));
        for (name, body) in found.chain(written) {
            findings.cases += 1;
            let name = format!("{name} of {}", dialect.id());
            let doc = Doc::answer(body.clone()).expect("an answer is JSON");
            let mut tally = Tally::default();
            if let Err(fault) = dialect.tally_answer(Operation::Chat, doc.root(), &mut tally) {
                findings.add(format!("{name}: {fault:?}"));
                continue;
            }
            compare(dialect, &name, (&body, &tally), &mut findings);
        }
    }
    findings.settle(30);
}

fn compare(
    dialect: &dyn Dialect,
    name: &str,
    (body, tally): (&Bytes, &Tally),
    findings: &mut Findings,
) {
    let read = drive::read_answer(dialect, body).expect("it was read before");
    if tally.usage != read.usage {
        findings.add(format!(
            "{name}: usage {:?}, read {:?}",
            tally.usage, read.usage
        ));
    }
    let reason = read
        .choices
        .first()
        .and_then(|choice| choice.finish.as_ref());
    let reason = reason.map(|finish| finish.reason);
    if tally.finish != reason {
        findings.add(format!(
            "{name}: finish {:?}, read {reason:?}",
            tally.finish
        ));
    }
    if tally.id != read.id || tally.model != read.model {
        findings.add(format!(
            "{name}: id and model {:?} {:?}, read {:?} {:?}",
            tally.id, tally.model, read.id, read.model
        ));
    }
}

/// Streams pass frame by frame; the watcher says what reading says.
#[test]
fn a_stream_passes_and_is_counted() {
    let mut findings = Findings::default();
    for dialect in dialects() {
        let written = answer_matrix::answered(dialect, &mut Findings::default());
        let written = written.into_iter().map(|answered| {
            let (stream, _) = drive::write_stream(dialect, &fold::unfold(answered.answer));
            (answered.name, Bytes::from(stream))
        });
        let found = fixtures::streams(dialect)
            .into_iter()
            .map(|fixture| (fixture.name, fixture.bytes));
        for (name, stream) in found.chain(written) {
            findings.cases += 1;
            watch(dialect, &name, &stream, &mut findings);
        }
    }
    findings.settle(30);
}

fn watch(dialect: &dyn Dialect, name: &str, stream: &Bytes, findings: &mut Findings) {
    let mut splitter = dialect.framing().splitter();
    let mut watcher = dialect.stream_watcher(false);
    let mut tally = Tally::default();
    let mut reader = dialect.stream_reader();
    let mut counted = Tally::default();
    let mut passed = Vec::new();
    for chunk in stream.chunks(23) {
        let batch = splitter
            .push(Bytes::copy_from_slice(chunk))
            .expect("whole frames");
        passed.extend_from_slice(&batch.bytes);
        for span in &batch.frames {
            let frame = batch.frame(span);
            if frame.kind == tollgate_dialects::framing::FrameKind::Silent {
                continue;
            }
            let mut events = Vec::new();
            let read = reader.read(frame, &mut events);
            for event in &events {
                counted.note(event);
            }
            match watcher.see(frame, &mut tally) {
                // At every frame, so that a stream that is cut is billed the
                // same whichever way it went.
                Ok(Keep::Pass) if read.is_ok() && tally.usage == counted.usage => {}
                Ok(Keep::Pass) => findings.add(format!(
                    "{name}: {read:?}, usage so far {:?}, read {:?}",
                    tally.usage, counted.usage
                )),
                Ok(Keep::Hide) => findings.add(format!("{name}: a frame is hidden")),
                Err(fault) => findings.add(format!("{name}: {fault:?}")),
            }
        }
    }
    if passed != stream[..] || splitter.is_mid_frame() {
        findings.add(format!("{name}: bytes changed"));
    }
    if let Err(fault) = watcher.close(&mut tally) {
        findings.add(format!("{name}: {fault:?}"));
    }
    let Ok(read) = drive::read_folded(dialect, stream) else {
        findings.add(format!("{name}: watched, but not read"));
        return;
    };
    if !tally.ended || tally.fault.is_some() {
        findings.add(format!("{name}: ended {}, {:?}", tally.ended, tally.fault));
    }
    if tally.usage != read.usage {
        findings.add(format!(
            "{name}: usage {:?}, read {:?}",
            tally.usage, read.usage
        ));
    }
    let first = read.choices.first();
    let reason = first.and_then(|choice| Some(choice.finish.as_ref()?.reason));
    if tally.finish != reason {
        findings.add(format!(
            "{name}: finish {:?}, read {reason:?}",
            tally.finish
        ));
    }
    let says = first.is_some_and(|choice| !choice.parts.is_empty());
    if tally.committed != says && says {
        findings.add(format!("{name}: content, but not committed"));
    }
    let mut rest = Vec::new();
    if let Err(fault) = reader.close(&mut rest) {
        findings.add(format!("{name}: {fault:?}"));
    }
    rest.iter().for_each(|event| counted.note(event));
    let told = |tally: &Tally| {
        (
            tally.usage,
            tally.finish,
            tally.id.clone(),
            tally.model.clone(),
        )
    };
    if told(&tally) != told(&counted) {
        findings.add(format!(
            "{name}: watched {:?}, read {:?}",
            told(&tally),
            told(&counted)
        ));
    }
}

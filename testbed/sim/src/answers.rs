//! What a healthy upstream says: a whole answer, or the frames of a stream.
//!
//! The bytes come from the writers of `dialects`, whose fidelity is held by
//! tests of their own. Each word of text carries a mark that names exchange,
//! candidate and place, so that a byte that went astray can be told.

use bytes::Bytes;
use contract::answer::{ChatAnswer, Choice, Finish, FinishReason};
use contract::chat::{Part, PartKind, Signature, ToolCall};
use contract::event::Delta;
use contract::{Answer, Event, Operation, Usage, UsageSource};
use dialects::{Asked, Dialect, Route};

use crate::chance::Chance;
use crate::ledger::Who;
use crate::seen;

/// A request id for the writers; upstreams do not know ours.
const UPSTREAM_ID: &str = "00000000-0000-7000-8000-000000000000";

/// What an answer says of the tokens that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Plausible figures.
    Plain,
    /// Nothing.
    Missing,
    /// That it took none.
    Zero,
    /// Far more than the call can have taken.
    Huge,
}

/// An answer to a chat.
pub(crate) fn answer(dialect: &dyn Dialect, who: Who, chance: &mut Chance) -> ChatAnswer {
    let mut marks = 0;
    let mut parts = Vec::new();
    if chance.one_in(3) {
        let mut part = Part::from(PartKind::Thinking {
            text: "Let me think. ".repeat(1 + chance.index(4)),
        });
        part.signature = Some(Signature {
            dialect: dialect.id(),
            value: "c2lnbmF0dXJl".into(),
        });
        parts.push(part);
    }
    let words = 1 + chance.index(12);
    parts.push(Part::text(marked(who, words, &mut marks)));
    let calls = chance.one_in(3);
    if calls {
        let words = 1 + chance.index(4);
        parts.push(
            PartKind::ToolCall(ToolCall {
                id: "call_1".into(),
                name: "look".into(),
                arguments: format!("{{\"q\":\"{}\"}}", marked(who, words, &mut marks)),
                custom: false,
            })
            .into(),
        );
    }
    let reason = if calls {
        FinishReason::ToolCalls
    } else {
        chance.pick(&[FinishReason::Stop, FinishReason::Stop, FinishReason::Length])
    };
    ChatAnswer {
        id: Some(format!("up-{who}")),
        model: Some("up-m".into()),
        created_s: Some(1_700_000_000),
        choices: vec![Choice {
            parts,
            finish: Some(Finish::from(reason)),
            logprobs: Vec::new(),
        }],
        usage: Some(Usage {
            input: 1 + chance.below(1_000),
            cached_read: chance.below(2) * chance.below(100),
            output: 1 + chance.below(500),
            source: UsageSource::Provider,
            ..Usage::default()
        }),
        ..ChatAnswer::default()
    }
}

/// Bends what an answer says of its tokens.
pub(crate) fn tell(answer: &mut ChatAnswer, told: Told) {
    let usage = |input, output| Usage {
        input,
        output,
        source: UsageSource::Provider,
        ..Usage::default()
    };
    match told {
        Told::Plain => {}
        Told::Missing => answer.usage = None,
        Told::Zero => answer.usage = Some(usage(0, 0)),
        Told::Huge => answer.usage = Some(usage(40_000_000, 9_000_000)),
    }
}

fn marked(who: Who, words: usize, next: &mut usize) -> String {
    let mut text = String::new();
    for _ in 0..words {
        text.push_str(&format!("mark-{}-{}-{next}. ", who.exchange, who.candidate));
        *next += 1;
    }
    text
}

/// The answer as one body.
pub(crate) fn whole(dialect: &dyn Dialect, answer: ChatAnswer) -> Bytes {
    let route = Route::new(dialect.id(), Operation::Chat);
    dialect
        .write_answer(&Answer::Chat(answer), &asked(&route))
        .body
}

/// The answer as the frames of a stream, some with comments between them.
pub(crate) fn frames(
    dialect: &dyn Dialect,
    answer: ChatAnswer,
    chance: &mut Chance,
) -> Vec<Vec<u8>> {
    let route = Route::new(dialect.id(), Operation::Chat);
    let mut writer = dialect.stream_writer(&asked(&route));
    let early = answer.usage.filter(|_| chance.one_in(2)).map(|usage| {
        Event::Usage(Usage {
            // One dialect's first figure counts a token that is no answer yet
            // and is read in two ways, so none is told here.
            output: 0,
            ..usage
        })
    });
    let mut events = dialects::fold::unfold(answer);
    if let Some(early) = early {
        events.insert(1, early);
    }
    let mut bytes = Vec::new();
    for event in events {
        for event in word_by_word(event) {
            writer.write(&event, &mut bytes);
            if event != Event::End && chance.one_in(8) {
                writer.write(&Event::Ping, &mut bytes);
            }
        }
    }
    let crlf = chance.one_in(4) && seen::is_text(dialect.id());
    seen::cut(dialect.id(), &bytes)
        .into_iter()
        .map(|frame| {
            let frame = &bytes[frame];
            if crlf && !frame.contains(&b'\r') {
                String::from_utf8_lossy(frame).replace('\n', "\r\n").into()
            } else {
                frame.to_vec()
            }
        })
        .collect()
}

/// Cuts a long text into its words.
fn word_by_word(event: Event) -> Vec<Event> {
    match event {
        Event::PartDelta {
            choice,
            part,
            delta: Delta::Text(text),
        } => text
            .split_inclusive(' ')
            .map(|word| Event::PartDelta {
                choice,
                part,
                delta: Delta::Text(word.to_owned()),
            })
            .collect(),
        other => vec![other],
    }
}

fn asked(route: &Route) -> Asked<'_> {
    Asked {
        route,
        model: "up-m",
        request_id: UPSTREAM_ID,
        now_s: 1_700_000_000,
        stream_usage: true,
        request: None,
    }
}

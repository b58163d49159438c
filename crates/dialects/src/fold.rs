//! A whole answer and a stream are the same thing told twice: events fold
//! into an answer, and an answer unfolds into events.

use contract::answer::{ChatAnswer, Choice};
use contract::chat::{Part, PartKind, ToolCall};
use contract::event::{Delta, Event, PartHead};
use contract::{Fault, Usage};

/// Folds events into an answer.
///
/// # Errors
/// The fault that the stream carried, or `UpstreamBroken` if it has no end.
pub fn fold(events: impl IntoIterator<Item = Event>) -> Result<ChatAnswer, Fault> {
    let mut answer = ChatAnswer::default();
    let mut ended = false;
    for event in events {
        match event {
            Event::Open {
                id,
                model,
                created_s,
            } => {
                (answer.id, answer.model, answer.created_s) = (id, model, created_s);
            }
            Event::PartOpen { choice, head, .. } => {
                choice_mut(&mut answer, choice).parts.push(open(head));
            }
            Event::PartDelta {
                choice,
                part,
                delta,
            } => {
                let parts = &mut choice_mut(&mut answer, choice).parts;
                if let Some(part) = parts.get_mut(part as usize) {
                    grow(part, delta);
                }
            }
            Event::PartClose { .. } | Event::Ping => {}
            Event::Logprobs { choice, tokens } => {
                choice_mut(&mut answer, choice).logprobs.extend(tokens);
            }
            Event::Usage(usage) => {
                answer
                    .usage
                    .get_or_insert_with(Usage::default)
                    .merge(&usage);
            }
            Event::Finish { choice, finish } => {
                choice_mut(&mut answer, choice).finish = Some(finish);
            }
            Event::ServiceTier(tier) => answer.service_tier = Some(tier),
            Event::Fault(fault) => return Err(fault),
            Event::End => ended = true,
        }
    }
    if ended { Ok(answer) } else { Err(unfinished()) }
}

/// The fault of a stream that closed before its end marker.
pub fn unfinished() -> Fault {
    Fault::upstream_broken(
        "The provider's stream ended before its end marker, so the answer is incomplete. \
         Discard it and try again.",
    )
}

fn choice_mut(answer: &mut ChatAnswer, choice: u32) -> &mut Choice {
    let index = choice as usize;
    if answer.choices.len() <= index {
        answer.choices.resize_with(index + 1, Choice::default);
    }
    &mut answer.choices[index]
}

fn open(head: PartHead) -> Part {
    match head {
        PartHead::Text => Part::text(""),
        PartHead::Thinking { id } => Part {
            id,
            ..PartKind::Thinking {
                text: String::new(),
            }
            .into()
        },
        PartHead::ToolCall { id, name, custom } => PartKind::ToolCall(ToolCall {
            id,
            name,
            arguments: String::new(),
            custom,
        })
        .into(),
        PartHead::Refusal => PartKind::Refusal {
            text: String::new(),
        }
        .into(),
        PartHead::Whole(part) => *part,
    }
}

fn grow(part: &mut Part, delta: Delta) {
    match (delta, &mut part.kind) {
        (
            Delta::Text(more),
            PartKind::Text { text, .. }
            | PartKind::Thinking { text }
            | PartKind::Refusal { text }
            | PartKind::ToolCall(ToolCall {
                arguments: text, ..
            }),
        ) => text.push_str(&more),
        (Delta::Signature(signature), _) => part.signature = Some(signature),
        (Delta::Citation(citation), PartKind::Text { citations, .. }) => citations.push(*citation),
        // Parts that come whole do not grow, and only text is cited: a reader
        // that says otherwise breaks the order of events.
        (Delta::Text(_) | Delta::Citation(_), _) => {
            debug_assert!(false, "a delta that does not fit its part");
        }
    }
}

/// Unfolds an answer into the events of a stream.
pub fn unfold(answer: ChatAnswer) -> Vec<Event> {
    let mut events = vec![Event::Open {
        id: answer.id,
        model: answer.model,
        created_s: answer.created_s,
    }];
    events.extend(answer.service_tier.map(Event::ServiceTier));
    for (index, choice) in answer.choices.into_iter().enumerate() {
        let index = index as u32;
        let mut logprobs = choice.logprobs;
        for (number, part) in choice.parts.into_iter().enumerate() {
            let is_text = matches!(part.kind, PartKind::Text { .. });
            unfold_part(index, number as u32, part, &mut events);
            if is_text && !logprobs.is_empty() {
                // As in a live stream: while the text they belong to is open.
                let close = events.pop();
                events.push(Event::Logprobs {
                    choice: index,
                    tokens: std::mem::take(&mut logprobs),
                });
                events.extend(close);
            }
        }
        if !logprobs.is_empty() {
            events.push(Event::Logprobs {
                choice: index,
                tokens: logprobs,
            });
        }
        events.extend(choice.finish.map(|finish| Event::Finish {
            choice: index,
            finish,
        }));
    }
    events.extend(answer.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

fn unfold_part(choice: u32, part: u32, whole: Part, events: &mut Vec<Event>) {
    let (head, text, citations) = match whole.kind {
        PartKind::Text { text, citations } => (PartHead::Text, text, citations),
        PartKind::Thinking { text } => (
            PartHead::Thinking {
                id: whole.id.clone(),
            },
            text,
            Vec::new(),
        ),
        PartKind::ToolCall(call) => {
            let head = PartHead::ToolCall {
                id: call.id,
                name: call.name,
                custom: call.custom,
            };
            (head, call.arguments, Vec::new())
        }
        PartKind::Refusal { text } => (PartHead::Refusal, text, Vec::new()),
        kind @ (PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::RedactedThinking
        | PartKind::ToolResult(_)
        | PartKind::Opaque { .. }) => {
            let head = PartHead::Whole(Box::new(Part { kind, ..whole }));
            events.push(Event::PartOpen { choice, part, head });
            events.push(Event::PartClose { choice, part });
            return;
        }
    };
    // The token of a call comes right behind its head: where it rides in the
    // call's id, a writer needs it before it shows the id.
    let is_call = matches!(head, PartHead::ToolCall { .. });
    events.push(Event::PartOpen { choice, part, head });
    let (first, last) = if is_call {
        (whole.signature, None)
    } else {
        (None, whole.signature)
    };
    let deltas = first
        .map(Delta::Signature)
        .into_iter()
        .chain((!text.is_empty()).then_some(Delta::Text(text)))
        .chain(
            citations
                .into_iter()
                .map(|citation| Delta::Citation(Box::new(citation))),
        )
        .chain(last.map(Delta::Signature));
    events.extend(deltas.map(|delta| Event::PartDelta {
        choice,
        part,
        delta,
    }));
    events.push(Event::PartClose { choice, part });
}

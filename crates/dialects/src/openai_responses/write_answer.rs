//! Writing a whole answer for a client.

use contract::Answer;
use contract::answer::{ChatAnswer, Choice, FinishReason};
use contract::chat::{Part, PartKind};

use super::envelope::{Envelope, Stage};
use super::items::{self, Ids, Said};
use super::read_items::is_said;
use crate::dialect::{Asked, Written};
use crate::json;
use crate::openai::Losses;

/// Writes an answer.
pub(super) fn write(answer: &Answer, asked: &Asked<'_>) -> Written {
    match answer {
        Answer::Chat(answer) => write_chat(answer, asked),
        Answer::Count(count) => Written {
            body: json::object(|root| {
                root.str("object", "response.input_tokens");
                root.int("input_tokens", count.input_tokens);
            })
            .into(),
            losses: Vec::new(),
        },
        // No route of this dialect embeds; the sibling's shape is the vendor's.
        Answer::Embed(_) => crate::openai_chat::write_answer(answer, asked),
    }
}

fn write_chat(answer: &ChatAnswer, asked: &Asked<'_>) -> Written {
    let mut losses = Losses::default();
    losses.add_extras(&answer.extras);
    if answer.choices.len() > 1 {
        losses.add("choices", "the format holds one answer");
    }
    let mut envelope = Envelope::new(asked);
    envelope.adopt(answer.id.as_deref(), answer.created_s);
    envelope.tier.clone_from(&answer.service_tier);
    let nothing = Choice::default();
    let choice = answer.choices.first().unwrap_or(&nothing);
    let reason = choice
        .finish
        .as_ref()
        .map_or(FinishReason::Stop, |finish| finish.reason);
    if reason == FinishReason::Pause {
        losses.add("pause_turn", "the format knows no paused answer");
    }
    if choice
        .finish
        .as_ref()
        .is_some_and(|it| it.stop_sequence.is_some())
    {
        losses.add("stop_sequence", "the answer does not name it");
    }
    let output = write_output(choice, &Ids::new(&envelope.id), &mut losses);
    let refused = choice
        .parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::Refusal { .. }));
    let stage = Stage::Ended { reason, refused };
    Written {
        body: envelope.write(stage, &output, answer.usage.as_ref()).into(),
        losses: losses.into_vec(),
    }
}

/// Items of a choice; texts that follow one another are one message.
fn write_output(choice: &Choice, ids: &Ids, losses: &mut Losses) -> Vec<String> {
    let mut output = Vec::new();
    let mut logprobs = choice.logprobs.clone();
    let mut parts = choice.parts.as_slice();
    while let Some(part) = parts.first() {
        let number = output.len();
        let run = parts
            .iter()
            .take_while(|other| is_said(other) && other.id == part.id)
            .count();
        if run == 0 {
            output.extend(items::whole(part, ids, number, losses));
            parts = &parts[1..];
            continue;
        }
        let mut said: Vec<Said> = parts[..run]
            .iter()
            .map(|part| gather(part, losses))
            .collect();
        if let Some(first) = said.iter_mut().find(|part| !part.refusal) {
            first.logprobs = std::mem::take(&mut logprobs);
        }
        let id = ids.of(part.id.as_deref(), "msg_", number);
        output.push(items::message(&id, "completed", &said));
        parts = &parts[run..];
    }
    output
}

fn gather(part: &Part, losses: &mut Losses) -> Said {
    items::note_text(part, losses);
    let mut said = Said::default();
    match &part.kind {
        PartKind::Refusal { text } => {
            said.refusal = true;
            said.text.clone_from(text);
        }
        PartKind::Text { text, citations } => {
            said.text.clone_from(text);
            for citation in citations {
                said.cite(citation, losses);
            }
        }
        _ => {}
    }
    said
}

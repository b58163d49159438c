//! Models inside the gateway, which answer in canonical form.

use contract::{Answer, Delta, Event, Fault};
use dialects::fold::unfold;
use dialects::{Tally, Written};
use providers::LocalModel;

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::stream::Streaming;

/// Length of a streamed piece of text, bytes.
const PIECE_BYTES: usize = 24;

impl Exchange {
    /// Asks a model inside the gateway.
    pub(crate) fn ask_local(
        &mut self,
        model: &'static dyn LocalModel,
        asking: &mut Asking<'_>,
    ) -> Result<Arrived, Fault> {
        let request = self.read(asking)?;
        let answer = model.answer(request)?;
        let mut told = Tally::default();
        told.take(&answer);
        self.judge_answer(&answer)?;
        self.mark_committed();
        // The ids of the answer, made of this one, say that no provider gave it.
        let id = format!("{}_{}", model.label(), self.id.text().as_str());
        if asking.survey.stream
            && let Answer::Chat(answer) = answer
        {
            let events = in_pieces(unfold(answer));
            let stream = Streaming::of_events(self, &id, asking, events);
            return Ok(Arrived::Stream(Box::new(stream)));
        }
        self.note_tally(&told);
        let asked = self.asked(&id, asking.canonical.as_ref());
        let Written { body, losses } = self.dialect.write_answer(&answer, &asked);
        Ok(Arrived::json(body, losses))
    }
}

/// Cuts long texts into pieces, so that a local model streams as a remote one
/// does.
fn in_pieces(events: Vec<Event>) -> Vec<Event> {
    let mut out = Vec::with_capacity(events.len() * 2);
    for event in events {
        match event {
            Event::PartDelta {
                choice,
                part,
                delta: Delta::Text(text),
            } => {
                let mut rest = text.as_str();
                while !rest.is_empty() {
                    let (piece, behind) =
                        rest.split_at(rest.ceil_char_boundary(PIECE_BYTES.min(rest.len())));
                    let delta = Delta::Text(piece.to_owned());
                    out.push(Event::PartDelta {
                        choice,
                        part,
                        delta,
                    });
                    rest = behind;
                }
            }
            other @ (Event::Open { .. }
            | Event::PartOpen { .. }
            | Event::PartDelta { .. }
            | Event::PartClose { .. }
            | Event::Logprobs { .. }
            | Event::Usage(_)
            | Event::Finish { .. }
            | Event::ServiceTier(_)
            | Event::Ping
            | Event::Fault(_)
            | Event::End) => out.push(other),
        }
    }
    out
}

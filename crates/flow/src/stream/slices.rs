//! A stream whose output is reserved in slices: it takes another before what
//! it has is used up, and ends with the length reason where it gets none.

use std::task::{Context, Poll};

use contract::seams;
use meter::Refused;

use super::{Going, Streaming};
use crate::estimate::guess::Guess;
use crate::exchange::Exchange;
use crate::purse::slices::{More, Terms};

/// What is reserved of a stream, and what is being asked for.
pub(super) struct Slices {
    terms: Terms,
    /// Output tokens that are reserved.
    reserved: u64,
    asked: Option<(u64, seams::Going<'static, Result<More, Refused>>)>,
    /// There is no more.
    is_over: bool,
}

/// Whether a stream may go on.
pub(super) enum Leave {
    Granted,
    /// What it has is used up, and others are asked for more.
    Asking,
    Refused,
}

impl Slices {
    /// For a stream that begins, if its output is reserved so.
    pub(super) fn of(exchange: &Exchange) -> Option<Box<Self>> {
        let purse = exchange.spending.as_ref()?;
        Some(Box::new(Self {
            terms: purse.slices?,
            reserved: purse.bound.output,
            asked: None,
            is_over: false,
        }))
    }
}

/// Output tokens that came so far.
fn used(stream: &Streaming) -> u64 {
    let tally = &stream.sight.tally;
    let told = tally.usage.filter(|told| told.source.has_output());
    let guess = Guess {
        seen: tally.seen,
        ..Guess::default()
    };
    told.map_or(0, |told| told.output_total())
        .max(guess.output())
}

impl Going {
    /// Keeps half a slice ahead of what came.
    pub(super) fn poll_slices(&mut self, cx: &mut Context<'_>) -> Leave {
        let Some(slices) = &mut self.slices else {
            return Leave::Granted;
        };
        let used = used(&self.stream);
        loop {
            let left = slices.reserved.saturating_sub(used);
            let is_whole = slices.reserved >= slices.terms.most;
            if is_whole || slices.is_over || left >= slices.terms.slice / 2 {
                let is_used_up = slices.is_over && left == 0;
                return match is_used_up {
                    true => Leave::Refused,
                    false => Leave::Granted,
                };
            }
            let exchange = &mut self.exchange;
            let (output, asked) = slices
                .asked
                .get_or_insert_with(|| exchange.ask_slice(&slices.terms, slices.reserved));
            let output = *output;
            match asked.as_mut().poll(cx) {
                Poll::Ready(taken) => {
                    slices.asked = None;
                    match taken {
                        Ok(more) => match exchange.take_slice(more, output) {
                            true => slices.reserved = slices.reserved.saturating_add(output),
                            false => slices.is_over = true,
                        },
                        Err(refused) => {
                            exchange.note_no_slice(&refused);
                            slices.is_over = true;
                        }
                    }
                }
                Poll::Pending if left == 0 => return Leave::Asking,
                Poll::Pending => return Leave::Granted,
            }
        }
    }
}

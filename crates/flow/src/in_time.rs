//! The time that a caller allows for one call, from its arrival to the first
//! content of its answer; and what a bound did, for the record.
//!
//! Deliberately not here: the end of a stream that has begun (`stream`), and
//! the cap and the cost, which hold before the call (`spending`).

use std::future::{Future, poll_fn};
use std::task::Poll;

use contract::seams::Ticks;
use contract::{Fault, FaultKind, Origin};
use evidence::Decision;

use crate::arrived::Arrived;
use crate::asking::Asking;
use crate::bounds::{Reason, Timer};
use crate::exchange::Exchange;
use crate::purse::told;

impl Exchange {
    /// Holds the call to the time that its caller allows.
    pub(crate) fn hold_to_time(&mut self, latency_ms: Option<u64>) {
        if let Some(ms) = latency_ms {
            self.bounds.until = Some(self.arrived.plus_ms(ms));
            self.bounds.latency_ms = ms;
        }
    }

    /// Serves a call as long as there is time. What is under way when it is
    /// over is dropped, the call to the provider with it, as when the caller
    /// leaves; no other candidate is tried.
    pub(crate) async fn serve_until(
        &mut self,
        until: Ticks,
        asking: &mut Asking<'_>,
    ) -> Result<Arrived, Fault> {
        let clock = self.flow.clock.clone();
        if clock.now() >= until {
            return Err(self.out_of_time());
        }
        let mut timer = Timer::new(until, clock);
        let found = {
            let mut serving = Box::pin(self.serve(asking));
            poll_fn(|cx| match serving.as_mut().poll(cx) {
                Poll::Ready(found) => Poll::Ready(Some(found)),
                Poll::Pending if timer.is_over(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        found.unwrap_or_else(|| Err(self.out_of_time()))
    }

    /// Ends what is under way.
    fn out_of_time(&mut self) -> Fault {
        let fault = too_late(self.bounds.latency_ms);
        let last = self.record.attempts.last();
        if last.is_some_and(|it| it.fault.is_none()) {
            self.bounds.cut = last.is_some_and(|it| it.times.sent_us.is_some());
            self.note_failed(&fault);
        }
        self.note_limit("refuse", Reason::Latency);
        fault
    }

    /// Puts what a bound did into the record.
    pub(crate) fn note_limit(&mut self, verdict: &'static str, reason: Reason) {
        let reading = match reason {
            Reason::Latency => told::number("max_latency_ms", self.bounds.latency_ms),
            Reason::Cost | Reason::Cap | Reason::Budget => {
                told::number("output_tokens_seen", self.guess.output_at_least())
            }
            Reason::Reasoning => {
                told::number("reasoning_tokens_seen", self.guess.reasoning_at_least())
            }
        };
        self.record.decisions.push(Decision {
            stage: "limit".into(),
            verdict: verdict.into(),
            reason: reason.name().into(),
            readings: vec![reading],
            ..Decision::default()
        });
    }
}

/// The caller's time ran out; the provider is not to blame for it.
fn too_late(latency_ms: u64) -> Fault {
    Fault::new(
        FaultKind::Timeout,
        Origin::Client,
        format!(
            "The answer did not begin within the {latency_ms} ms that this call's \
             `max_latency_ms` allows. Allow more time, ask for less, or use a faster model."
        ),
    )
    .at("tollgate.max_latency_ms")
}

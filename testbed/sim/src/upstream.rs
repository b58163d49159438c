//! The wire of the simulation: every call goes to the candidate that the
//! scenario names and follows its script.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use contract::seams::{
    Alarm, Clock, Going, Inbound, InboundBody, Outbound, Ticks, Wire, WireFault, WireFaultKind,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::acts::{Head, Script, Step};
use crate::chance::Chance;
use crate::clock::SimClock;
use crate::ledger::{Held, Ledger, Tail, Who};

/// The wire.
pub(crate) struct SimWire {
    pub(crate) clock: SimClock,
    pub(crate) ledger: Ledger,
    pub(crate) scripts: BTreeMap<(usize, usize), Script>,
    /// Draws how often a body is not ready although it has bytes; `None`
    /// where readers are slow, because such a wait would look like one for
    /// the upstream.
    pub(crate) chance: Mutex<Chance>,
    pub(crate) restless: Vec<bool>,
}

impl Wire for SimWire {
    fn send(&self, outbound: Outbound) -> Going<'_, Result<Inbound, WireFault>> {
        let who = Who::parse(&outbound.endpoint.id).expect("the plan names every endpoint so");
        let what = format!("{} {}", outbound.method, outbound.path);
        let held = self.ledger.sent(who, &what);
        let script = self.scripts.get(&(who.exchange, who.candidate)).cloned();
        Box::pin(self.answer(who, held, script, outbound.head_ms))
    }
}

impl SimWire {
    async fn answer(
        &self,
        who: Who,
        held: Held,
        script: Option<Script>,
        head_ms: u64,
    ) -> Result<Inbound, WireFault> {
        let fault = |kind| WireFault {
            kind,
            detail: "simulated".into(),
            sent: true,
        };
        let Some(script) = script else {
            self.ledger
                .broken("wire", format!("{who} was called and has no script"));
            return Err(fault(WireFaultKind::Connect));
        };
        if matches!(script.head, Head::Silent) {
            self.clock.sleep_ms(head_ms).await;
            return Err(fault(WireFaultKind::HeadTimeout));
        }
        self.clock.sleep_ms(script.after_ms.min(head_ms)).await;
        match script.head {
            Head::Fails(kind) => Err(fault(kind)),
            Head::Silent => Err(fault(WireFaultKind::HeadTimeout)),
            Head::Answers { status, headers } => {
                self.ledger.note(format_args!("{who} head {status}"));
                let status = StatusCode::from_u16(status).expect("scripts hold real statuses");
                let chance = self
                    .chance
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .fork();
                let body = SimBody {
                    held,
                    steps: script.steps.into(),
                    due: self.clock.now(),
                    alarm: self.clock.after_ms(0),
                    clock: self.clock.clone(),
                    chance: self.restless[who.exchange].then_some(chance),
                };
                Ok(Inbound {
                    status,
                    headers: header_map(headers),
                    body: Box::new(body),
                })
            }
        }
    }
}

fn header_map(headers: Vec<(&'static str, String)>) -> HeaderMap {
    headers
        .into_iter()
        .map(|(name, value)| {
            let value = HeaderValue::try_from(value).expect("scripts hold plain values");
            (HeaderName::from_static(name), value)
        })
        .collect()
}

/// A body that follows its script. Its pauses pass whether or not anybody
/// pulls, as those of a socket do.
struct SimBody {
    held: Held,
    steps: VecDeque<Step>,
    due: Ticks,
    alarm: Box<dyn Alarm>,
    clock: SimClock,
    chance: Option<Chance>,
}

impl InboundBody for SimBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireFault>>> {
        while let Some(Step::Wait { ms }) = self.steps.front() {
            self.due = self.due.plus_ms(*ms);
            self.steps.pop_front();
        }
        if self.clock.now() < self.due {
            self.alarm.set(self.due);
            if self.alarm.poll_ring(cx).is_pending() {
                return Poll::Pending;
            }
        }
        if self.chance.as_mut().is_some_and(|chance| chance.one_in(4)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.steps.front() {
            Some(Step::Silence) => return Poll::Pending,
            Some(Step::Bytes(_) | Step::Reset | Step::Wait { .. }) | None => {}
        }
        match self.steps.pop_front() {
            Some(Step::Bytes(bytes)) => {
                self.held.pulled(&bytes);
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Step::Reset) => {
                self.held.ended(Tail::Broke);
                Poll::Ready(Some(Err(WireFault {
                    kind: WireFaultKind::ResetInBody,
                    detail: "simulated".into(),
                    sent: true,
                })))
            }
            Some(Step::Wait { .. } | Step::Silence) | None => {
                self.held.ended(Tail::Ended);
                Poll::Ready(None)
            }
        }
    }
}

/// A wire behind an [`Arc`], for the wrappers of mutants.
pub(crate) type AnyWire = Arc<dyn Wire>;

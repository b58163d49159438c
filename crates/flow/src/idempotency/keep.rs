//! What is kept of the answer to a call with a key, and how its end is told to
//! the store.
//!
//! Deliberately not here: who gets the answer again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use access::approval::Uncovered;
use bytes::Bytes;
use contract::FaultKind;
use evidence::{Attempt, Outcome};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use judge::idempotency::{End, Ending, Leg, ending};
use store::{KeptReply, ReplyEnd, Settled};

use crate::exchange::Exchange;
use crate::keyed::Idempotent;
use crate::reply::{JSON, LOSS, MODEL, PROVIDER, Reply, ReplyBody, SHOULD_RETRY, WARN};

/// Headers of an answer that a repeat gets as well. Those that are of one call
/// alone (its id, its attempts, its cost) are told anew or not at all.
static KEPT: [HeaderName; 8] = [
    CONTENT_TYPE,
    CACHE_CONTROL,
    PROVIDER,
    MODEL,
    LOSS,
    WARN,
    SHOULD_RETRY,
    HeaderName::from_static("tollgate-degraded"),
];
/// Statuses of gateways in front of a provider that gave up waiting for it:
/// nobody heard what it made of the call.
const UNHEARD: [u16; 3] = [408, 504, 524];

impl Exchange {
    /// Keeps an answer as the caller gets it, or what there is of it so far.
    pub(crate) fn keep(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        let Some(idempotent) = &mut self.idempotent else {
            return;
        };
        let Some(max) = idempotent.retains else {
            return;
        };
        let kept = headers.iter().filter(|(name, _)| KEPT.contains(name));
        let kept = kept.filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        idempotent.head = Some(KeptReply {
            status: status.as_u16(),
            headers: kept.collect(),
            body: Vec::new(),
        });
        idempotent.body = Some(idempotent.lane.capture(max));
        self.keep_more(body);
    }

    /// Keeps what the caller gets next.
    pub(crate) fn keep_more(&mut self, bytes: &[u8]) {
        let Some(idempotent) = &mut self.idempotent else {
            return;
        };
        let fits = idempotent.body.as_mut().is_none_or(|it| it.push(bytes));
        if !fits {
            // Half an answer is none.
            idempotent.body = None;
            self.flow.evidence.meter().idempotency("too_large");
        }
    }

    /// Keeps a refusal, should it turn out to be the answer.
    pub(crate) fn keep_refusal(&mut self, reply: &Reply) {
        match &reply.body {
            ReplyBody::Whole(body) => self.keep(reply.status, &reply.headers, body),
            ReplyBody::Stream(_) => {}
        }
    }

    /// Tells the store how the call ended. With the record of the exchange, so
    /// that it happens exactly once, also where the exchange is dropped.
    pub(crate) fn settle_key(&mut self, status: u16, outcome: Outcome) {
        let Some(mut idempotent) = self.idempotent.take() else {
            return;
        };
        let Some(live) = idempotent.live.take() else {
            return;
        };
        let (end, room) = match self.ending(&idempotent, outcome) {
            Ending::Completed => {
                let body = idempotent.body.take().map(store::Capture::finish);
                let (reply, room) = match idempotent.head.take().zip(body) {
                    Some((head, (body, room))) => (Some(KeptReply { body, ..head }), Some(room)),
                    None => (None, None),
                };
                (ReplyEnd::Completed { status, reply }, room)
            }
            Ending::Released => (ReplyEnd::Released, None),
            Ending::Unknown => (ReplyEnd::Unknown, None),
        };
        idempotent.kept = Some(live.settle(end, room));
        self.idempotent = Some(idempotent);
    }

    fn ending(&self, idempotent: &Idempotent, outcome: Outcome) -> Ending {
        let (is_complete, is_cut, is_left) = match outcome {
            Outcome::Complete => (true, false, false),
            Outcome::Refused | Outcome::Failed => (false, false, false),
            Outcome::Cut | Outcome::Unknown | Outcome::Lost => (false, true, false),
            Outcome::Cancelled => (false, true, true),
        };
        let fault = self.record.fault.as_ref().map(|fault| fault.kind.as_ref());
        let refusals = [
            FaultKind::Forbidden,
            FaultKind::Blocked,
            FaultKind::TooLarge,
        ];
        let is_refused = refusals.iter().any(|kind| fault == Some(kind.name()));
        let mut decisions = self.record.decisions.iter().rev();
        let approval = decisions.find(|it| it.stage == "approval");
        let is_asked_back = approval.is_some_and(|it| it.reason == Uncovered::Pending.code());
        let end = End {
            is_complete,
            is_refused,
            is_asked_back: is_asked_back && is_refused && !is_left,
            is_cut,
        };
        let legs = self.record.attempts.iter().enumerate();
        let unsent = &idempotent.unsent;
        ending(
            end,
            legs.map(|(nth, attempt)| leg(attempt, unsent.contains(&nth))),
        )
    }

    /// Ready once the end of the call is durable, or the store has failed to
    /// take it in: then it does so later, and until then a repeat waits.
    pub(crate) fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let kept = self.idempotent.as_mut().and_then(|it| it.kept.as_mut());
        let Some(kept) = kept else {
            return Poll::Ready(());
        };
        let Poll::Ready(settled) = Pin::new(kept).poll(cx) else {
            return Poll::Pending;
        };
        self.idempotent = None;
        let meter = self.flow.evidence.meter();
        match settled {
            Ok(Settled::Kept | Settled::Gone) => {}
            Ok(Settled::WithoutReply) => meter.idempotency("replies_full"),
            Err(_) => meter.idempotency("settled_late"),
        }
        Poll::Ready(())
    }

    /// Waits until [`Exchange::poll_kept`] is ready.
    pub(crate) async fn kept(&mut self) {
        poll_fn(|cx| self.poll_kept(cx)).await;
    }

    /// The parts of an answer that was kept, with what is this call's own.
    pub(super) fn kept_parts(&mut self, reply: KeptReply) -> (StatusCode, HeaderMap, Bytes) {
        let mut headers = self.headers(JSON);
        self.declare(&[], &mut headers);
        for (name, value) in reply.headers {
            let name = KEPT.iter().find(|kept| kept.as_str() == name);
            if let Some((name, value)) = name.zip(HeaderValue::try_from(value).ok()) {
                headers.insert(name.clone(), value);
            }
        }
        let status = StatusCode::from_u16(reply.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, headers, reply.body.into())
    }
}

/// How far an upstream call came.
fn leg(attempt: &Attempt, is_unsent: bool) -> Leg {
    match (attempt.times.sent_us, attempt.status) {
        // A model inside the gateway.
        (None, _) if attempt.committed => Leg::Accepted,
        (None, _) => Leg::Unsent,
        (Some(_), None) if is_unsent => Leg::Unsent,
        (Some(_), None) => Leg::Unheard,
        (Some(_), Some(status)) if UNHEARD.contains(&status) => Leg::Unheard,
        (Some(_), Some(300..)) => Leg::Refused,
        (Some(_), Some(_)) => Leg::Accepted,
    }
}

//! Planted mistakes: each bends one thing that the flow does, so that tests
//! can show that the checkers notice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use contract::DialectId;
use contract::seams::{Going, Inbound, InboundBody, Outbound, Wire, WireFault};
use http::{HeaderMap, StatusCode};

use crate::seen;

/// A planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// None: the flow as it is.
    None,
    /// The in-band error never reaches the caller.
    SwallowedError,
    /// An end marker follows the in-band error.
    EndBehindFault,
    /// The end marker never reaches the caller.
    SwallowedEnd,
    /// Every call is sent twice.
    SentTwice,
    /// A call is sent again once nobody wants its answer.
    SentLate,
    /// Upstream bodies stay open when they are dropped.
    KeptOpen,
    /// Every third record is lost.
    DroppedRecord,
    /// Every record is written twice.
    DoubledRecord,
    /// Bytes of a failed attempt come before the answer.
    LeakedAttempt,
    /// A provider's 4xx is taken for a 5xx.
    RetriedRefusal,
    /// Bytes of a stream change on their way.
    Rewritten,
    /// Figures of usage change on their way.
    WrongUsage,
    /// Faults have another status.
    WrongStatus,
    /// `x-should-retry` says the opposite.
    WrongRetry,
    /// Losses are not declared.
    HiddenLoss,
    /// All that an upstream has is taken before any of it is passed on.
    Hoard,
}

impl Mutant {
    /// Every mistake, and the rules of which one must notice it.
    pub const ALL: [(Mutant, &'static [&'static str]); 16] = [
        (Mutant::SwallowedError, &["stream-end"]),
        (Mutant::EndBehindFault, &["stream-end"]),
        (Mutant::SwallowedEnd, &["stream-end"]),
        (Mutant::SentTwice, &["attempts"]),
        (Mutant::SentLate, &["sent-late"]),
        (Mutant::KeptOpen, &["cancel"]),
        (Mutant::DroppedRecord, &["one-record"]),
        (Mutant::DoubledRecord, &["one-record"]),
        (Mutant::LeakedAttempt, &["leak"]),
        (Mutant::RetriedRefusal, &["refusal"]),
        (Mutant::Rewritten, &["verbatim"]),
        (Mutant::WrongUsage, &["usage"]),
        (Mutant::WrongStatus, &["status"]),
        (Mutant::WrongRetry, &["retry"]),
        (Mutant::HiddenLoss, &["loss"]),
        (Mutant::Hoard, &["memory"]),
    ];

    /// Bends the head of an answer.
    pub(crate) fn bend_head(self, status: &mut StatusCode, headers: &mut HeaderMap) {
        match self {
            Self::WrongStatus if status.as_u16() >= 500 => *status = StatusCode::IM_A_TEAPOT,
            Self::WrongRetry => {
                if let Some(value) = headers.get_mut("x-should-retry") {
                    let word = if value == "true" { "false" } else { "true" };
                    *value = http::HeaderValue::from_static(word);
                }
            }
            Self::HiddenLoss => {
                headers.remove("tollgate-loss");
            }
            _ => {}
        }
    }

    /// Bends bytes that a caller gets. `failed` is what an attempt that
    /// failed had said.
    pub(crate) fn bend_piece(self, front: DialectId, bytes: &Bytes, failed: &[u8]) -> Bytes {
        let without = |wanted: fn(&seen::Frame) -> bool| {
            let stream = seen::stream(front, bytes);
            let kept = stream.frames.iter().filter(|frame| !wanted(frame));
            let kept: Vec<u8> = kept
                .flat_map(|frame| &bytes[frame.range.clone()])
                .copied()
                .collect();
            Bytes::from(kept)
        };
        match self {
            Self::SwallowedError => without(|frame| frame.error),
            Self::SwallowedEnd => without(|frame| frame.end),
            Self::EndBehindFault => {
                let stream = seen::stream(front, bytes);
                if stream.frames.last().is_some_and(|frame| frame.error) {
                    [bytes, end_marker(front)].concat().into()
                } else {
                    bytes.clone()
                }
            }
            Self::LeakedAttempt => [failed, bytes].concat().into(),
            Self::Rewritten => String::from_utf8_lossy(bytes)
                .replacen("\"role\":", "\"role\": ", 1)
                .into(),
            _ => bytes.clone(),
        }
    }
}

fn end_marker(front: DialectId) -> &'static [u8] {
    match front.0 {
        "openai_chat" => b"data: [DONE]\n\n",
        "anthropic" => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "openai_responses" => {
            b"event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n"
        }
        _ => b"",
    }
}

/// A wire that makes the mistake.
pub(crate) struct MutantWire<W> {
    pub(crate) inner: Arc<W>,
    pub(crate) mutant: Mutant,
    /// Bodies that should have been closed.
    pub(crate) kept: Arc<Mutex<Vec<Box<dyn InboundBody>>>>,
}

impl<W: Wire> Wire for MutantWire<W> {
    fn send(&self, outbound: Outbound) -> Going<'_, Result<Inbound, WireFault>> {
        if self.mutant == Mutant::SentTwice {
            drop(self.inner.send(outbound.clone()));
        }
        let again = outbound.clone();
        let first = self.inner.send(outbound);
        Box::pin(async move {
            let mut inbound = first.await?;
            if self.mutant == Mutant::RetriedRefusal && inbound.status.is_client_error() {
                inbound.status = StatusCode::INTERNAL_SERVER_ERROR;
            }
            let inner = self.inner.clone();
            inbound.body = Box::new(MutantBody {
                inner: Some(inbound.body),
                mutant: self.mutant,
                kept: self.kept.clone(),
                taken: VecDeque::new(),
                at_last: Box::new(move || drop(inner.send(again))),
            });
            Ok(inbound)
        })
    }
}

struct MutantBody {
    inner: Option<Box<dyn InboundBody>>,
    mutant: Mutant,
    kept: Arc<Mutex<Vec<Box<dyn InboundBody>>>>,
    taken: VecDeque<Poll<Option<Result<Bytes, WireFault>>>>,
    at_last: Box<dyn FnOnce() + Send>,
}

impl InboundBody for MutantBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireFault>>> {
        let inner = self.inner.as_mut().expect("held until the drop");
        match self.mutant {
            Mutant::Hoard => {
                loop {
                    let next = inner.poll_chunk(cx);
                    let more = matches!(next, Poll::Ready(Some(Ok(_))));
                    if next.is_ready() {
                        self.taken.push_back(next);
                    }
                    if !more {
                        break;
                    }
                }
                self.taken.pop_front().unwrap_or(Poll::Pending)
            }
            Mutant::WrongUsage => inner
                .poll_chunk(cx)
                .map(|next| next.map(|piece| piece.map(|bytes| bend_figures(&bytes)))),
            _ => inner.poll_chunk(cx),
        }
    }
}

/// Another first digit in each figure of tokens.
fn bend_figures(bytes: &Bytes) -> Bytes {
    let mut bent = bytes.to_vec();
    for name in [&b"okens\":"[..], b"TokenCount\":"] {
        let mut from = 0;
        while let Some(at) = bent[from..]
            .windows(name.len())
            .position(|here| here == name)
        {
            from += at + name.len();
            if let Some(digit) = bent
                .get_mut(from)
                .filter(|digit| (b'1'..=b'8').contains(digit))
            {
                *digit += 1;
            }
        }
    }
    bent.into()
}

impl Drop for MutantBody {
    fn drop(&mut self) {
        let inner = self.inner.take();
        if self.mutant == Mutant::KeptOpen {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(inner);
        } else {
            drop(inner);
        }
        if self.mutant == Mutant::SentLate {
            std::mem::replace(&mut self.at_last, Box::new(|| ()))();
        }
    }
}

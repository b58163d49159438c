//! An answer as a script: status, headers, and steps that send, wait, stall or break.
//!
//! Not here: which script a request gets (`routes`, `faults`, `fast`).

use super::journal::Witness;
use super::wire::Mischief;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde_json::Value;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Sends the bytes for ever, with a pause between.
    Repeat(Bytes, Duration),
    /// Says nothing more, keeps the connection.
    Stall,
    /// Ends without the end of the body; `true` with a TCP reset.
    Break(bool),
}

/// Bytes that replace the whole HTTP answer, and whether a reset follows them.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) bytes: Bytes,
    pub(crate) reset: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) steps: Vec<Step>,
    /// Waits before the head.
    pub(crate) head_delay: Duration,
    /// The head never comes.
    pub(crate) hang: bool,
    pub(crate) raw: Option<Raw>,
    /// Streams are sent without a content-length.
    pub(crate) stream: bool,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::whole(status, "application/json", Bytes::from(body.to_string()))
    }

    pub(crate) fn whole(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut out = Self::empty(status);
        out.set("content-type", content_type);
        out.steps = vec![Step::Send(body)];
        out
    }

    pub(crate) fn stream(content_type: &'static str, frames: Vec<Bytes>) -> Self {
        let mut out = Self::empty(StatusCode::OK);
        out.set("content-type", content_type);
        out.set("cache-control", "no-cache");
        out.steps = frames.into_iter().map(Step::Send).collect();
        out.stream = true;
        out
    }

    fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            steps: Vec::new(),
            head_delay: Duration::ZERO,
            hang: false,
            raw: None,
            stream: false,
        }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    /// A pause before every frame after the head.
    pub(crate) fn pace(&mut self, chunk_ms: u64) {
        if chunk_ms == 0 || !self.stream {
            return;
        }
        let pause = Duration::from_millis(chunk_ms);
        self.steps = std::mem::take(&mut self.steps)
            .into_iter()
            .flat_map(|s| [Step::Wait(pause), s])
            .collect();
    }
}

/// A body that plays steps; it tells its witness when it was finished, or dropped early.
pub(crate) struct Script {
    steps: VecDeque<Step>,
    exact: Option<u64>,
    sleep: Option<Pin<Box<Sleep>>>,
    mischief: Arc<Mischief>,
    witness: Option<Witness>,
}

impl Script {
    pub(crate) fn new(answer: Answer, mischief: Arc<Mischief>, witness: Option<Witness>) -> Self {
        let exact = match (answer.stream, answer.steps.as_slice()) {
            (false, [Step::Send(only)]) => Some(only.len() as u64),
            (false, []) => Some(0),
            _ => None,
        };
        Self {
            steps: answer.steps.into(),
            exact,
            sleep: None,
            mischief,
            witness,
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            match self.steps.pop_front() {
                None => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(self.sent(bytes)))),
                Some(Step::Wait(pause)) => self.sleep = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Repeat(bytes, pause)) => {
                    self.steps.push_front(Step::Repeat(bytes.clone(), pause));
                    // The pause is taken before the next frame.
                    self.sleep = Some(Box::pin(tokio::time::sleep(pause)));
                    return Poll::Ready(Some(Ok(self.sent(bytes))));
                }
                Some(Step::Stall) => {
                    self.steps.push_front(Step::Stall);
                    // Nothing wakes this body; the connection ends it when the peer leaves.
                    return Poll::Pending;
                }
                Some(Step::Break(reset)) => {
                    if reset {
                        self.mischief.reset_on_close();
                    }
                    self.finish();
                    return Poll::Ready(Some(Err(io::Error::other("scripted break"))));
                }
            }
        }
    }

    fn sent(&mut self, bytes: Bytes) -> Frame<Bytes> {
        if let Some(w) = &self.witness {
            w.sent(bytes.len());
        }
        if self.steps.is_empty() {
            self.finish();
        }
        Frame::data(bytes)
    }

    fn finish(&mut self) {
        if let Some(w) = self.witness.take() {
            w.finished();
        }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.next(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.exact
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

//! What goes back to the caller, and how a fault is dressed.

use std::task::{Context, Poll};

use bytes::Bytes;
use contract::Loss;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("tollgate-request-id");
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("tollgate-provider");
pub(crate) const MODEL: HeaderName = HeaderName::from_static("tollgate-model");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("tollgate-attempts");
pub(crate) const PLAN: HeaderName = HeaderName::from_static("tollgate-plan");
pub(crate) const CONTRACT: HeaderName = HeaderName::from_static("tollgate-contract");
pub(crate) const LOSS: HeaderName = HeaderName::from_static("tollgate-loss");
pub(crate) const APPROVAL: HeaderName = HeaderName::from_static("tollgate-approval");
pub(crate) const COST: HeaderName = HeaderName::from_static("tollgate-cost");
pub(crate) const DEGRADED: HeaderName = HeaderName::from_static("tollgate-degraded");
pub(crate) const WARN: HeaderName = HeaderName::from_static("tollgate-warn");
pub(crate) const REPLAY: HeaderName = HeaderName::from_static("tollgate-idempotent-replay");
pub(crate) const ORIGINAL: HeaderName = HeaderName::from_static("tollgate-original-request-id");
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Longest `tollgate-loss` value, bytes; further losses are counted there and
/// stand in the record.
const LOSS_BYTES_MAX: usize = 1_024;

/// An answer for the caller.
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers, without framing.
    pub headers: HeaderMap,
    /// Body.
    pub body: ReplyBody,
}

/// The body of an answer.
pub enum ReplyBody {
    /// All of it; written together with the head.
    Whole(Bytes),
    /// Pulled piece by piece. Dropping it cancels the upstream call.
    Stream(Box<dyn ReplyStream>),
}

/// A streamed body.
pub trait ReplyStream: Send {
    /// The next bytes; `None` at the end. Faults of the upstream are already
    /// in these bytes, in the caller's dialect.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>>;
}

/// The connection must be cut so that the answer cannot look complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer was cut")
    }
}

impl std::error::Error for Cut {}

/// The value of `tollgate-loss`: what was lost, separated by commas.
pub(crate) fn loss_header(losses: &[Loss]) -> Option<HeaderValue> {
    let mut text = String::new();
    for (index, loss) in losses.iter().enumerate() {
        if text.len() + loss.what.len() > LOSS_BYTES_MAX {
            text.push_str(&format!(", and {} more", losses.len() - index));
            break;
        }
        if index > 0 {
            text.push_str(", ");
        }
        text.extend(
            loss.what
                .chars()
                .map(|c| if (' '..='~').contains(&c) { c } else { '?' }),
        );
    }
    (!text.is_empty()).then(|| HeaderValue::try_from(text).expect("only printable ASCII"))
}

//! What came of an exchange that was not refused.

use bytes::Bytes;
use contract::Loss;
use http::{HeaderValue, StatusCode};

use crate::keyed::Replayed;
use crate::reply::JSON;
use crate::stream::Streaming;

/// What came of an exchange that was not refused.
pub(crate) enum Arrived {
    /// A whole answer.
    Whole {
        body: Bytes,
        status: StatusCode,
        content_type: HeaderValue,
        losses: Vec<Loss>,
    },
    /// A stream that has committed.
    Stream(Box<Streaming>),
    /// The answer of an earlier call with the same key.
    Replayed(Box<Replayed>),
}

impl Arrived {
    /// A JSON answer with status 200.
    pub(crate) fn json(body: Bytes, losses: Vec<Loss>) -> Self {
        Self::Whole {
            body,
            status: StatusCode::OK,
            content_type: JSON,
            losses,
        }
    }
}

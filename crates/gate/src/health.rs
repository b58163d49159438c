//! `/livez`, `/readyz` and its alias `/healthz`, without credentials and
//! without a record: a probe is not an exchange.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};

use crate::edge::body::ReplyBody;
use crate::edge::control::Control;

/// Whether the process serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    control: Arc<OnceLock<Control>>,
}

impl Health {
    /// Follows the edge that takes calls in: ready while it is, and not
    /// before. Only the first call counts.
    pub(crate) fn follow(&self, control: Control) {
        self.control.get_or_init(|| control);
    }

    /// Whether calls should come here.
    pub(crate) fn is_ready(&self) -> bool {
        self.control.get().is_some_and(Control::is_ready)
    }

    /// The answer, if the request is a probe.
    pub(crate) fn answer(&self, head: &Parts) -> Option<Response<ReplyBody>> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return None;
        }
        let (status, text) = match head.uri.path() {
            "/livez" => (StatusCode::OK, "ok\n"),
            "/readyz" | "/healthz" if self.is_ready() => (StatusCode::OK, "ready\n"),
            "/readyz" | "/healthz" => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: the gateway is starting or draining\n",
            ),
            _ => return None,
        };
        let mut response = Response::new(ReplyBody::from(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        Some(response)
    }
}

//! The data door: what the edge hands in goes through `flow`, what `flow`
//! gives back goes out through the edge.
//!
//! Deliberately not here: any decision about a call.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use access::identity::Standing;
use flow::{Caller, Exchange, Flow, Reply};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use hyper::body::Incoming;

use crate::edge::body::{BodyFault, BodyLimits, ReplyBody, collect};
use crate::edge::conn::ConnFacts;
use crate::edge::framing::Violation;
use crate::edge::serve::{Door, wants_upgrade};
use crate::health::Health;

/// The door of one worker.
pub(crate) struct DataDoor {
    pub(crate) flow: Arc<Flow>,
    pub(crate) bodies: BodyLimits,
    pub(crate) health: Health,
    pub(crate) standing: Standings,
}

/// What listeners say about their callers, by their names.
pub(crate) type Standings = Arc<HashMap<Arc<str>, Arc<Standing>>>;

type Answer = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

impl Door for DataDoor {
    type Answer = Answer;

    fn knock(&self, head: Parts, body: Incoming, conn: &Arc<ConnFacts>) -> Answer {
        if let Some(response) = self.health.answer(&head) {
            return Box::pin(std::future::ready(response));
        }
        if wants_upgrade(&head) {
            let reply = self
                .flow
                .refuse(head, &no_upgrade(), StatusCode::UPGRADE_REQUIRED);
            return Box::pin(std::future::ready(response(reply)));
        }
        let caller = Caller {
            address: conn.peer.map(|peer| peer.ip().to_canonical()),
            certificate: conn.tls.as_ref().and_then(|tls| tls.certificate.clone()),
            standing: self
                .standing
                .get(&conn.listener)
                .cloned()
                .unwrap_or_default(),
        };
        match self.flow.open(head, caller) {
            Ok(exchange) => Box::pin(run(exchange, body, self.bodies.clone())),
            Err(reply) => Box::pin(std::future::ready(response(*reply))),
        }
    }

    fn refuse(&self, violation: &Violation, path: &str, _: &Arc<ConnFacts>) -> Response<ReplyBody> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse::<Uri>().unwrap_or_default();
        let (head, ()) = request.into_parts();
        let status = StatusCode::from_u16(violation.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = response(self.flow.refuse(head, &violation.fault(), status));
        close(&mut response);
        response
    }
}

/// Says that the connection ends with this answer.
fn close(response: &mut Response<ReplyBody>) {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
}

async fn run(
    exchange: Box<Exchange>,
    body: Incoming,
    mut limits: BodyLimits,
) -> Response<ReplyBody> {
    limits.bytes_max = exchange.body_bytes_max() as u64;
    let is_http1 = exchange.head().version <= Version::HTTP_11;
    let body = collect(body, &exchange.head().headers, &limits).await;
    // The rest of such a body is not waited for, and HTTP/2 has streams.
    let closes = is_http1 && matches!(body, Err(BodyFault::TooSlow { .. }));
    let mut response = response(exchange.run(body.map_err(|fault| fault.fault())).await);
    // Answers that became ready together go out together, as requests do.
    tokio::task::yield_now().await;
    if closes {
        close(&mut response);
    }
    response
}

fn response(reply: Reply) -> Response<ReplyBody> {
    let body = match reply.body {
        flow::ReplyBody::Whole(bytes) => ReplyBody::from(bytes),
        flow::ReplyBody::Stream(stream) => ReplyBody::stream(stream),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

fn no_upgrade() -> contract::Fault {
    contract::Fault::new(
        contract::FaultKind::Unsupported,
        contract::Origin::Client,
        "WebSockets are not served here yet. Send the same request as a POST, with streaming by \
         server-sent events if you want the answer piece by piece.",
    )
}

#[cfg(test)]
mod tests;

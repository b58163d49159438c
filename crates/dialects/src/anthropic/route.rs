//! Paths of the Messages API: which are served, which are refused with a
//! reason, and where upstream calls go.

use contract::{Fault, FaultKind, Operation, Origin};
use http::{HeaderName, HeaderValue, Method};

use super::ID;
use crate::dialect::{Call, Destination, Head, Route};
use crate::percent;

/// The version that a call carries upstream unless the client sent one. The
/// shapes that this dialect writes are valid in it.
const VERSION: &str = "2023-06-01";
/// A prefix under which every path of the dialect is accepted, and no other
/// dialect's.
const PREFIX: &str = "/anthropic";

/// See [`crate::Dialect::route`].
pub(super) fn route(head: &Head<'_>) -> Option<Route> {
    let prefixed = head
        .path
        .strip_prefix(PREFIX)
        .filter(|rest| rest.starts_with('/'));
    let path = prefixed.unwrap_or(head.path).strip_prefix("/v1/")?;
    let ours = prefixed.is_some() || head.headers.contains_key("anthropic-version");
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match (first, rest) {
        ("messages", "") => Some(served(head, &Method::POST, Operation::Chat)),
        ("messages", "count_tokens") => Some(served(head, &Method::POST, Operation::CountTokens)),
        ("messages", _) => Some(refused(
            "Message batches are not served here. Send each message to /v1/messages.",
        )),
        ("complete", "") if ours => Some(refused(
            "The text-completions API is not served here. Use /v1/messages.",
        )),
        ("models", "") if ours => Some(served(head, &Method::GET, Operation::ListModels)),
        ("models", name) if ours => {
            let mut route = served(head, &Method::GET, Operation::GetModel);
            route.model = Some(percent::decoded(name));
            Some(route)
        }
        _ if ours => Some(refused(
            "This path of the Anthropic API is not served here. Served are /v1/messages, \
             /v1/messages/count_tokens and /v1/models.",
        )),
        _ => None,
    }
}

fn served(head: &Head<'_>, method: &Method, operation: Operation) -> Route {
    let mut route = Route::new(ID, operation);
    if operation == Operation::CountTokens {
        route.stream = Some(false);
    }
    if head.method != method {
        route.refused = Some(Fault::new(
            FaultKind::MethodNotAllowed,
            Origin::Client,
            format!("{} is not allowed on this path. Use {method}.", head.method),
        ));
    }
    route
}

fn refused(why: &'static str) -> Route {
    let mut route = Route::new(ID, Operation::Chat);
    route.refused = Some(Fault::new(FaultKind::UnknownPath, Origin::Client, why));
    route
}

/// See [`crate::Dialect::destination`].
pub(super) fn destination(call: &Call<'_>) -> Destination {
    let (method, mut path) = match call.operation {
        Operation::Chat | Operation::Embed => (Method::POST, "/v1/messages".to_owned()),
        Operation::CountTokens => (Method::POST, "/v1/messages/count_tokens".to_owned()),
        Operation::ListModels => (Method::GET, "/v1/models".to_owned()),
        Operation::GetModel => {
            let model = percent::encoded(call.model);
            (Method::GET, format!("/v1/models/{model}"))
        }
    };
    if let Some(query) = call.query.filter(|query| !query.is_empty()) {
        path.push('?');
        path.push_str(query);
    }
    Destination {
        method,
        path,
        headers: vec![(
            HeaderName::from_static("anthropic-version"),
            HeaderValue::from_static(VERSION),
        )],
    }
}

//! Paths of the Converse API. Model ids contain `:` and, as ARNs, `/`; each
//! is one percent-encoded path segment.

use contract::{Fault, FaultKind, Operation, Origin};
use http::Method;

use super::ID;
use crate::dialect::{Call, Destination, Head, Route};
use crate::percent;

/// A prefix under which every path of the dialect is accepted as well.
const PREFIX: &str = "/bedrock";

/// See [`crate::Dialect::route`].
pub(super) fn route(head: &Head<'_>) -> Option<Route> {
    let path = unprefixed(head.path);
    let (model, verb) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let (operation, stream, refusal) = match verb {
        "converse" => (Operation::Chat, false, None),
        "converse-stream" => (Operation::Chat, true, None),
        "count-tokens" => (Operation::CountTokens, false, None),
        "invoke" | "invoke-with-response-stream" | "invoke-with-bidirectional-stream" => (
            Operation::Chat,
            false,
            Some(
                "Model invocation with a vendor's own body is not served here. Use Converse: \
                 /model/{id}/converse or /model/{id}/converse-stream.",
            ),
        ),
        _ => (
            Operation::Chat,
            false,
            Some(
                "This path of the Bedrock API is not served here. Served are \
                 /model/{id}/converse, /converse-stream and /count-tokens.",
            ),
        ),
    };
    let mut route = Route::new(ID, operation);
    route.model = Some(model_id(model));
    route.stream = Some(stream);
    route.refused = match refusal {
        Some(why) => Some(Fault::new(FaultKind::UnknownPath, Origin::Client, why)),
        None if head.method != Method::POST => Some(Fault::new(
            FaultKind::MethodNotAllowed,
            Origin::Client,
            format!("{} is not allowed on this path. Use POST.", head.method),
        )),
        None => None,
    };
    Some(route)
}

/// See [`crate::Dialect::claims`].
pub(super) fn claims(head: &Head<'_>) -> bool {
    unprefixed(head.path).starts_with("/model/")
        || head.headers.contains_key("x-amz-date")
        || head.headers.contains_key("amz-sdk-invocation-id")
}

fn unprefixed(path: &str) -> &str {
    path.strip_prefix(PREFIX)
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path)
}

/// Some clients encode the id twice (once as a label, once as a path). Ids
/// contain no percent sign, so a second decoding harms none.
fn model_id(segment: &str) -> String {
    percent::decoded(&percent::decoded(segment))
}

/// See [`crate::Dialect::destination`].
pub(super) fn destination(call: &Call<'_>) -> Destination {
    let verb = match (call.operation, call.stream) {
        (Operation::CountTokens, _) => "count-tokens",
        (
            Operation::Chat | Operation::Embed | Operation::ListModels | Operation::GetModel,
            true,
        ) => "converse-stream",
        (
            Operation::Chat | Operation::Embed | Operation::ListModels | Operation::GetModel,
            false,
        ) => "converse",
    };
    Destination {
        method: Method::POST,
        path: format!("/model/{}/{verb}", percent::encoded(call.model)),
        headers: Vec::new(),
    }
}

//! Which paths are ours, with and without `/v1`. What the vendor stores is
//! not served: a response id belongs to the account that made it.

use contract::{Fault, FaultKind, Operation, Origin};
use http::Method;

use super::ID;
use crate::dialect::{Call, Destination, Head, Route};

/// The route of a request.
pub(super) fn route(head: &Head<'_>) -> Option<Route> {
    let path = head.path.strip_prefix("/openai").unwrap_or(head.path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let rest = path.strip_prefix("/responses")?;
    match rest {
        "" => Some(only_post(
            head.method,
            Operation::Chat,
            "A WebSocket or a list of responses is not served here. Send a POST",
        )),
        "/input_tokens" => Some(only_post(
            head.method,
            Operation::CountTokens,
            "Counting takes a body. Send a POST",
        )),
        "/compact" => Some(refused(
            FaultKind::UnknownPath,
            "The gateway does not compact conversations. Send the whole conversation to \
             `/v1/responses`, or compact it at the provider.",
        )),
        stored if stored.starts_with('/') => Some(refused(
            FaultKind::UnknownPath,
            "The gateway keeps no responses, so none can be fetched, listed, cancelled or \
             deleted by id. Use what `POST /v1/responses` answered.",
        )),
        _ => None,
    }
}

fn only_post(method: &Method, operation: Operation, advice: &'static str) -> Route {
    if method == Method::POST {
        return Route::new(ID, operation);
    }
    let mut route = Route::new(ID, operation);
    route.refused = Some(Fault::new(
        FaultKind::MethodNotAllowed,
        Origin::Client,
        format!("This path is not served for {method}. {advice}."),
    ));
    route
}

fn refused(kind: FaultKind, why: &'static str) -> Route {
    let mut route = Route::new(ID, Operation::Chat);
    route.refused = Some(Fault::new(kind, Origin::Client, why));
    route
}

/// Where a call goes upstream, below a base URL that ends in the version.
pub(super) fn destination(call: &Call<'_>) -> Destination {
    let (method, path) = match call.operation {
        Operation::Chat => (Method::POST, "/responses".to_owned()),
        Operation::CountTokens => (Method::POST, "/responses/input_tokens".to_owned()),
        // The sibling's paths: the vendor's lists and vectors are the same.
        Operation::Embed | Operation::ListModels | Operation::GetModel => {
            return crate::openai_chat::destination(call);
        }
    };
    Destination {
        method,
        path,
        headers: Vec::new(),
    }
}

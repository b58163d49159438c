//! Which paths are ours: with and without `/v1`, and the older form of one
//! cloud that names the deployment in the path.

use contract::{Fault, FaultKind, Operation, Origin};
use http::Method;

use super::ID;
use crate::dialect::{Call, Destination, Head, Route};
use crate::percent;

/// First segments of the vendor's paths at which nothing is served yet.
const UNSERVED: &[&str] = &[
    "assistants",
    "audio",
    "batches",
    "chat",
    "completions",
    "containers",
    "conversations",
    "decisions",
    "evals",
    "files",
    "fine_tuning",
    "images",
    "moderations",
    "realtime",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];

/// The route of a request.
pub(super) fn route(head: &Head<'_>) -> Option<Route> {
    let path = head.path.strip_prefix("/openai").unwrap_or(head.path);
    if let Some(rest) = path.strip_prefix("/deployments/") {
        return deployment(head.method, rest);
    }
    let versioned = path.strip_prefix("/v1");
    let path = versioned.unwrap_or(path);
    match path {
        "/chat/completions" => Some(only(head.method, &Method::POST, Operation::Chat)),
        "/embeddings" => Some(only(head.method, &Method::POST, Operation::Embed)),
        "/models" => Some(only(head.method, &Method::GET, Operation::ListModels)),
        _ => match path.strip_prefix("/models/") {
            Some(name) => model(head.method, name),
            None if versioned.is_some() => unserved(path),
            None => None,
        },
    }
}

/// `{deployment}/chat/completions` or `{deployment}/embeddings`; the
/// `api-version` in the query only chooses among shapes that we read alike.
fn deployment(method: &Method, rest: &str) -> Option<Route> {
    let (name, call) = rest.split_once('/')?;
    let operation = match call {
        "chat/completions" => Operation::Chat,
        "embeddings" => Operation::Embed,
        _ => return None,
    };
    let mut route = only(method, &Method::POST, operation);
    route.model = Some(Some(percent::decoded(name)).filter(|name| !name.is_empty())?);
    Some(route)
}

fn model(method: &Method, name: &str) -> Option<Route> {
    let name = Some(percent::decoded(name)).filter(|name| !name.is_empty())?;
    let mut route = only(method, &Method::GET, Operation::GetModel);
    route.model = Some(name);
    Some(route)
}

fn only(method: &Method, wanted: &Method, operation: Operation) -> Route {
    let mut route = Route::new(ID, operation);
    if method != wanted {
        route.refused = Some(Fault::new(
            FaultKind::MethodNotAllowed,
            Origin::Client,
            format!("This path is served for {wanted} only, not for {method}. Send a {wanted}."),
        ));
    }
    route
}

fn unserved(path: &str) -> Option<Route> {
    let segment = path.strip_prefix('/')?.split('/').next()?;
    let known = UNSERVED.contains(&segment);
    known.then(|| {
        let mut route = Route::new(ID, Operation::Chat);
        route.refused = Some(Fault::new(
            FaultKind::UnknownPath,
            Origin::Client,
            format!(
                "The gateway does not serve `/v1{path}`. Call the provider directly for it, or \
                 use `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings` or `/v1/models`."
            ),
        ));
        route
    })
}

/// Where a call goes upstream, below a base URL that ends in the version.
pub(crate) fn destination(call: &Call<'_>) -> Destination {
    let (method, path) = match call.operation {
        Operation::Chat | Operation::CountTokens => (Method::POST, "/chat/completions".to_owned()),
        Operation::Embed => (Method::POST, "/embeddings".to_owned()),
        Operation::ListModels => (Method::GET, "/models".to_owned()),
        Operation::GetModel => {
            let mut path = "/models/".to_owned();
            path.push_str(&percent::encoded(call.model));
            (Method::GET, path)
        }
    };
    Destination {
        method,
        path,
        headers: Vec::new(),
    }
}

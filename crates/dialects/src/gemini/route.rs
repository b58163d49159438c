//! Paths of the Gemini API: which are served, which are refused with a reason,
//! and where upstream calls go.

use contract::{Fault, FaultKind, Operation, Origin};
use http::Method;

use super::ID;
use crate::dialect::{Call, Destination, Head, Route};
use crate::percent;

/// The header that carries a key of this API.
pub(super) const KEY_HEADER: &str = "x-goog-api-key";
/// [`Route::variant`] of a call that embeds one content.
pub(super) const EMBED_ONE: u8 = 1;
/// [`Route::variant`] of a call that embeds a batch.
pub(super) const EMBED_BATCH: u8 = 2;
/// A prefix under which every path of the dialect is accepted, and no other
/// dialect's.
const PREFIX: &str = "/gemini";
/// Names of tuned models keep their collection, because it is part of the
/// upstream path.
const TUNED: &str = "tunedModels/";
const MODELS: &str = "models/";

/// See [`crate::Dialect::route`].
pub(super) fn route(head: &Head<'_>) -> Option<Route> {
    let prefixed = head
        .path
        .strip_prefix(PREFIX)
        .filter(|rest| rest.starts_with('/'));
    let path = prefixed.unwrap_or(head.path);
    let (path, shared) = match path.strip_prefix("/v1beta/") {
        Some(rest) => (rest, false),
        // `/v1` is shared with other dialects.
        None => (path.strip_prefix("/v1/")?, prefixed.is_none()),
    };
    let keyed = head.headers.contains_key(KEY_HEADER);
    let route = resource(head, path, shared && !keyed).or_else(|| {
        (!shared).then(|| {
            refused(
                FaultKind::UnknownPath,
                "This path of the Gemini API is not served here. Served are \
                 models/{model}:generateContent, :streamGenerateContent, :countTokens, \
                 :embedContent, :batchEmbedContents, and GET models.",
            )
        })
    })?;
    Some(checked_query(head, route))
}

/// The route below the version. `guess` tells that only a verb shows that the
/// path is ours.
fn resource(head: &Head<'_>, path: &str, guess: bool) -> Option<Route> {
    if path == "models" {
        return (!guess).then(|| listed(head, Operation::ListModels, None));
    }
    let (collection, rest) = match path.strip_prefix(MODELS) {
        Some(rest) => ("", rest),
        None => (TUNED, path.strip_prefix(TUNED)?),
    };
    let verb = rest
        .rsplit_once(':')
        .or_else(|| rest.rsplit_once("%3A"))
        .or_else(|| rest.rsplit_once("%3a"))
        .map(|(model, word)| (model, verb(word), word))
        .filter(|(_, verb, _)| verb.is_some() || head.method == Method::POST);
    let Some((model, verb, word)) = verb else {
        let model = format!("{collection}{}", percent::decoded(rest));
        return (!guess).then(|| listed(head, Operation::GetModel, Some(model)));
    };
    let mut route = match verb {
        Some(verb) => verb.route(),
        None => refused(
            FaultKind::UnknownPath,
            format!(
                "`:{}` is not served here. Served are :generateContent, :streamGenerateContent, \
                 :countTokens, :embedContent and :batchEmbedContents.",
                percent::decoded(word)
            ),
        ),
    };
    route.model = Some(format!("{collection}{}", percent::decoded(model)));
    Some(allowing(head, &Method::POST, route))
}

/// What is done with a model.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Generate,
    Stream,
    Count,
    EmbedOne,
    EmbedBatch,
}

fn verb(word: &str) -> Option<Verb> {
    Some(match word {
        "generateContent" => Verb::Generate,
        "streamGenerateContent" => Verb::Stream,
        "countTokens" => Verb::Count,
        "embedContent" => Verb::EmbedOne,
        "batchEmbedContents" => Verb::EmbedBatch,
        _ => return None,
    })
}

impl Verb {
    fn route(self) -> Route {
        let (operation, stream, variant) = match self {
            Verb::Generate => (Operation::Chat, false, 0),
            Verb::Stream => (Operation::Chat, true, 0),
            Verb::Count => (Operation::CountTokens, false, 0),
            Verb::EmbedOne => (Operation::Embed, false, EMBED_ONE),
            Verb::EmbedBatch => (Operation::Embed, false, EMBED_BATCH),
        };
        Route {
            stream: Some(stream),
            variant,
            ..Route::new(ID, operation)
        }
    }
}

fn listed(head: &Head<'_>, operation: Operation, model: Option<String>) -> Route {
    let route = Route {
        model,
        ..Route::new(ID, operation)
    };
    allowing(head, &Method::GET, route)
}

fn allowing(head: &Head<'_>, method: &Method, mut route: Route) -> Route {
    if head.method != method && route.refused.is_none() {
        route.refused = Some(Fault::new(
            FaultKind::MethodNotAllowed,
            Origin::Client,
            format!("{} is not allowed on this path. Use {method}.", head.method),
        ));
    }
    route
}

fn refused(kind: FaultKind, why: impl Into<std::borrow::Cow<'static, str>>) -> Route {
    let mut route = Route::new(ID, Operation::Chat);
    route.refused = Some(Fault::new(kind, Origin::Client, why));
    route
}

/// Refuses keys in the query, and streams in a form that is not served.
fn checked_query(head: &Head<'_>, mut route: Route) -> Route {
    let (mut key, mut sse) = (false, false);
    for (name, value) in parameters(head.query) {
        key |= name == "key";
        sse |= matches!(name, "alt" | "$alt" | "%24alt") && value == "sse";
    }
    if key {
        route.refused = Some(
            Fault::bad_request(
                "A key in the URL ends up in logs, so it is not accepted there. Send it in the \
                 `x-goog-api-key` header.",
            )
            .at("key"),
        );
    } else if route.refused.is_none() && route.stream == Some(true) && !sse {
        route.refused = Some(
            Fault::bad_request(
                "Streams are served as server-sent events only. Add `?alt=sse` to the URL, as \
                 the SDKs do.",
            )
            .at("alt"),
        );
    }
    route
}

fn parameters(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The name of a model as a resource of the API: `models/..`.
pub(super) fn resource_name(model: &str) -> String {
    if model.starts_with(MODELS) || model.starts_with(TUNED) {
        model.to_owned()
    } else {
        format!("{MODELS}{model}")
    }
}

/// See [`crate::Dialect::destination`].
pub(super) fn destination(call: &Call<'_>) -> Destination {
    let (collection, name) = match call.model.strip_prefix(TUNED) {
        Some(name) => (TUNED, name),
        None => (
            MODELS,
            call.model.strip_prefix(MODELS).unwrap_or(call.model),
        ),
    };
    let verb = match (call.operation, call.variant) {
        (Operation::Chat, _) if call.stream => ":streamGenerateContent",
        (Operation::Chat, _) => ":generateContent",
        (Operation::CountTokens, _) => ":countTokens",
        (Operation::Embed, EMBED_ONE) => ":embedContent",
        // What other dialects ask for is written as a batch.
        (Operation::Embed, _) => ":batchEmbedContents",
        (Operation::ListModels | Operation::GetModel, _) => "",
    };
    let method = if verb.is_empty() {
        Method::GET
    } else {
        Method::POST
    };
    let mut path = match call.operation {
        Operation::ListModels => "/models".to_owned(),
        Operation::Chat | Operation::CountTokens | Operation::Embed | Operation::GetModel => {
            format!("/{collection}{}{verb}", percent::encoded(name))
        }
    };
    let mut joint = '?';
    let mut add = |pair: &str| {
        path.push(joint);
        path.push_str(pair);
        joint = '&';
    };
    if call.stream {
        add("alt=sse");
    }
    for pair in call.query.unwrap_or("").split('&') {
        let name = pair.split('=').next().unwrap_or("");
        // Credentials of the caller never travel on, and the form of the
        // answer is ours to choose.
        if !matches!(
            name,
            "" | "key" | "access_token" | "oauth_token" | "alt" | "$alt" | "%24alt"
        ) {
            add(pair);
        }
    }
    Destination {
        method,
        path,
        headers: Vec::new(),
    }
}

//! What the targets of the dialects share: the first byte of an input chooses the dialect from the
//! registry, so that a new one is covered without a line here, and the second chooses the call.

use bytes::Bytes;
use contract::{ModelCard, Operation, Request};
use dialects::json::{Doc, Rules, Tape};
use dialects::{Asked, DIALECTS, Dialect, Route, Target, Unsupported};

/// The dialect, the second byte and the rest of an input.
pub(super) fn chosen(data: &[u8]) -> Option<(&'static dyn Dialect, u8, Bytes)> {
    let [first, second, rest @ ..] = data else {
        return None;
    };
    let dialect = DIALECTS[usize::from(*first) % DIALECTS.len()];
    Some((dialect, *second, Bytes::copy_from_slice(rest)))
}

/// The route of a call to a path that names the model and the stream flag, for dialects whose
/// paths do.
pub(super) fn route(dialect: &dyn Dialect, choice: u8) -> Route {
    let operations = [Operation::Chat, Operation::CountTokens, Operation::Embed];
    let operation = operations[usize::from(choice) % operations.len()];
    let mut route = Route::new(dialect.id(), operation);
    let in_path = matches!(dialect.id().0, "gemini" | "bedrock");
    if in_path {
        route.model = Some("model".to_owned());
        route.stream = Some(choice & 0x80 != 0);
    }
    route.variant = (choice >> 4) & 1;
    route
}

/// What a client asked for.
pub(super) fn asked(route: &Route) -> Asked<'_> {
    Asked {
        route,
        model: "shown/model",
        request_id: "0192f0c1-aaaa-7bbb-8ccc-ddddeeeeffff",
        now_s: 1_790_000_000,
        stream_usage: true,
        request: None,
    }
}

/// A body, if it is JSON that a caller may send.
pub(super) fn doc(body: &Bytes) -> Option<Doc> {
    Doc::request(body.clone()).ok()
}

/// Writes a request in every dialect: what is written is JSON.
pub(super) fn write_everywhere(request: &Request) {
    let card = ModelCard::unknown(request.model.clone());
    for dialect in DIALECTS {
        for unsupported in [Unsupported::Drop, Unsupported::Refuse] {
            let target = Target {
                card: &card,
                unsupported,
                quirks: Default::default(),
            };
            if let Ok(written) = dialect.write_request(request, &target) {
                must_be_json(&written.body, *dialect);
            }
        }
    }
}

/// # Panics
/// If it is not one JSON value.
pub(super) fn must_be_json(body: &[u8], dialect: &dyn Dialect) {
    // Nesting grows by what a dialect wraps around a caller's own JSON.
    let rules = Rules {
        depth_max: 1_024,
        ..Rules::ANSWER
    };
    if let Err(flaw) = Tape::scan(body, &rules) {
        let text = String::from_utf8_lossy(body);
        panic!(
            "{} writes what is not JSON: {flaw:?} in {text}",
            dialect.id()
        );
    }
}

//! The routes about policy.

use super::{Resource, Route, post};

/// Most bytes of a body with the facts of a call.
const FACTS_BYTES_MAX: usize = 64 * 1024;

/// What policy says of a call.
pub(super) const EXPLAIN: Route = Route {
    body_bytes_max: FACTS_BYTES_MAX,
    fields: &[
        ("key", "Id of the key that calls"),
        ("model", "The model, as a caller would name it"),
        ("use_case", "Use case that the call names"),
        ("data_class", "Data class that the call names"),
        ("stream", "true: a stream is asked for"),
        ("tools", "Names of the tools on offer"),
        ("input_tokens", "Input tokens of the call; default 100"),
        ("output_tokens", "Output tokens that it asks for"),
    ],
    statuses: &[
        (400, "The body is malformed or too large"),
        (404, "There is no such key"),
    ],
    ..post(
        "/v1/policy/explain",
        Resource::PolicyExplain,
        "What policy says of a call: every rule with its layer, and what it comes to; nothing is \
         called",
    )
};

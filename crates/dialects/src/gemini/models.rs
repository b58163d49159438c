//! Lists of models, and one model.

use bytes::Bytes;
use contract::Operation;

use super::route::resource_name;
use crate::dialect::{Asked, ModelEntry};
use crate::json::{self, ObjectWriter};

/// See [`crate::Dialect::write_models`].
pub(super) fn write(models: &[ModelEntry<'_>], asked: &Asked<'_>) -> Bytes {
    if let (Operation::GetModel, [model, ..]) = (asked.route.operation, models) {
        return json::object(|out| put(model, out)).into();
    }
    json::object(|out| {
        out.array("models", |array| {
            for model in models {
                array.object(|out| put(model, out));
            }
        });
    })
    .into()
}

fn put(model: &ModelEntry<'_>, out: &mut ObjectWriter<'_>) {
    out.str("name", &resource_name(model.id));
    // What an alias stands for has no versions that a caller could choose.
    out.str("version", "");
    out.str("displayName", model.id);
    let card = model.card;
    out.opt_int("inputTokenLimit", card.and_then(|card| card.context_tokens));
    out.opt_int(
        "outputTokenLimit",
        card.and_then(|card| card.output_tokens_max),
    );
    // Which of these a model takes is known only to its vendor, whose refusal
    // is passed on.
    out.strs(
        "supportedGenerationMethods",
        &[
            "generateContent",
            "countTokens",
            "embedContent",
            "batchEmbedContents",
        ],
    );
}

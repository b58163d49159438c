//! Lists of models (`GET /models`) and one of them (`GET /models/{id}`).

use bytes::Bytes;
use contract::Operation;

use crate::dialect::{Asked, ModelEntry};
use crate::json::{self, ObjectWriter};

/// Writes a list of models, or the one that was asked for.
pub(crate) fn write(models: &[ModelEntry<'_>], asked: &Asked<'_>) -> Bytes {
    let text = match (asked.route.operation, models.first()) {
        (Operation::GetModel, Some(model)) => json::object(|object| entry(object, model)),
        _ => json::object(|object| {
            object.str("object", "list");
            object.array("data", |data| {
                for model in models {
                    data.object(|object| entry(object, model));
                }
            });
        }),
    };
    text.into()
}

fn entry(object: &mut ObjectWriter<'_>, model: &ModelEntry<'_>) {
    object.str("id", model.id);
    object.str("object", "model");
    object.int("created", model.created_s);
    object.str("owned_by", model.owned_by);
}

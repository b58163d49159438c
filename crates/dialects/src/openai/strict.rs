//! What the vendor's strict mode demands of a schema: each object closed, and
//! all its properties required. Other vendors enforce any schema.

use std::borrow::Cow;

use contract::chat::OutputFormat;

use super::Losses;
use crate::closed::closed;

/// The output format of a caller of another dialect, as this vendor takes it.
pub(crate) fn fitted<'a>(format: &'a OutputFormat, losses: &mut Losses) -> Cow<'a, OutputFormat> {
    let OutputFormat::JsonSchema {
        name,
        description,
        schema,
        strict: Some(true),
    } = format
    else {
        return Cow::Borrowed(format);
    };
    let closed = closed(schema);
    if !closed.complete {
        losses.add(
            "response_format.strict",
            "the vendor enforces a schema only if its objects are closed and demand all their \
             properties; it is followed, not enforced",
        );
    }
    Cow::Owned(OutputFormat::JsonSchema {
        name: name.clone(),
        description: description.clone(),
        schema: if closed.complete {
            closed.schema
        } else {
            schema.clone()
        },
        strict: Some(closed.complete),
    })
}

//! The format of a custom tool's input: one of the two formats nests the
//! grammar in an object, the other does not.

use contract::text::RawJson;

use crate::json::{self, Json, Rules, Tape};

/// `{"type":"grammar","grammar":{syntax,definition}}`, as Chat Completions
/// has it, whichever form came in.
pub(crate) fn nested(format: &RawJson) -> RawJson {
    rewritten(format, |root| {
        if root.field("grammar").is_some() {
            return None;
        }
        let (syntax, definition) = (root.field("syntax")?, root.field("definition")?);
        Some(json::object(|object| {
            object.str("type", "grammar");
            object.object("grammar", |grammar| {
                grammar.raw("syntax", syntax.raw());
                grammar.raw("definition", definition.raw());
            });
        }))
    })
}

/// `{"type":"grammar",syntax,definition}`, as Responses has it, whichever
/// form came in.
pub(crate) fn flat(format: &RawJson) -> RawJson {
    rewritten(format, |root| {
        let grammar = root.field("grammar")?;
        let (syntax, definition) = (grammar.field("syntax")?, grammar.field("definition")?);
        Some(json::object(|object| {
            object.str("type", "grammar");
            object.raw("syntax", syntax.raw());
            object.raw("definition", definition.raw());
        }))
    })
}

fn rewritten(format: &RawJson, rewrite: impl FnOnce(Json<'_>) -> Option<String>) -> RawJson {
    let text = format.as_str().as_bytes();
    let tape = Tape::scan(text, &Rules::ANSWER).expect("raw JSON is well-formed");
    match rewrite(tape.root(text)) {
        Some(text) => RawJson::new(text),
        None => format.clone(),
    }
}

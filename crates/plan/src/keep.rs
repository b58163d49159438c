//! The form in which a document is kept: the effective document, secrets as the
//! references they were written with. It can be read again and then means the
//! same, unless a secret was written out, which is not kept.
//!
//! Deliberately not here: where it is kept, and comments, which may hold
//! anything.

use std::collections::HashSet;

use serde_json::Value;

use crate::document::{Document, MASK};
use crate::path::join;

/// A document as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The document as YAML, without secrets.
    pub text: String,
    /// Fields whose secrets were written out and are masked in the text. With
    /// any, the text cannot be applied again.
    pub written_out: Vec<String>,
}

/// The form in which a document is kept.
pub fn keep(document: &Document) -> Kept {
    let (mut secrets, mut written_out) = (HashSet::new(), Vec::new());
    document.secrets(&mut |path, secret| {
        if secret.shown().contains(MASK) {
            written_out.push(path.clone());
        }
        secrets.insert(path);
    });
    let mut value = serde_json::to_value(document).expect("a document is plain data");
    escape(&mut value, "", &secrets);
    Kept {
        text: serde_saphyr::to_string(&value).expect("a document is plain data"),
        written_out,
    }
}

/// What looks like a reference in a value is none, or it would have been
/// replaced; it must stay none when the text is read again.
fn escape(value: &mut Value, path: &str, secrets: &HashSet<String>) {
    match value {
        Value::String(text) if !secrets.contains(path) => *text = text.replace("${", "$${"),
        Value::Array(items) => {
            for (nth, item) in items.iter_mut().enumerate() {
                escape(item, &format!("{path}[{nth}]"), secrets);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                escape(field, &join(path, name), secrets);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

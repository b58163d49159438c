//! The effective document, for people: every field with its value, secrets as
//! the references they were written with, or masked.

use crate::document::Document;

/// The document as YAML. No secret is in it.
pub fn show(document: &Document) -> String {
    serde_saphyr::to_string(document).expect("a document is plain data")
}

/// The same as JSON.
pub fn show_json(document: &Document) -> serde_json::Value {
    serde_json::to_value(document).expect("a document is plain data")
}

//! From text to a draft: parsed, interpolated, checked against the schema.

use std::collections::HashMap;

use crate::check::check;
use crate::diagnostic::{Diagnostic, Lines, Place};
use crate::document::{Document, schema};
use crate::interpolate::Sources;
use crate::yaml;

/// A document, and where its parts stand in the source.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The document.
    pub document: Document,
    places: HashMap<String, Place>,
    lines: Lines,
}

impl From<Document> for Draft {
    /// A document that was not written as text.
    fn from(document: Document) -> Self {
        Self {
            document,
            ..Self::default()
        }
    }
}

/// Reads a document.
///
/// # Errors
/// Everything that is wrong with its form: YAML, unknown fields, types,
/// missing values, references that lead nowhere. What is wrong with its
/// meaning is found by [`crate::compile()`].
pub fn read(text: &str, sources: &dyn Sources) -> Result<Draft, Vec<Diagnostic>> {
    let root = yaml::parse(text).map_err(|diagnostic| vec![syntax(diagnostic, text)])?;
    let checked = check(&root, schema(), sources);
    let lines = Lines::new(text, checked.secrets);
    if !checked.findings.is_empty() {
        return Err(checked
            .findings
            .into_iter()
            .map(|(diagnostic, place)| diagnostic.show(&lines, place))
            .collect());
    }
    let document = serde_json::from_value(checked.value).map_err(|_| {
        // The schema and the types say the same, so this is a fault of ours;
        // serde's own words might hold a secret.
        vec![Diagnostic::of_file(
            "the document fits its schema but could not be read",
            "please report this, with the document and without its secrets",
        )]
    })?;
    Ok(Draft {
        document,
        places: checked.places,
        lines,
    })
}

fn syntax(mut diagnostic: Diagnostic, text: &str) -> Diagnostic {
    let (Some(line), Some(column)) = (diagnostic.line, diagnostic.column) else {
        return diagnostic;
    };
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    if written.replace("${", "").contains(['{', '[']) && written.contains("${") {
        "quote references that stand within `{..}` or `[..]`: `'${env:NAME}'`"
            .clone_into(&mut diagnostic.instead);
    }
    let place = Place {
        line,
        column,
        length: 1,
    };
    diagnostic.show(&Lines::keys_only(text), place)
}

impl Draft {
    /// Puts a finding where the field stands, or the nearest thing around it.
    pub(crate) fn locate(&self, diagnostic: Diagnostic) -> Diagnostic {
        let mut path = diagnostic.path.as_str();
        loop {
            if let Some(place) = self.places.get(path) {
                return diagnostic.clone().at(*place).show(&self.lines, *place);
            }
            let Some(cut) = path.rfind(['.', '[']) else {
                return diagnostic;
            };
            path = &path[..cut];
        }
    }
}

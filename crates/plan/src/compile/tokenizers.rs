//! Vocabularies: their files, and the models that have them.

use std::sync::Arc;

use meter::vocabulary::Vocabulary;

use super::Findings;
use crate::document::{Document, TokenizerEntry, TokenizerKind};
use crate::interpolate::Sources;
use crate::tokenizers::Tokenizers;

/// Most vocabularies: each of a large model takes some 15 MB.
const TOKENIZERS_MAX: usize = 16;

pub(super) fn compile(
    document: &Document,
    sources: &dyn Sources,
    findings: &mut Findings,
) -> Tokenizers {
    let entries = &document.tokenizers;
    if entries.len() > TOKENIZERS_MAX {
        findings.error(
            "tokenizers",
            format!("there are more than {TOKENIZERS_MAX} vocabularies"),
            "name several models in one entry; what has no entry is counted by its words",
        );
    }
    let mut tokenizers = Tokenizers::default();
    for (nth, entry) in entries.iter().take(TOKENIZERS_MAX).enumerate() {
        let path = format!("tokenizers[{nth}]");
        let is_named = |pattern: &String| !pattern.is_empty();
        if entry.models.is_empty() || !entry.models.iter().all(is_named) {
            findings.error(
                format!("{path}.models"),
                "this vocabulary is of no model",
                "write patterns of names at the provider, such as `[gpt-5*, o3*]`",
            );
        }
        if let Some(vocabulary) = read(&path, entry, sources, findings) {
            let models = entry.models.iter().map(|it| it.as_str().into());
            tokenizers.add(models.collect(), Arc::new(vocabulary));
        }
    }
    tokenizers
}

fn read(
    path: &str,
    entry: &TokenizerEntry,
    sources: &dyn Sources,
    findings: &mut Findings,
) -> Option<Vocabulary> {
    let parsed = match entry.kind {
        TokenizerKind::Tiktoken => sources.file(&entry.file).and_then(|text| {
            let parsed = Vocabulary::parse(&text, entry.split.into());
            parsed.map_err(|fault| fault.to_string())
        }),
    };
    let unread = |why: String| {
        findings.error(
            format!("{path}.file"),
            format!("the file `{}` cannot be used: {why}", entry.file),
            "write the path of a file of tokens as its vendor publishes it, from the folder of \
             this configuration; without one, words are counted",
        );
    };
    parsed.map_err(unread).ok()
}

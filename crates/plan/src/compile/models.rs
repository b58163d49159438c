//! The table of models.

use std::sync::Arc;

use contract::ModelCard;
use routing::{Candidate, ModelTable};

use super::Findings;
use crate::diagnostic::suggest;
use crate::document::{CandidateEntry, Document, ModelEntry, Named, ProviderEntry};
use crate::path::join;

/// The pattern of everything.
const ALL: &str = "*";

pub(super) fn compile(document: &Document, findings: &mut Findings) -> ModelTable {
    let providers = document.providers.named();
    let mut table = ModelTable::default();
    serve(&mut table, document, findings);
    for (name, entry) in document.models.iter() {
        let path = join("models", name);
        if name.trim().is_empty() {
            findings.error(
                &path,
                "this model has no name",
                "write the name that callers use",
            );
        }
        let candidates: Vec<Candidate> = match entry {
            ModelEntry::Short(text) => short(text, &path, providers, findings)
                .into_iter()
                .collect(),
            ModelEntry::Candidates(entries) => {
                if entries.is_empty() {
                    findings.error(
                        format!("{path}.candidates"),
                        "this model has no candidate",
                        "write at least one: `- {provider: .., model: ..}`",
                    );
                }
                entries
                    .iter()
                    .enumerate()
                    .filter_map(|(nth, entry)| {
                        let path = format!("{path}.candidates[{nth}]");
                        candidate(entry, &path, providers, findings)
                    })
                    .collect()
            }
        };
        table.name(name, candidates);
    }
    table
}

/// What providers serve by pattern. Earlier providers win. Where no model is
/// named, a provider serves what its kind is known for, and the one provider
/// of which nobody knows what it serves is asked for the rest.
fn serve(table: &mut ModelTable, document: &Document, findings: &mut Findings) {
    let providers = document.providers.named();
    let has_models = !document.models.is_empty();
    let mut open = Vec::new();
    for (nth, (name, entry)) in providers.iter().enumerate() {
        table.provider(name, nth);
        let kind = providers::kind(entry.kind.as_deref().unwrap_or(name));
        match (&entry.models, kind) {
            (Some(patterns), _) => {
                for (at, pattern) in patterns.iter().enumerate() {
                    if pattern.is_empty() {
                        findings.error(
                            format!("{}.models[{at}]", join("providers", name)),
                            "this pattern is empty",
                            "write a model name, a pattern such as `gpt-*`, or `*` for all",
                        );
                    }
                    table.serve(pattern, nth);
                }
            }
            // Models that were named are the whole offer, so that a slip in a
            // model's name is an error and not a call to somebody.
            (None, Some(_)) if has_models => {}
            (None, Some(kind)) if kind.serves.is_empty() => open.push(nth),
            (None, Some(kind)) => kind
                .serves
                .iter()
                .for_each(|pattern| table.serve(*pattern, nth)),
            (None, None) => {}
        }
    }
    if let [only] = open[..] {
        table.serve(ALL, only);
    }
}

fn short(
    text: &str,
    path: &str,
    providers: &Named<ProviderEntry>,
    findings: &mut Findings,
) -> Option<Candidate> {
    let Some((provider, model)) = text.split_once('/') else {
        let first = providers.names().next().unwrap_or("provider");
        findings.error(
            path,
            format!("`{text}` does not say which provider"),
            format!("write `provider/model`, such as `{first}/{text}`"),
        );
        return None;
    };
    let nth = known(provider, path, providers, findings)?;
    named(model, path, findings)?;
    Some(Candidate::new(nth, model, None))
}

fn candidate(
    entry: &CandidateEntry,
    path: &str,
    providers: &Named<ProviderEntry>,
    findings: &mut Findings,
) -> Option<Candidate> {
    let nth = known(
        &entry.provider,
        &format!("{path}.provider"),
        providers,
        findings,
    );
    named(&entry.model, &format!("{path}.model"), findings)?;
    let card = ModelCard {
        name: entry.model.clone(),
        context_tokens: entry.context_tokens,
        output_tokens_max: entry.output_tokens_max,
        capabilities: entry.capabilities.unwrap_or_default().into(),
    };
    Some(Candidate::new(nth?, &entry.model, Some(Arc::new(card))))
}

fn known(
    provider: &str,
    path: &str,
    providers: &Named<ProviderEntry>,
    findings: &mut Findings,
) -> Option<usize> {
    let nth = providers.names().position(|name| name == provider);
    if nth.is_none() {
        let instead = suggest(provider, providers.names(), "provider");
        findings.error(path, format!("there is no provider `{provider}`"), instead);
    }
    nth
}

fn named(model: &str, path: &str, findings: &mut Findings) -> Option<()> {
    if model.trim().is_empty() {
        findings.error(
            path,
            "this model is empty",
            "write the name that the provider knows",
        );
        return None;
    }
    Some(())
}

//! The table of models: names that were configured, patterns that a provider
//! serves, and `provider/model`.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Fault, FaultKind, ModelCard, Origin, glob};
use http::HeaderValue;

/// Most near matches that an error names.
const NEAR_MAX: usize = 3;
/// Least likeness (Jaro-Winkler, in thousandths) of a name worth mentioning.
const NEAR_LIKENESS: u32 = 800;

/// One way to serve a model.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Index of the provider in its plan.
    pub provider: usize,
    /// The model as the provider knows it.
    pub model: Arc<str>,
    /// The same, as a header value.
    pub model_header: HeaderValue,
    /// What is known of it.
    pub card: Arc<ModelCard>,
}

impl Candidate {
    /// A candidate of which nothing but the name is known. A name that a
    /// header cannot carry is shown as `?` there.
    pub fn new(provider: usize, model: &str, card: Option<Arc<ModelCard>>) -> Self {
        Self {
            provider,
            model: model.into(),
            model_header: HeaderValue::try_from(model)
                .unwrap_or_else(|_| HeaderValue::from_static("?")),
            card: card.unwrap_or_else(|| Arc::new(ModelCard::unknown(model))),
        }
    }
}

/// What there is to say of a model.
#[derive(Clone, Copy, Debug)]
pub struct Known<'t> {
    /// Index of the provider that serves it first.
    pub provider: usize,
    /// Its card, where it was configured by name.
    pub card: Option<&'t ModelCard>,
}

/// All models of a plan.
#[derive(Debug, Default)]
pub struct ModelTable {
    named: BTreeMap<String, Arc<[Candidate]>>,
    patterns: Vec<(String, usize)>,
    providers: BTreeMap<String, usize>,
}

impl ModelTable {
    /// Names a model and its candidates, best first.
    pub fn name(&mut self, name: impl Into<String>, candidates: Vec<Candidate>) {
        self.named.insert(name.into(), candidates.into());
    }

    /// Lets a provider serve all names of a pattern as they are. Earlier
    /// patterns win.
    pub fn serve(&mut self, pattern: impl Into<String>, provider: usize) {
        self.patterns.push((pattern.into(), provider));
    }

    /// Lets callers say `provider/model`.
    pub fn provider(&mut self, name: impl Into<String>, provider: usize) {
        self.providers.insert(name.into(), provider);
    }

    /// The candidates for a model, best first; `None` if nobody serves it.
    pub fn resolve(&self, model: &str) -> Option<Arc<[Candidate]>> {
        if let Some(candidates) = self.named.get(model) {
            return Some(candidates.clone());
        }
        let (provider, model) = self.unnamed(model)?;
        Some([Candidate::new(provider, model, None)].into())
    }

    /// Who serves a model that was not named, and under which name.
    fn unnamed<'m>(&self, model: &'m str) -> Option<(usize, &'m str)> {
        let by_pattern = self
            .patterns
            .iter()
            .find(|(pattern, _)| glob::matches(pattern, model));
        if let Some((_, provider)) = by_pattern {
            return Some((*provider, model));
        }
        let (provider, rest) = model.split_once('/')?;
        let provider = *self.providers.get(provider)?;
        (!rest.is_empty()).then_some((provider, rest))
    }

    /// What there is to say of a model; `None` if nobody serves it.
    pub fn known(&self, model: &str) -> Option<Known<'_>> {
        match self.named.get(model) {
            Some(candidates) => candidates.first().map(|first| Known {
                provider: first.provider,
                card: Some(&first.card),
            }),
            None => self.unnamed(model).map(|(provider, _)| Known {
                provider,
                card: None,
            }),
        }
    }

    /// Every name that can be told one by one, in order, with what is known
    /// of it: the configured names, names among the patterns, and names that
    /// candidates have upstream where a pattern serves these as well. A
    /// pattern itself is not told, for nobody knows here what it stands for.
    pub fn listed(&self) -> BTreeMap<&str, Known<'_>> {
        let named = self.named.keys().map(String::as_str);
        let plain = self.patterns.iter().map(|(pattern, _)| pattern.as_str());
        let upstream = self.named.values().flat_map(|all| all.iter());
        let upstream = upstream.filter(|candidate| {
            let matches = |(pattern, _): &(String, usize)| glob::matches(pattern, &candidate.model);
            self.patterns.iter().any(matches)
        });
        named
            .chain(plain.filter(|pattern| glob::is_name(pattern)))
            .chain(upstream.map(|candidate| &*candidate.model))
            .filter_map(|name| Some((name, self.known(name)?)))
            .collect()
    }

    /// The configured names, in order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Arc<[Candidate]>)> {
        self.named
            .iter()
            .map(|(name, candidates)| (name.as_str(), candidates))
    }

    /// The fault for a model that nobody serves, naming near matches among
    /// those that the caller may see.
    pub fn unknown(&self, model: &str, visible: impl Fn(&str) -> bool) -> Fault {
        let mut near: Vec<(u32, &str)> = self
            .named
            .keys()
            .filter(|name| visible(name))
            .map(|name| (likeness(model, name), name.as_str()))
            .filter(|(likeness, _)| *likeness >= NEAR_LIKENESS)
            .collect();
        near.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        near.truncate(NEAR_MAX);
        let shown: String = model.chars().take(100).collect();
        let advice = if near.is_empty() {
            "List the models you may use with GET /v1/models.".to_owned()
        } else {
            let names: Vec<String> = near.iter().map(|(_, name)| format!("`{name}`")).collect();
            format!("Did you mean {}?", names.join(" or "))
        };
        Fault::new(
            FaultKind::UnknownModel,
            Origin::Client,
            format!("There is no model `{shown}` here that you may use. {advice}"),
        )
        .at("model")
    }
}

/// Likeness in thousandths, ignoring case.
fn likeness(a: &str, b: &str) -> u32 {
    (strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase()) * 1_000.0) as u32
}

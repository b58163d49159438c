//! Which model has which vocabulary.

use std::sync::Arc;

use contract::glob;
use meter::Vocabulary;

/// Vocabularies by models.
#[derive(Clone, Debug, Default)]
pub struct Tokenizers {
    entries: Vec<(Vec<Box<str>>, Arc<Vocabulary>)>,
}

impl Tokenizers {
    /// Models with these names or patterns have this vocabulary, unless one
    /// that was added before has them.
    pub fn add(&mut self, models: Vec<Box<str>>, vocabulary: Arc<Vocabulary>) {
        self.entries.push((models, vocabulary));
    }

    /// The vocabulary of a model, by its name at the provider.
    pub fn of(&self, model: &str) -> Option<&Arc<Vocabulary>> {
        let has = |models: &[Box<str>]| models.iter().any(|it| glob::matches(it, model));
        let mut entries = self.entries.iter();
        entries
            .find(|(models, _)| has(models))
            .map(|(_, vocabulary)| vocabulary)
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Vocabulary>> {
        self.entries.iter().map(|(_, vocabulary)| vocabulary)
    }
}

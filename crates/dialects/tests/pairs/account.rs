//! Holding what vanished against what was declared lost.
//!
//! Canonical content is told as leaves: small facts, each with the words by
//! which a loss may name it. A leaf of the original that is missing in the
//! copy, and that no loss names, is a silent loss.

use contract::Loss;

/// One fact of a request or an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    /// What it is, in one string that compares.
    pub(crate) fact: String,
    /// What a loss that names it contains, lower case and without
    /// underscores. Empty: it may not be lost at all.
    pub(crate) names: &'static [&'static str],
    /// How the copy may show it.
    pub(crate) look: Look,
}

/// How a copy may show a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The same leaf.
    Same,
    /// Its fact within the fact of a leaf of the same beginning: texts may be
    /// joined. The beginning ends at the first `|`.
    Within,
    /// What stands behind the first `|`, in whatever leaf: a file may become
    /// text, an image an item of another kind.
    Anywhere,
}

impl Leaf {
    pub(crate) fn new(fact: impl Into<String>, names: &'static [&'static str]) -> Self {
        Self {
            fact: fact.into(),
            names,
            look: Look::Same,
        }
    }

    pub(crate) fn within(fact: impl Into<String>, names: &'static [&'static str]) -> Self {
        Self {
            look: Look::Within,
            ..Self::new(fact, names)
        }
    }

    pub(crate) fn anywhere(fact: impl Into<String>, names: &'static [&'static str]) -> Self {
        Self {
            look: Look::Anywhere,
            ..Self::new(fact, names)
        }
    }

    fn is_shown(&self, copy: &[Leaf]) -> bool {
        match self.look {
            Look::Same => copy.iter().any(|leaf| leaf.fact == self.fact),
            Look::Within => {
                let (kind, text) = self.fact.split_once('|').expect("a kind and a text");
                let joined: String = copy
                    .iter()
                    .filter_map(|leaf| leaf.fact.split_once('|'))
                    .filter(|(other, _)| *other == kind)
                    .map(|(_, text)| text)
                    .collect();
                joined.contains(text)
            }
            Look::Anywhere => {
                let (_, text) = self.fact.split_once('|').expect("a kind and a text");
                copy.iter().any(|leaf| leaf.fact.contains(text))
            }
        }
    }

    fn is_named(&self, losses: &[Loss]) -> bool {
        losses.iter().any(|loss| {
            let what = loss.what.to_lowercase().replace('_', "");
            // A short name would be found in any word.
            let says = |name: &&str| what == *name || (name.len() > 2 && what.contains(name));
            self.names.iter().any(says)
        })
    }
}

/// What vanished without a word: one line for each leaf.
pub(crate) fn silent(original: &[Leaf], copy: &[Leaf], losses: &[Loss]) -> Vec<String> {
    original
        .iter()
        .filter(|leaf| !leaf.is_shown(copy) && !leaf.is_named(losses))
        .map(|leaf| leaf.fact.clone())
        .collect()
}

/// Gathers findings of a whole matrix, so that one run shows all of them.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    lines: Vec<String>,
    /// Number of cases that were tried.
    pub(crate) cases: usize,
}

impl Findings {
    pub(crate) fn add(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// # Panics
    /// If there are findings, or fewer cases than it takes to mean something.
    pub(crate) fn settle(self, cases_min: usize) {
        assert!(
            self.cases >= cases_min,
            "only {} cases were tried, of at least {cases_min}",
            self.cases
        );
        assert!(
            self.lines.is_empty(),
            "{} findings in {} cases:\n{}",
            self.lines.len(),
            self.cases,
            self.lines.join("\n")
        );
    }
}

mod tests {
    //! The account itself: it must see what is missing.

    use super::*;

    #[test]
    fn a_silent_loss_is_seen() {
        let original = [
            Leaf::new("seed=7", &["seed"]),
            Leaf::within("text user|hello", &[]),
        ];
        let kept = [Leaf::within("text user|oh, hello you", &[])];
        assert_eq!(silent(&original, &kept, &[]), ["seed=7"]);
        let declared = [Loss::new("generationConfig.seed", "no place")];
        assert!(silent(&original, &kept, &declared).is_empty());
        assert_eq!(silent(&original, &[], &declared), ["text user|hello"]);
    }
}

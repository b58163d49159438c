//! Dated versions of the contract, each with the names and words in which it
//! differs from the current one. A call of an older version is translated as
//! it is read, so that nobody behind the reader knows of versions.
//!
//! Deliberately not here: which call gets which version (`Settings`, `told`).

use std::fmt;

use super::Field;

/// A version.
#[derive(PartialEq, Eq)]
pub struct Version {
    /// Its date, as callers write it.
    pub date: &'static str,
    /// The same as a number, as records hold it.
    pub number: u32,
    /// Fields that have another name in it (as in the body object).
    names: &'static [(Field, &'static str)],
    /// Words that it uses for those of the current version.
    pub(super) words: &'static [(Field, &'static [(&'static str, &'static str)])],
}

/// The version that is current.
pub static CURRENT: Version = Version {
    date: "2026-11-01",
    number: 20_261_101,
    names: &[],
    words: &[],
};

static JUNE_2026: Version = Version {
    date: "2026-06-01",
    number: 20_260_601,
    names: &[(Field::User, "end_user"), (Field::UseCase, "purpose")],
    words: &[(
        Field::Quality,
        &[
            ("gold", "high"),
            ("silver", "standard"),
            ("bronze", "cheap"),
        ],
    )],
};

/// All versions, newest first.
pub static VERSIONS: [&Version; 2] = [&CURRENT, &JUNE_2026];

impl Version {
    /// The version of this date.
    pub fn dated(date: &str) -> Option<&'static Version> {
        VERSIONS.into_iter().find(|version| version.date == date)
    }

    /// What the field is called in it.
    pub fn name(&self, field: Field) -> &'static str {
        let own = self.names.iter().find(|(known, _)| *known == field);
        own.map_or(field.name(), |(_, name)| name)
    }

    /// The field that is called so in it.
    pub fn field(&self, name: &str) -> Option<Field> {
        Field::ALL
            .into_iter()
            .find(|field| self.name(*field) == name || field.alias() == Some(name))
    }

    /// The word of the current version for one of its own. Where it has words
    /// of its own for a field, no others count.
    pub(super) fn word<'w>(&self, field: Field, word: &'w str) -> Option<&'w str> {
        let Some(own) = self.own_words(field) else {
            return Some(word);
        };
        let mut own = own.iter();
        own.find(|(told, _)| *told == word).map(|(_, meant)| *meant)
    }

    /// Its own words of a field, if they differ.
    pub(super) fn own_words(
        &self,
        field: Field,
    ) -> Option<&'static [(&'static str, &'static str)]> {
        let own = self.words.iter().find(|(known, _)| *known == field);
        own.map(|(_, words)| *words)
    }

    /// Every difference from the current version: what, and what it is
    /// called there.
    pub fn differences(&self) -> Vec<(String, String)> {
        let names = self
            .names
            .iter()
            .map(|(field, name)| (format!("field `{name}`"), format!("`{}`", field.name())));
        let words = self.words.iter().flat_map(|(field, words)| {
            let one = move |(told, meant): &(&str, &str)| {
                let name = self.name(*field);
                (format!("`{name}`: `{told}`"), format!("`{meant}`"))
            };
            words.iter().map(one)
        });
        names.chain(words).collect()
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.date)
    }
}

//! Cases of the configuration: documents, what is said of them, what becomes
//! of them.

mod bad;
mod counters;
mod database;
mod digest;
mod discovery;
mod good;
mod idempotency;
mod identity;
mod keep;
mod key_limits;
mod key_sources;
mod lent;
mod metadata;
mod observe;
mod operators;
mod pages;
mod policy;
mod prices;
mod quotas;
mod tokenizers;

use std::collections::HashMap;

use crate::*;

/// Variables and files of a test.
#[derive(Default)]
struct Fake {
    env: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
}

impl Fake {
    fn new(env: &[(&'static str, &'static str)], files: &[(&'static str, &'static str)]) -> Self {
        Self {
            env: env.iter().copied().collect(),
            files: files.iter().copied().collect(),
        }
    }
}

impl Sources for Fake {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).map(|value| (*value).to_owned())
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let found = self.files.get(path).map(|text| (*text).to_owned());
        found.ok_or_else(|| "there is no such file".to_owned())
    }
}

fn try_with(text: &str, fake: &Fake) -> Result<(Draft, Compiled), Vec<Diagnostic>> {
    let draft = read(text, fake)?;
    let given = Given {
        sources: fake,
        ring_key: [1; 32],
        digest_key: [2; 32],
    };
    let compiled = compile(&draft, &given)?;
    Ok((draft, compiled))
}

/// Compiles what must be good.
fn good(text: &str) -> (Draft, Compiled) {
    good_with(text, &Fake::default())
}

fn good_with(text: &str, fake: &Fake) -> (Draft, Compiled) {
    try_with(text, fake).unwrap_or_else(|bad| panic!("{}", render(&bad, "tollgate.yaml", false)))
}

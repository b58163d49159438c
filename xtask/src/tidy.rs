//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each check is one file that turns the sources into findings; `table.rs` holds everything a
//! check is told as data: who may import whom, who may touch what, which words name a vendor.
//! Not here: formatting and lints, which rustfmt and clippy know better.

mod circles;
mod io;
mod layers;
mod ratchet;
mod sizes;
mod table;
mod vendors;
mod words;

use std::fmt;

use crate::Outcome;
use crate::source::{self, House};

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from one.
    line: usize,
    /// What is wrong and what to do instead.
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

type Check = (&'static str, fn(&House) -> Vec<Finding>);

const CHECKS: [Check; 6] = [
    ("layers", layers::check),
    ("circles", circles::check),
    ("sizes", sizes::check),
    ("words", words::check),
    ("vendors", vendors::check),
    ("io", io::check),
];

/// Runs every check, or only those named.
pub(crate) fn main(names: &[String]) -> Outcome {
    if let Some(unknown) = names
        .iter()
        .find(|name| !CHECKS.iter().any(|(n, _)| n == name))
    {
        let known: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "there is no check `{unknown}`; there are {}",
            known.join(", ")
        ));
    }
    let house = House::read(&source::root()?)?;
    let mut total = 0;
    for (name, check) in CHECKS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let mut findings = check(&house);
        findings.sort();
        findings.dedup();
        for finding in &findings {
            println!("{finding}");
        }
        println!(
            "tidy {name}: {}",
            if findings.is_empty() {
                "ok".into()
            } else {
                format!("{} findings", findings.len())
            }
        );
        total += findings.len();
    }
    if total == 0 {
        Ok(())
    } else {
        Err(format!("{total} findings"))
    }
}

/// A house of the given files, and what a check says about it: `path:line` of each finding.
#[cfg(test)]
fn places(check: fn(&House) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let mut house = House::default();
    for (path, text) in files {
        house.add(path, *text);
    }
    let mut findings = check(&house);
    findings.sort();
    findings
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect()
}

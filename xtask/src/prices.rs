//! `cargo xtask prices`: the built-in catalog of prices, from public price data.
//!
//! Two sources are read: the price map of LiteLLM, and the data of genai-prices, which is a Python
//! package and is written out as JSON first (`docs/prices.md` has the command). What comes out is
//! `crates/meter/catalog/prices.txt`, and beside it the list of where the two disagree. The same
//! input gives the same bytes.
//!
//! Not here: the form of a price and what it means, which `meter` reads and tests.

mod amount;
mod genai;
mod kinds;
mod litellm;
mod merge;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Outcome;
use crate::source;
use kinds::KINDS;
use merge::{Row, merge};
use spec::Key;

const CATALOG: &str = "crates/meter/catalog/prices.txt";
const USAGE: &str = "\
cargo xtask prices --litellm FILE --litellm-version V --genai-prices FILE --genai-version V [--out FILE]

  --litellm FILE        model_prices_and_context_window.json of LiteLLM
  --genai-prices FILE   the data of genai-prices as JSON: see docs/prices.md
  --out FILE            default: crates/meter/catalog/prices.txt";

/// What was asked for.
struct Asked {
    litellm: PathBuf,
    litellm_version: String,
    genai: PathBuf,
    genai_version: String,
    out: PathBuf,
}

/// Builds the catalog.
pub(crate) fn main(args: &[String]) -> Outcome {
    let asked = asked(args)?;
    let (table, told) = litellm::read(&json(&asked.litellm)?)?;
    let (vendors, left) = genai::read(&json(&asked.genai)?)?;
    let merged = merge(&table, &vendors);
    let text = write(&asked, &merged.rows);
    let differences = format!(
        "# Where the two sources of prices.txt disagree. Written by `cargo xtask prices`.\n\
         # Taken is what litellm {} says; the other is genai-prices {}.\n\n{}",
        asked.litellm_version,
        asked.genai_version,
        merged.differences.join("\n")
    ) + "\n";
    let beside = asked.out.with_file_name("differences.txt");
    for (path, text) in [(&asked.out, &text), (&beside, &differences)] {
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let models: usize = merged
        .rows
        .values()
        .flatten()
        .map(|row| row.names.len())
        .sum();
    println!(
        "{}: {} bytes, {models} prices by name",
        asked.out.display(),
        text.len()
    );
    println!(
        "{}: {} differences",
        beside.display(),
        merged.differences.len()
    );
    for (what, count) in told.iter().chain(&left) {
        println!("left out: {what}: {count}");
    }
    Ok(())
}

fn asked(args: &[String]) -> Result<Asked, String> {
    let mut given: BTreeMap<&str, &String> = BTreeMap::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("`{word}` needs a value.\n\n{USAGE}"))?;
        given.insert(word, value);
    }
    let mut take = |name: &str| {
        let value = given.remove(name).cloned();
        value.ok_or_else(|| format!("`{name}` is missing.\n\n{USAGE}"))
    };
    let asked = Asked {
        litellm: take("--litellm")?.into(),
        litellm_version: take("--litellm-version")?,
        genai: take("--genai-prices")?.into(),
        genai_version: take("--genai-version")?,
        out: take("--out").map_or_else(
            |_| source::root().map(|root| root.join(CATALOG)),
            |out| Ok(out.into()),
        )?,
    };
    match given.keys().next() {
        None => Ok(asked),
        Some(unknown) => Err(format!("there is no `{unknown}`.\n\n{USAGE}")),
    }
}

fn json(path: &Path) -> Result<Value, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    serde_json::from_str(&text).map_err(|e| wrong(&e))
}

/// The text of the catalog.
fn write(asked: &Asked, rows: &BTreeMap<&'static str, Vec<Row>>) -> String {
    let mut out = format!(
        "tollgate-prices 1\n\
         # Dollars per million tokens, per thousand requests and searches. docs/prices.md tells the form.\n\
         # Written by `cargo xtask prices`; do not edit. Both sources are under the MIT licence: see NOTICE.\n\
         source litellm {} MIT https://github.com/BerriAI/litellm\n\
         source genai-prices {} MIT https://github.com/pydantic/genai-prices\n\
         provider sandbox\n* free\n",
        asked.litellm_version, asked.genai_version
    );
    for kind in KINDS {
        let words = if kind.words.is_empty() {
            String::new()
        } else {
            format!(" {}", kind.words)
        };
        writeln!(out, "provider {}{words}", kind.name).expect("a String takes all");
        for row in rows.get(kind.name).into_iter().flatten() {
            let Key { region, from } = &row.key;
            write!(out, "{}", row.names.join(",")).expect("a String takes all");
            for (word, value) in [("region", region), ("from", from)] {
                if let Some(value) = value {
                    write!(out, " {word}={value}").expect("a String takes all");
                }
            }
            writeln!(out, " {}", row.spec).expect("a String takes all");
        }
    }
    out
}

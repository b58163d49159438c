//! The book is true: its examples run against the real binary, its
//! configurations are usable, its tables are those of the code.
//!
//! A block marked `sh,test` is run line by line: `curl` is sent as it would
//! be, `tollgate` is the binary under test. `# => text` behind a command is
//! text that its output holds; a text that begins with `HTTP/1.1` is the
//! status, otherwise it is 200. A block marked `yaml,test` is the
//! configuration for the examples of its page; without one the sandbox
//! answers under every name, as it does without a configuration. One marked
//! `yaml,next` is the file `next.yaml` for them.
//!
//! Deliberately not here: pages that other crates hold (`plan`, `admin`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "docs/client.rs"]
mod client;
#[path = "docs/gateway.rs"]
mod gateway;
mod page;

use std::fs;
use std::path::Path;

use contract::fault::FaultKind;
use contract::{Fault, Origin, Retry};
use gateway::Gateway;

/// The marks of blocks: a block begins with one of them.
const CONFIGURATION: &str = "yaml";
const TESTED_CONFIGURATION: &str = "yaml,test";
/// The document that examples apply.
const NEXT_CONFIGURATION: &str = "yaml,next";
/// Cases of policy for the first configuration of the page.
const CASES: &str = "yaml,cases";
const TESTED_COMMANDS: &str = "sh,test";

/// Pages with examples, so that none is lost by a slip in a mark.
const WITH_EXAMPLES: &[&str] = &[
    "README.md",
    "docs/approvals.md",
    "docs/dialects.md",
    "docs/edge.md",
    "docs/errors.md",
    "docs/evidence.md",
    "docs/idempotency.md",
    "docs/keys.md",
    "docs/limits.md",
    "docs/metadata.md",
    "docs/metering.md",
    "docs/models.md",
    "docs/observe.md",
    "docs/plans.md",
    "docs/policy.md",
    "docs/prices.md",
    "docs/providers.md",
    "docs/quickstart.md",
    "docs/sandbox.md",
    "docs/spend.md",
    "docs/streaming.md",
];

/// The README and the pages of the book, but for those in folders.
fn pages() -> Vec<String> {
    let book = fs::read_dir(page::path("docs")).unwrap();
    let names = book.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

/// The fenced blocks of a page with this mark, and the lines they begin at.
fn blocks(text: &str, mark: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize, String)> = None;
    for (nth, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(named)) => open = Some((named, nth + 1, String::new())),
            (None, None) => {}
            (Some(_), Some(_)) => {
                let (named, at, block) = open.take().unwrap();
                if named == mark {
                    found.push((at, block));
                }
            }
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block has no end");
    found
}

#[test]
fn the_examples_do_what_they_say() {
    for name in pages() {
        let text = page::text(&name);
        let commands = blocks(&text, TESTED_COMMANDS);
        assert_eq!(
            WITH_EXAMPLES.contains(&&*name),
            !commands.is_empty(),
            "{name}: has it examples that are run?"
        );
        if commands.is_empty() {
            continue;
        }
        let configuration = blocks(&text, TESTED_CONFIGURATION);
        let gateway = Gateway::start(configuration.first().map(|(_, text)| text.as_str()));
        for (_, next) in blocks(&text, NEXT_CONFIGURATION) {
            gateway.give("next.yaml", &next);
        }
        for (at, block) in commands {
            for example in examples(&block) {
                let said = gateway.run(&example.command);
                let place = format!("{name}, block at line {at}: {}", example.command);
                example.check(&said, &place);
            }
        }
    }
}

/// A command and what its output holds.
struct Example {
    command: String,
    expected: Vec<String>,
}

impl Example {
    fn check(&self, said: &gateway::Said, place: &str) {
        assert!(!self.expected.is_empty(), "{place}\nexpects nothing");
        let is_status = |text: &&String| text.starts_with("HTTP/1.1");
        let status = self.expected.iter().find(is_status);
        let status = status.map_or("HTTP/1.1 200", |text| text.as_str());
        if let Some(head) = &said.head {
            assert!(head.starts_with(status), "{place}\n{head}\n{}", said.text);
        }
        for text in self.expected.iter().filter(|text| !is_status(text)) {
            let head = said.head.as_deref().unwrap_or_default();
            assert!(
                said.text.contains(text.as_str()) || head.contains(text.as_str()),
                "{place}\nexpected: {text}\n{head}\n{}",
                said.text
            );
        }
    }
}

fn examples(block: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    for line in block.replace("\\\n", " ").lines() {
        if let Some(expected) = line.strip_prefix("# => ") {
            let last = found.last_mut().expect("a command before what it says");
            last.expected.push(expected.to_owned());
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            found.push(Example {
                command: line.to_owned(),
                expected: Vec::new(),
            });
        }
    }
    found
}

#[test]
fn the_configurations_are_usable() {
    for name in pages() {
        let text = page::text(&name);
        let all = [CONFIGURATION, TESTED_CONFIGURATION, NEXT_CONFIGURATION]
            .iter()
            .flat_map(|mark| blocks(&text, mark));
        for (at, block) in all {
            let said = gateway::check(&block);
            assert!(said.is_ok(), "{name}, block at line {at}: {said:?}");
        }
    }
}

/// Cases stand on the page of the configuration that they are about.
#[test]
fn the_cases_of_policy_come_out_as_written() {
    let mut found = 0;
    for name in pages() {
        let text = page::text(&name);
        for (at, cases) in blocks(&text, CASES) {
            let configurations = blocks(&text, TESTED_CONFIGURATION);
            let (_, configuration) = &configurations[0];
            let said = gateway::policy_test(configuration, &cases);
            assert!(said.is_ok(), "{name}, block at line {at}: {said:?}");
            let wrong = cases.replace("expect: deny", "expect: allow");
            let said = gateway::policy_test(configuration, &wrong);
            assert!(said.is_err(), "{name}, block at line {at} proves nothing");
            found += 1;
        }
    }
    assert!(found > 0, "no page has cases");
}

/// A proof that names a test is one only while there is such a test.
#[test]
fn the_tests_that_are_named_as_proof_exist() {
    let mut code = String::new();
    for folder in ["crates", "testbed", "xtask"] {
        gather(&page::path(folder), &mut code);
    }
    let proofs = page::text("docs/capabilities.md");
    let names = proofs.split('`').skip(1).step_by(2);
    let names = names.map(|word| word.rsplit("::").next().unwrap());
    let is_test = |name: &&str| {
        name.matches('_').count() >= 2
            && name
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let mut found = 0;
    for name in names.filter(is_test) {
        let defined = ["fn", "def"].map(|word| format!("{word} {name}("));
        assert!(
            defined.iter().any(|text| code.contains(text)),
            "docs/capabilities.md names {name}, which does not exist"
        );
        found += 1;
    }
    assert!(found > 50, "{found} tests are named");
}

/// The text of all code below a folder.
fn gather(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_code = path
            .extension()
            .is_some_and(|end| end == "rs" || end == "py");
        if path.is_dir() {
            gather(&path, into);
        } else if is_code {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_taxonomy_is_in_the_book() {
    let mut table = String::from(
        "| kind | status | `code` for OpenAI clients | may a retry help? |\n|---|---|---|---|\n",
    );
    for kind in FaultKind::ALL {
        let retry = match Fault::new(kind, Origin::Gateway, "").retry {
            Retry::Never => "no",
            Retry::After { .. } => "after `retry-after`",
            Retry::Other => "yes",
        };
        let status = match kind {
            FaultKind::UpstreamRefused => "as given, else 400".to_owned(),
            kind => kind.status().to_string(),
        };
        let (name, code) = (kind.name(), kind.code());
        table.push_str(&format!("| `{name}` | {status} | `{code}` | {retry} |\n"));
    }
    page::hold("docs/errors.md", "faults", &table);
}

#[test]
fn the_kinds_of_providers_are_in_the_book() {
    let words = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    let mut table = String::from(
        "| kind | what it is | found by | address | spoken to as |\n|---|---|---|---|---|\n",
    );
    for kind in providers::kinds() {
        let mut found: Vec<&str> = kind.key_env.to_vec();
        found.extend(kind.signing.iter().flat_map(|s| s.announcing()));
        found.extend(kind.url_env);
        let mut found = words(&found);
        if let Some(port) = kind.local_port {
            found.push_str(&format!(", port {port}"));
        }
        let address = match kind.base_url {
            Some(url) => format!("`{url}`"),
            None if kind.provider.local().is_some() => "in the gateway".to_owned(),
            None => "yours".to_owned(),
        };
        table.push_str(&format!(
            "| `{}` | {} | {found} | {address} | {} |\n",
            kind.name,
            kind.doc,
            words(kind.dialects)
        ));
    }
    page::hold("docs/providers.md", "kinds", &table);
}

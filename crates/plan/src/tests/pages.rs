//! Pages and examples that must not go stale.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Fake, try_with};
use crate::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Everything that the examples refer to.
fn fake() -> Fake {
    Fake::new(
        &[
            ("OPENAI_API_KEY", "k"),
            ("ANTHROPIC_API_KEY", "k"),
            ("AWS_ACCESS_KEY_ID", "k"),
            ("AWS_SECRET_ACCESS_KEY", "k"),
            ("TOLLGATE_KEY_CHAT", "tg-0123456789abcdef-chat"),
            ("TOLLGATE_ADMIN_ACME", "tg-op-0123456789abcdef-acme"),
        ],
        &[
            ("secrets/batch.key", "tg-0123456789abcdef-batch\n"),
            (
                "certs/internal-ca.pem",
                "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            ),
        ],
    )
}

#[test]
fn the_reference_is_up_to_date() {
    let path = "docs/reference/configuration.md";
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        fs::create_dir_all(root().join("docs/reference")).unwrap();
        fs::write(root().join(path), reference()).unwrap();
    }
    assert!(
        text(path) == reference(),
        "{path} is stale: run TOLLGATE_BLESS=1 cargo test -p tollgate-plan pages"
    );
}

#[test]
fn each_rule_has_a_page_with_an_example_that_works() {
    let bless = std::env::var_os("TOLLGATE_BLESS").is_some();
    let folder = "docs/reference/rules";
    let summary = text("docs/SUMMARY.md");
    for (name, page) in rule_pages() {
        let path = format!("{folder}/{name}.md");
        if bless {
            fs::create_dir_all(root().join(folder)).unwrap();
            fs::write(root().join(&path), &page).unwrap();
        }
        assert!(
            text(&path) == page,
            "{path} is stale: run TOLLGATE_BLESS=1 cargo test -p tollgate-plan pages"
        );
        assert!(
            summary.contains(&path["docs/".len()..]),
            "{path} is not in SUMMARY.md"
        );
        let example = page.split("```yaml\n").nth(1).expect("an example");
        let example = example.split("```").next().expect("an end");
        let text = format!("providers:\n  openai: {{ api_key: k }}\n{example}");
        try_with(&text, &fake()).unwrap_or_else(|bad| panic!("{}", render(&bad, &path, false)));
    }
    for name in fs::read_dir(root().join(folder)).unwrap() {
        let name = name.unwrap().file_name().into_string().expect("UTF-8");
        let known = rule_pages()
            .iter()
            .any(|(rule, _)| name == format!("{rule}.md"));
        assert!(known, "{folder}/{name} is the page of no rule");
    }
}

#[test]
fn the_examples_are_good() {
    for path in [
        "examples/tollgate.minimal.yaml",
        "examples/tollgate.annotated.yaml",
    ] {
        let compiled = try_with(&text(path), &fake());
        let (_, compiled) = compiled.unwrap_or_else(|bad| panic!("{}", render(&bad, path, false)));
        assert!(
            compiled.warnings.is_empty(),
            "{}",
            render(&compiled.warnings, path, false)
        );
    }
}

/// A field of the schema that the annotated example does not show is one that
/// nobody finds.
#[test]
fn the_annotated_example_names_every_field() {
    let example = text("examples/tollgate.annotated.yaml");
    let root = schema();
    let mut schemas = vec![root];
    schemas.extend(root["$defs"].as_object().expect("definitions").values());
    for schema in schemas {
        for name in schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            assert!(
                example.contains(&format!("{name}:")),
                "`{name}` is not in the annotated example"
            );
        }
    }
}

#[test]
fn the_documents_of_the_guide_are_good() {
    let guide = text("docs/configuration.md");
    let blocks: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        try_with(block, &fake()).unwrap_or_else(|bad| panic!("{}", render(&bad, block, false)));
    }
}

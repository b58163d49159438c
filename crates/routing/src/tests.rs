//! Cases of resolving a model's name.

use super::*;

fn table() -> ModelTable {
    let mut table = ModelTable::default();
    table.provider("alpha", 0);
    table.provider("beta", 1);
    table.name(
        "fast",
        vec![
            Candidate::new(1, "b-1", None),
            Candidate::new(0, "a-1", None),
        ],
    );
    table.name("gpt-5-mini", vec![Candidate::new(0, "gpt-5-mini", None)]);
    table.serve("gpt-*", 0);
    table.serve("*", 1);
    table
}

#[test]
fn names_then_patterns_then_providers() {
    let seen = |model: &str| -> Vec<(usize, String)> {
        let candidates = table().resolve(model).unwrap_or_else(|| [].into());
        candidates
            .iter()
            .map(|c| (c.provider, c.model.to_string()))
            .collect()
    };
    assert_eq!(seen("fast"), [(1, "b-1".into()), (0, "a-1".into())]);
    assert_eq!(seen("gpt-9"), [(0, "gpt-9".into())]);
    assert_eq!(seen("other"), [(1, "other".into())]);
    let mut named_only = ModelTable::default();
    named_only.provider("alpha", 0);
    assert_eq!(
        named_only.resolve("alpha/x/y").expect("served")[0]
            .model
            .as_ref(),
        "x/y"
    );
    assert!(named_only.resolve("alpha/").is_none());
    assert!(named_only.resolve("gamma/x").is_none());
    assert!(named_only.resolve("x").is_none());
}

/// What is listed is what a call by that name would reach; a pattern lists
/// only the names that somebody wrote down.
#[test]
fn names_within_patterns_are_listed() {
    let listed = |table: &ModelTable| -> Vec<(String, usize, bool)> {
        let listed = table.listed();
        let said =
            |(name, it): (&&str, &Known<'_>)| (name.to_string(), it.provider, it.card.is_some());
        listed.iter().map(said).collect()
    };
    let mut table = table();
    table.serve("exact-1", 0);
    let expected = [
        // The upstream names `a-1` and `b-1` are served by `*`, which is beta's.
        ("a-1".to_owned(), 1, false),
        ("b-1".to_owned(), 1, false),
        // `*` stands before it.
        ("exact-1".to_owned(), 1, false),
        ("fast".to_owned(), 1, true),
        ("gpt-5-mini".to_owned(), 0, true),
    ];
    assert_eq!(listed(&table), expected);
    for (name, provider, _) in expected {
        assert_eq!(table.resolve(&name).expect("served")[0].provider, provider);
    }
    let mut patterns = ModelTable::default();
    patterns.provider("alpha", 0);
    patterns.serve("gpt-*", 0);
    assert!(listed(&patterns).is_empty());
    assert_eq!(patterns.known("gpt-9").expect("served").provider, 0);
    assert_eq!(patterns.known("alpha/x").expect("served").provider, 0);
    assert!(patterns.known("claude-9").is_none());
}

#[test]
fn an_unknown_model_is_told_its_neighbours() {
    let fault = table().unknown("gpt5-mini", |_| true);
    assert_eq!(fault.status(), 404);
    assert!(
        fault.public.contains("Did you mean `gpt-5-mini`?"),
        "{}",
        fault.public
    );
    let fault = table().unknown("gpt5-mini", |name| name != "gpt-5-mini");
    assert!(
        !fault.public.contains("gpt-5-mini`?"),
        "a hidden model is not named"
    );
    assert!(
        table()
            .unknown("zzz", |_| true)
            .public
            .contains("GET /v1/models")
    );
}

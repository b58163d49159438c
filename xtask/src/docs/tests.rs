//! Links that hold and links that do not.

use super::*;

fn broken(pages: &[(&str, &str)]) -> Vec<String> {
    check(pages, |path| path == "LICENSE" || path == "crates/gate")
}

#[test]
fn links_to_pages_files_and_headings_hold() {
    let pages = [
        (
            "README.md",
            "[a](docs/a.md) [b](docs/a.md#two-words-1) [c](LICENSE) [d](https://x.invalid) [e](#top)\n# Top",
        ),
        ("docs/SUMMARY.md", "- [A](a.md)"),
        (
            "docs/a.md",
            "## Two words, 1\n[up](../README.md) [room](../crates/gate/)\n```\n[no](nowhere)\n```\n`[no](x)`",
        ),
    ];
    assert_eq!(broken(&pages), Vec::<String>::new());
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let found = broken(&[("README.md", "\n[a](docs/gone.md) [b](#gone)\n# Here")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("README.md:2:"), "{found:?}");
}

#[test]
fn the_summary_lists_each_page_once() {
    let pages = [
        ("docs/SUMMARY.md", "[A](a.md)\n[A](a.md)"),
        ("docs/a.md", ""),
        ("docs/b.md", ""),
    ];
    let found = broken(&pages);
    assert!(
        found[0].contains("twice") && found[1].contains("docs/b.md"),
        "{found:?}"
    );
}

#[test]
fn the_repository_has_a_summary() {
    assert!(repository().files.iter().any(|file| file.path == SUMMARY));
}

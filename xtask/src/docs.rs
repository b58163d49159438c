//! The docs step: rustdoc without warnings, the book, and links that lead somewhere.
//!
//! The link check is our own and pure, so that it also guards a machine without mdBook. It covers
//! links within the repository; addresses of the web are not visited.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use crate::Outcome;
use crate::run::{answers, cargo, pass, program, skip};
use crate::source::House;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Rustdoc, links, and the book where mdBook is installed.
pub(crate) fn step(root: &Path) -> Outcome {
    let mut rustdoc = cargo(
        root,
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
    );
    rustdoc.env("RUSTDOCFLAGS", "-D warnings");
    pass(rustdoc)?;
    let house = House::read(root)?;
    let pages: Vec<(&str, &str)> = house
        .files
        .iter()
        .filter(|file| file.path.ends_with(".md") && !file.path.starts_with("fixtures/"))
        .map(|file| (file.path.as_str(), file.text.as_str()))
        .collect();
    let broken = check(&pages, |path| root.join(path).exists());
    for line in &broken {
        println!("{line}");
    }
    if !broken.is_empty() {
        return Err(format!("{} broken links or unlisted pages", broken.len()));
    }
    println!(
        "docs: rustdoc and the links of {} pages are sound",
        pages.len()
    );
    if answers(program("mdbook", &["--version"])) {
        let mut book = program("mdbook", &["build", "docs", "--dest-dir"]);
        // mdBook's releases differ in what a relative folder is relative to.
        book.arg(root.join("target/book")).current_dir(root);
        pass(book)
    } else {
        skip(
            "docs: the book was not built",
            "mdbook is not installed (cargo install mdbook --locked)",
        );
        Ok(())
    }
}

/// Broken links of all pages, and pages of the book that its summary does not list.
fn check(pages: &[(&str, &str)], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    let mut listed = BTreeSet::new();
    for (path, text) in pages {
        for (line, link) in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                (*path).to_owned()
            } else {
                join(path, file)
            };
            if *path == SUMMARY && !listed.insert(target.clone()) {
                broken.push(format!("{path}:{line}: lists {target} twice"));
            }
            let page = pages.iter().find(|(name, _)| *name == target);
            if page.is_none() && !exists(&target) {
                broken.push(format!("{path}:{line}: {link} leads nowhere"));
            } else if let Some((_, text)) = page.filter(|_| !anchor.is_empty())
                && !headings(text).contains(anchor)
            {
                broken.push(format!("{path}:{line}: {target} has no heading #{anchor}"));
            }
        }
    }
    let of_book = pages
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| path.starts_with("docs/") && *path != SUMMARY);
    for path in of_book.filter(|path| !listed.contains(*path)) {
        broken.push(format!("{path}:1: is not listed in {SUMMARY}"));
    }
    broken
}

/// Links to places in the repository, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (nth, line) in prose_lines(text) {
        let mut rest = line.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            let link = &rest[..end];
            let leaves =
                link.contains("://") || link.starts_with("mailto:") || link.starts_with('<');
            if !link.is_empty() && !leaves {
                found.push((nth, link.to_owned()));
            }
        }
    }
    found
}

/// Lines outside fenced code, with inline code removed.
fn prose_lines(text: &str) -> Vec<(usize, String)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((nth + 1, line.split('`').step_by(2).collect()));
        }
    }
    lines
}

/// Anchors of a page's headings, as GitHub and mdBook make them.
fn headings(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code || !line.starts_with('#') {
            continue;
        }
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    found
}

/// A link as a path from the root of the repository.
fn join(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The root of the workspace, for the tests that read the real book.
#[cfg(test)]
fn repository() -> House {
    House::read(&crate::source::root().expect("tests run inside the repository"))
        .expect("it can be read")
}

//! Cases of the kept versions.

use super::*;

fn version(n: u64) -> Version {
    Version {
        number: 0,
        digest: format!("{n:016x}"),
        before: None,
        how: How::Apply,
        author: "ops".to_owned(),
        time_us: n,
        note: None,
        removed: false,
    }
}

fn kept(n: u64) -> Kept {
    Kept {
        text: format!("# {n}\n"),
        written_out: Vec::new(),
    }
}

fn is_kept(versions: &Versions, n: u64) -> bool {
    let content = versions.content(&format!("{n:016x}")).unwrap();
    content.is_some_and(|content| content.document == format!("# {n}\n"))
}

#[test]
fn old_documents_go_and_are_listed_as_removed() {
    let home = tempfile::tempdir().unwrap();
    let versions = Versions::open(&home.path().join("plans")).unwrap();
    let most = VERSIONS_MAX as u64;
    for n in 1..=most + 2 {
        assert_eq!(versions.keep(version(n), &kept(n)).unwrap(), n);
        assert_eq!(versions.keep(version(n), &kept(n)).unwrap(), n, "in force");
    }
    let removed: Vec<u64> = versions
        .list()
        .unwrap()
        .iter()
        .filter(|version| version.removed)
        .map(|version| version.number)
        .collect();
    assert_eq!(removed, [1, 2]);
    assert!(!is_kept(&versions, 1) && !is_kept(&versions, 2) && is_kept(&versions, 3));
    // An old one that comes in force again is young.
    versions.keep(version(3), &kept(3)).unwrap();
    versions.keep(version(most + 3), &kept(most + 3)).unwrap();
    assert!(is_kept(&versions, 3) && !is_kept(&versions, 4));
    versions.keep(version(1), &kept(1)).unwrap();
    assert!(is_kept(&versions, 1));
    assert!(!versions.list().unwrap()[0].removed, "it is back");
}

#[test]
fn lines_are_bounded_and_no_document_is_left_behind() {
    let lines = LINES_MAX as u64 + 5;
    let mut versions: Vec<Version> = (0..lines)
        .map(|n| version(if n < 3 { 900 + n } else { n % 2 }))
        .collect();
    let gone = thin_out(&mut versions);
    assert_eq!(versions.len(), LINES_MAX);
    let digests: Vec<String> = (900..903).map(|n| format!("{n:016x}")).collect();
    assert_eq!(gone, digests, "nobody names them any more");
    assert!(versions.iter().all(|version| !version.removed));
}

#[test]
fn only_digests_name_documents() {
    let home = tempfile::tempdir().unwrap();
    let versions = Versions::open(&home.path().join("plans")).unwrap();
    std::fs::write(home.path().join("secret.json"), "{}").unwrap();
    for digest in [
        "",
        "book",
        "../secret",
        "..%2fsecret",
        "0123456789ABCDEF",
        "0123456789abcde/",
    ] {
        assert_eq!(versions.content(digest).unwrap(), None, "{digest}");
    }
}

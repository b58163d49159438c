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
        assert_eq!(versions.keep(&version(n), &kept(n), None, None).unwrap(), n);
        assert_eq!(
            versions.keep(&version(n), &kept(n), None, None).unwrap(),
            n,
            "in force"
        );
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
    versions.keep(&version(3), &kept(3), None, None).unwrap();
    versions
        .keep(&version(most + 3), &kept(most + 3), None, None)
        .unwrap();
    assert!(is_kept(&versions, 3) && !is_kept(&versions, 4));
    versions.keep(&version(1), &kept(1), None, None).unwrap();
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

fn rollout(n: u64) -> RolloutLine {
    RolloutLine {
        number: 0,
        digest: format!("{n:016x}"),
        base: "0".repeat(16),
        share: plan::Share::new("salt", 10.0, vec!["acme".to_owned()]).unwrap(),
        abort: None,
        author: "ops".to_owned(),
        time_us: n,
        note: None,
        ended: None,
    }
}

fn ended(line: RolloutLine) -> RolloutLine {
    RolloutLine {
        ended: Some(Ended {
            how: RolloutEnd::Aborted,
            author: "ops".to_owned(),
            time_us: 1,
            note: None,
            breach: None,
            figures: None,
        }),
        ..line
    }
}

#[test]
fn a_roll_out_is_no_version_until_it_is_promoted() {
    let home = tempfile::tempdir().unwrap();
    let versions = Versions::open(&home.path().join("plans")).unwrap();
    versions.keep(&version(1), &kept(1), None, None).unwrap();
    let line = versions.begin_rollout(&rollout(2), &kept(2), None).unwrap();
    assert_eq!(versions.rollout().unwrap(), Some(line.clone()));
    assert!(is_kept(&versions, 2));
    let (last, _) = versions.of_api().unwrap().unwrap();
    assert_eq!(last.digest, version(1).digest, "it is not in force");
    versions.change_rollout(&ended(line.clone()), None).unwrap();
    assert_eq!(versions.rollout().unwrap(), None);
    assert!(is_kept(&versions, 2), "one can look what it was");
    // What has ended stays ended, whoever thinks otherwise.
    let known = versions.change_rollout(&line, None);
    assert!(matches!(known, Err(NotKept::ChangedMeanwhile)));
    let known = versions.keep(&version(2), &kept(2), Some(&ended(line.clone())), None);
    assert!(matches!(known, Err(NotKept::ChangedMeanwhile)));
    assert_eq!(versions.rollout().unwrap(), None);
    assert_eq!(versions.list().unwrap().len(), 1);

    let line = versions.begin_rollout(&rollout(4), &kept(4), None).unwrap();
    assert_eq!(line.number, 2);
    let another = versions.begin_rollout(&rollout(5), &kept(5), None);
    assert!(matches!(another, Err(NotKept::ChangedMeanwhile)));
    // A secret changed, and so the digest of the same document.
    let line = RolloutLine {
        digest: rollout(3).digest,
        ..line
    };
    versions.change_rollout(&line, Some(&kept(3))).unwrap();
    assert!(!is_kept(&versions, 4) && is_kept(&versions, 3));
    versions
        .keep(&version(3), &kept(3), Some(&ended(line)), None)
        .unwrap();
    assert_eq!(versions.rollout().unwrap(), None);
    assert_eq!(versions.list().unwrap().len(), 2);
}

#[test]
fn roll_outs_are_bounded_and_leave_no_document_behind() {
    let home = tempfile::tempdir().unwrap();
    let versions = Versions::open(&home.path().join("plans")).unwrap();
    let most = rollouts::ROLLOUTS_MAX as u64;
    versions.keep(&version(1), &kept(1), None, None).unwrap();
    for n in 1..=most + 2 {
        let line = versions.begin_rollout(&rollout(n), &kept(n), None).unwrap();
        assert_eq!(line.number, n);
        versions.change_rollout(&ended(line), None).unwrap();
    }
    assert_eq!(versions.rollouts().unwrap().len(), rollouts::ROLLOUTS_MAX);
    assert!(is_kept(&versions, 1), "a version has it");
    assert!(!is_kept(&versions, 2) && is_kept(&versions, 3));
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

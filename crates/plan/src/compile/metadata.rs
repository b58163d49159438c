//! What callers may tell about their calls.

use access::metadata::{Rollout, Settings, TEXT_BYTES_MAX, VERSIONS, Version};

use super::Findings;
use crate::diagnostic::suggest;
use crate::document::MetadataEntry;

pub(super) fn compile(entry: &MetadataEntry, findings: &mut Findings) -> Settings {
    let mut settings = Settings::default();
    if let Some(classes) = &entry.data_classes {
        data_classes(classes, findings);
        settings.data_classes = classes.iter().map(|class| class.trim().into()).collect();
    }
    let contract = &entry.contract;
    let default = contract.default.as_deref();
    if let Some(version) = version(default, "metadata.contract.default", findings) {
        settings.contract = version;
    }
    if let Some(rollout) = &contract.rollout {
        let path = "metadata.contract.rollout";
        let version = version(Some(&rollout.version), &format!("{path}.version"), findings);
        settings.rollout = version.map(|version| Rollout {
            version,
            percent: rollout.percent,
        });
    }
    settings
}

/// The version of this date, if one is named.
pub(super) fn version(
    date: Option<&str>,
    path: &str,
    findings: &mut Findings,
) -> Option<&'static Version> {
    let date = date?;
    let version = Version::dated(date);
    if version.is_none() {
        let known = VERSIONS.map(|version| version.date);
        findings.error(
            path,
            format!("there is no version `{date}` of the contract"),
            suggest(date, known, "version"),
        );
    }
    version
}

fn data_classes(classes: &[String], findings: &mut Findings) {
    let path = "metadata.data_classes";
    if classes.is_empty() {
        findings.error(
            path,
            "there is no data class, so none could be told",
            "name at least one, or leave the field out",
        );
    }
    for (nth, class) in classes.iter().enumerate() {
        let is_wrong = |c: char| c.is_control() || c == '`';
        if class.trim().is_empty() || class.len() > TEXT_BYTES_MAX || class.contains(is_wrong) {
            findings.error(
                format!("{path}[{nth}]"),
                "this is no name of a data class",
                "write a word such as `internal`",
            );
        }
        let same = |other: &&String| other.trim().eq_ignore_ascii_case(class.trim());
        if classes[..nth].iter().any(|other| same(&other)) {
            findings.error(
                format!("{path}[{nth}]"),
                format!("the data class `{}` is there already", class.trim()),
                "name each class once",
            );
        }
    }
}

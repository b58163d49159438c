//! `tollgate logs verify`: checks the journals of a data folder, that of changes
//! too, without a gateway. Exit codes: 0 sound, 1 damaged or altered, 2 could not be read.
//!
//! Deliberately not here: the check itself (`store`).

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cli::VerifyArgs;
use serde_json::{Value, json};
use store::{Finding, Report, verify};

use crate::config::Place;
use crate::plans::AUDIT_DIR;
use crate::records::lane_dirs;

const DAMAGED: u8 = 1;
const UNREADABLE: u8 = 2;
/// A gateway that runs may be in the middle of a write: so often is a torn end
/// looked at again, and so long after.
const LOOKS_MAX: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Carries out the command.
pub(crate) fn run(args: &VerifyArgs) -> ExitCode {
    let place = crate::config::place(args.config.as_deref(), args.data_dir.as_deref());
    let code = match place {
        Ok(place) => check(&place, args.json, &mut io::stdout().lock()),
        Err(why) => Err(why),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            crate::say(&why);
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Checks the main journal, the lanes beside it, and the journal of changes.
fn check(place: &Place, as_json: bool, out: &mut dyn Write) -> Result<u8, String> {
    let unreadable = |dir: &Path, why: &io::Error| {
        format!(
            "The journal in {} cannot be read: {why}. Name the gateway's folder with --data-dir \
             or its configuration with --config, and run as the gateway's user.",
            dir.display()
        )
    };
    let mut reports: Vec<(PathBuf, Report)> = Vec::new();
    let audit = place.data_dir.join(AUDIT_DIR);
    for (nth, lane) in lane_dirs(&place.journal).chain([audit]).enumerate() {
        // A lane is there only while two gateways share the folder, and the
        // journal of changes since there has been one.
        if nth > 0 && !lane.exists() {
            continue;
        }
        match settled(&lane) {
            Ok(report) => reports.push((lane, report)),
            Err(why) if nth > 0 && why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(unreadable(&lane, &why)),
        }
    }
    let is_sound = reports.iter().all(|(_, report)| report.findings.is_empty());
    let text = match as_json {
        true => format!("{:#}\n", as_value(&reports, is_sound)),
        false => as_text(&reports),
    };
    // A reader that went away (`| head`) changes nothing about the journal.
    let _ = out.write_all(text.as_bytes());
    Ok(if is_sound { 0 } else { DAMAGED })
}

/// The report, once the end is not being written.
fn settled(dir: &Path) -> io::Result<Report> {
    let mut looks = 0;
    loop {
        let report = verify(dir, None)?;
        looks += 1;
        let is_torn = matches!(report.findings.as_slice(), [Finding::TornTail { .. }]);
        if !is_torn || looks == LOOKS_MAX {
            return Ok(report);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn as_text(reports: &[(PathBuf, Report)]) -> String {
    let mut out = String::new();
    for (dir, report) in reports {
        let state = match report.findings.as_slice() {
            [] => "sound",
            [Finding::TornTail { .. }] => "torn at its end",
            _ => "DAMAGED OR ALTERED",
        };
        out.push_str(&format!("{}: {state}\n", dir.display()));
        out.push_str(&format!(
            "  segments  {}\n  entries   {}, from {} to {}\n  bytes     {}\n  last hash {}\n",
            report.segments,
            report.entries,
            report.first,
            report.head.sequence,
            report.bytes,
            hex(&report.head.hash)
        ));
        for gap in &report.gaps {
            out.push_str(&format!(
                "  gap       {} bytes of segment {} were torn off by a crash; they lie in {}\n",
                gap.bytes, gap.segment, gap.aside
            ));
        }
        for (nth, finding) in report.findings.iter().enumerate() {
            let name = if nth == 0 { "FIRST" } else { "then" };
            out.push_str(&format!("  {name:<9} {finding}\n"));
        }
    }
    out
}

fn as_value(reports: &[(PathBuf, Report)], is_sound: bool) -> Value {
    let journals: Vec<Value> = reports
        .iter()
        .map(|(dir, report)| {
            json!({
                "dir": dir.display().to_string(),
                "segments": report.segments,
                "entries": report.entries,
                "bytes": report.bytes,
                "first": report.first,
                "head": {"sequence": report.head.sequence, "hash": hex(&report.head.hash)},
                "gaps": report.gaps.iter().map(|gap| json!({
                    "segment": gap.segment, "offset": gap.offset, "bytes": gap.bytes,
                    "aside": gap.aside,
                })).collect::<Vec<_>>(),
                "findings": report.findings.iter().map(|finding| {
                    let (segment, offset) = spot(finding);
                    json!({"what": finding.to_string(), "segment": segment, "offset": offset})
                }).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"sound": is_sound, "journals": journals})
}

/// Segment and byte of a finding, where it has them.
fn spot(finding: &Finding) -> (Option<u64>, Option<u64>) {
    match finding {
        Finding::Altered {
            segment, offset, ..
        }
        | Finding::TornTail { segment, offset } => (Some(*segment), Some(*offset)),
        Finding::BadHeader { segment }
        | Finding::NewerFormat { segment, .. }
        | Finding::Unchained { segment } => (Some(*segment), None),
        Finding::Missing { .. } | Finding::EndsEarly { .. } | Finding::Rewritten { .. } => {
            (None, None)
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

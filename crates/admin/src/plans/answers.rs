//! What is told about versions of the plan, and what is taken from a body.
//!
//! Deliberately not here: any change.

use std::io;

use evidence::rfc3339;
use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};
use plan::Diagnostic;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Return;
use crate::audit::NOTE_CHARS_MAX;
use crate::reply::Reply;
use crate::versions::{NotKept, Version};

/// Lines around a change that a diff shows.
const DIFF_CONTEXT: u32 = 3;
/// Longest diff that is shown, bytes.
const DIFF_BYTES_MAX: usize = 128 * 1024;

/// A line of the list in answers.
pub(super) fn view(version: &Version) -> Value {
    json!({
        "number": version.number,
        "digest": version.digest,
        "before": version.before,
        "how": version.how,
        "author": version.author,
        "time": rfc3339(version.time_us),
        "note": version.note,
        "removed": version.removed,
    })
}

/// The lines that differ, with `+` and `-`; empty if none does. Documents
/// that have little in common cost no more: the histogram leaves the shortest
/// diff be where it would be dear.
pub(super) fn diff(from: (&str, &str), to: (&str, &str)) -> String {
    let lines = InternedInput::new(from.1, to.1);
    let mut diff = Diff::compute(Algorithm::Histogram, &lines);
    if diff.count_additions() == 0 && diff.count_removals() == 0 {
        return String::new();
    }
    diff.postprocess_lines(&lines);
    let printer = BasicLineDiffPrinter(&lines.interner);
    let mut shown = UnifiedDiffConfig::default();
    shown.context_len(DIFF_CONTEXT);
    let hunks = diff.unified_diff(&printer, shown, &lines);
    let mut text = format!("--- {}\n+++ {}\n{hunks}", from.0, to.0);
    if text.len() > DIFF_BYTES_MAX {
        let end = text.floor_char_boundary(DIFF_BYTES_MAX);
        text.truncate(end);
        text.push_str("\n(the rest is left out)\n");
    }
    text
}

pub(super) fn parse<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| {
        // Its words name fields and places, and quote at most a field's name.
        let message = format!("The body cannot be read: {error}. GET /openapi.json describes it.");
        Reply::fault(400, "bad_body", &message)
    })
}

/// What a call says that may say nothing.
pub(super) fn returned(body: &[u8]) -> Result<Return, Reply> {
    let wish: Return = match body.trim_ascii().is_empty() {
        true => Return::default(),
        false => parse(body)?,
    };
    Ok(Return {
        note: sound_note(wish.note)?,
        ..wish
    })
}

pub(super) fn sound_note(note: Option<String>) -> Result<Option<String>, Reply> {
    match note {
        Some(note) if note.chars().count() > NOTE_CHARS_MAX => Err(Reply::fault(
            400,
            "bad_body",
            &format!("The note is longer than {NOTE_CHARS_MAX} characters. Shorten it."),
        )),
        Some(note) if note.trim().is_empty() => Ok(None),
        note => Ok(note),
    }
}

pub(super) fn refused(bad: &[Diagnostic]) -> Reply {
    let message = format!(
        "The document cannot be used, so the plan before stays in force:\n{}",
        plan::render(bad, "document", false)
    );
    let more = json!({"diagnostics": plan::to_json(bad)});
    Reply::fault_with(422, "document_refused", &message, more)
}

pub(super) fn written_out(fields: &[String]) -> Reply {
    let message = format!(
        "Secrets are written out at {}. They are never kept, so this document could not come in \
         force again. Write them as `${{env:NAME}}` or `${{file:path}}`.",
        fields.join(", ")
    );
    Reply::fault_with(
        422,
        "secret_written_out",
        &message,
        json!({"fields": fields}),
    )
}

pub(super) fn unavailable(error: &io::Error) -> Reply {
    let message = format!(
        "The versions of the plan cannot be read or written: {error}. Check the folder `plans` in \
         the data folder and its disk, or the database where replicas share them."
    );
    Reply::fault(503, "versions_unavailable", &message)
}

pub(super) fn not_kept(why: &NotKept) -> Reply {
    match why {
        NotKept::Failed(error) => unavailable(error),
        NotKept::ChangedMeanwhile => Reply::fault(
            409,
            "rollout_conflict",
            "Another process on this data folder, or another replica, changed the plan or its \
             roll-out meanwhile, so nothing was changed. `tollgate plan list` shows what; look, \
             then try again.",
        ),
    }
}

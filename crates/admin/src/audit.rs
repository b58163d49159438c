//! The audit journal: who changed what, when, from where, before and after. An
//! entry is safe on disk before its change is made, and a change whose entry
//! cannot be written is refused.
//!
//! An entry is one JSON object. Deliberately not here: secrets. Who records a
//! change masks them, by writing views that never had them.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use evidence::{RequestId, rfc3339};
use plan::Role;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{ChangeLog, EntryKind};

use crate::auth::{Actor, By};
use crate::params::{AuditQuestion, Page};
use crate::reading;
use crate::reply::{Reply, json};

/// Most characters of a note.
pub const NOTE_CHARS_MAX: usize = 500;
/// Most entries that one question reads; the next page goes on from there.
const SEARCHED_MAX: u64 = 20_000;
/// Longest value before or after that an entry holds, bytes of JSON.
const VALUE_BYTES_MAX: usize = 256 * 1024;

/// The audit journal; clones share it.
#[derive(Clone, Debug)]
pub struct Audit(Arc<ChangeLog>);

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What is done, such as `key.create`.
    pub action: &'static str,
    /// What is changed, such as `key/k1`.
    pub object: String,
    /// The tenant that it concerns; `None` for all.
    pub tenant: Option<String>,
    /// How it was, without secrets.
    pub before: Value,
    /// How it will be, without secrets.
    pub after: Value,
    /// Why, in the words of who did it.
    pub note: Option<String>,
}

/// Who makes a change: the holder of a credential, or the gateway itself on
/// behalf of a file.
#[derive(Clone, Debug)]
pub struct Author {
    /// Public name of the credential, `file` or `environment`.
    pub id: Arc<str>,
    /// Role of the credential.
    pub role: Option<Role>,
    /// Where the call came from.
    pub peer: Option<IpAddr>,
    /// The call.
    pub request_id: Option<RequestId>,
    /// Wall time, microseconds since the Unix epoch.
    pub now_us: u64,
}

impl Author {
    /// The gateway itself on behalf of `name`.
    pub fn itself(name: &str, now_us: u64) -> Self {
        Self {
            id: name.into(),
            role: None,
            peer: None,
            request_id: None,
            now_us,
        }
    }
}

impl From<&By> for Author {
    fn from(by: &By) -> Self {
        Self {
            id: by.actor.id.clone(),
            role: Some(by.actor.role),
            peer: by.peer,
            request_id: Some(by.request_id),
            now_us: by.now_us,
        }
    }
}

/// An entry on disk, and in answers.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(default)]
    sequence: u64,
    time: String,
    time_us: u64,
    actor: String,
    role: Option<String>,
    peer: Option<String>,
    request_id: Option<String>,
    action: String,
    object: String,
    tenant: Option<String>,
    before: Value,
    after: Value,
    note: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    entries: Vec<Line>,
    /// `before` of the next page; null at the end.
    next: Option<u64>,
}

impl Audit {
    /// The journal in a folder, which is made with the first entry. `node`
    /// names this node in its header.
    pub fn new(dir: &Path, node: [u8; 16]) -> Self {
        Self(Arc::new(ChangeLog::new(dir, node)))
    }

    /// Writes the entry of a change that is about to be made. May wait for the
    /// disk.
    ///
    /// # Errors
    /// It could not be written, so the change must not be made.
    pub fn record(&self, author: &Author, change: &Change) -> Result<u64, Reply> {
        let line = Line {
            sequence: 0,
            time: rfc3339(author.now_us),
            time_us: author.now_us,
            actor: author.id.to_string(),
            role: author.role.map(|role| role.name().to_owned()),
            peer: author.peer.map(|peer| peer.to_string()),
            request_id: author.request_id.map(|id| id.to_string()),
            action: change.action.to_owned(),
            object: change.object.clone(),
            tenant: change.tenant.clone(),
            before: bounded(&change.before),
            after: bounded(&change.after),
            note: change
                .note
                .as_ref()
                .map(|note| note.chars().take(NOTE_CHARS_MAX).collect()),
        };
        self.0.append(json(&line).as_bytes()).map_err(|error| {
            Reply::fault(
                503,
                "audit_unavailable",
                &format!(
                    "The audit journal cannot be written, so nothing was changed: {error}. Check \
                     the folder `audit` in the data folder and its disk."
                ),
            )
        })
    }

    /// Entries, newest first, as far as the asker may see them.
    pub(crate) fn page(&self, question: &AuditQuestion, actor: &Actor) -> Reply {
        let (mut entries, mut searched, mut last) = (Vec::new(), 0, None);
        let mut is_over = true;
        let Page { limit, before } = question.page;
        let read = self
            .0
            .newest_first(before.unwrap_or(u64::MAX), &mut |entry| {
                searched += 1;
                last = Some(entry.sequence);
                if entry.kind == EntryKind::Record
                    && let Ok(mut line) = serde_json::from_slice::<Line>(&entry.payload)
                    && shows(question, actor, &line)
                {
                    line.sequence = entry.sequence;
                    entries.push(line);
                }
                if entries.len() < limit as usize && searched < SEARCHED_MAX {
                    return ControlFlow::Continue(());
                }
                is_over = false;
                ControlFlow::Break(())
            });
        match read {
            Ok(()) => Reply::json(&Answer {
                entries,
                next: last.filter(|last| !is_over && *last > 1),
            }),
            Err(error) => reading::journal_fault(&error),
        }
    }
}

/// A value too long for an entry is named by its digest.
fn bounded(value: &Value) -> Value {
    let text = value.to_string();
    match text.len() <= VALUE_BYTES_MAX {
        true => value.clone(),
        false => serde_json::json!({
            "left_out": format!("{} bytes", text.len()),
            "blake3": blake3::hash(text.as_bytes()).to_hex().to_string(),
        }),
    }
}

fn shows(question: &AuditQuestion, actor: &Actor, line: &Line) -> bool {
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.is_none() || wanted.as_deref() == found
    };
    // A change of the whole gateway is nothing for the eyes of one tenant.
    let in_scope = match &line.tenant {
        Some(tenant) => actor.sees(tenant),
        None => actor.tenant.is_none(),
    };
    in_scope
        && is(&question.actor, Some(&line.actor))
        && is(&question.role, line.role.as_deref())
        && is(&question.action, Some(&line.action))
        && is(&question.object, Some(&line.object))
        && is(&question.tenant, line.tenant.as_deref())
        && question.since_us.is_none_or(|since| line.time_us >= since)
        && question.until_us.is_none_or(|until| line.time_us < until)
}

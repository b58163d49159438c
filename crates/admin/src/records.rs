//! Records: a page of them, or one whole. A page joins the index with the end
//! of the journal that is not indexed yet; pages are cut by sequence, so they
//! stay the same while new records arrive.
//!
//! Deliberately not here: following (`follow`).

use std::time::Duration;

use evidence::{Record, RequestId, rfc3339};
use serde::Serialize;
use store::{Entry, EntryKind, Filter, Found};

use crate::auth::Actor;
use crate::params::Question;
use crate::reading::{self, Shelf};
use crate::reply::{Reply, json};
use crate::tail;

/// Longest wait for entries that were handed in and not yet written, so that
/// a call just made is found.
const FLUSH_WAIT: Duration = Duration::from_millis(200);

/// One record in a list.
#[derive(Serialize)]
pub(crate) struct Summary<'a> {
    sequence: u64,
    request_id: String,
    time: String,
    tenant: &'a str,
    app: &'a str,
    key_id: &'a str,
    operation: &'a str,
    dialect: &'a str,
    provider: &'a str,
    model: &'a str,
    status: u16,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    stream: bool,
    input_tokens: u64,
    output_tokens: u64,
    duration_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_nanos: Option<i64>,
    plan: &'a str,
}

#[derive(Serialize)]
struct Page<'a> {
    records: Vec<Summary<'a>>,
    /// `before` of the next page; null at the end.
    next: Option<u64>,
    /// Last sequence of the journal.
    head: u64,
    /// Records that the index has not seen; null without an index.
    index_lag: Option<u64>,
    /// Records of the range that were not searched, because the index is too
    /// far behind.
    unsearched: u64,
}

/// A page of records, newest first.
pub(crate) fn page(shelf: &Shelf, question: &Question) -> Reply {
    try_page(shelf, &question.filter).unwrap_or_else(|fault| fault)
}

fn try_page(shelf: &Shelf, filter: &Filter) -> Result<Reply, Reply> {
    if filter.before.is_none() {
        // Late entries are on a later page's time; a slow disk is no fault.
        shelf.journal.flush(FLUSH_WAIT);
    }
    // Read first: entries that are indexed meanwhile are still scanned, and
    // the index is asked only for what lies before.
    let indexed = shelf.indexed();
    let scanned = tail::scan(shelf, indexed, filter)?;
    let mut found = scanned.found;
    let room = filter
        .limit
        .saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
    if let Some(index) = shelf.index.as_ref().filter(|_| room > 0 && indexed > 0) {
        let older = Filter {
            before: Some(filter.before.unwrap_or(u64::MAX).min(indexed + 1)),
            limit: room,
            ..filter.clone()
        };
        let older = index
            .find(&older)
            .map_err(|error| reading::index_fault(&error))?;
        found.extend(older);
    }
    let is_full = found.len() == filter.limit as usize;
    let head = shelf.head();
    Ok(Reply::json(&Page {
        records: found.iter().map(summary).collect(),
        next: found.last().filter(|_| is_full).map(|last| last.sequence),
        head,
        index_lag: shelf.index.as_ref().map(|_| head.saturating_sub(indexed)),
        unsearched: scanned.unsearched,
    }))
}

/// One record as a line of JSON without a line end.
pub(crate) fn line(found: &Found) -> String {
    json(&summary(found))
}

fn summary(found: &Found) -> Summary<'_> {
    let row = &found.row;
    Summary {
        sequence: found.sequence,
        request_id: RequestId::from_bytes(row.request_id).to_string(),
        time: rfc3339(row.arrived_us),
        tenant: &row.tenant,
        app: &row.app,
        key_id: &row.key_id,
        operation: &row.operation,
        dialect: &row.dialect,
        provider: &row.provider,
        model: &row.model,
        status: row.status,
        outcome: &row.outcome,
        fault: row.fault.as_deref(),
        origin: row.origin.as_deref(),
        stream: row.stream,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        duration_us: row.duration_us,
        first_token_us: row.first_token_us,
        cost_nanos: row.cost_nanos,
        plan: &row.plan,
    }
}

/// How one record is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// By its request id.
    Id(RequestId),
    /// By its sequence.
    Sequence(u64),
}

impl Wanted {
    pub(crate) fn parse(text: &str) -> Result<Self, Reply> {
        // A request id has 32 digits, and no sequence ever has.
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let sequence = digits.then(|| text.parse().ok()).flatten();
        sequence.filter(|sequence| *sequence > 0).map(Self::Sequence).ok_or_else(|| {
            Reply::fault(
                400,
                "bad_record_id",
                "This names no record. Write a request id (the header `tollgate-request-id` of an \
                 answer) or a sequence (the number that `tollgate logs` shows).",
            )
        })
    }
}

/// One record whole.
///
/// One of another tenant than the asker's is as one that does not exist.
pub(crate) fn one(shelf: &Shelf, wanted: Wanted, actor: &Actor) -> Reply {
    shelf.journal.flush(FLUSH_WAIT);
    let entry = match wanted {
        Wanted::Id(id) => by_id(shelf, &id),
        Wanted::Sequence(sequence) => by_sequence(shelf, sequence),
    };
    match entry {
        Ok(Some(entry)) if is_shown(&entry, actor) => whole(&entry),
        Ok(Some(_) | None) => missing(shelf),
        Err(fault) => fault,
    }
}

/// Notes of the journal itself belong to no tenant.
fn is_shown(entry: &Entry, actor: &Actor) -> bool {
    let tenant = || reading::record(entry)?.who.tenant;
    actor.tenant.is_none() || tenant().is_some_and(|tenant| actor.sees(&tenant))
}

fn by_id(shelf: &Shelf, id: &RequestId) -> Result<Option<Entry>, Reply> {
    let fault = |error| reading::index_fault(&error);
    // Read first, as for a page.
    let indexed = shelf.indexed();
    let indexed_row = match &shelf.index {
        Some(index) => index.by_request_id(id.as_bytes()).map_err(fault)?,
        None => None,
    };
    let found = match indexed_row {
        Some(found) => Some(found),
        None => tail::by_request_id(shelf, indexed, id.as_bytes())?,
    };
    let read = |found: Found| shelf.journal.entry_at(found.place, found.sequence);
    found
        .map(read)
        .transpose()
        .map_err(|error| reading::journal_fault(&error))
}

fn by_sequence(shelf: &Shelf, sequence: u64) -> Result<Option<Entry>, Reply> {
    if sequence > shelf.head() {
        return Ok(None);
    }
    let fault = |error| reading::journal_fault(&error);
    let filter = Filter {
        before: sequence.checked_add(1),
        after: Some(sequence - 1),
        limit: 1,
        ..Filter::default()
    };
    let indexed = shelf
        .index
        .as_ref()
        .and_then(|index| index.find(&filter).ok()?.pop());
    if let Some(found) = indexed {
        return shelf
            .journal
            .entry_at(found.place, sequence)
            .map(Some)
            .map_err(fault);
    }
    let mut cursor = tail::cursor(shelf, sequence, None).map_err(fault)?;
    let entry = cursor.next_entry().map_err(fault)?;
    Ok(entry.filter(|entry| entry.sequence == sequence))
}

fn whole(entry: &Entry) -> Reply {
    match entry.kind {
        EntryKind::Record => match Record::decode(&entry.payload) {
            Ok(record) => Reply::json_text(record.to_json()),
            Err(error) => Reply::fault(
                503,
                "record_unreadable",
                &format!(
                    "Entry {} of the journal cannot be read: {error}. It may have been written by \
                     a newer version.",
                    entry.sequence
                ),
            ),
        },
        EntryKind::Gap => Reply::fault(
            404,
            "not_a_record",
            "This entry is a note of the journal: the gateway was stopped while it wrote, and the \
             piece of an entry that was left was cut off here.",
        ),
        EntryKind::Clipped => Reply::fault(
            503,
            "record_unreadable",
            "This record was too large, and only its beginning was kept.",
        ),
    }
}

fn missing(shelf: &Shelf) -> Reply {
    let lag = shelf.head().saturating_sub(shelf.indexed());
    let more = if shelf.index.is_none() {
        format!(
            " There is no index, so only the last {} records were searched.",
            tail::ENTRIES_MAX
        )
    } else if lag > tail::ENTRIES_MAX {
        format!(" The index is {lag} records behind; try again when it has caught up.")
    } else {
        " Ids are those of the header `tollgate-request-id`; records of another gateway are kept \
         there."
            .to_owned()
    };
    Reply::fault(
        404,
        "record_not_found",
        &format!("There is no such record.{more}"),
    )
}

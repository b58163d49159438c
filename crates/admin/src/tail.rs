//! The end of the journal that the index has not seen yet: read entry by
//! entry, so that a call is found the moment its record is written.
//!
//! Deliberately not here: the part that is indexed.

use std::collections::VecDeque;

use store::{Cursor, Filter, Found, Place, ReadError, Row};

use crate::reading;
use crate::reading::{Shelf, record};
use crate::reply::Reply;

/// Most entries behind the index that a query reads. Beyond it the answer
/// says how many it left out.
pub(crate) const ENTRIES_MAX: u64 = 50_000;

/// What a scan found.
pub(crate) struct Scanned {
    /// Newest first.
    pub(crate) found: Vec<Found>,
    /// Entries between the index and the scan that were not looked at.
    pub(crate) unsearched: u64,
}

/// The entries after `indexed` that the filter lets through, newest first.
pub(crate) fn scan(shelf: &Shelf, indexed: u64, filter: &Filter) -> Result<Scanned, Reply> {
    let head = shelf.head();
    let end = filter
        .before
        .unwrap_or(u64::MAX)
        .min(head.saturating_add(1));
    let first = (indexed + 1).max(end.saturating_sub(ENTRIES_MAX));
    let mut kept: VecDeque<Found> = VecDeque::new();
    let from = first.max(filter.after.map_or(0, |after| after.saturating_add(1)));
    walk(shelf, from, end, |found| {
        if lets_through(filter, found.sequence, found.recorded_us, &found.row) {
            if kept.len() == filter.limit as usize {
                kept.pop_front();
            }
            kept.push_back(found);
        }
        true
    })?;
    let asked_from = (indexed + 1).max(filter.after.map_or(0, |after| after.saturating_add(1)));
    Ok(Scanned {
        found: kept.into_iter().rev().collect(),
        unsearched: first
            .saturating_sub(asked_from)
            .min(end.saturating_sub(asked_from)),
    })
}

/// The entry after `indexed` with this request id.
pub(crate) fn by_request_id(
    shelf: &Shelf,
    indexed: u64,
    id: &[u8; 16],
) -> Result<Option<Found>, Reply> {
    let end = shelf.head().saturating_add(1);
    let first = (indexed + 1).max(end.saturating_sub(ENTRIES_MAX));
    let mut hit = None;
    walk(shelf, first, end, |found| {
        let is_it = found.row.request_id == *id;
        if is_it {
            hit = Some(found);
        }
        !is_it
    })?;
    Ok(hit)
}

/// Whether the filter lets a record through, as the index would.
pub(crate) fn lets_through(filter: &Filter, sequence: u64, recorded_us: u64, row: &Row) -> bool {
    let same =
        |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
    let some = |text: &Option<String>| text.clone().unwrap_or_default();
    filter.before.is_none_or(|before| sequence < before)
        && filter.after.is_none_or(|after| sequence > after)
        && filter.since_us.is_none_or(|since| recorded_us >= since)
        && filter.until_us.is_none_or(|until| recorded_us < until)
        && same(&filter.tenant, &row.tenant)
        && same(&filter.app, &row.app)
        && same(&filter.key_id, &row.key_id)
        && same(&filter.operation, &row.operation)
        && same(&filter.dialect, &row.dialect)
        && same(&filter.provider, &row.provider)
        && same(&filter.model, &row.model)
        && same(&filter.outcome, &row.outcome)
        && same(&filter.fault, &some(&row.fault))
        && same(&filter.origin, &some(&row.origin))
        && filter.status_min.is_none_or(|least| row.status >= least)
        && filter.status_max.is_none_or(|most| row.status <= most)
        && (!filter.faulty || row.fault.is_some())
}

/// A cursor at `from`, or at the first entry that is still there.
pub(crate) fn cursor(
    shelf: &Shelf,
    from: u64,
    hint: Option<Place>,
) -> Result<Box<dyn Cursor>, ReadError> {
    match shelf.journal.cursor(from, hint) {
        Err(ReadError::Missing { first, .. }) if first > from => shelf.journal.cursor(first, None),
        cursor => cursor,
    }
}

/// Hands the records of `from..end` to `take`, oldest first, until it says
/// `false`.
fn walk(
    shelf: &Shelf,
    from: u64,
    end: u64,
    mut take: impl FnMut(Found) -> bool,
) -> Result<(), Reply> {
    if from >= end {
        return Ok(());
    }
    let (start, hint) = near(shelf, from);
    let fault = |error: ReadError| reading::journal_fault(&error);
    let mut cursor = cursor(shelf, start, hint).map_err(fault)?;
    while let Some(entry) = cursor.next_entry().map_err(fault)? {
        if entry.sequence >= end {
            break;
        }
        let Some(record) = (entry.sequence >= from).then(|| record(&entry)).flatten() else {
            continue;
        };
        if !take(reading::found(&entry, &record)) {
            break;
        }
    }
    Ok(())
}

/// The indexed entry next before `from`, which saves reading a segment from
/// its beginning.
pub(crate) fn near(shelf: &Shelf, from: u64) -> (u64, Option<Place>) {
    let filter = Filter {
        before: Some(from),
        limit: 1,
        ..Filter::default()
    };
    let last = shelf
        .index
        .as_ref()
        .and_then(|index| index.find(&filter).ok()?.pop());
    match last {
        // Further back, a segment's beginning may be nearer.
        Some(last) if from - last.sequence <= ENTRIES_MAX => (last.sequence, Some(last.place)),
        Some(_) | None => (from, None),
    }
}

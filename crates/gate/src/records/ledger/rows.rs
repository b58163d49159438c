//! Rows of the ledger as the counters know them, and those that lie in lanes
//! beside the main journal.
//!
//! Deliberately not here: when they count.

use std::io;
use std::path::{Path, PathBuf};

use evidence::{LedgerTotal, LedgerWindow, Record, Reservation};
use meter::{Book, Draw, Measure, QuotaKind, Span};
use store::{Check, Cursor as _, ReadError, Reader};

use super::{ById, copied_from, lane_dirs};

/// What a row took; `None` for what a newer version counts.
pub(super) fn draw_of_row(row: &Reservation) -> Option<Draw> {
    Some(Draw {
        quota: row.quota.clone(),
        kind: QuotaKind::named(&row.kind)?,
        measure: Measure::named(&row.measure)?,
        counter: row.counter,
        scope: row.scope.clone(),
        span: Span {
            from_us: row.from_us,
            until_us: row.until_us,
        },
        after_us: row.after_us,
        amount: row.amount(),
        level: row.level,
        limit: row.limit,
        whole_us: None,
    })
}

/// What was taken of a window together.
pub(super) fn draw_of_total(window: &LedgerWindow, total: &LedgerTotal) -> Option<Draw> {
    Some(Draw {
        quota: total.quota.clone(),
        kind: QuotaKind::named(&total.kind)?,
        measure: Measure::named(&total.measure)?,
        counter: window.counter,
        scope: total.scope.clone(),
        span: Span {
            from_us: window.from_us,
            until_us: window.until_us,
        },
        after_us: total.after_us,
        amount: 0,
        level: 0,
        limit: 0,
        whole_us: None,
    })
}

/// Whether a window counts no more.
pub(super) fn has_passed(draw: &Draw, now_us: u64) -> bool {
    draw.span.until_us.saturating_add(draw.after_us) <= now_us
}

/// Puts what a call came to into the counters.
pub(super) fn credit(book: &mut Book, rows: &[Reservation], now_us: u64) {
    let counted = rows.iter().filter(|row| row.is_counted());
    for draw in counted.filter_map(draw_of_row) {
        if !has_passed(&draw, now_us) {
            book.credit(&draw, draw.amount);
        }
    }
}

/// The records that lie in lanes beside the main journal in `dir` and are of
/// other processes, and where to look for those that were copied already. Of
/// the `own` lane those are of others that were left in it.
pub(super) fn of_lanes(
    dir: &Path,
    own: Option<&(PathBuf, u64)>,
) -> io::Result<(ById, Option<u64>)> {
    let (mut found, mut mark) = (ById::new(), None);
    for lane in lane_dirs(dir).skip(1).filter(|lane| lane.exists()) {
        let own = own.filter(|(own, _)| *own == lane);
        let until = own.map_or(u64::MAX, |(_, left)| *left);
        let copied = copied_from(&lane)?;
        mark = [mark, copied].into_iter().flatten().min();
        match read_lane(&lane, until, &mut found) {
            Ok(()) => {}
            // It was copied and removed meanwhile.
            Err(_) if !lane.exists() => {}
            Err(error) => return Err(super::unreadable(error)),
        }
    }
    Ok((found, mark))
}

fn read_lane(lane: &Path, until: u64, found: &mut ById) -> Result<(), ReadError> {
    let mut reader = Reader::open(lane, 1, Check::Checksum)?;
    while let Some(entry) = reader.next_entry()? {
        if entry.sequence > until {
            break;
        }
        if let Ok((id, rows)) = Record::decode_rows(&entry.payload)
            && !rows.is_empty()
        {
            found.insert(id, rows);
        }
    }
    Ok(())
}

//! The facade that `flow` holds: admit, then write exactly one record.
//!
//! Deliberately not here: where the journal lies and what a record means.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use store::{Full, Journal, LineWriter, Ticket};

use crate::codec;
use crate::json;
use crate::log_line::LogLine;
use crate::meter::{Meter, RouteHandles};
use crate::record::Record;

/// Capacity of a thread's encoding buffer that is kept between records, in
/// bytes; a larger one is given back.
const BUFFER_BYTES_KEPT: usize = 16 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Journal, metrics and log lines behind one door. Cheap to clone.
#[derive(Clone)]
pub struct Evidence {
    inner: Arc<Inner>,
}

struct Inner {
    journal: Arc<dyn Journal>,
    meter: Arc<Meter>,
    log_line: LogLine,
    lines: Option<Arc<LineWriter>>,
    /// From when on no call is taken, microseconds since the Unix epoch.
    closed_from_us: AtomicU64,
}

impl Evidence {
    /// Composes the parts. `lines` may be `None` where `log_line` is off.
    pub fn new(
        journal: Arc<dyn Journal>,
        meter: Arc<Meter>,
        log_line: LogLine,
        lines: Option<Arc<LineWriter>>,
    ) -> Self {
        meter.watch_journal(journal.clone());
        if let Some(lines) = &lines {
            meter.watch_lines(lines.clone());
        }
        Self {
            inner: Arc::new(Inner {
                journal,
                meter,
                log_line,
                lines,
                closed_from_us: AtomicU64::new(u64::MAX),
            }),
        }
    }

    /// Says from when on no call is to be taken, because records wait for too
    /// long to be where they must be: microseconds since the Unix epoch,
    /// `u64::MAX` for never. It may be taken back.
    pub fn close_from(&self, unix_us: u64) {
        self.inner.closed_from_us.store(unix_us, Relaxed);
    }

    /// Whether no call is to be taken at this time.
    pub fn is_closed(&self, unix_us: u64) -> bool {
        unix_us >= self.inner.closed_from_us.load(Relaxed)
    }

    /// Takes the slot of one exchange. [`Full`] means that its record could
    /// not be promised: refuse it with 503.
    pub fn admit(&self) -> Result<Slot, Full> {
        Ok(Slot {
            slot: self.inner.journal.try_slot()?,
            inner: self.inner.clone(),
        })
    }

    /// The journal behind it.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.inner.journal
    }

    /// The metrics.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.inner.meter
    }
}

/// The right, and the duty, to write one record. Dropping it unused is
/// counted as an abandoned record.
pub struct Slot {
    slot: store::Slot,
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

impl Slot {
    /// Clips, encodes and appends the record, counts it in the metrics of
    /// `route`, and writes the log line if it is asked for. Never blocks on
    /// the disk and never fails, so a `Drop` may call it.
    pub fn write(self, record: &mut Record, route: &RouteHandles) -> Ticket {
        self.write_seen(record, route, |_, _| ())
    }

    /// As [`Slot::write`]; `seen` gets the encoded record and the ticket of
    /// its entry, as [`store::Inflight::end`] wants them.
    pub fn write_seen(
        self,
        record: &mut Record,
        route: &RouteHandles,
        seen: impl FnOnce(&[u8], &Ticket),
    ) -> Ticket {
        let Self { slot, inner } = self;
        record.clip();
        inner.meter.count(record, route);
        if let Some(lines) = inner
            .lines
            .as_ref()
            .filter(|_| inner.log_line.wants(&record.id))
        {
            lines.send(&json::line(record));
        }
        // Taken out while in use: a record written from a drop meanwhile gets
        // a fresh buffer, and so does one written while the thread ends.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        codec::encode(record, &mut buffer);
        let ticket = slot.send(&buffer);
        seen(&buffer, &ticket);
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            // Fails only while the thread ends, when there is nothing to keep.
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
        ticket
    }
}

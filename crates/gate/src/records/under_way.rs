//! What was under way when a process died comes into the journal, once: the
//! record of an exchange that had ended as it is, any other as `lost`, with
//! what was reserved for it.
//!
//! Only the process that writes the main journal does this, on one thread. An
//! id that the journal has already is passed over, so a recovery that is
//! killed is taken up again by the next one without a record twice.
//! Deliberately not here: the table itself (`store::inflight`), and what a
//! lost exchange costs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Foreign;
use evidence::{Meter, Outcome, Record, RequestId};
use store::{
    Check, Cursor, DeadTable, Inflight, InflightLanes, InflightOptions, InflightRow, InflightState,
    Journal, ReadError, Reader, SegmentLog, TABLES_MAX, Tables,
};

/// Folder of the tables in the data directory.
const DIR: &str = "inflight";
/// Longest wait for the journal before a recovery is left for later.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// The table of this process, and those of processes that died.
pub(crate) struct UnderWay {
    table: Arc<InflightLanes>,
    tables: Tables,
    meter: Arc<Meter>,
    /// What is brought in, for whoever adds up the journal.
    foreign: Arc<Foreign>,
    /// Tables whose rows are in the journal up to this sequence; they go once
    /// it is synced.
    brought_in: Mutex<Vec<(DeadTable, u64)>>,
}

impl UnderWay {
    /// Makes the table of this process. `mark` is where the main journal is,
    /// or anything before.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub(crate) fn open(data_dir: &Path, mark: u64, meter: Arc<Meter>) -> io::Result<Arc<Self>> {
        let dir = data_dir.join(DIR);
        let options = InflightOptions::default();
        let table = InflightLanes::create(&dir, super::node_id(), mark, (tables(), options));
        let table = Arc::new(table.map_err(io::Error::other)?);
        meter.watch_inflight(table.clone());
        Ok(Arc::new(Self {
            table,
            tables: Tables::new(&dir),
            meter,
            foreign: Arc::default(),
            brought_in: Mutex::default(),
        }))
    }

    /// The records that this process brings into the main journal for others.
    pub(crate) fn foreign(&self) -> &Arc<Foreign> {
        &self.foreign
    }

    /// Where exchanges are noted.
    pub(crate) fn inflight(&self) -> Arc<dyn Inflight> {
        self.table.clone()
    }

    /// Takes rows away that the main journal has. To be called now and then.
    pub(crate) fn tidy(&self, main: &SegmentLog) {
        self.table.tidy(main.head().sequence);
    }

    /// Removes the table of this process if the journal has all of it. To be
    /// called when no exchange is under way. Where it `is_flushed` not, the
    /// table stays locked until the process has ended, so that nobody reads
    /// it before the journal was written as far as it can be.
    pub(crate) fn close(&self, is_flushed: bool) {
        if !is_flushed {
            std::mem::forget(self.table.clone());
        } else if !self.table.close() {
            crate::say(
                "some calls ended without a word of how; the next start records them as lost",
            );
        }
    }

    /// Brings the tables of all dead processes into the main journal. `lanes`
    /// are the journals beside it, there or not.
    ///
    /// # Errors
    /// At least one of them could not be brought in: it is as it was, and is
    /// tried again at the next call.
    pub(crate) fn recover(&self, main: &SegmentLog, lanes: &[PathBuf]) -> io::Result<()> {
        let mut brought_in = self
            .brought_in
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut failed = Ok(());
        for found in self.tables.dead().map_err(io::Error::other)? {
            let done = found.map_err(io::Error::other).and_then(|mut table| {
                let came = bring_in(&mut table, (main, &self.foreign), lanes)?;
                self.tell(&came);
                brought_in.push((table, main.health().sent));
                Ok(())
            });
            failed = failed.and(done);
        }
        // Each stays locked until it goes, and so is not found again.
        let synced = main.health().synced;
        for (table, _) in brought_in.extract_if(.., |(_, sent)| *sent <= synced) {
            failed = failed.and(table.remove().map_err(io::Error::other));
        }
        failed
    }

    fn tell(&self, came: &Came) {
        self.meter.recovered(came.records, came.lost);
        if came.records > 0 {
            crate::say(&format!(
                "a process died with calls under way: {} of their records were written now, {} \
                 of them as lost",
                came.records, came.lost
            ));
        }
        if came.unreadable > 0 {
            crate::say(&format!(
                "{} rows of calls under way could not be read and are not recorded; was a newer \
                 version of the gateway running here?",
                came.unreadable
            ));
        }
    }
}

/// Tables of a process: as many as threads can write at the same time.
fn tables() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    cores.min(TABLES_MAX)
}

/// What came of a table.
#[derive(Default)]
struct Came {
    records: u64,
    lost: u64,
    unreadable: u64,
}

fn bring_in(
    table: &mut DeadTable,
    (main, foreign): (&SegmentLog, &Foreign),
    lanes: &[PathBuf],
) -> io::Result<Came> {
    let mut came = Came::default();
    // What an attempt before has sent must show.
    written(main)?;
    let all = table.rows().map_err(io::Error::other)?;
    let mut mark = table.mark(&all);
    let mut rows = BTreeMap::new();
    for row in all {
        match Record::decode(&row.bytes) {
            Ok(record) => drop(rows.insert(record.id, (record, row))),
            Err(_) => came.unreadable += 1,
        }
    }
    let head = main.head().sequence;
    if head < mark {
        table.move_mark_back(head).map_err(io::Error::other)?;
        mark = head;
    }
    if !rows.is_empty() {
        let cursor = from(mark + 1, |from| main.cursor(from, None))?;
        forget_known(&mut rows, cursor)?;
    }
    for lane in lanes.iter().filter(|lane| lane.exists()) {
        let cursor = from(1, |from| {
            Ok(Box::new(Reader::open(lane, from, Check::Checksum)?))
        })?;
        forget_known(&mut rows, cursor)?;
    }
    for (record, row) in rows.into_values() {
        let slot = main.try_slot().map_err(io::Error::other)?;
        foreign.note(&row.bytes);
        let is_lost = row.state == InflightState::Begun;
        drop(match is_lost {
            true => slot.send(&lost(record).encode()),
            false => slot.send(&row.bytes),
        });
        came.records += 1;
        came.lost += u64::from(is_lost);
    }
    written(main)?;
    table.set_recovered().map_err(io::Error::other)?;
    Ok(came)
}

fn written(main: &SegmentLog) -> io::Result<()> {
    match main.flush(WRITE_MAX) {
        true => Ok(()),
        false => Err(io::Error::other("the journal cannot be written")),
    }
}

/// A cursor from this sequence, or the first that is kept after it.
fn from(
    sequence: u64,
    open: impl Fn(u64) -> Result<Box<dyn Cursor>, ReadError>,
) -> io::Result<Box<dyn Cursor>> {
    let opened = match open(sequence) {
        Err(ReadError::Missing { first, .. }) if first > sequence => open(first),
        other => other,
    };
    opened.map_err(io::Error::other)
}

/// Takes those away that a journal has.
fn forget_known(
    rows: &mut BTreeMap<RequestId, (Record, InflightRow)>,
    mut cursor: Box<dyn Cursor>,
) -> io::Result<()> {
    while let Some(entry) = cursor.next_entry().map_err(io::Error::other)? {
        if let Some(id) = super::lanes::id_of(&entry) {
            rows.remove(&id);
        }
    }
    Ok(())
}

fn lost(record: Record) -> Record {
    Record {
        outcome: Outcome::Lost,
        ..record
    }
}

#[cfg(test)]
mod tests;

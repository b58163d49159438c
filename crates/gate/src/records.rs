//! Opening the records of a data directory: journal, index, metrics, log
//! lines.

mod bringing;
mod foreign;
mod lanes;
mod ledger;
mod node;
mod under_way;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use contract::seams::Dice;
use evidence::{Evidence, LogLine, Meter};
use meter::LocalCounters;
use plan::{Durability, EvidenceSettings, LogEntry, Requests};
use store::{IndexOptions, Inflight, Journal, LineWriter, LogOptions, RecordIndex};
use store_remote::ledger::SharedLedger;
use transport::RealDice;

use crate::database::Database;
use crate::rounds::Rounds;

use foreign::Foreign;
pub(crate) use lanes::lane_dirs;
use lanes::{Keeper, Lanes, copied_from};
use ledger::Follower;
pub(crate) use ledger::verify::run as verify_ledger;
use under_way::UnderWay;

/// Longest queue of log lines, bytes; what does not fit is counted as dropped.
const LINES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest wait for the last records to be written.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Journal, index, metrics and log lines.
pub(crate) struct Records {
    /// Where records go.
    pub(crate) evidence: Evidence,
    /// The index over them, unless it is switched off, or another process
    /// still has it.
    pub(crate) index: Arc<ArcSwapOption<RecordIndex>>,
    /// What the journal says was spent. It is taken when counters follow it.
    ledger: Option<Follower>,
    following: Option<Rounds>,
    under_way: Arc<UnderWay>,
    lanes: Arc<Lanes>,
    dir: PathBuf,
    /// Brings what is in the journal into the database that replicas share.
    bringing: Option<Rounds>,
    keeper: Keeper,
}

impl Records {
    /// Opens them.
    ///
    /// # Errors
    /// The directory cannot be written, another process has it, or what lies
    /// there is not a journal.
    pub(crate) fn open(
        settings: &EvidenceSettings,
        log: &LogEntry,
        data_dir: &Path,
    ) -> io::Result<Self> {
        let dir = settings
            .dir
            .clone()
            .unwrap_or_else(|| data_dir.join("journal"));
        let options = LogOptions {
            node: node_id(),
            durability: match settings.durability {
                Durability::Batch => store::Durability::Batch,
                Durability::Written => store::Durability::Written,
                Durability::Synced => store::Durability::Synced,
            },
            flush_ms: settings.flush_ms,
            ..LogOptions::default()
        };
        let lanes = Lanes::open(&dir, &options)?;
        let journal: Arc<dyn Journal> = lanes.clone();
        let meter = Arc::new(Meter::new());
        let (log_line, lines) = lines(log)?;
        let evidence = Evidence::new(journal, meter, log_line, lines);
        let index = Arc::<ArcSwapOption<RecordIndex>>::default();
        let open_index = {
            let (evidence, index) = (evidence.clone(), index.clone());
            let path = data_dir.join("index.sqlite");
            move || match open_index(&path, &evidence) {
                Ok(opened) => index.store(Some(opened)),
                Err(error) => crate::say(&format!(
                    "{error}; records are safe in the journal, and are read from there"
                )),
            }
        };
        let under_way = UnderWay::open(data_dir, lanes.mark(&dir)?, evidence.meter().clone())?;
        // Before the first call, so that whoever counts what was spent finds
        // all of it.
        if let Err(why) = lanes.recover(&dir, &under_way) {
            crate::say(&format!(
                "what another process left cannot be brought into the main journal: {why}; \
                 nothing is lost, and it is tried again"
            ));
        }
        // Before anything more is brought in.
        let beside = (under_way.inflight(), under_way.foreign().clone());
        let ledger = Follower::open(data_dir, &dir, lanes.clone(), beside)?;
        let wants_index = settings.index;
        // The index belongs to the main journal, as long as one has it.
        let moved = move || wants_index.then(open_index).unwrap_or_default();
        let both = (lanes.clone(), under_way.clone());
        let keeper = Keeper::start(both, dir.clone(), options, moved)?;
        Ok(Self {
            evidence,
            index,
            ledger: Some(ledger),
            following: None,
            under_way,
            lanes,
            dir,
            bringing: None,
            keeper,
        })
    }

    /// Puts what was spent into the counters, and lets them follow the journal
    /// until the end. To be called once, before the first call.
    ///
    /// # Errors
    /// What was spent cannot be read, or no thread can be started.
    pub(crate) fn follow_ledger(&mut self, counters: &Arc<LocalCounters>) -> io::Result<()> {
        if let Some(follower) = self.ledger.take() {
            self.following = Some(follower.follow(counters, self.evidence.meter())?);
        }
        Ok(())
    }

    /// Brings all records into the database that replicas share, if there is
    /// one, until the end: its ledger, for reports. To be called once.
    ///
    /// # Errors
    /// The data folder has no name and gets none, or no thread can be started.
    pub(crate) fn share(
        &mut self,
        shared: Option<&Database>,
        data_dir: &Path,
    ) -> io::Result<Option<SharedLedger>> {
        let Some(shared) = shared else {
            return Ok(None);
        };
        let folders = (data_dir, self.dir.clone());
        let started = bringing::start(shared, folders, self.lanes.clone(), self.evidence.clone());
        let (bringing, ledger) = started?;
        self.bringing = Some(bringing);
        Ok(Some(ledger))
    }

    /// Where exchanges under way are noted.
    pub(crate) fn inflight(&self) -> Arc<dyn Inflight> {
        self.under_way.inflight()
    }

    /// Waits until everything is written. To be called when no exchange is
    /// under way any more.
    pub(crate) fn close(self) {
        self.keeper.stop();
        let is_flushed = self.evidence.journal().flush(CLOSE_MAX);
        drop(self.bringing);
        self.under_way.close(is_flushed);
        // Behind the last record, so that the next start reads little.
        drop(self.following);
        if !is_flushed {
            crate::say(
                "the last records could not be written in time; look at the disk of the data \
                 folder",
            );
        }
    }
}

/// Which exchanges get a line, and who writes it.
fn lines(log: &LogEntry) -> io::Result<(LogLine, Option<Arc<LineWriter>>)> {
    let log_line = match log.requests {
        Requests::Off => LogLine::Off,
        Requests::Sampled => LogLine::Sampled(log.sample),
        Requests::Full => LogLine::Full,
    };
    let lines = match log_line {
        LogLine::Off => None,
        LogLine::Sampled(_) | LogLine::Full => {
            Some(Arc::new(LineWriter::start(io::stdout(), LINES_BYTES_MAX)?))
        }
    };
    Ok((log_line, lines))
}

fn open_index(path: &Path, evidence: &Evidence) -> io::Result<Arc<RecordIndex>> {
    let index = RecordIndex::open(
        path,
        evidence.journal().clone(),
        Arc::new(evidence::extract),
        IndexOptions::default(),
    );
    let index = Arc::new(index.map_err(io::Error::other)?);
    evidence.meter().watch_index(index.clone());
    Ok(index)
}

/// An id for what this node writes.
pub(crate) fn node_id() -> [u8; 16] {
    let dice = RealDice::new();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&dice.roll().to_le_bytes());
    id[8..].copy_from_slice(&dice.roll().to_le_bytes());
    id
}

/// A process that is being started has copies of our locks for a moment. Tests
/// that let go of a lock and take it again hold this for reading, and those
/// that start processes for writing.
#[cfg(test)]
pub(crate) static STARTING: std::sync::RwLock<()> = std::sync::RwLock::new(());

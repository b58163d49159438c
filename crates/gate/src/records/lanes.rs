//! Which journal a process writes while two of them share a data directory.
//!
//! A journal has one writer. A process that takes over from another finds the
//! main journal taken for as long as that one drains, so it begins in a side
//! lane (`journal-2`). Once the main journal is free it goes on there, copies
//! into it what it wrote meanwhile, and removes the lane. What a process that
//! died has left in a lane is copied by the next one.
//!
//! A copy that was broken off is taken up again without a record twice: the
//! file `copied-from` in the lane keeps where the main journal ended before
//! the first copy, and what stands there since is passed over.
//! Deliberately not here: the journal itself (`store`).

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::under_way::UnderWay;
use arc_swap::ArcSwap;
use evidence::{Record, RequestId};
use store::{
    COPY_MARK, Cursor, Entry, EntryKind, Full, Head, Health, Journal, LogError, LogOptions, Place,
    ReadError, SegmentLog, Slot,
};

/// Most journals in one data directory: the main one, and a lane for each
/// process that waits for it.
const LANES_MAX: u32 = 4;
/// Time between two looks whether a journal is free, or has news.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Time between two looks at what processes left that died, and at what this
/// one has under way.
const ROUND_EVERY: Duration = Duration::from_secs(1);
/// The journal that this process writes at the moment.
pub(crate) struct Lanes {
    current: ArcSwap<Current>,
    /// The side lane, until all of it is in the main journal.
    side: Mutex<Option<Arc<SegmentLog>>>,
    /// What a process before had left in the side lane goes up to here.
    left_in_side: u64,
    /// Set once this process writes the main journal: where it ended before.
    main_from: OnceLock<u64>,
}

struct Current(Arc<SegmentLog>);

impl Lanes {
    /// The main journal in `dir` if it is free, else a lane beside it.
    ///
    /// # Errors
    /// No journal can be opened.
    pub(crate) fn open(dir: &Path, options: &LogOptions) -> io::Result<Arc<Self>> {
        for lane in 1..=LANES_MAX {
            match SegmentLog::open(&lane_dir(dir, lane), options.clone()) {
                Ok(log) => {
                    let log = Arc::new(log);
                    let side = (lane > 1).then(|| log.clone());
                    let ends = log.head().sequence;
                    let main_from = OnceLock::new();
                    if side.is_none() {
                        main_from.get_or_init(|| ends);
                    }
                    return Ok(Arc::new(Self {
                        current: ArcSwap::from_pointee(Current(log)),
                        side: Mutex::new(side),
                        left_in_side: ends,
                        main_from,
                    }));
                }
                Err(LogError::InUse { .. }) if lane < LANES_MAX => {}
                Err(other) => return Err(io::Error::other(other)),
            }
        }
        Err(io::Error::other("there is no lane for a journal"))
    }

    /// Where the main journal ended before this process wrote it; none as long
    /// as it does not. What follows is of this process, save what it brings
    /// in for others (see [`super::Foreign`]).
    pub(crate) fn main_from(&self) -> Option<u64> {
        self.main_from.get().copied()
    }

    /// The side lane of this process, and up to where it is of others.
    pub(crate) fn own_side(&self) -> Option<(PathBuf, u64)> {
        let side = self.side()?;
        Some((side.dir().to_owned(), self.left_in_side))
    }

    fn side(&self) -> Option<Arc<SegmentLog>> {
        let side = self.side.lock().unwrap_or_else(PoisonError::into_inner);
        side.clone()
    }

    /// Where the main journal in `dir` is, or a place before that, if another
    /// process writes it.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn mark(&self, dir: &Path) -> io::Result<u64> {
        if !self.is_aside() {
            return Ok(self.head().sequence);
        }
        let last = store::segment::list(dir)?.pop();
        Ok(last.map_or(0, |first| first.saturating_sub(1)))
    }

    /// Brings what died under way into the main journal, if this process
    /// writes it.
    ///
    /// # Errors
    /// Some of it could not be brought in; it stays where it was.
    pub(crate) fn recover(&self, dir: &Path, under_way: &UnderWay) -> io::Result<()> {
        if self.is_aside() {
            return Ok(());
        }
        let lanes: Vec<_> = lane_dirs(dir).skip(1).collect();
        under_way.recover(&self.current.load_full().0, &lanes)
    }

    /// Whether this process writes a side lane.
    pub(crate) fn is_aside(&self) -> bool {
        let current = self.current.load();
        self.side()
            .is_some_and(|side| Arc::ptr_eq(&side, &current.0))
    }
}

impl Journal for Lanes {
    fn try_slot(&self) -> Result<Slot, Full> {
        self.current.load().0.try_slot()
    }

    fn head(&self) -> Head {
        self.current.load().0.head()
    }

    fn health(&self) -> Health {
        self.current.load().0.health()
    }

    fn cursor(&self, from: u64, hint: Option<Place>) -> Result<Box<dyn Cursor>, ReadError> {
        self.current.load().0.cursor(from, hint)
    }

    fn entry_at(&self, place: Place, sequence: u64) -> Result<Entry, ReadError> {
        self.current.load().0.entry_at(place, sequence)
    }

    fn flush(&self, wait: Duration) -> bool {
        let is_side_flushed = self.side().is_none_or(|side| side.flush(wait));
        self.current.load().0.flush(wait) && is_side_flushed
    }
}

/// The thread that brings everything into the main journal, also what
/// processes that die leave under way.
pub(crate) struct Keeper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it; `moved` is called once this process writes the main journal.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        (lanes, under_way): (Arc<Lanes>, Arc<UnderWay>),
        dir: PathBuf,
        options: LogOptions,
        moved: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let keeping = Keeping {
            lanes,
            under_way,
            dir,
            options,
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("journal-lanes".to_owned())
            .spawn(move || keeping.run(moved))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends it; what was not copied is left to the next process.
    pub(crate) fn stop(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there leaves the lane as it was.
            let _ = thread.join();
        }
    }
}

struct Keeping {
    lanes: Arc<Lanes>,
    under_way: Arc<UnderWay>,
    dir: PathBuf,
    options: LogOptions,
    stop: Arc<AtomicBool>,
}

impl Keeping {
    fn run(&self, moved: impl FnOnce()) {
        let mut told = String::new();
        let mut note = |why: String| {
            if why != told {
                crate::say(&format!(
                    "what another process left cannot be brought into the main journal: {why}; \
                     nothing is lost, and it is tried again"
                ));
                told = why;
            }
        };
        while self.lanes.is_aside() {
            match self.move_in() {
                Ok(true) => break,
                Ok(false) => {}
                Err(why) => note(why.to_string()),
            }
            if self.is_stopped() {
                return;
            }
        }
        moved();
        // Until the end, since a process beside this one may die at any time.
        let mut is_done = false;
        loop {
            if !is_done {
                match self.bring_in() {
                    Ok(done) => is_done = done,
                    Err(why) => note(why.to_string()),
                }
            }
            self.under_way.tidy(&self.lanes.current.load().0);
            if let Err(why) = self.lanes.recover(&self.dir, &self.under_way) {
                note(why.to_string());
            }
            std::thread::park_timeout(if is_done { ROUND_EVERY } else { LOOK_EVERY });
            if self.stop.load(Relaxed) {
                return;
            }
        }
    }

    /// Goes on in the main journal, if it is free.
    fn move_in(&self) -> io::Result<bool> {
        let main = match SegmentLog::open(&self.dir, self.options.clone()) {
            Ok(main) => main,
            Err(LogError::InUse { .. }) => return Ok(false),
            Err(other) => return Err(io::Error::other(other)),
        };
        // Before anything is written, so that whoever reads an entry of this
        // process knows it.
        let ended = main.head().sequence;
        self.lanes.main_from.get_or_init(|| ended);
        let old = self.lanes.current.swap(Arc::new(Current(Arc::new(main))));
        // Whoever loaded the lane before may still be taking a slot of it.
        while Arc::strong_count(&old) > 1 {
            std::thread::yield_now();
        }
        Ok(true)
    }

    /// Copies all lanes that can be had into the main journal; `true` once
    /// there is none left.
    fn bring_in(&self) -> io::Result<bool> {
        let own = self.lanes.side();
        let mut is_done = true;
        for lane in 2..=LANES_MAX {
            let dir = lane_dir(&self.dir, lane);
            if !dir.exists() {
                continue;
            }
            let log = match own.as_ref().filter(|own| own.dir() == dir) {
                Some(own) => own.clone(),
                None => match SegmentLog::open(&dir, self.options.clone()) {
                    Ok(log) => Arc::new(log),
                    Err(LogError::InUse { .. }) => {
                        is_done = false;
                        continue;
                    }
                    Err(other) => return Err(io::Error::other(other)),
                },
            };
            is_done &= self.copy(&log)?;
        }
        Ok(is_done)
    }

    /// Copies a lane until its last exchange has ended, and removes it;
    /// `false` if it was told to stop before.
    fn copy(&self, lane: &Arc<SegmentLog>) -> io::Result<bool> {
        let main = self.lanes.current.load_full();
        let own = self.lanes.own_side().filter(|(dir, _)| dir == lane.dir());
        let known = self.known(lane.dir(), &main.0)?;
        let mut cursor = lane.cursor(1, None).map_err(io::Error::other)?;
        loop {
            // Looked at before the reading, so that the last entry is read.
            let is_over = lane.health().slots_in_use == 0;
            while let Some(entry) = cursor.next_entry().map_err(io::Error::other)? {
                if own
                    .as_ref()
                    .is_none_or(|(_, others)| entry.sequence <= *others)
                {
                    self.under_way.foreign().note(&entry.payload);
                }
                if !self.append(&main.0, &entry, &known) {
                    return Ok(false);
                }
            }
            if is_over {
                break;
            }
            if self.is_stopped() {
                return Ok(false);
            }
        }
        // The lane goes when what it held is as safe as it was.
        let end = main.0.health().sent;
        while main.0.health().synced < end {
            if self.is_stopped() {
                return Ok(false);
            }
        }
        // Still locked, so that nobody begins to write what is being removed.
        std::fs::remove_dir_all(lane.dir())?;
        let mut side = self
            .lanes
            .side
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        side.take_if(|side| Arc::ptr_eq(side, lane));
        Ok(true)
    }

    /// The records of this lane that a copy broken off has brought over.
    fn known(&self, lane: &Path, main: &SegmentLog) -> io::Result<HashSet<RequestId>> {
        let path = lane.join(COPY_MARK);
        let mut known = HashSet::new();
        let Some(mark) = copied_from(lane)? else {
            let beside = lane.join(format!("{COPY_MARK}.new"));
            write_private(&beside, &main.head().sequence.to_string())?;
            std::fs::rename(beside, path)?;
            return Ok(known);
        };
        if main.head().sequence <= mark {
            return Ok(known);
        }
        let mut cursor = main.cursor(mark + 1, None).map_err(io::Error::other)?;
        while let Some(entry) = cursor.next_entry().map_err(io::Error::other)? {
            known.extend(id_of(&entry));
        }
        Ok(known)
    }

    /// Appends an entry of a lane; `false` if it was told to stop before.
    fn append(&self, main: &SegmentLog, entry: &Entry, known: &HashSet<RequestId>) -> bool {
        let is_known = id_of(entry).is_some_and(|id| known.contains(&id));
        // A gap tells of the lane's own file, which goes.
        if is_known || entry.kind == EntryKind::Gap {
            return true;
        }
        loop {
            match main.try_slot() {
                Ok(slot) => {
                    // Its durability is looked at once, for the whole lane.
                    drop(slot.send(&entry.payload));
                    return true;
                }
                Err(_) if self.is_stopped() => return false,
                Err(_) => {}
            }
        }
    }

    /// Waits a little; whether the thread is to end.
    fn is_stopped(&self) -> bool {
        std::thread::sleep(LOOK_EVERY);
        self.stop.load(Relaxed)
    }
}

/// Writes a file that only its owner reads.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// The exchange that an entry is of.
pub(super) fn id_of(entry: &Entry) -> Option<RequestId> {
    Record::decode(&entry.payload).ok().map(|record| record.id)
}

/// The main journal and the lanes beside it, there or not.
pub(crate) fn lane_dirs(dir: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=LANES_MAX).map(move |lane| lane_dir(dir, lane))
}

/// Where the main journal ended before the first record of this lane was
/// copied into it; none if none was.
///
/// # Errors
/// It cannot be read.
pub(crate) fn copied_from(lane: &Path) -> io::Result<Option<u64>> {
    match std::fs::read_to_string(lane.join(COPY_MARK)) {
        Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn lane_dir(dir: &Path, lane: u32) -> PathBuf {
    if lane == 1 {
        return dir.to_owned();
    }
    let name = dir
        .file_name()
        .map_or_else(|| "journal".into(), |name| name.to_string_lossy());
    dir.with_file_name(format!("{name}-{lane}"))
}

#[cfg(test)]
mod tests;

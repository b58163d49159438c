//! The writer thread of a segment log: takes what is queued, seals it into the
//! hash chain, writes it with one `write(2)`, syncs when due, begins new
//! segments, and tries again when the disk fails.
//!
//! Deliberately not here: queueing (`desk`) and recovery (`log::recover`).

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::desk::{Batch, Desk, Next};
use crate::journal::Head;
use crate::options::{Durability, LogOptions};
use crate::private;
use crate::recover::End;
use crate::segment::{self, HEADER_BYTES, Header};

/// How segments are opened; tests put failing files in its place.
pub(crate) trait Files: Send + 'static {
    /// Creates a segment, or truncates one whose header was not finished.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>>;
    /// Opens a segment to go on at its end.
    fn append(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>>;
}

/// The file of a segment.
pub(crate) trait SegmentFile: Send {
    /// As `write(2)`: may write less than it is given.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// As `fdatasync(2)`.
    fn sync(&mut self) -> io::Result<()>;
    /// The next write goes here.
    fn seek(&mut self, offset: u64) -> io::Result<()>;
}

/// Real files.
pub(crate) struct OnDisk;

impl Files for OnDisk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let file = private::create(path)?;
        // The name must survive a power cut too. Not every platform can sync
        // a folder, so a failure only costs that guarantee.
        if let Some(dir) = path.parent().and_then(|dir| File::open(dir).ok()) {
            let _ = dir.sync_all();
        }
        Ok(Box::new(file))
    }

    fn append(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        Seek::seek(&mut file, SeekFrom::End(0))?;
        Ok(Box::new(file))
    }
}

impl SegmentFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn seek(&mut self, offset: u64) -> io::Result<()> {
        Seek::seek(self, SeekFrom::Start(offset)).map(|_| ())
    }
}

/// The body of the writer thread.
pub(crate) fn run(desk: &Desk, dir: PathBuf, options: LogOptions, end: End, files: impl Files) {
    Writer {
        desk,
        dir,
        options,
        files,
        node: end.node,
        head: end.head,
        open: None,
        resume: end.last,
        synced_at: Instant::now(),
        gave_up: false,
    }
    .run();
}

struct Writer<'a, F> {
    desk: &'a Desk,
    dir: PathBuf,
    options: LogOptions,
    files: F,
    node: [u8; 16],
    head: Head,
    open: Option<Open>,
    /// A segment of an earlier run to go on with.
    resume: Option<(u64, u64)>,
    synced_at: Instant,
    /// A batch could not be written before the close. What comes after it is
    /// lost too, because the journal has no holes.
    gave_up: bool,
}

/// The segment being written.
struct Open {
    file: Box<dyn SegmentFile>,
    length: u64,
    since: Instant,
    /// Something was written that is not synced.
    dirty: bool,
    /// Where the file's own position is not known to be `length`.
    lost_position: bool,
}

impl<F: Files> Writer<'_, F> {
    fn run(&mut self) {
        let mut spare = Vec::new();
        let mut idle_since = None;
        loop {
            match self.desk.next(std::mem::take(&mut spare), &mut idle_since) {
                Next::Write(batch) => {
                    spare = self.write(batch);
                    self.sync_if_due(self.options.sync_ms);
                }
                Next::Idle => {
                    self.sync_if_due(0);
                    self.desk.park();
                }
                Next::Stop => {
                    self.sync_if_due(0);
                    return;
                }
            }
        }
    }

    /// Writes a batch, however long it takes. Returns its empty buffer.
    fn write(&mut self, mut batch: Batch) -> Vec<u8> {
        if self.gave_up {
            self.desk.lost(&batch);
            return Vec::new();
        }
        let before = self.head;
        if let Some(sequence) = segment::seal(&mut batch.framed, &mut self.head.hash) {
            self.head.sequence = sequence;
        }
        let mut wait = self.options.retry_ms.0;
        let mut closing = false;
        while let Err(error) = self.try_write(&batch.framed, before) {
            // Once more after the close was asked for, then give up.
            self.gave_up |= closing;
            closing = !self
                .desk
                .failed(&error, unix_us(), Duration::from_millis(wait));
            if self.gave_up {
                self.desk.lost(&batch);
                return Vec::new();
            }
            wait = wait.saturating_mul(2).min(self.options.retry_ms.1);
        }
        let synced = self.options.durability == Durability::Synced;
        self.desk
            .wrote(self.head, batch.framed.len() as u64, batch.slots, synced);
        batch.framed.clear();
        batch.framed
    }

    /// One try to write the whole batch. A try that fails leaves the length
    /// as it was, so that the next one writes over it.
    fn try_write(&mut self, framed: &[u8], before: Head) -> io::Result<()> {
        let synced = self.options.durability == Durability::Synced;
        let open = self.segment(before)?;
        if open.lost_position {
            open.file.seek(open.length)?;
            open.lost_position = false;
        }
        open.lost_position = true;
        write_all(&mut *open.file, framed)?;
        if synced {
            // After a failed sync the pages count as clean, so the retry
            // writes them again before it syncs.
            open.file.sync()?;
        }
        open.lost_position = false;
        open.length += framed.len() as u64;
        open.dirty = !synced;
        Ok(())
    }

    /// The segment to write to; a new one where it is due.
    fn segment(&mut self, before: Head) -> io::Result<&mut Open> {
        if let Some(open) = &mut self.open {
            let old = open.since.elapsed().as_millis() >= self.options.segment_age_ms.into();
            let begun = open.length > HEADER_BYTES as u64;
            if begun && (old || open.length >= self.options.segment_bytes) {
                open.sync()?;
                self.open = None;
            }
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open_segment(before)?,
        };
        Ok(self.open.insert(open))
    }

    fn open_segment(&mut self, before: Head) -> io::Result<Open> {
        let resume = self
            .resume
            .filter(|(_, length)| *length < self.options.segment_bytes);
        if let Some((first, length)) = resume {
            let file = self.files.append(&segment::path(&self.dir, first))?;
            self.resume = None;
            return Ok(Open::new(file, length));
        }
        self.resume = None;
        let header = Header {
            node: self.node,
            first: before.sequence + 1,
            created_unix_us: unix_us(),
            previous: before.hash,
        };
        let mut file = self.files.create(&segment::path(&self.dir, header.first))?;
        write_all(&mut *file, &header.encode())?;
        Ok(Open::new(file, HEADER_BYTES as u64))
    }

    /// Syncs what was written if the last sync is `after_ms` old. A failure
    /// shows in the health, and the next due time tries again.
    fn sync_if_due(&mut self, after_ms: u64) {
        let never = after_ms == 0 && self.options.sync_ms == 0 && !self.desk.closing();
        let young = self.synced_at.elapsed().as_millis() < u128::from(after_ms);
        let Some(open) = self
            .open
            .as_mut()
            .filter(|open| open.dirty && !never && !young)
        else {
            return;
        };
        self.synced_at = Instant::now();
        match open.sync() {
            Ok(()) => self.desk.synced(),
            Err(error) => {
                self.desk.failed(&error, unix_us(), Duration::ZERO);
            }
        }
    }
}

impl Open {
    fn new(file: Box<dyn SegmentFile>, length: u64) -> Self {
        Self {
            file,
            length,
            since: Instant::now(),
            dirty: true,
            lost_position: false,
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.sync()?;
            self.dirty = false;
        }
        Ok(())
    }
}

fn write_all(file: &mut dyn SegmentFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Microseconds since the Unix epoch.
pub(crate) fn unix_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

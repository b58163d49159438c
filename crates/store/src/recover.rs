//! Finding the end of a log, and making it clean.
//!
//! Deliberately not here: earlier segments. They were finished in good order,
//! and `verify` checks them on demand.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::journal::{EntryKind, Head};
use crate::options::LogOptions;
use crate::private;
use crate::reader::{Check, SegmentReader, Step};
use crate::segment::{self, BadHeader, Gap, Header};

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process has it open.
    #[error(
        "the journal in {dir} is in use by another process: stop that one, or give this one a \
         data folder of its own"
    )]
    InUse {
        /// The folder.
        dir: String,
    },
    /// A newer version of this program wrote it.
    #[error(
        "the journal segment {file} has format {format}, which this version cannot read: use the \
         version that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        format: u32,
    },
    /// The file system failed.
    #[error("opening the journal failed at {what}: {source}")]
    Io {
        /// Which file or step.
        what: String,
        /// The error.
        source: std::io::Error,
    },
}

impl LogError {
    pub(crate) fn io(what: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.display().to_string();
        move |source| Self::Io { what, source }
    }
}

/// Where the writer goes on.
pub(crate) struct End {
    pub(crate) node: [u8; 16],
    pub(crate) head: Head,
    /// The last segment and its length, if there is one to go on with.
    pub(crate) last: Option<(u64, u64)>,
}

/// Finds the end of the log in `dir`. A torn tail is copied aside, then
/// overwritten by the entry that tells of it, then cut off; a crash between
/// these steps is found again by the next recovery.
pub(crate) fn recover(dir: &Path, options: &LogOptions, now_unix_us: u64) -> Result<End, LogError> {
    let mut segments = segment::list(dir).map_err(LogError::io(dir))?;
    let mut headless = Vec::new();
    let mut end = End {
        node: options.node,
        head: Head::default(),
        last: None,
    };
    while let Some(last) = segments.pop() {
        let path = segment::path(dir, last);
        if let Some((header, reader)) = open_segment(&path)? {
            end = scan(dir, &path, header, reader, now_unix_us)?;
            break;
        }
        // A segment whose header was torn holds nothing that can be read; the
        // one before it is then the last.
        headless.push((last, path));
    }
    while let Some((last, path)) = headless.pop() {
        let bytes = fs::metadata(&path).map_err(LogError::io(&path))?.len();
        if bytes > 0 {
            let gap = copy_aside(dir, &path, last, 0, bytes)?;
            fs::remove_file(&path).map_err(LogError::io(&path))?;
            end.journal(dir, &gap, now_unix_us)?;
        } else {
            fs::remove_file(&path).map_err(LogError::io(&path))?;
        }
    }
    Ok(end)
}

fn open_segment(path: &Path) -> Result<Option<(Header, SegmentReader)>, LogError> {
    let file = File::open(path).map_err(LogError::io(path))?;
    let mut reader = SegmentReader::new(file);
    match reader.header().map_err(LogError::io(path))? {
        Ok(header) => Ok(Some((header, reader))),
        Err(BadHeader::Damaged) => Ok(None),
        Err(BadHeader::Newer(format)) => Err(LogError::Newer {
            file: path.display().to_string(),
            format,
        }),
    }
}

fn scan(
    dir: &Path,
    path: &Path,
    header: Header,
    mut reader: SegmentReader,
    now_unix_us: u64,
) -> Result<End, LogError> {
    let mut head = header.before();
    reader.expect(Check::Chain, head);
    let offset = loop {
        match reader.step().map_err(LogError::io(path))? {
            Step::Entry(entry) => head = entry.head(),
            Step::End { offset } | Step::Partial { offset } | Step::Damaged { offset, .. } => {
                break offset;
            }
        }
    };
    let mut end = End {
        node: header.node,
        head,
        last: Some((header.first, offset)),
    };
    let length = fs::metadata(path).map_err(LogError::io(path))?.len();
    if length > offset {
        let gap = copy_aside(dir, path, header.first, offset, length - offset)?;
        end.journal(dir, &gap, now_unix_us)?;
    }
    Ok(end)
}

impl End {
    /// Writes the entry that tells of `gap` at the end of the log, where it
    /// may overwrite a torn tail, and cuts off what follows.
    fn journal(&mut self, dir: &Path, gap: &Gap, now_unix_us: u64) -> Result<(), LogError> {
        let mut bytes = Vec::new();
        let sequence = self.head.sequence + 1;
        segment::frame(
            &mut bytes,
            sequence,
            EntryKind::Gap,
            gap.encode().as_bytes(),
        );
        let mut hash = self.head.hash;
        segment::seal(&mut bytes, &mut hash);
        let (first, offset) = match self.last {
            Some(last) => last,
            None => {
                let header = Header {
                    node: self.node,
                    first: sequence,
                    created_unix_us: now_unix_us,
                    previous: self.head.hash,
                };
                bytes.splice(..0, header.encode());
                (sequence, 0)
            }
        };
        let length = offset + bytes.len() as u64;
        let path = segment::path(dir, first);
        let write = || {
            let mut file = private::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            file.set_len(length)?;
            file.sync_all()
        };
        write().map_err(LogError::io(&path))?;
        self.head = Head { sequence, hash };
        self.last = Some((first, length));
        Ok(())
    }
}

/// Copies the bytes from `offset` on into a file beside the segments, so that
/// cutting them off destroys nothing.
fn copy_aside(
    dir: &Path,
    path: &Path,
    segment: u64,
    offset: u64,
    bytes: u64,
) -> Result<Gap, LogError> {
    let io = |error| LogError::io(path)(error);
    let whole = fs::read(path).map_err(io)?;
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(whole.len());
    let (file, aside) = new_file(dir, &format!("{segment:012}.torn-{offset}"))?;
    let written = { &file }.write_all(&whole[start..]);
    written.and_then(|()| file.sync_all()).map_err(io)?;
    Ok(Gap {
        segment,
        offset,
        bytes,
        aside,
    })
}

/// A new file of this name, numbered if there were tears at this place before.
fn new_file(dir: &Path, name: &str) -> Result<(File, String), LogError> {
    let mut number = 0u32;
    loop {
        let name = match number {
            0 => name.to_owned(),
            number => format!("{name}.{number}"),
        };
        let path = dir.join(&name);
        match private::options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, name)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(LogError::io(&path)(error)),
        }
    }
}

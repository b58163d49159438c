//! Reading a segment log, by this process or another, while it is written.
//! No locks: entries are only ever appended, and one that is not whole yet is
//! not there yet.
//!
//! Deliberately not here: judging a whole log (`verify`).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::journal::{Cursor, Entry, Head, Place, ReadError};
use crate::segment::{self, BadHeader, HEADER_BYTES, Header, Parse};

/// Bytes read from the file at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How closely entries are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Checksum and sequence of each.
    Checksum,
    /// The hash chain too.
    Chain,
}

/// Reads entries forward across segments and follows the log as it grows.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    check: Check,
    /// Entries before this one are passed over.
    from: u64,
    /// What the next entry of the file must follow.
    at: Head,
    current: Option<(u64, SegmentReader)>,
}

impl Reader {
    /// From sequence `from`, 1 being the first. With [`Check::Chain`] the
    /// chain is checked from the start of the segment that holds it.
    pub fn open(dir: &Path, from: u64, check: Check) -> Result<Self, ReadError> {
        if from == 0 {
            return Err(ReadError::Missing {
                sequence: 0,
                first: 1,
            });
        }
        let mut reader = Self {
            dir: dir.to_owned(),
            check,
            from,
            at: Head::default(),
            current: None,
        };
        reader.find_segment()?;
        Ok(reader)
    }

    /// From sequence `from`, which begins at `place`; the search is saved.
    pub fn resume(dir: &Path, from: u64, place: Place, check: Check) -> Result<Self, ReadError> {
        let path = segment::path(dir, place.segment);
        let Some(before) = from.checked_sub(1).filter(|_| check == Check::Checksum) else {
            return Self::open(dir, from, check);
        };
        let Ok(file) = File::open(&path) else {
            return Self::open(dir, from, check);
        };
        let mut segment = SegmentReader::new(file);
        segment.place.segment = place.segment;
        segment.jump(place.offset);
        let at = Head {
            sequence: before,
            hash: [0; 32],
        };
        segment.expect(check, at);
        Ok(Self {
            dir: dir.to_owned(),
            check,
            from,
            at,
            current: Some((place.segment, segment)),
        })
    }

    /// Opens the segment that holds the next entry. `false` if there is none
    /// yet.
    fn find_segment(&mut self) -> Result<bool, ReadError> {
        let wanted = self.from.max(self.at.sequence + 1);
        let segments = self.segments()?;
        let Some(first) = segments.iter().rev().find(|first| **first <= wanted) else {
            return match segments.first() {
                Some(first) => Err(ReadError::Missing {
                    sequence: wanted,
                    first: *first,
                }),
                None => Ok(false),
            };
        };
        self.open_segment(*first)
    }

    /// `false` if its header is not whole yet.
    fn open_segment(&mut self, first: u64) -> Result<bool, ReadError> {
        let path = segment::path(&self.dir, first);
        let file = File::open(&path).map_err(io_error(&path))?;
        let mut segment = SegmentReader::new(file);
        let why = match segment.header().map_err(io_error(&path))? {
            Ok(header) if header.first == first => {
                let follows = self.at.sequence == 0
                    || self.check == Check::Checksum
                    || header.previous == self.at.hash;
                if follows {
                    self.at = header.before();
                    segment.expect(self.check, self.at);
                    self.current = Some((first, segment));
                    return Ok(true);
                }
                "it does not follow the segment before it"
            }
            Ok(_) => "its name is not its first sequence",
            Err(BadHeader::Newer(_)) => "its format is newer than this version",
            Err(BadHeader::Damaged) if segment.seen < HEADER_BYTES => return Ok(false),
            Err(BadHeader::Damaged) => "its header is damaged",
        };
        Err(ReadError::Damaged {
            segment: first,
            offset: 0,
            why,
        })
    }

    fn segments(&self) -> Result<Vec<u64>, ReadError> {
        segment::list(&self.dir).map_err(io_error(&self.dir))
    }

    fn step(&mut self) -> Result<Option<Step>, ReadError> {
        let Some((first, segment)) = &mut self.current else {
            return Ok(None);
        };
        // Its path is only put together where something failed.
        let step = segment.step().map_err(|error| {
            let path = segment::path(&self.dir, *first);
            io_error(&path)(error)
        })?;
        match step {
            Step::Damaged { offset, why } => Err(ReadError::Damaged {
                segment: *first,
                offset,
                why,
            }),
            Step::Entry(entry) => {
                self.at = entry.head();
                Ok(Some(Step::Entry(entry)))
            }
            Step::End { .. } | Step::Partial { .. } => Ok(Some(step)),
        }
    }

    /// The next entry from where the reader stands, wanted or not.
    fn advance(&mut self) -> Result<Option<Entry>, ReadError> {
        if self.current.is_none() && !self.find_segment()? {
            return Ok(None);
        }
        if let Some(Step::Entry(entry)) = self.step()? {
            return Ok(Some(entry));
        }
        let current = self.current.as_ref().map_or(0, |(first, _)| *first);
        let Some(newer) = self.segments()?.into_iter().find(|first| *first > current) else {
            return Ok(None);
        };
        // The writer may have finished this segment and begun the newer one
        // since the first look; after this second look it is final.
        match self.step()? {
            Some(Step::Entry(entry)) => return Ok(Some(entry)),
            Some(Step::End { .. }) | None => {}
            Some(Step::Partial { offset } | Step::Damaged { offset, .. }) => {
                return Err(ReadError::Damaged {
                    segment: current,
                    offset,
                    why: "its last entry is not whole, and yet another segment follows",
                });
            }
        }
        let sequence = self.at.sequence + 1;
        if newer != sequence {
            return Err(ReadError::Missing {
                sequence,
                first: newer,
            });
        }
        if !self.open_segment(newer)? {
            return Ok(None);
        }
        match self.step()? {
            Some(Step::Entry(entry)) => Ok(Some(entry)),
            Some(Step::End { .. } | Step::Partial { .. } | Step::Damaged { .. }) | None => Ok(None),
        }
    }
}

impl Cursor for Reader {
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        while let Some(entry) = self.advance()? {
            if entry.sequence >= self.from {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

/// The one entry at `place`.
pub(crate) fn entry_at(dir: &Path, place: Place, sequence: u64) -> Result<Entry, ReadError> {
    let mut reader = Reader::resume(dir, sequence, place, Check::Checksum)?;
    match reader.step()? {
        Some(Step::Entry(entry)) if entry.sequence == sequence => Ok(entry),
        Some(Step::Entry(_) | Step::End { .. } | Step::Partial { .. } | Step::Damaged { .. })
        | None => Err(ReadError::Missing {
            sequence,
            first: place.segment,
        }),
    }
}

/// What comes next in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An entry.
    Entry(Entry),
    /// Nothing; the file ends cleanly.
    End { offset: u64 },
    /// The beginning of an entry.
    Partial { offset: u64 },
    /// Something that is not the entry that must come here.
    Damaged { offset: u64, why: &'static str },
}

/// Reads one segment forward.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    /// Bytes of the file from `place.offset` on, after `start`.
    buffer: Vec<u8>,
    start: usize,
    place: Place,
    check: Check,
    at: Head,
    /// Bytes of the header that were there.
    seen: usize,
}

impl SegmentReader {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            start: 0,
            place: Place::default(),
            check: Check::Checksum,
            at: Head::default(),
            seen: 0,
        }
    }

    /// Reads the header, which comes first.
    pub(crate) fn header(&mut self) -> io::Result<Result<Header, BadHeader>> {
        self.seen = self.fill(HEADER_BYTES)?;
        let header = Header::decode(&self.buffer[self.start..]);
        if let Ok(header) = &header {
            self.place.segment = header.first;
            self.consume(HEADER_BYTES);
        }
        Ok(header)
    }

    /// The entries that follow continue this head.
    pub(crate) fn expect(&mut self, check: Check, at: Head) {
        self.check = check;
        self.at = at;
    }

    /// Goes on at this offset.
    fn jump(&mut self, offset: u64) {
        self.forget();
        self.place.offset = offset;
    }

    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let offset = self.place.offset;
        let step = self.read_entry()?;
        if let Step::Entry(entry) = &step {
            self.at = entry.head();
        } else {
            // What is there now may be more later.
            self.forget();
            self.place.offset = offset;
        }
        Ok(step)
    }

    fn read_entry(&mut self) -> io::Result<Step> {
        let offset = self.place.offset;
        let damaged = |why| Ok(Step::Damaged { offset, why });
        let mut needs = segment::ENTRY_HEAD_BYTES;
        loop {
            let there = self.fill(needs)?;
            if there == 0 {
                return Ok(Step::End { offset });
            }
            match segment::parse(&self.buffer[self.start..]) {
                Parse::Needs(more) if more > there && needs == more => {
                    return Ok(Step::Partial { offset });
                }
                Parse::Needs(more) => needs = more,
                Parse::Damaged => return damaged("the checksum does not fit"),
                Parse::Whole(parsed) => {
                    if parsed.sequence != self.at.sequence + 1 {
                        return damaged("the sequence does not follow");
                    }
                    let (kind, payload) = (parsed.kind, parsed.payload);
                    let chained = self.check == Check::Checksum
                        || segment::chain(&self.at.hash, parsed.sequence, kind, payload)
                            == parsed.hash;
                    if !chained {
                        return damaged("the hash chain is broken");
                    }
                    let place = self.place;
                    let entry = Entry {
                        sequence: parsed.sequence,
                        kind,
                        payload: payload.to_vec(),
                        hash: parsed.hash,
                        place,
                        after: Place {
                            segment: place.segment,
                            offset: offset + parsed.bytes as u64,
                        },
                    };
                    let bytes = parsed.bytes;
                    self.consume(bytes);
                    return Ok(Step::Entry(entry));
                }
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.place.offset += bytes as u64;
    }

    fn forget(&mut self) {
        self.buffer.clear();
        self.start = 0;
    }

    /// Makes at least `needs` bytes available, or all that are there. Returns
    /// how many there are.
    fn fill(&mut self, needs: usize) -> io::Result<usize> {
        let mut there = self.buffer.len() - self.start;
        if there >= needs {
            return Ok(there);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        self.file
            .seek(SeekFrom::Start(self.place.offset + there as u64))?;
        self.buffer.resize(needs.max(CHUNK_BYTES), 0);
        while there < needs {
            match self.file.read(&mut self.buffer[there..]) {
                Ok(0) => break,
                Ok(read) => there += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.forget();
                    return Err(error);
                }
            }
        }
        self.buffer.truncate(there);
        Ok(there)
    }
}

fn io_error(what: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let what = what.display().to_string();
    move |source| ReadError::Io { what, source }
}

#[cfg(test)]
mod tests;

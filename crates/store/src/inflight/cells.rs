//! What lies in a table: a header, then slots of two cells each. A write goes
//! to the cell that the one before did not use, so that a torn write never
//! takes the row before with it; the whole cell of the higher generation
//! counts.
//!
//! Deliberately not here: which slot is whose (`pool`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use super::{InflightRow, InflightState};

/// Version of the layout.
pub(super) const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"tgflight";
/// The header has two places too, each in a page of its own.
const HEADER_PLACE_BYTES: u64 = 4_096;
const HEADER_BYTES: usize = 36;
/// Magic of a cell.
const CELL_MAGIC: [u8; 4] = *b"TGif";
const CELL_HEAD_BYTES: usize = 32;
/// A cell. Only the part that is written takes room on the disk.
const CELL_BYTES: usize = 16 * 1_024;
/// Longest row.
pub const ROW_BYTES_MAX: usize = CELL_BYTES - CELL_HEAD_BYTES;
/// How often a slot is read again that its owner was just writing.
const READS_MAX: u32 = 8;

/// Where a table lies: a file, or memory.
pub(super) trait Medium: Send + Sync {
    /// As `pwrite(2)`, all of it.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// As `pread(2)`, as far as there is anything.
    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
}

impl Medium for File {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// A file in memory.
#[derive(Default)]
pub(super) struct InMemory(Mutex<Vec<u8>>);

impl InMemory {
    fn bytes(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        // Nothing that can panic runs under this lock, save for the allocator.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium for InMemory {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start + bytes.len();
        let mut all = self.bytes();
        if all.len() < end {
            all.resize(end, 0);
        }
        all[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let all = self.bytes();
        let rest = all.get(start..).unwrap_or_default();
        let read = rest.len().min(bytes.len());
        bytes[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }
}

/// The header of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: u64,
    /// The journal that the rows come into ended here, if that is before their
    /// own marks.
    pub(super) mark: u64,
    /// All rows have been brought into the journal.
    pub(super) is_recovered: bool,
}

/// What stands where the header is.
pub(super) enum Found {
    Header(Header),
    /// Of this format, which is of a newer version. Every version begins the
    /// header with the magic and the format.
    Newer(u32),
    /// None that is whole.
    Nothing,
}

impl Header {
    /// Of a new table.
    pub(super) const NEW: Self = Self {
        generation: 0,
        mark: u64::MAX,
        is_recovered: false,
    };

    pub(super) fn write(&self, medium: &dyn Medium) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.mark.to_le_bytes());
        bytes.extend(u32::from(self.is_recovered).to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        medium.write(&bytes, self.generation % 2 * HEADER_PLACE_BYTES)
    }

    pub(super) fn read(medium: &dyn Medium) -> io::Result<Found> {
        let mut found = Found::Nothing;
        for place in 0..2 {
            let mut bytes = [0; HEADER_BYTES];
            medium.read(&mut bytes, place * HEADER_PLACE_BYTES)?;
            if bytes[..8] != MAGIC {
                continue;
            }
            let format = u32_at(&bytes, 8);
            // A torn header has no format, or ours.
            if format > FORMAT {
                return Ok(Found::Newer(format));
            }
            let header = Self {
                generation: u64_at(&bytes, 12),
                mark: u64_at(&bytes, 20),
                is_recovered: u32_at(&bytes, 28) != 0,
            };
            let is_whole = crc32fast::hash(&bytes[..HEADER_BYTES - 4]) == u32_at(&bytes, 32);
            let is_later = match &found {
                Found::Header(other) => other.generation < header.generation,
                Found::Newer(_) | Found::Nothing => true,
            };
            if is_whole && is_later {
                found = Found::Header(header);
            }
        }
        Ok(found)
    }
}

/// What a cell says of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellState {
    /// It has no row.
    Free,
    Begun,
    Ended,
}

impl CellState {
    fn code(self) -> u32 {
        match self {
            Self::Free => 1,
            Self::Begun => 2,
            Self::Ended => 3,
        }
    }

    fn of(code: u32) -> Option<Self> {
        [Self::Free, Self::Begun, Self::Ended]
            .into_iter()
            .find(|state| state.code() == code)
    }
}

/// A whole cell.
struct Cell {
    generation: u64,
    since: u64,
    state: CellState,
    row: Vec<u8>,
}

fn place(index: u32, generation: u64) -> u64 {
    let cell = u64::from(index) * 2 + generation % 2;
    2 * HEADER_PLACE_BYTES + cell * CELL_BYTES as u64
}

/// What is written into a cell.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) state: CellState,
    /// As [`InflightRow::since`].
    pub(super) since: u64,
    pub(super) row: &'a [u8],
}

impl Written<'_> {
    /// There is no row any more.
    pub(super) const FREE: Self = Self {
        state: CellState::Free,
        since: 0,
        row: &[],
    };
}

/// Writes a cell. `buffer` is room to put it together.
pub(super) fn write(
    medium: &dyn Medium,
    buffer: &mut Vec<u8>,
    (index, generation): (u32, u64),
    written: Written,
) -> io::Result<()> {
    let Written { state, since, row } = written;
    buffer.clear();
    buffer.extend(CELL_MAGIC);
    // Its checksum, once the rest is there.
    buffer.extend([0; 4]);
    buffer.extend(generation.to_le_bytes());
    buffer.extend(since.to_le_bytes());
    buffer.extend(state.code().to_le_bytes());
    buffer.extend(u32::try_from(row.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend(row);
    let sum = checksum(index, &buffer[8..]);
    buffer[4..8].copy_from_slice(&sum.to_le_bytes());
    medium.write(buffer, place(index, generation))
}

/// The rows of all slots, as far as their owner wrote them.
pub(super) fn rows(medium: &dyn Medium) -> io::Result<Vec<InflightRow>> {
    let length = medium.length()?;
    let mut rows = Vec::new();
    for index in (0..u32::MAX).take_while(|index| place(*index, 0) < length) {
        let Some(cell) = latest(medium, index)? else {
            continue;
        };
        let state = match cell.state {
            CellState::Free => continue,
            CellState::Begun => InflightState::Begun,
            CellState::Ended => InflightState::Ended,
        };
        rows.push(InflightRow {
            state,
            since: cell.since,
            bytes: cell.row,
        });
    }
    Ok(rows)
}

/// The cell of a slot that counts. While its owner writes one of them, the
/// other is whole; both can be missed only if it wrote twice meanwhile.
fn latest(medium: &dyn Medium, index: u32) -> io::Result<Option<Cell>> {
    for _ in 0..READS_MAX {
        let mut is_any_there = false;
        let mut latest = None::<Cell>;
        for generation in 0..2 {
            let (is_there, cell) = read(medium, index, generation)?;
            is_any_there |= is_there;
            let is_later = |cell: &Cell| {
                let other = latest.as_ref();
                other.is_none_or(|other| other.generation < cell.generation)
            };
            if let Some(cell) = cell.filter(is_later) {
                latest = Some(cell);
            }
        }
        if latest.is_some() || !is_any_there {
            return Ok(latest);
        }
    }
    Ok(None)
}

/// Whether anything stands in a cell, and what, if it is whole.
fn read(medium: &dyn Medium, index: u32, generation: u64) -> io::Result<(bool, Option<Cell>)> {
    let offset = place(index, generation);
    let mut head = [0; CELL_HEAD_BYTES];
    medium.read(&mut head, offset)?;
    if head[..4] != CELL_MAGIC {
        return Ok((false, None));
    }
    let length = u32_at(&head, 28) as usize;
    if length > ROW_BYTES_MAX {
        return Ok((true, None));
    }
    let mut row = vec![0; length];
    let read = medium.read(&mut row, offset + CELL_HEAD_BYTES as u64)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&index.to_le_bytes());
    sum.update(&head[8..]);
    sum.update(&row);
    let is_whole = read == length && sum.finalize() == u32_at(&head, 4);
    let state = CellState::of(u32_at(&head, 24)).filter(|_| is_whole);
    let cell = state.map(|state| Cell {
        generation: u64_at(&head, 8),
        since: u64_at(&head, 16),
        state,
        row,
    });
    Ok((true, cell))
}

/// A cell that lies in a slot that is not its own does not fit.
fn checksum(index: u32, bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&index.to_le_bytes());
    sum.update(bytes);
    sum.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

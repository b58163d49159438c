//! The ledger: what was spent of each window of each counter, added up from
//! the records in the order of the journal, which is the truth. Pure.
//!
//! A [`Ledger`] knows up to which entry it is added up, and can be written
//! down there (a checkpoint), so that the next process reads on from it. A
//! checkpoint is only a shortcut: one that is damaged, of another version, or
//! of another journal is passed over, and the journal is read from its start.
//! Deliberately not here: counters (`meter`), files, and what is under way.

use std::collections::HashMap;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use store::{Entry, EntryKind, Head};

use crate::id::RequestId;
use crate::record::{Name, Record, Reservation, Word};

/// Version of the encoding of a checkpoint.
const VERSION: u64 = 1;
/// First words of a checkpoint.
const MAGIC: &str = "tollgate-ledger";
/// A window is kept for so long after it has passed, microseconds: a clock
/// that is set back a little must find what was spent.
pub const GRACE_US: u64 = 3_600_000_000;

/// A window of a counter, or a piece of a sliding one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LedgerWindow {
    /// The counter.
    pub counter: u128,
    /// Begin, microseconds since the Unix epoch.
    pub from_us: u64,
    /// End; `u64::MAX` where it has none.
    pub until_us: u64,
}

/// What was spent in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerTotal {
    /// Name of the limit or budget.
    pub quota: Name,
    /// `rate_limit` or `budget`.
    pub kind: Word,
    /// What is counted.
    pub measure: Word,
    /// Whose counter, for people.
    pub scope: Name,
    /// How long it counts after the window's end, microseconds.
    pub after_us: u64,
    /// The sum of what was settled, and of what was reserved by calls whose
    /// end nobody knows.
    pub settled: i64,
}

/// The sums of a journal up to an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    head: Head,
    totals: HashMap<LedgerWindow, LedgerTotal>,
    unreadable: u64,
}

/// Bytes that are no checkpoint of this version.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// They do not say what they must.
    #[error("it is no checkpoint: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// Another version wrote it.
    #[error("it is of version {0}, and this is version {VERSION}")]
    Version(u64),
    /// Not what was written.
    #[error("its checksum does not fit")]
    Damaged,
}

impl Ledger {
    /// The entry up to which it is added up.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Entries that could not be read, and so are in no sum.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Every window that is kept.
    pub fn totals(&self) -> impl Iterator<Item = (&LedgerWindow, &LedgerTotal)> {
        self.totals.iter()
    }

    /// What was spent in a window, if it is kept.
    pub fn total(&self, window: &LedgerWindow) -> Option<&LedgerTotal> {
        self.totals.get(window)
    }

    /// How many windows are kept.
    pub fn len(&self) -> usize {
        self.totals.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.totals.is_empty()
    }

    /// Adds the next entry of the journal; windows that have passed are left
    /// out. Gives what it says. An entry that was taken before adds nothing.
    pub fn take(&mut self, entry: &Entry, now_us: u64) -> Option<(RequestId, Vec<Reservation>)> {
        if entry.sequence <= self.head.sequence {
            return None;
        }
        self.head = entry.head();
        if entry.kind == EntryKind::Gap {
            return None;
        }
        let Ok((id, rows)) = Record::decode_rows(&entry.payload) else {
            self.unreadable += 1;
            return None;
        };
        for row in rows.iter().filter(|row| row.is_counted()) {
            self.add(row, now_us);
        }
        Some((id, rows))
    }

    fn add(&mut self, row: &Reservation, now_us: u64) {
        if has_passed(row.until_us, row.after_us, now_us) {
            return;
        }
        let window = LedgerWindow {
            counter: row.counter,
            from_us: row.from_us,
            until_us: row.until_us,
        };
        let total = self.totals.entry(window).or_insert_with(|| LedgerTotal {
            quota: row.quota.clone(),
            kind: row.kind.clone(),
            measure: row.measure.clone(),
            scope: row.scope.clone(),
            after_us: row.after_us,
            settled: 0,
        });
        total.settled = total.settled.saturating_add(row.amount());
    }

    /// Lets go of windows that have passed. Those without an end stay.
    pub fn prune(&mut self, now_us: u64) {
        self.totals
            .retain(|window, total| !has_passed(window.until_us, total.after_us, now_us));
    }

    /// The checkpoint: what [`Ledger::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(64 + self.totals.len() * 128);
        write(self, &mut Encoder::new(&mut body)).expect("writing to memory cannot fail");
        let mut bytes = Vec::with_capacity(body.len() + 64);
        let sum = checksum(&body);
        seal(&mut Encoder::new(&mut bytes), &sum, &body).expect("writing to memory cannot fail");
        bytes
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// It is none of this version, or was damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut d = Decoder::new(bytes);
        if d.array()? != Some(4) || d.str()? != MAGIC {
            return Err(minicbor::decode::Error::message("its first words are others").into());
        }
        let version = d.u64()?;
        if version != VERSION {
            return Err(CheckpointError::Version(version));
        }
        let sum = d.bytes()?;
        let body = d.bytes()?;
        if sum != checksum(body) || d.position() != bytes.len() {
            return Err(CheckpointError::Damaged);
        }
        Ok(read(&mut Decoder::new(body))?)
    }
}

fn has_passed(until_us: u64, after_us: u64, now_us: u64) -> bool {
    let ends = until_us.saturating_add(after_us).saturating_add(GRACE_US);
    ends <= now_us
}

/// The hash that entries of the journal have.
fn checksum(body: &[u8]) -> [u8; 32] {
    store::segment::chain(&[0; 32], VERSION, EntryKind::Record, body)
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn seal(e: &mut Encoder<&mut Vec<u8>>, sum: &[u8], body: &[u8]) -> Written {
    e.array(4)?.str(MAGIC)?.u64(VERSION)?;
    e.bytes(sum)?.bytes(body)?;
    Ok(())
}

fn write(ledger: &Ledger, e: &mut Encoder<&mut Vec<u8>>) -> Written {
    e.array(4)?.u64(ledger.head.sequence)?;
    e.bytes(&ledger.head.hash)?.u64(ledger.unreadable)?;
    let mut all: Vec<_> = ledger.totals.iter().collect();
    all.sort_by_key(|(window, _)| **window);
    e.array(all.len() as u64)?;
    for (window, total) in all {
        e.array(9)?.bytes(&window.counter.to_be_bytes())?;
        e.u64(window.from_us)?.u64(window.until_us)?;
        e.u64(total.after_us)?.i64(total.settled)?;
        e.str(&total.quota)?.str(&total.kind)?;
        e.str(&total.measure)?.str(&total.scope)?;
    }
    Ok(())
}

fn read(d: &mut Decoder) -> Result<Ledger, minicbor::decode::Error> {
    d.array()?;
    let head = Head {
        sequence: d.u64()?,
        hash: fixed(d)?,
    };
    let unreadable = d.u64()?;
    let mut totals = HashMap::new();
    let mut left = d.array()?.unwrap_or_default();
    while left > 0 && d.datatype()? == Type::Array {
        left -= 1;
        d.array()?;
        let window = LedgerWindow {
            counter: u128::from_be_bytes(fixed(d)?),
            from_us: d.u64()?,
            until_us: d.u64()?,
        };
        let (after_us, settled) = (d.u64()?, d.i64()?);
        let total = LedgerTotal {
            quota: d.str()?.into(),
            kind: d.str()?.to_owned().into(),
            measure: d.str()?.to_owned().into(),
            scope: d.str()?.into(),
            after_us,
            settled,
        };
        totals.insert(window, total);
    }
    Ok(Ledger {
        head,
        totals,
        unreadable,
    })
}

fn fixed<const N: usize>(d: &mut Decoder) -> Result<[u8; N], minicbor::decode::Error> {
    let bytes = d.bytes()?.try_into();
    bytes.map_err(|_| minicbor::decode::Error::message("a field has the wrong length"))
}

#[cfg(test)]
mod tests;

//! The encoding of a record: CBOR maps with integer keys. A key keeps its
//! meaning for ever; new facts get new keys; empty values are left out; a
//! reader skips keys that it does not know. So old readers read new records
//! and new readers read old ones.
//!
//! Deliberately not here: derive macros. The key numbers stand in one place
//! for each struct, and a golden fixture holds them.

mod read;
mod skip;
mod write;

use crate::id::RequestId;
use crate::record::{Record, Reservation};

/// Version of the encoding, in every record.
pub const RECORD_VERSION: u64 = 1;

/// The payload is not a record.
#[derive(Debug, thiserror::Error)]
#[error("not a record: {0}")]
pub struct DecodeError(#[from] minicbor::decode::Error);

impl Record {
    /// The encoded record. [`Record::clip`] comes first where texts are not
    /// known to be within their limits.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(512);
        encode(self, &mut payload);
        payload
    }

    /// Reads a record of any version.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(read::record(&mut minicbor::Decoder::new(payload))?)
    }

    /// Reads of a record what the ledger needs, which costs less.
    pub fn decode_rows(payload: &[u8]) -> Result<(RequestId, Vec<Reservation>), DecodeError> {
        Ok(read::rows(&mut minicbor::Decoder::new(payload))?)
    }
}

/// Appends the encoded record to `payload`.
pub(crate) fn encode(record: &Record, payload: &mut Vec<u8>) {
    write::record(&mut minicbor::Encoder::new(payload), record)
        .expect("writing to memory cannot fail, and nothing else here can");
}

/// Keys of [`Record`].
mod key {
    pub(super) const VERSION: u64 = 0;
    pub(super) const ID: u64 = 1;
    pub(super) const ARRIVED: u64 = 2;
    pub(super) const DURATION: u64 = 3;
    pub(super) const OVERHEAD: u64 = 4;
    pub(super) const OPERATION: u64 = 5;
    pub(super) const DIALECT: u64 = 6;
    pub(super) const PATH: u64 = 7;
    pub(super) const WHO: u64 = 8;
    pub(super) const METADATA: u64 = 9;
    pub(super) const REQUEST: u64 = 10;
    pub(super) const PLAN: u64 = 11;
    pub(super) const CONTRACT: u64 = 12;
    pub(super) const DECIDER: u64 = 13;
    pub(super) const DECISIONS: u64 = 14;
    pub(super) const CANDIDATES: u64 = 15;
    pub(super) const ATTEMPTS: u64 = 16;
    pub(super) const STATUS: u64 = 17;
    pub(super) const FAULT: u64 = 18;
    pub(super) const USAGE: u64 = 19;
    pub(super) const FINISH: u64 = 20;
    pub(super) const BYTES_OUT: u64 = 21;
    pub(super) const LOSSES: u64 = 22;
    pub(super) const OUTCOME: u64 = 23;
    pub(super) const COST: u64 = 24;
    pub(super) const PRICE_VERSION: u64 = 25;
    pub(super) const CACHE: u64 = 26;
    pub(super) const TRACE: u64 = 27;
    pub(super) const CLIPPED: u64 = 28;
    pub(super) const RESERVATIONS: u64 = 29;
}

#[cfg(test)]
mod tests;

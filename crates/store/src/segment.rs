//! The bytes of a segment: header, entries, and the hash chain.
//!
//! All integers are little-endian. A segment is named by its first sequence
//! (`000000000042.seg`). Its header ends with a checksum and carries the hash
//! of the entry before it, so each segment can be checked by itself.
//!
//! ```text
//! header  0 magic "TGSEGLOG"    8 format u32       12 zero u32
//!        16 node [16]          32 first u64        40 created_unix_us u64
//!        48 previous hash [32] 80 crc32 of 0..80   84 zero u32            (88)
//! entry   0 payload length u32  4 crc32 of 8..end
//!         8 hash [32]          40 sequence u64     48 kind u8, zero [3]
//!        52 payload
//! hash = BLAKE3(previous hash || bytes 40..end)
//! ```
//!
//! Deliberately not here: files.

use std::path::{Path, PathBuf};

use crate::journal::{EntryKind, Head};

/// Version of the format, in every header.
pub const FORMAT: u32 = 1;
/// Length of a segment's header.
pub const HEADER_BYTES: usize = 88;
/// Length of an entry before its payload.
pub const ENTRY_HEAD_BYTES: usize = 52;
/// Longest payload. Longer ones are clipped and marked, see
/// [`EntryKind::Clipped`]; a longer length on disk is damage.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

const MAGIC: &[u8; 8] = b"TGSEGLOG";
const HASH_AT: usize = 8;
const SEQUENCE_AT: usize = 40;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The node that wrote it.
    pub node: [u8; 16],
    /// Sequence of its first entry.
    pub first: u64,
    /// When it was begun, microseconds since the Unix epoch.
    pub created_unix_us: u64,
    /// Hash of the entry before its first.
    pub previous: [u8; 32],
}

/// What does not fit in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// Too short or the checksum does not fit: torn or altered.
    Damaged,
    /// A format of a newer version.
    Newer(u32),
}

impl Header {
    /// The head of the log before the first entry of this segment.
    pub fn before(&self) -> Head {
        Head {
            sequence: self.first.saturating_sub(1),
            hash: self.previous,
        }
    }

    /// The bytes on disk.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.node);
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created_unix_us.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.previous);
        let crc = crc32fast::hash(&bytes[..80]);
        bytes[80..84].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the head of a segment.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or(BadHeader::Damaged)?;
        if &bytes[..8] != MAGIC || u32_at(bytes, 80) != crc32fast::hash(&bytes[..80]) {
            return Err(BadHeader::Damaged);
        }
        match u32_at(bytes, 8) {
            FORMAT => Ok(Self {
                node: array_at(bytes, 16),
                first: u64_at(bytes, 32),
                created_unix_us: u64_at(bytes, 40),
                previous: array_at(bytes, 48),
            }),
            newer => Err(BadHeader::Newer(newer)),
        }
    }
}

/// One entry as it lies in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// Sequence.
    pub sequence: u64,
    /// Kind.
    pub kind: EntryKind,
    /// Hash as stored; [`chain`] tells whether it is right.
    pub hash: [u8; 32],
    /// Payload.
    pub payload: &'a [u8],
    /// Length in the segment.
    pub bytes: usize,
}

/// What stands at the head of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse<'a> {
    /// A whole entry whose checksum fits.
    Whole(Parsed<'a>),
    /// This many bytes are needed to know more.
    Needs(usize),
    /// Not an entry.
    Damaged,
}

/// Reads the entry at the head of `bytes`.
pub fn parse(bytes: &[u8]) -> Parse<'_> {
    if bytes.len() < ENTRY_HEAD_BYTES {
        return Parse::Needs(ENTRY_HEAD_BYTES);
    }
    let length = u32_at(bytes, 0) as usize;
    if length > PAYLOAD_BYTES_MAX {
        return Parse::Damaged;
    }
    let end = ENTRY_HEAD_BYTES + length;
    let Some(entry) = bytes.get(..end) else {
        return Parse::Needs(end);
    };
    let kind = match entry[48..52] {
        [0, 0, 0, 0] => EntryKind::Record,
        [1, 0, 0, 0] => EntryKind::Gap,
        [2, 0, 0, 0] => EntryKind::Clipped,
        [..] => return Parse::Damaged,
    };
    if u32_at(entry, 4) != crc32fast::hash(&entry[HASH_AT..]) {
        return Parse::Damaged;
    }
    Parse::Whole(Parsed {
        sequence: u64_at(entry, SEQUENCE_AT),
        kind,
        hash: array_at(entry, HASH_AT),
        payload: &entry[ENTRY_HEAD_BYTES..],
        bytes: end,
    })
}

/// Appends an entry that [`seal`] must still give its hash and checksum.
pub(crate) fn frame(out: &mut Vec<u8>, sequence: u64, kind: EntryKind, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("payloads are clipped to a megabyte before");
    out.reserve(ENTRY_HEAD_BYTES + payload.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 36]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&kind_bytes(kind));
    out.extend_from_slice(payload);
}

/// Gives every framed entry its hash and checksum; `previous` is the hash
/// before the first and becomes the hash of the last. Returns the last
/// sequence, if there is any entry.
pub(crate) fn seal(framed: &mut [u8], previous: &mut [u8; 32]) -> Option<u64> {
    let mut last = None;
    let mut rest = framed;
    while !rest.is_empty() {
        let end = ENTRY_HEAD_BYTES + u32_at(rest, 0) as usize;
        let (entry, after) = rest.split_at_mut(end);
        // The field of the hash holds its own predecessor while it is taken,
        // which makes the input one contiguous slice.
        entry[HASH_AT..SEQUENCE_AT].copy_from_slice(previous);
        *previous = *blake3::hash(&entry[HASH_AT..]).as_bytes();
        entry[HASH_AT..SEQUENCE_AT].copy_from_slice(previous);
        let crc = crc32fast::hash(&entry[HASH_AT..]);
        entry[4..HASH_AT].copy_from_slice(&crc.to_le_bytes());
        last = Some(u64_at(entry, SEQUENCE_AT));
        rest = after;
    }
    last
}

/// The hash of an entry.
pub fn chain(previous: &[u8; 32], sequence: u64, kind: EntryKind, payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    hasher.update(&sequence.to_le_bytes());
    hasher.update(&kind_bytes(kind));
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

/// The note that a torn tail was cut off; the payload of [`EntryKind::Gap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The segment whose tail was torn.
    pub segment: u64,
    /// Where the tear began.
    pub offset: u64,
    /// Bytes cut off.
    pub bytes: u64,
    /// File beside the segments that keeps them.
    pub aside: String,
}

impl Gap {
    /// The payload.
    pub fn encode(&self) -> String {
        let Self {
            segment,
            offset,
            bytes,
            aside,
        } = self;
        format!("gap segment={segment} offset={offset} bytes={bytes} aside={aside}")
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut words = text.strip_prefix("gap ")?.splitn(4, ' ');
        let mut word = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        Some(Self {
            segment: word("segment")?.parse().ok()?,
            offset: word("offset")?.parse().ok()?,
            bytes: word("bytes")?.parse().ok()?,
            aside: word("aside")?.to_owned(),
        })
    }
}

/// The file of a segment.
pub fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:012}.seg"))
}

/// The first sequences of all segments in `dir`, ascending.
pub fn list(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let name = file?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        if let Some(Ok(first)) = digits.map(str::parse) {
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

fn kind_bytes(kind: EntryKind) -> [u8; 4] {
    let code = match kind {
        EntryKind::Record => 0,
        EntryKind::Gap => 1,
        EntryKind::Clipped => 2,
    };
    [code, 0, 0, 0]
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

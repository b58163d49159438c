//! Checking a whole log offline: is every entry the one that was written, and
//! is none missing?
//!
//! The chain alone cannot show that the end was cut off at the edge of an
//! entry, nor that everything was rewritten; a checkpoint (a [`Head`] that was
//! kept elsewhere) shows both.
//!
//! Deliberately not here: signatures over checkpoints.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::journal::{EntryKind, Head};
use crate::reader::{Check, SegmentReader, Step};
use crate::segment::{self, BadHeader, Gap};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments read.
    pub segments: u64,
    /// Entries that are whole and in their place.
    pub entries: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// First sequence; 0 when empty. Above 1, older segments were removed.
    pub first: u64,
    /// The last good entry.
    pub head: Head,
    /// Torn tails that were cut off and journalled.
    pub gaps: Vec<Gap>,
    /// What does not fit; empty if all is well.
    pub findings: Vec<Finding>,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A header is damaged or not of this log.
    #[error("segment {segment}: the header is damaged or its name was changed")]
    BadHeader {
        /// Segment.
        segment: u64,
    },
    /// A header's format is newer than this version.
    #[error("segment {segment}: format {format} is newer than this version can read")]
    NewerFormat {
        /// Segment.
        segment: u64,
        /// Its format.
        format: u32,
    },
    /// Bytes were altered, removed or inserted. What follows in the segment
    /// is not proven.
    #[error(
        "segment {segment}, byte {offset}: after sequence {after} {why}; {bytes} bytes of it are not proven"
    )]
    Altered {
        /// Segment.
        segment: u64,
        /// Offset of the first byte that is not proven.
        offset: u64,
        /// The last sequence that is proven.
        after: u64,
        /// What does not fit.
        why: &'static str,
        /// Bytes from there to the end of the segment.
        bytes: u64,
    },
    /// The last entry is not whole: the writer was stopped in the middle. It
    /// is recovered when the log is opened.
    #[error("segment {segment}, byte {offset}: the last entry is torn")]
    TornTail {
        /// Segment.
        segment: u64,
        /// Where it begins.
        offset: u64,
    },
    /// Entries are missing between two segments.
    #[error("sequences {from} to {to} are missing")]
    Missing {
        /// First missing sequence.
        from: u64,
        /// Last missing sequence.
        to: u64,
    },
    /// A segment does not follow the one before it.
    #[error("segment {segment} does not continue the hash chain of the one before it")]
    Unchained {
        /// Segment.
        segment: u64,
    },
    /// The log does not hold the entry of the checkpoint.
    #[error("the log ends at sequence {head}, before the checkpoint at {checkpoint}")]
    EndsEarly {
        /// Last sequence of the log.
        head: u64,
        /// Sequence of the checkpoint.
        checkpoint: u64,
    },
    /// The log holds another entry in the place of the checkpoint.
    #[error("the entry at the checkpoint {checkpoint} is another one: the log was rewritten")]
    Rewritten {
        /// Sequence of the checkpoint.
        checkpoint: u64,
    },
}

/// Checks the log in `dir`, against a checkpoint if there is one.
pub fn verify(dir: &Path, checkpoint: Option<Head>) -> io::Result<Report> {
    let mut run = Run {
        report: Report::default(),
        checkpoint,
        met: false,
        end: None,
    };
    let segments = segment::list(dir)?;
    for (index, first) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        run.segment(&segment::path(dir, *first), *first, last)?;
    }
    run.conclude();
    Ok(run.report)
}

struct Run {
    report: Report,
    checkpoint: Option<Head>,
    met: bool,
    /// Head after the segment before, where that is known.
    end: Option<Head>,
}

impl Run {
    fn segment(&mut self, path: &Path, first: u64, last: bool) -> io::Result<()> {
        let length = fs::metadata(path)?.len();
        self.report.segments += 1;
        self.report.bytes += length;
        let mut reader = SegmentReader::new(File::open(path)?);
        let header = match reader.header()? {
            Ok(header) if header.first == first => header,
            Ok(_) | Err(BadHeader::Damaged) => {
                let finding = if last && length < segment::HEADER_BYTES as u64 {
                    Finding::TornTail {
                        segment: first,
                        offset: 0,
                    }
                } else {
                    Finding::BadHeader { segment: first }
                };
                self.report.findings.push(finding);
                self.end = None;
                return Ok(());
            }
            Err(BadHeader::Newer(format)) => {
                let segment = first;
                self.report
                    .findings
                    .push(Finding::NewerFormat { segment, format });
                self.end = None;
                return Ok(());
            }
        };
        let before = header.before();
        self.joint(before, first);
        self.meet(before);
        if self.report.first == 0 {
            self.report.first = first;
        }
        reader.expect(Check::Chain, before);
        let end = self.entries(&mut reader, first, before, (length, last))?;
        self.end = end;
        Ok(())
    }

    /// How a segment joins the one before.
    fn joint(&mut self, before: Head, segment: u64) {
        let Some(end) = self.end else { return };
        if end.sequence < before.sequence {
            self.report.findings.push(Finding::Missing {
                from: end.sequence + 1,
                to: before.sequence,
            });
        } else if end != before {
            self.report.findings.push(Finding::Unchained { segment });
        }
    }

    /// Reads the entries; the head after the last if all are good.
    fn entries(
        &mut self,
        reader: &mut SegmentReader,
        segment: u64,
        before: Head,
        (length, last): (u64, bool),
    ) -> io::Result<Option<Head>> {
        let mut head = before;
        loop {
            let finding = match reader.step()? {
                Step::Entry(entry) => {
                    head = entry.head();
                    self.report.entries += 1;
                    self.report.head = head;
                    if entry.kind == EntryKind::Gap {
                        self.report.gaps.extend(Gap::decode(&entry.payload));
                    }
                    self.meet(head);
                    continue;
                }
                Step::End { .. } => return Ok(Some(head)),
                Step::Partial { offset } if last => Finding::TornTail { segment, offset },
                Step::Partial { offset } => Finding::Altered {
                    segment,
                    offset,
                    after: head.sequence,
                    why: "the last entry is not whole",
                    bytes: length.saturating_sub(offset),
                },
                Step::Damaged { offset, why } => Finding::Altered {
                    segment,
                    offset,
                    after: head.sequence,
                    why,
                    bytes: length.saturating_sub(offset),
                },
            };
            self.report.findings.push(finding);
            return Ok(None);
        }
    }

    fn meet(&mut self, head: Head) {
        if let Some(checkpoint) = self
            .checkpoint
            .filter(|point| point.sequence == head.sequence)
        {
            self.met = true;
            if checkpoint.hash != head.hash {
                let checkpoint = checkpoint.sequence;
                self.report.findings.push(Finding::Rewritten { checkpoint });
            }
        }
    }

    fn conclude(&mut self) {
        let point = self
            .checkpoint
            .filter(|point| point.sequence > 0 && !self.met);
        // A checkpoint before the first entry that is kept proves nothing any
        // more; that older segments are gone shows in `first`.
        let point = point.filter(|point| point.sequence >= self.report.first);
        if let Some(checkpoint) = point {
            self.report.findings.push(Finding::EndsEarly {
                head: self.report.head.sequence,
                checkpoint: checkpoint.sequence,
            });
        }
    }
}

#[cfg(test)]
mod tests;

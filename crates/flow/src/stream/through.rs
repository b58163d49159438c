//! What happens to the frames of a stream on their way through: watched and
//! passed as they came, or read and written in the caller's dialect.

use bytes::BytesMut;
use contract::{Event, Fault, Loss};
use dialects::framing::{Batch, FrameKind};
use dialects::{Keep, StreamReader, StreamWatcher, StreamWriter, Tally};

/// The way of frames through the gateway.
pub(super) enum Through {
    /// Same dialect: bytes pass.
    Watching(Box<dyn StreamWatcher>),
    /// Another dialect.
    Translating {
        reader: Box<dyn StreamReader>,
        writer: Box<dyn StreamWriter>,
        events: Vec<Event>,
        text: Vec<u8>,
    },
    /// Events of a local model.
    Writing {
        writer: Box<dyn StreamWriter>,
        text: Vec<u8>,
    },
}

impl Through {
    pub(super) fn watching(watcher: Box<dyn StreamWatcher>) -> Self {
        Self::Watching(watcher)
    }

    pub(super) fn translating(
        reader: Box<dyn StreamReader>,
        writer: Box<dyn StreamWriter>,
    ) -> Self {
        Self::Translating {
            reader,
            writer,
            events: Vec::new(),
            text: Vec::new(),
        }
    }

    pub(super) fn writing(writer: Box<dyn StreamWriter>) -> Self {
        Self::Writing {
            writer,
            text: Vec::new(),
        }
    }

    /// Whether a fault that the upstream reports has already passed as it
    /// came when the tally shows it.
    pub(super) fn passes_faults(&self) -> bool {
        match self {
            Self::Watching(_) => true,
            Self::Translating { .. } | Self::Writing { .. } => false,
        }
    }

    /// Takes a batch. `true`: the batch passes whole, as it is; `false`: what
    /// is to be sent has been appended to `out`.
    pub(super) fn batch(
        &mut self,
        batch: &Batch,
        tally: &mut Tally,
        out: &mut BytesMut,
    ) -> Result<bool, Fault> {
        match self {
            Self::Watching(watcher) => watch(watcher.as_mut(), batch, tally, out),
            Self::Translating {
                reader,
                writer,
                events,
                text,
            } => {
                let mut read = Ok(());
                for span in &batch.frames {
                    let frame = batch.frame(span);
                    let over = tally.ended || tally.fault.is_some();
                    if over || frame.kind == FrameKind::Silent {
                        continue;
                    }
                    read = reader.read(frame, events);
                    write_all(events, writer.as_mut(), tally, text);
                    if read.is_err() {
                        break;
                    }
                }
                // What stands before a bad frame was good.
                out.extend_from_slice(text);
                text.clear();
                read.map(|()| false)
            }
            Self::Writing { .. } => Ok(false),
        }
    }

    /// Takes one event of a local model.
    pub(super) fn event(&mut self, event: Event, tally: &mut Tally, out: &mut BytesMut) {
        match self {
            Self::Writing { writer, text } | Self::Translating { writer, text, .. } => {
                tally.note(&event);
                writer.write(&event, text);
                out.extend_from_slice(text);
                text.clear();
            }
            Self::Watching(_) => {}
        }
    }

    /// The upstream closed cleanly.
    pub(super) fn close(&mut self, tally: &mut Tally, out: &mut BytesMut) -> Result<(), Fault> {
        match self {
            Self::Watching(watcher) => watcher.close(tally),
            Self::Translating {
                reader,
                writer,
                events,
                text,
            } => {
                if tally.fault.is_some() {
                    return Ok(());
                }
                let closed = reader.close(events);
                write_all(events, writer.as_mut(), tally, text);
                out.extend_from_slice(text);
                text.clear();
                closed
            }
            Self::Writing { .. } => Ok(()),
        }
    }

    /// The number of the next event for the caller, where events have one.
    pub(super) fn next_number(&self) -> u64 {
        match self {
            Self::Watching(watcher) => watcher.next_number(),
            Self::Translating { writer, .. } | Self::Writing { writer, .. } => writer.next_number(),
        }
    }

    pub(super) fn losses(&self) -> &[Loss] {
        match self {
            Self::Watching(_) => &[],
            Self::Translating { writer, .. } | Self::Writing { writer, .. } => writer.losses(),
        }
    }
}

fn watch(
    watcher: &mut dyn StreamWatcher,
    batch: &Batch,
    tally: &mut Tally,
    out: &mut BytesMut,
) -> Result<bool, Fault> {
    // Frames before the first hidden one need no copy: as long as none is
    // hidden, the batch passes whole.
    let mut copied = None;
    for span in &batch.frames {
        let ended = tally.ended;
        let keep = match span.kind {
            FrameKind::Silent => Keep::Pass,
            FrameKind::Event | FrameKind::Exception => {
                match watcher.see(batch.frame(span), tally) {
                    Ok(keep) => keep,
                    Err(fault) => {
                        // What stands before the bad frame was good.
                        out.extend_from_slice(&batch.bytes[copied.unwrap_or(0)..span.raw.start]);
                        return Err(fault);
                    }
                }
            }
        };
        if tally.fault.is_some() {
            // An error is the last that a caller sees, and what comes behind
            // the end is none: an end marker never stands behind an error.
            let end = if ended { span.raw.start } else { span.raw.end };
            if ended {
                tally.fault = None;
            }
            out.extend_from_slice(&batch.bytes[copied.unwrap_or(0)..end]);
            return Ok(false);
        }
        if keep == Keep::Hide {
            out.extend_from_slice(&batch.bytes[copied.unwrap_or(0)..span.raw.start]);
            copied = Some(span.raw.end);
        }
    }
    match copied {
        None => Ok(true),
        Some(from) => {
            out.extend_from_slice(&batch.bytes[from..]);
            Ok(false)
        }
    }
}

fn write_all(
    events: &mut Vec<Event>,
    writer: &mut dyn StreamWriter,
    tally: &mut Tally,
    text: &mut Vec<u8>,
) {
    for event in events.drain(..) {
        if tally.fault.is_some() {
            continue;
        }
        tally.note(&event);
        if tally.fault.is_none() {
            writer.write(&event, text);
        }
    }
}

//! What happens to the frames of a stream on their way through: watched and
//! passed as they came, or read and written in the caller's dialect.

use access::policy::Ruling;
use bytes::BytesMut;
use contract::{Event, Fault, Loss};
use dialects::framing::{Batch, Frame, FrameKind};
use dialects::{Keep, StreamReader, StreamWatcher, StreamWriter, Tally};

use crate::inspect::Inspector;

/// What sees the frames go by.
pub(super) struct Sight {
    /// What is counted.
    pub(super) tally: Tally,
    /// Who holds them to the rules, where a rule looks at answers.
    pub(super) looking: Option<Looking>,
}

impl Sight {
    /// A stream is held back whole up to this many bytes.
    pub(super) fn holds(&self) -> Option<usize> {
        self.looking.as_ref()?.inspector.holds()
    }

    /// A stream is held back from where something waits for an approval.
    pub(super) fn may_wait(&self) -> bool {
        let looking = self.looking.as_ref();
        looking.is_some_and(|looking| looking.inspector.waits())
    }

    /// Where something begins that waits for an approval.
    pub(super) fn spot(&self) -> Option<Spot> {
        self.looking.as_ref()?.spot
    }

    /// The answer is whole.
    pub(super) fn whole(&mut self) -> Result<(), Fault> {
        let looking = self.looking.as_mut();
        looking.map_or(Ok(()), |looking| {
            let found = looking.inspector.close();
            looking.judged(found)
        })
    }

    /// A rule refused something of the answer: no end makes that whole again.
    pub(super) fn is_refused(&self) -> bool {
        self.looking.as_ref().is_some_and(|looking| looking.refused)
    }

    /// Rules that were broken since the last call.
    pub(super) fn take_rulings(&mut self) -> Vec<Ruling> {
        let looking = self.looking.as_mut();
        looking.map_or_else(Vec::new, |looking| looking.inspector.take_rulings())
    }
}

/// Where something begins that waits for an approval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Content came before it.
    pub(super) behind_content: bool,
    /// How many bytes were appended for the caller before it.
    pub(super) at: usize,
    /// The number of its first event.
    pub(super) number: u64,
}

/// Holds what comes back to the rules, before it is passed on.
pub(super) struct Looking {
    inspector: Inspector,
    /// Reads the frames of a stream that passes verbatim; a translated one is
    /// read anyway.
    reader: Box<dyn StreamReader>,
    events: Vec<Event>,
    spot: Option<Spot>,
    /// A rule refused something.
    refused: bool,
}

impl Looking {
    pub(super) fn new(inspector: Inspector, reader: Box<dyn StreamReader>) -> Self {
        Self {
            inspector,
            reader,
            events: Vec::new(),
            spot: None,
            refused: false,
        }
    }

    fn judged(&mut self, found: Result<(), Fault>) -> Result<(), Fault> {
        self.refused |= found.is_err();
        found
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), Fault> {
        self.reader.read(frame, &mut self.events)?;
        self.look()
    }

    fn event(&mut self, event: &Event) -> Result<(), Fault> {
        let found = self.inspector.event(event);
        self.judged(found)
    }

    /// What was just looked at is the first that waits for an approval.
    fn begins_to_wait(&self) -> bool {
        self.spot.is_none() && self.inspector.is_pending()
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.reader.close(&mut self.events)?;
        self.look()
    }

    fn look(&mut self) -> Result<(), Fault> {
        let inspector = &mut self.inspector;
        let found = self
            .events
            .drain(..)
            .try_for_each(|event| inspector.event(&event));
        self.judged(found)
    }
}

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
        sight: &mut Sight,
        out: &mut BytesMut,
    ) -> Result<bool, Fault> {
        let Sight { tally, looking } = sight;
        match self {
            Self::Watching(watcher) => watch(watcher.as_mut(), batch, sight, out),
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
                    let passed =
                        write_all(events, writer.as_mut(), (tally, looking), (out.len(), text));
                    read = read.and(passed);
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
    pub(super) fn close(&mut self, sight: &mut Sight, out: &mut BytesMut) -> Result<(), Fault> {
        let Sight { tally, looking } = sight;
        match self {
            Self::Watching(watcher) => {
                watcher.close(tally)?;
                looking.as_mut().map_or(Ok(()), Looking::close)
            }
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
                let passed =
                    write_all(events, writer.as_mut(), (tally, looking), (out.len(), text));
                out.extend_from_slice(text);
                text.clear();
                closed.and(passed)
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
    sight: &mut Sight,
    out: &mut BytesMut,
) -> Result<bool, Fault> {
    let Sight { tally, looking } = sight;
    // Frames before the first hidden one need no copy: as long as none is
    // hidden, the batch passes whole.
    let mut copied = None;
    for span in &batch.frames {
        let ended = tally.ended;
        let keep = match span.kind {
            FrameKind::Silent => Keep::Pass,
            FrameKind::Event | FrameKind::Exception => {
                let frame = batch.frame(span);
                let looked = match looking {
                    Some(looking) if !ended => {
                        let looked = looking.frame(frame);
                        if looking.begins_to_wait() {
                            out.extend_from_slice(
                                &batch.bytes[copied.unwrap_or(0)..span.raw.start],
                            );
                            copied = Some(span.raw.start);
                            looking.spot = Some(Spot {
                                behind_content: tally.committed,
                                at: out.len(),
                                number: watcher.next_number(),
                            });
                        }
                        looked
                    }
                    Some(_) | None => Ok(()),
                };
                match looked.and_then(|()| watcher.see(frame, tally)) {
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
    (tally, looking): (&mut Tally, &mut Option<Looking>),
    (before, text): (usize, &mut Vec<u8>),
) -> Result<(), Fault> {
    let mut passed = Ok(());
    for event in events.drain(..) {
        if tally.fault.is_some() || passed.is_err() {
            continue;
        }
        if let Some(looking) = looking {
            passed = looking.event(&event);
            if looking.begins_to_wait() {
                looking.spot = Some(Spot {
                    behind_content: tally.committed,
                    at: before + text.len(),
                    number: writer.next_number(),
                });
            }
            if passed.is_err() {
                continue;
            }
        }
        tally.note(&event);
        if tally.fault.is_none() {
            writer.write(&event, text);
        }
    }
    passed
}

//! Strict framing: the bytes of an HTTP/1 connection are judged before hyper
//! sees them. hyper accepts what proxies and servers read differently (both
//! length headers, bare LF, two Hosts, dot segments); each such difference is
//! a way past a policy, so here each is a refusal with a name.
//!
//! [`Inspector`] is the pure state machine, [`Gatekeeper`] adds the holding
//! back of heads that arrive in pieces, and `crate::edge::strict_io` puts both
//! between the socket and hyper. [`check_parts`] holds HTTP/2 to the same
//! rules. Deliberately not here: sockets, time, and what a refusal looks like.

mod chunks;
mod head;
mod names;
mod parts;
mod target;
mod violation;

#[cfg(test)]
mod tests;

pub(crate) use parts::check_parts;
pub(crate) use violation::{Rule, Violation};

use chunks::Chunks;
use head::{BodyLength, Head, Progress};

/// Longest piece of a path that a refusal carries, in bytes.
const REFUSED_PATH_BYTES_MAX: usize = 256;

/// Limits of the framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Request line and headers together, in bytes. Default 65,536.
    pub(crate) head_bytes_max: usize,
    /// Header lines. Default 100, which is what hyper parses without an
    /// allocation for each request; more than 100 must be told to hyper too.
    pub(crate) headers_max: usize,
    /// The request target, in bytes. Default 8,192.
    pub(crate) target_bytes_max: usize,
    /// Chunk extensions of one body together, in bytes. Default 4,096.
    pub(crate) chunk_extension_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            target_bytes_max: 8 * 1024,
            chunk_extension_bytes_max: 4 * 1024,
        }
    }
}

/// A request that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The rule and the place.
    pub(crate) violation: Violation,
    /// The path as far as it was understood, for the choice of a dialect; at
    /// most 256 bytes, printable ASCII, possibly empty.
    pub(crate) path: String,
    /// Whether the head was accepted before and the fault lies in the body.
    pub(crate) in_body: bool,
}

/// What the inspector says about the bytes at the current place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many bytes from the start may pass. At least one.
    Pass(usize),
    /// A head is not complete. Call again with these bytes and more.
    More,
    /// Nothing from here on may pass.
    Refuse(Box<Refusal>),
}

/// Where the inspector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before or in a head.
    Head,
    /// In a body.
    Body,
    /// Behind a refusal.
    Refused,
}

#[derive(Debug)]
enum State {
    Head,
    Known(u64),
    Chunked(Chunks),
    Refused,
}

/// The state machine over one HTTP/1 connection, requests only.
#[derive(Debug)]
pub(crate) struct Inspector {
    limits: Limits,
    state: State,
    head: Head,
    /// Heads accepted so far.
    heads: u64,
    /// Bytes of the current message that have passed.
    passed: u64,
}

impl Inspector {
    /// At the first byte of a connection.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Head,
            head: Head::default(),
            heads: 0,
            passed: 0,
        }
    }

    /// Heads accepted so far.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        match self.state {
            State::Head => Place::Head,
            State::Known(_) | State::Chunked(_) => Place::Body,
            State::Refused => Place::Refused,
        }
    }

    /// Judges `input`, which must not be empty and must begin right behind the
    /// last byte that passed.
    pub(crate) fn step(&mut self, input: &[u8]) -> Step {
        match &mut self.state {
            State::Head => self.step_head(input),
            State::Known(left) => {
                let here = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                *left -= here as u64;
                self.passed += here as u64;
                if *left == 0 {
                    self.state = State::Head;
                }
                Step::Pass(here)
            }
            State::Chunked(chunks) => {
                let most = self.limits.chunk_extension_bytes_max;
                let (good, rule) = chunks.advance(input, most);
                let ended = chunks.is_end();
                self.passed += good as u64;
                match rule {
                    // The bad byte is met again, at the front, by the next step.
                    Some(_) | None if good > 0 => {
                        if ended {
                            self.state = State::Head;
                        }
                        Step::Pass(good)
                    }
                    Some(rule) => self.refuse_body(rule),
                    None => Step::More,
                }
            }
            State::Refused => Step::More,
        }
    }

    fn step_head(&mut self, input: &[u8]) -> Step {
        match self.head.advance(input, &self.limits) {
            Progress::Incomplete => Step::More,
            Progress::Accepted(length, body) => {
                self.heads += 1;
                self.passed = length as u64;
                self.head = Head::default();
                self.state = match body {
                    BodyLength::Known(0) => State::Head,
                    BodyLength::Known(length) => State::Known(length),
                    BodyLength::Chunked => State::Chunked(Chunks::new()),
                };
                Step::Pass(length)
            }
            Progress::Refused(violation) => {
                let path = self.path(input);
                self.state = State::Refused;
                Step::Refuse(Box::new(Refusal {
                    violation,
                    path,
                    in_body: false,
                }))
            }
        }
    }

    /// The path of the head that `input` begins with, as far as it is known.
    fn path(&self, input: &[u8]) -> String {
        let path = self.head.path(input);
        let path = &path[..path.len().min(REFUSED_PATH_BYTES_MAX)];
        let clean = |&byte: &u8| match byte.is_ascii_graphic() {
            true => char::from(byte),
            false => '?',
        };
        path.iter().map(clean).collect()
    }

    fn refuse_body(&mut self, rule: Rule) -> Step {
        self.state = State::Refused;
        let violation = Violation {
            rule,
            line: 0,
            offset: self.passed,
            subject: String::new(),
        };
        Step::Refuse(Box::new(Refusal {
            violation,
            path: String::new(),
            in_body: true,
        }))
    }

    /// The refusal of a head that did not arrive in time; `input` is what did.
    pub(crate) fn expire(&mut self, input: &[u8]) -> Refusal {
        let path = self.path(input);
        self.state = State::Refused;
        Refusal {
            violation: Violation::of(Rule::HeadTimeout, b""),
            path,
            in_body: false,
        }
    }
}

/// An inspector and the bytes of a head that is not complete. Bytes that can
/// pass at once are never copied.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    inspector: Inspector,
    /// Bytes held back: those before `cleared` may pass, the rest is a head in
    /// pieces. Bounded by the head limit and one read.
    held: Vec<u8>,
    /// Bytes of `held` that were taken.
    taken: usize,
    /// Bytes of `held` that may pass.
    cleared: usize,
    refusal: Option<Box<Refusal>>,
}

impl Gatekeeper {
    /// At the first byte of a connection.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            inspector: Inspector::new(limits),
            held: Vec::new(),
            taken: 0,
            cleared: 0,
            refusal: None,
        }
    }

    /// Judges bytes that have just arrived, and gives how many of them, from
    /// the front, may pass at once. The rest is held back, and taken from
    /// [`Gatekeeper::cleared`] later; bytes after a refusal are forgotten.
    /// Must not be called while [`Gatekeeper::cleared`] has bytes.
    pub(crate) fn admit(&mut self, fresh: &[u8]) -> usize {
        debug_assert!(self.cleared().is_empty(), "cleared bytes come first");
        if self.held.is_empty() {
            let passed = self.run(fresh);
            if self.refusal.is_none() && passed < fresh.len() {
                self.held.extend_from_slice(&fresh[passed..]);
            }
            return passed;
        }
        self.hold(fresh);
        0
    }

    /// Like [`Gatekeeper::admit`] for bytes that have no other place: all of
    /// them are held back, also those that may pass.
    pub(crate) fn hold(&mut self, fresh: &[u8]) {
        self.held.extend_from_slice(fresh);
        let held = std::mem::take(&mut self.held);
        self.cleared += self.run(&held[self.cleared..]);
        self.held = held;
    }

    /// Bytes held back that may pass now.
    pub(crate) fn cleared(&self) -> &[u8] {
        &self.held[self.taken..self.cleared]
    }

    /// Says that this many bytes of [`Gatekeeper::cleared`] were taken.
    pub(crate) fn take(&mut self, count: usize) {
        self.taken += count;
        debug_assert!(self.taken <= self.cleared, "only cleared bytes are taken");
        if self.taken < self.cleared {
            return;
        }
        if self.cleared == self.held.len() || self.refusal.is_some() {
            // Given back at once: an idle connection holds no buffer.
            self.held = Vec::new();
        } else {
            self.held.drain(..self.cleared);
        }
        self.taken = 0;
        self.cleared = 0;
    }

    /// Whether a head has begun and is not complete.
    pub(crate) fn is_mid_head(&self) -> bool {
        self.refusal.is_none() && self.held.len() > self.cleared
    }

    /// The refusal, once there is one.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }

    /// Refuses the head in progress because it took too long.
    pub(crate) fn expire(&mut self) {
        if self.refusal.is_none() {
            let arrived = &self.held[self.cleared..];
            self.refusal = Some(Box::new(self.inspector.expire(arrived)));
        }
    }

    /// The state machine inside.
    pub(crate) fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    /// Steps over `bytes` as far as possible; gives how many may pass.
    fn run(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0usize;
        while at < bytes.len() && self.refusal.is_none() {
            match self.inspector.step(&bytes[at..]) {
                Step::Pass(count) => at += count,
                Step::More => break,
                Step::Refuse(refusal) => self.refusal = Some(refusal),
            }
        }
        at
    }
}

/// Runs chunks through a gatekeeper; gives what passed, how many heads, and
/// the refusal.
fn trace<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, u64, Option<Refusal>) {
    let mut keeper = Gatekeeper::new(Limits::default());
    let mut passed = Vec::new();
    for chunk in chunks {
        let count = keeper.admit(chunk);
        passed.extend_from_slice(&chunk[..count]);
        passed.extend_from_slice(keeper.cleared());
        keeper.take(keeper.cleared().len());
        if keeper.refusal().is_some() {
            break;
        }
    }
    (
        passed,
        keeper.inspector().heads(),
        keeper.refusal().cloned(),
    )
}

/// Entry point for fuzzing: the first byte chooses how the rest is cut into
/// chunks; the verdict and the bytes that pass must not depend on it.
///
/// # Panics
/// When they do.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the fuzz crate includes this file and calls it")
)]
pub(crate) fn fuzz_framing(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = trace(std::iter::once(bytes));
    let pieces = trace(bytes.chunks(usize::from(cut) + 1));
    assert_eq!(whole, pieces, "the verdict depends on the partition");
    assert!(
        bytes.starts_with(&whole.0),
        "bytes that passed were changed"
    );
}

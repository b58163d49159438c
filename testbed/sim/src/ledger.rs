//! What happened in a run, seen from outside: the calls that reached an
//! upstream, the bytes that were taken of each, and the trace.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contract::seams::Clock;

use crate::clock::SimClock;

/// The shared book of a run.
#[derive(Clone)]
pub(crate) struct Ledger {
    book: Arc<Mutex<Book>>,
    clock: SimClock,
}

/// All that was written down.
#[derive(Default)]
pub(crate) struct Book {
    /// Upstream calls in the order in which they were sent.
    pub(crate) calls: Vec<Call>,
    /// What broke a rule at the moment it happened.
    pub(crate) broken: Vec<(&'static str, String)>,
    trace: String,
    /// Bytes taken from upstreams since the caller got some, by exchange.
    held: Vec<usize>,
    /// The most of it, once the caller had got some, by exchange.
    held_after: Vec<usize>,
    delivered: Vec<bool>,
}

/// Where an exchange stands among others, and a candidate in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) exchange: usize,
    pub(crate) candidate: usize,
}

/// One call that reached an upstream.
pub(crate) struct Call {
    pub(crate) who: Who,
    /// The future of its head, or its body, is still held by somebody.
    pub(crate) open: bool,
    /// Bytes of its body that were taken.
    pub(crate) pulled: Vec<u8>,
    /// When the last of them was taken.
    pub(crate) pulled_us: u64,
    pub(crate) tail: Tail,
}

/// How far the body went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nobody has seen its end.
    Open,
    /// Its clean end was seen.
    Ended,
    /// It broke.
    Broke,
}

impl Ledger {
    /// An empty book for so many exchanges.
    pub(crate) fn new(clock: SimClock, exchanges: usize) -> Self {
        let book = Book {
            held: vec![0; exchanges],
            held_after: vec![0; exchanges],
            delivered: vec![false; exchanges],
            ..Book::default()
        };
        Self {
            book: Arc::new(Mutex::new(book)),
            clock,
        }
    }

    /// The book itself.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since the start of the run.
    pub(crate) fn now_us(&self) -> u64 {
        self.clock.now().0 / 1_000
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&self, line: std::fmt::Arguments<'_>) {
        let now = self.now_us();
        let mut book = self.book();
        writeln!(book.trace, "{now:>12} {line}").expect("writing to memory cannot fail");
    }

    /// A rule was broken.
    pub(crate) fn broken(&self, rule: &'static str, what: String) {
        self.book().broken.push((rule, what));
    }

    /// A call was sent. The guard is held as long as somebody can still take
    /// of its answer.
    pub(crate) fn sent(&self, who: Who, what: &str) -> Held {
        self.note(format_args!("{who} sent {what}"));
        let now = self.now_us();
        let mut book = self.book();
        book.held[who.exchange] = 0;
        book.calls.push(Call {
            who,
            open: true,
            pulled: Vec::new(),
            pulled_us: now,
            tail: Tail::Open,
        });
        Held {
            ledger: self.clone(),
            call: book.calls.len() - 1,
        }
    }

    /// The caller got bytes.
    pub(crate) fn delivered(&self, exchange: usize, bytes: &[u8]) {
        self.note(format_args!(
            "x{exchange} got {} bytes {:016x}",
            bytes.len(),
            digest(bytes)
        ));
        let mut book = self.book();
        book.held[exchange] = 0;
        book.delivered[exchange] = true;
    }

    /// Calls of an exchange that somebody still holds.
    pub(crate) fn open_calls(&self, exchange: usize) -> usize {
        let book = self.book();
        let own = |call: &&Call| call.who.exchange == exchange && call.open;
        book.calls.iter().filter(own).count()
    }

    /// Calls of an exchange so far.
    pub(crate) fn calls(&self, exchange: usize) -> usize {
        let book = self.book();
        let own = |call: &&Call| call.who.exchange == exchange;
        book.calls.iter().filter(own).count()
    }
}

impl Book {
    /// The trace.
    pub(crate) fn trace(&self) -> &str {
        &self.trace
    }

    /// The most bytes that were held between two deliveries to the caller.
    pub(crate) fn held_after(&self, exchange: usize) -> usize {
        self.held_after[exchange]
    }

    /// The calls of an exchange.
    pub(crate) fn calls_of(&self, exchange: usize) -> Vec<&Call> {
        let own = |call: &&Call| call.who.exchange == exchange;
        self.calls.iter().filter(own).collect()
    }
}

/// A call that is held by somebody.
pub(crate) struct Held {
    ledger: Ledger,
    call: usize,
}

impl Held {
    /// Bytes of the body were taken.
    pub(crate) fn pulled(&self, bytes: &[u8]) {
        let now = self.ledger.now_us();
        let mut book = self.ledger.book();
        let call = &mut book.calls[self.call];
        call.pulled.extend_from_slice(bytes);
        call.pulled_us = now;
        let exchange = call.who.exchange;
        book.held[exchange] += bytes.len();
        if book.delivered[exchange] {
            book.held_after[exchange] = book.held_after[exchange].max(book.held[exchange]);
        }
    }

    /// The end of the body was seen.
    pub(crate) fn ended(&self, tail: Tail) {
        self.ledger.book().calls[self.call].tail = tail;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (who, pulled) = {
            let mut book = self.ledger.book();
            let call = &mut book.calls[self.call];
            call.open = false;
            (call.who, call.pulled.len())
        };
        self.ledger
            .note(format_args!("{who} released after {pulled} bytes"));
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "x{}c{}", self.exchange, self.candidate)
    }
}

impl Who {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (exchange, candidate) = text.strip_prefix('x')?.split_once('c')?;
        Some(Self {
            exchange: exchange.parse().ok()?,
            candidate: candidate.parse().ok()?,
        })
    }
}

/// A short digest for the trace (FNV-1a, 64 bits).
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

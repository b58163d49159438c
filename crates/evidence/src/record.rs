//! The record of one exchange: what was asked, by whom, what was decided and
//! why, what was tried, what came of it.
//!
//! Deliberately not here: prompts, answers, credentials, and header values
//! outside [`HEADERS_KEPT`]. Names that are shared by many exchanges are
//! [`Name`]s and fixed words are [`Word`]s, so that filling in a record costs
//! few allocations.

use std::borrow::Cow;
use std::sync::Arc;

use contract::{Fault, Loss, Usage};
use smallvec::SmallVec;

use crate::id::RequestId;

/// A name that many records share: tenant, provider, model, plan digest.
pub type Name = Arc<str>;
/// A fixed word, such as the name of an operation; owned only when read back.
pub type Word = Cow<'static, str>;

/// Longest text of any field, in bytes, save the two below.
pub const TEXT_BYTES_MAX: usize = 512;
/// Longest [`FaultNote::private`], in bytes.
pub const PRIVATE_BYTES_MAX: usize = 2_048;
/// Most elements of any list of a record.
pub const LIST_MAX: usize = 64;

/// Headers of a request that may enter a record. No other header ever does,
/// so that a credential in an unexpected header cannot leak.
pub const HEADERS_KEPT: [&str; 17] = [
    "user-agent",
    "content-type",
    "tollgate-user",
    "tollgate-channel",
    "tollgate-use-case",
    "tollgate-data-class",
    "tollgate-session",
    "tollgate-family",
    "tollgate-quality",
    "tollgate-region",
    "tollgate-redaction",
    "tollgate-retention",
    "tollgate-pii-mode",
    "tollgate-max-cost",
    "tollgate-max-latency-ms",
    "tollgate-contract",
    "tollgate-tags",
];

/// The record of one exchange. All times are microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The exchange's id.
    pub id: RequestId,
    /// Arrival, microseconds since the Unix epoch.
    pub arrived_us: u64,
    /// From arrival to the last byte handed to the caller.
    pub duration_us: u64,
    /// Of that, the gateway's own: neither waiting for an upstream nor for a
    /// slow reader.
    pub overhead_us: Option<u64>,
    /// Operation, as [`contract::Operation::name`]; empty if none was found.
    pub operation: Word,
    /// The dialect of the caller; empty if none was found.
    pub dialect: Word,
    /// Method and path, where no operation was found.
    pub path: Option<Box<str>>,
    /// Who called.
    pub who: Identity,
    /// Metadata of the call and kept headers, by name.
    pub metadata: Vec<(Word, Box<str>)>,
    /// What was asked.
    pub request: RequestFacts,
    /// Digest of the plan in force.
    pub plan: Option<Name>,
    /// Version of the public contract that was served; 0 if not told.
    pub contract: u32,
    /// Version of the decision code; 0 if not told.
    pub decider: u32,
    /// Every decision, in order.
    pub decisions: SmallVec<[Decision; 2]>,
    /// Candidates in the order of preference, excluded ones too.
    pub candidates: SmallVec<[Candidate; 2]>,
    /// Upstream calls, in order of their start.
    pub attempts: SmallVec<[Attempt; 1]>,
    /// HTTP status sent; 0 if none was.
    pub status: u16,
    /// What went wrong.
    pub fault: Option<FaultNote>,
    /// Tokens by class and where the figures come from.
    pub usage: Usage,
    /// Why each choice ended, as [`contract::answer::FinishReason::name`].
    pub finish: SmallVec<[Word; 1]>,
    /// Body bytes sent to the caller.
    pub bytes_out: u64,
    /// What a translation could not carry.
    pub losses: Vec<LossNote>,
    /// How it ended.
    pub outcome: Outcome,
    /// Cost in nano-dollars; `None` where no price is known.
    pub cost_nanos: Option<i64>,
    /// Version of the price list behind `cost_nanos`.
    pub price_version: Option<Name>,
    /// What limits and budgets the call was counted by. These are the rows of
    /// the ledger: counters are rebuilt from them, so they are never cut.
    pub reservations: Vec<Reservation>,
    /// Cache state (`hit`, `semantic`, `miss`, `bypass`).
    pub cache: Option<Word>,
    /// W3C trace context.
    pub trace: Option<Trace>,
    /// Texts and lists that were cut to their limits when encoding.
    pub clipped: u32,
}

/// Who called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Public id of the key; never the key.
    pub key_id: Option<Name>,
    /// Tenant.
    pub tenant: Option<Name>,
    /// App.
    pub app: Option<Name>,
    /// Use case.
    pub use_case: Option<Name>,
    /// End user, as the caller names them.
    pub user: Option<Name>,
}

/// What was asked; sizes and parameters, never content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The model as the caller named it.
    pub model: Option<Name>,
    /// A stream was asked for.
    pub stream: bool,
    /// Body bytes received.
    pub bytes: u64,
    /// Turns of the conversation, or inputs to embed.
    pub turns: u32,
    /// Tools on offer.
    pub tools: u32,
    /// Cap on output tokens.
    pub output_tokens_max: Option<u32>,
    /// Upper bound or estimate of the input tokens.
    pub input_tokens_estimate: Option<u64>,
}

/// One decision with all it read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Stage of the path, such as `identity` or `policy`.
    pub stage: Word,
    /// The rule, by its name in the plan; empty for built-in ones.
    pub rule: Option<Name>,
    /// Mode of the rule (`shadow`, `warn`, `enforce`); empty means enforced.
    pub mode: Word,
    /// What came out, such as `allow`, `deny`, `select`.
    pub verdict: Word,
    /// Why, as a stable code; explained to people elsewhere.
    pub reason: Word,
    /// What it read.
    pub readings: Vec<Reading>,
}

/// Something that a decision read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was read.
    pub name: Word,
    /// What it said.
    pub value: Value,
}

/// The value of a reading; integers and words only, so that a decision can be
/// recomputed exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number; its unit is in the reading's name.
    Int(i64),
    /// A fixed word or a text.
    Word(Word),
    /// A shared name.
    Name(Name),
}

/// One way to serve the exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Provider.
    pub provider: Name,
    /// Model at the provider.
    pub model: Name,
    /// Why it was excluded; `None` if it was permitted.
    pub excluded: Option<Word>,
    /// Score of the strategy, larger is better.
    pub score: Option<i64>,
}

/// One upstream call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    /// Provider.
    pub provider: Name,
    /// Model as the provider knows it.
    pub model: Name,
    /// Public name of the upstream account or key that was used.
    pub account: Option<Name>,
    /// `hedge` or `mirror` for such legs; empty for the caller's own.
    pub leg: Word,
    /// When its steps happened.
    pub times: AttemptTimes,
    /// HTTP status of the upstream.
    pub status: Option<u16>,
    /// What went wrong.
    pub fault: Option<FaultNote>,
    /// The upstream's own request id.
    pub upstream_request_id: Option<Box<str>>,
    /// Tokens of this attempt, where they differ from the record's (billed
    /// attempts that failed).
    pub usage: Option<Usage>,
    /// The answer of this attempt reached the caller.
    pub committed: bool,
    /// What this attempt cost, nano-dollars, where it differs from the
    /// record's.
    pub cost_nanos: Option<i64>,
}

/// What was reserved of a counter, and what it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// Name of the limit or budget.
    pub quota: Name,
    /// `rate_limit` or `budget`.
    pub kind: Word,
    /// What is counted: `requests`, `tokens`, `cost` and the like.
    pub measure: Word,
    /// Whose counter, for people.
    pub scope: Name,
    /// The counter.
    pub counter: u128,
    /// Begin of the window, microseconds since the Unix epoch.
    pub from_us: u64,
    /// End of the window; equal to its begin where nothing is left to settle.
    pub until_us: u64,
    /// How long after that end it still counts, microseconds (sliding windows).
    pub after_us: u64,
    /// What was reserved: calls, tokens or nano-dollars.
    pub reserved: i64,
    /// What it came to; `None` while it is not known.
    pub settled: Option<i64>,
    /// What was settled and reserved before this.
    pub level: i64,
    /// The limit at that moment.
    pub limit: i64,
    /// The attempt it was reserved for, from 0; `None` for the caller's own.
    pub attempt: Option<u32>,
}

/// The measure of which nothing is settled: permits come back by themselves.
const CONCURRENCY: &str = "concurrency";

impl Reservation {
    /// Whether it counts for the ledger: cells and permits leave nothing to be
    /// settled.
    pub fn is_counted(&self) -> bool {
        self.from_us < self.until_us && self.measure != CONCURRENCY
    }

    /// What it takes of its window: what it came to, or, as long as that is
    /// not known, what was reserved.
    pub fn amount(&self) -> i64 {
        self.settled.unwrap_or(self.reserved).max(0)
    }
}

/// When the steps of an attempt happened, in microseconds since arrival.
/// `None` if the step was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptTimes {
    /// It was ready to go and waited for its turn.
    pub queued_us: Option<u64>,
    /// The request left the queue: connecting and sending began.
    pub sent_us: Option<u64>,
    /// The head of the answer arrived.
    pub head_us: Option<u64>,
    /// The first token (content, reasoning or tool) arrived.
    pub first_token_us: Option<u64>,
    /// The last byte arrived, or the attempt was given up.
    pub last_us: Option<u64>,
}

/// What went wrong, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultNote {
    /// Kind, as [`contract::FaultKind::name`].
    pub kind: Word,
    /// Origin, as [`contract::Origin::name`].
    pub origin: Word,
    /// What the caller was told.
    pub public: Word,
    /// Details; never sent to a client.
    pub private: Box<str>,
    /// The offending field.
    pub field: Option<Box<str>>,
}

impl From<&Fault> for FaultNote {
    fn from(fault: &Fault) -> Self {
        Self {
            kind: fault.kind.name().into(),
            origin: fault.origin.name().into(),
            public: fault.public.clone(),
            private: fault.private.as_str().into(),
            field: fault.field.as_deref().map(Into::into),
        }
    }
}

/// What a translation could not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossNote {
    /// The field or feature.
    pub what: Word,
    /// Why.
    pub why: Word,
}

impl From<&Loss> for LossNote {
    fn from(loss: &Loss) -> Self {
        Self {
            what: loss.what.clone(),
            why: loss.why.clone(),
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nobody said; a bug of the writer, or a record of a newer version.
    #[default]
    Unknown,
    /// The whole answer was delivered.
    Complete,
    /// Refused before any upstream was called.
    Refused,
    /// Every attempt failed, and the caller got an error.
    Failed,
    /// The answer broke off after it had begun.
    Cut,
    /// The caller went away.
    Cancelled,
    /// The gateway died while it was under way; written by the one after it,
    /// from what was known when it last was.
    Lost,
}

impl Outcome {
    /// The name in records, the index and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

/// W3C trace context of the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Trace id.
    pub trace_id: [u8; 16],
    /// Our span.
    pub span_id: [u8; 8],
    /// The caller's span; zeros if we began the trace.
    pub parent_id: [u8; 8],
    /// The sampled flag.
    pub sampled: bool,
}

impl Record {
    /// The record of an exchange that has just arrived.
    pub fn begin(id: RequestId, arrived_us: u64) -> Self {
        Self {
            id,
            arrived_us,
            ..Self::default()
        }
    }

    /// Keeps a header if it is one of [`HEADERS_KEPT`] (lower case). `false`
    /// means that it was not kept.
    pub fn note_header(&mut self, name: &str, value: &str) -> bool {
        let kept = HEADERS_KEPT.iter().find(|kept| **kept == name);
        if let Some(kept) = kept {
            self.metadata.push((Word::Borrowed(kept), value.into()));
        }
        kept.is_some()
    }

    /// The attempt that answers for the exchange: the committed one, else the
    /// last.
    pub fn served(&self) -> Option<&Attempt> {
        let committed = self.attempts.iter().find(|attempt| attempt.committed);
        committed.or_else(|| self.attempts.last())
    }

    /// From arrival to the first token of the attempt that was served.
    pub fn first_token_us(&self) -> Option<u64> {
        self.served()?.times.first_token_us
    }

    /// Cuts every text and list to its limit and counts the cuts in
    /// [`Record::clipped`], so that a hostile caller cannot swell the journal
    /// and a reader sees that something was cut.
    pub fn clip(&mut self) {
        let mut clipper = Clipper { cuts: 0 };
        clipper.record(self);
        self.clipped = self.clipped.saturating_add(clipper.cuts);
    }
}

/// Cuts texts and lists and counts the cuts.
struct Clipper {
    cuts: u32,
}

impl Clipper {
    fn record(&mut self, record: &mut Record) {
        self.word(&mut record.operation);
        self.word(&mut record.dialect);
        self.text(record.path.as_mut(), TEXT_BYTES_MAX);
        let who = &mut record.who;
        for name in [
            &mut who.key_id,
            &mut who.tenant,
            &mut who.app,
            &mut who.use_case,
            &mut who.user,
            &mut record.request.model,
            &mut record.plan,
            &mut record.price_version,
        ] {
            self.name(name.as_mut());
        }
        self.list(&mut record.metadata);
        for (name, value) in &mut record.metadata {
            self.word(name);
            self.text(Some(value), TEXT_BYTES_MAX);
        }
        self.small_list(&mut record.decisions);
        for decision in &mut record.decisions {
            self.decision(decision);
        }
        self.small_list(&mut record.candidates);
        for candidate in &mut record.candidates {
            self.name(Some(&mut candidate.provider));
            self.name(Some(&mut candidate.model));
            candidate
                .excluded
                .iter_mut()
                .for_each(|word| self.word(word));
        }
        self.small_list(&mut record.attempts);
        for attempt in &mut record.attempts {
            self.attempt(attempt);
        }
        record.fault.iter_mut().for_each(|fault| self.fault(fault));
        self.small_list(&mut record.finish);
        record.finish.iter_mut().for_each(|word| self.word(word));
        self.list(&mut record.losses);
        for loss in &mut record.losses {
            self.word(&mut loss.what);
            self.word(&mut loss.why);
        }
        record.cache.iter_mut().for_each(|word| self.word(word));
        for reservation in &mut record.reservations {
            self.name(Some(&mut reservation.scope));
        }
    }

    fn decision(&mut self, decision: &mut Decision) {
        self.word(&mut decision.stage);
        self.name(decision.rule.as_mut());
        self.word(&mut decision.mode);
        self.word(&mut decision.verdict);
        self.word(&mut decision.reason);
        self.list(&mut decision.readings);
        for reading in &mut decision.readings {
            self.word(&mut reading.name);
            match &mut reading.value {
                Value::Int(_) => {}
                Value::Word(word) => self.word(word),
                Value::Name(name) => self.name(Some(name)),
            }
        }
    }

    fn attempt(&mut self, attempt: &mut Attempt) {
        self.name(Some(&mut attempt.provider));
        self.name(Some(&mut attempt.model));
        self.name(attempt.account.as_mut());
        self.word(&mut attempt.leg);
        attempt.fault.iter_mut().for_each(|fault| self.fault(fault));
        self.text(attempt.upstream_request_id.as_mut(), TEXT_BYTES_MAX);
    }

    fn fault(&mut self, fault: &mut FaultNote) {
        self.word(&mut fault.kind);
        self.word(&mut fault.origin);
        self.word(&mut fault.public);
        self.text(Some(&mut fault.private), PRIVATE_BYTES_MAX);
        self.text(fault.field.as_mut(), TEXT_BYTES_MAX);
    }

    fn word(&mut self, word: &mut Word) {
        if word.len() > TEXT_BYTES_MAX {
            *word = Word::Owned(head(word, TEXT_BYTES_MAX).to_owned());
            self.cuts += 1;
        }
    }

    fn name(&mut self, name: Option<&mut Name>) {
        if let Some(name) = name.filter(|name| name.len() > TEXT_BYTES_MAX) {
            *name = head(name, TEXT_BYTES_MAX).into();
            self.cuts += 1;
        }
    }

    fn text(&mut self, text: Option<&mut Box<str>>, bytes_max: usize) {
        if let Some(text) = text.filter(|text| text.len() > bytes_max) {
            *text = head(text, bytes_max).into();
            self.cuts += 1;
        }
    }

    fn list<T>(&mut self, list: &mut Vec<T>) {
        if list.len() > LIST_MAX {
            list.truncate(LIST_MAX);
            self.cuts += 1;
        }
    }

    fn small_list<T, const N: usize>(&mut self, list: &mut SmallVec<[T; N]>) {
        if list.len() > LIST_MAX {
            list.truncate(LIST_MAX);
            self.cuts += 1;
        }
    }
}

/// The longest head of `text` that ends at a character and fits the limit.
fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;

//! From a document to what is in force. All findings are collected; a plan
//! exists only if none of them is an error.
//!
//! Pure: files come in through [`Sources`], randomness through [`Given`].

mod brakes;
mod counters;
mod database;
mod endpoint;
mod idempotency;
mod identity;
mod key_limits;
mod keys;
mod listeners;
mod metadata;
mod models;
mod operators;
mod policy;
mod prices;
mod quotas;
mod tokenizers;
mod upstreams;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;

use crate::diagnostic::{Diagnostic, Severity};
use crate::digest::digest;
use crate::document::{Document, Durability, LogEntry, Millis, Providers};
use crate::interpolate::Sources;
use crate::load::Draft;
use crate::plan::{OperationBytes, Plan, Settings};

pub use counters::SharedCounters;
pub use database::SharedDatabase;
pub use key_limits::key_quotas;
pub use listeners::{ClientCa, Listener, TlsFiles, Where};

/// What a compilation is given besides the document.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// Files (certificate authorities, shared credentials) and variables.
    pub sources: &'a dyn Sources,
    /// Random; keys are held as digests under it.
    pub ring_key: [u8; 32],
    /// Secret and lasting; secrets enter the plan's digest under it.
    pub digest_key: [u8; 32],
}

/// A plan, and what the assembly needs besides.
#[derive(Debug)]
pub struct Compiled {
    /// What decides over exchanges.
    pub plan: Plan,
    /// Listeners for calls.
    pub data: Vec<Listener>,
    /// Listeners for operators.
    pub admin: Vec<Listener>,
    /// The data folder, if configured.
    pub data_dir: Option<PathBuf>,
    /// Worker threads, if configured.
    pub workers: Option<usize>,
    /// Bounds of connections.
    pub edge: EdgeLimits,
    /// Records.
    pub evidence: EvidenceSettings,
    /// How counters are shared; `None`: each process counts for itself.
    pub counters: Option<SharedCounters>,
    /// The database that replicas share, if there is one.
    pub database: Option<SharedDatabase>,
    /// Log lines.
    pub log: LogEntry,
    /// The end.
    pub drain: DrainTimes,
    /// What the operator should know.
    pub warnings: Vec<Diagnostic>,
}

/// Bounds of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Most open connections.
    pub connections: usize,
    /// Most requests at once on an HTTP/2 connection.
    pub streams: u32,
    /// Largest request line and headers together, bytes.
    pub head_bytes: usize,
    /// Most header lines.
    pub headers: usize,
    /// Longest request target, bytes.
    pub target_bytes: usize,
    /// Longest time for a head to arrive, milliseconds.
    pub head_ms: u64,
    /// Longest pause between two requests, milliseconds.
    pub idle_ms: u64,
    /// Longest time in which a caller takes nothing, milliseconds.
    pub write_stall_ms: u64,
}

/// Where and how records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSettings {
    /// The folder, if configured.
    pub dir: Option<PathBuf>,
    /// How safe a record is before its exchange counts as done.
    pub durability: Durability,
    /// Longest wait for company, milliseconds.
    pub flush_ms: u64,
    /// Whether an index is kept.
    pub index: bool,
}

/// How the gateway ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainTimes {
    /// Time between unreadiness and the closing of sockets, milliseconds.
    pub unready_before_ms: u64,
    /// Longest wait for open exchanges, milliseconds.
    pub max_ms: u64,
}

impl Compiled {
    /// The sections in which `newer` differs and that take effect only when
    /// the gateway is started again.
    pub fn restart_only(&self, newer: &Compiled) -> Vec<&'static str> {
        let differs = [
            ("listen.data", self.data != newer.data),
            ("listen.admin", self.admin != newer.admin),
            ("data_dir", self.data_dir != newer.data_dir),
            ("workers", self.workers != newer.workers),
            ("limits (of connections)", self.edge != newer.edge),
            ("evidence", self.evidence != newer.evidence),
            ("counters", self.counters != newer.counters),
            ("database", self.database != newer.database),
            ("log", self.log != newer.log),
            ("drain", self.drain != newer.drain),
        ];
        differs
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| *name)
            .collect()
    }
}

/// Compiles a document.
///
/// # Errors
/// All findings, warnings included, in the order of the source.
pub fn compile(draft: &Draft, given: &Given<'_>) -> Result<Compiled, Vec<Diagnostic>> {
    let document = &draft.document;
    let mut findings = Findings::default();
    refuse_auto(document, &mut findings);
    let (data, admin) = listeners::compile(document, &mut findings);
    let upstreams = upstreams::compile(document.providers.named(), given.sources, &mut findings);
    let models = models::compile(document, &mut findings);
    let keys = keys::compile(document, given.ring_key, &mut findings);
    let identity = identity::compile(document, given.sources, &mut findings);
    let operators = operators::compile(&document.admin, &mut findings);
    let metadata = metadata::compile(&document.metadata, &mut findings);
    let idempotency = idempotency::compile(&document.idempotency, &mut findings);
    let policy = policy::compile(document, &mut findings);
    policy::explain_empty(document, &policy, &keys, &models, &mut findings);
    let quotas = quotas::compile(document, &models, &mut findings);
    let reasoning_brakes = brakes::reasoning(document);
    let prices = prices::compile(document, given.sources, &mut findings);
    let tokenizers = tokenizers::compile(document, given.sources, &mut findings);
    let counters = counters::compile(document, &mut findings);
    let database = database::compile(document, given.sources, &mut findings);
    let (settings, edge) = bounds(draft, &mut findings);
    let digest = digest(document, (&prices.book, &tokenizers), &given.digest_key);
    warn_of_no_provider(document, &mut findings);
    let findings = findings.sorted(draft);
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Err(findings);
    }
    let digest_header = HeaderValue::try_from(digest.as_str()).expect("hex fits a header");
    Ok(Compiled {
        plan: Plan {
            digest: digest.into(),
            digest_header,
            providers: upstreams.into_iter().map(Arc::new).collect(),
            models,
            keys,
            identity,
            operators,
            metadata,
            idempotency,
            policy,
            quotas,
            reasoning_brakes,
            reservation: document.reservation.into(),
            answers: quotas::answers(document),
            prices,
            tokenizers,
            settings,
        },
        data,
        admin,
        data_dir: document.data_dir.as_ref().map(PathBuf::from),
        workers: document.workers.map(|count| count as usize),
        edge,
        evidence: evidence(document),
        counters,
        database,
        log: document.log,
        drain: DrainTimes {
            unready_before_ms: document.drain.unready_before.0,
            max_ms: document.drain.max.0,
        },
        warnings: findings,
    })
}

/// The database that a document names, without the rest of it.
///
/// # Errors
/// What is wrong with its section.
pub fn shared_database(
    draft: &Draft,
    sources: &dyn Sources,
) -> Result<Option<SharedDatabase>, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let found = database::compile(&draft.document, sources, &mut findings);
    match findings.are_harmless() {
        true => Ok(found),
        false => Err(findings.sorted(draft)),
    }
}

fn refuse_auto(document: &Document, findings: &mut Findings) {
    if matches!(document.providers, Providers::Auto) {
        findings.error(
            "providers",
            "`providers: auto` was not filled in",
            "write the providers out",
        );
    }
}

fn warn_of_no_provider(document: &Document, findings: &mut Findings) {
    // Who has errors to mend is not told this besides.
    if findings.are_harmless() && document.providers.named().is_empty() {
        findings.warn(
            "providers",
            "there is no provider, so no model can be called: every call is answered with 404",
            "write `providers: auto` to take those that the environment gives, `providers: \
             {sandbox: {}}` for the built-in test model, or name them one by one",
        );
    }
}

/// Refuses a time that is out of range.
fn check_time(time: Millis, range: RangeInclusive<u64>, path: &str, findings: &mut Findings) {
    if !range.contains(&time.0) {
        let (least, most) = (Millis(*range.start()), Millis(*range.end()));
        findings.error(
            path,
            format!("{time} is out of range"),
            format!("write {least} to {most}"),
        );
    }
}

fn evidence(document: &Document) -> EvidenceSettings {
    let entry = &document.evidence;
    EvidenceSettings {
        dir: entry.dir.as_ref().map(PathBuf::from),
        durability: entry.durability,
        flush_ms: entry.flush_ms,
        index: entry.index,
    }
}

/// Most bytes of a body that is held in memory whole.
const BODY_BYTES_MAX: u64 = 1 << 30;
/// Least bytes for a request line and headers: below it no SDK gets through.
const HEAD_BYTES_MIN: u64 = 4 << 10;

fn bounds(draft: &Draft, findings: &mut Findings) -> (Settings, EdgeLimits) {
    let limits = &draft.document.limits;
    let own = &limits.body_bytes_by_operation;
    let bodies = [
        ("limits.body_bytes", Some(limits.body_bytes)),
        ("limits.body_bytes_by_operation.chat", own.chat),
        (
            "limits.body_bytes_by_operation.count_tokens",
            own.count_tokens,
        ),
        ("limits.body_bytes_by_operation.embeddings", own.embeddings),
        ("limits.answer_bytes", Some(limits.answer_bytes)),
    ];
    for (path, size) in bodies {
        if size.is_some_and(|size| size.0 == 0 || size.0 > BODY_BYTES_MAX) {
            findings.error(
                path,
                "this size cannot work",
                "write a size from 1 to `1GiB`",
            );
        }
    }
    for (path, size) in [
        ("limits.head_bytes", limits.head_bytes),
        ("limits.target_bytes", limits.target_bytes),
    ] {
        if size.0 < HEAD_BYTES_MIN || size.0 > 1 << 20 {
            findings.error(
                path,
                "this size cannot work",
                "write a size from `4KiB` to `1MiB`",
            );
        }
    }
    for (path, time) in [
        ("limits.head_timeout", limits.head_timeout),
        ("limits.idle_timeout", limits.idle_timeout),
        ("limits.write_stall_timeout", limits.write_stall_timeout),
    ] {
        if time.0 == 0 {
            findings.error(
                path,
                "no time at all would refuse every call",
                "write `1s` or more",
            );
        }
    }
    let settings = Settings {
        body_bytes_max: limits.body_bytes.as_usize(),
        body_bytes_by_operation: OperationBytes {
            chat: own.chat.map(crate::document::Bytes::as_usize),
            count_tokens: own.count_tokens.map(crate::document::Bytes::as_usize),
            embed: own.embeddings.map(crate::document::Bytes::as_usize),
        },
        answer_bytes_max: limits.answer_bytes.as_usize(),
        losses: draft.document.translation.losses.into(),
        unsupported: draft.document.translation.unsupported.into(),
    };
    let edge = EdgeLimits {
        connections: limits.connections as usize,
        streams: limits.streams,
        head_bytes: limits.head_bytes.as_usize(),
        headers: limits.headers as usize,
        target_bytes: limits.target_bytes.as_usize(),
        head_ms: limits.head_timeout.0,
        idle_ms: limits.idle_timeout.0,
        write_stall_ms: limits.write_stall_timeout.0,
    };
    (settings, edge)
}

/// What was found.
#[derive(Default)]
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn error(
        &mut self,
        path: impl Into<String>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.0.push(Diagnostic::error(path, what, instead));
    }

    fn warn(
        &mut self,
        path: impl Into<String>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.0.push(Diagnostic::warning(path, what, instead));
    }

    fn are_harmless(&self) -> bool {
        let mut all = self.0.iter();
        all.all(|finding| finding.severity == Severity::Warning)
    }

    fn sorted(self, draft: &Draft) -> Vec<Diagnostic> {
        let mut all: Vec<Diagnostic> = self
            .0
            .into_iter()
            .map(|finding| draft.locate(finding))
            .collect();
        all.sort_by_key(|finding| (finding.line, finding.column));
        all
    }
}

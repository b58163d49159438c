//! The metrics. A caller resolves [`RouteHandles`] once per route and counts
//! through them with plain atomics; names and labels appear only when they are
//! rendered. Every family has a cap on its label sets; what exceeds it is
//! counted under the label value `other`, and the overflow is counted too.
//!
//! Deliberately not here: HTTP, and what the gauges of other rooms mean
//! ([`Meter::watch`] takes them as callbacks).

mod exposition;
mod family;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use contract::{FaultKind, Origin, Usage, UsageSource};
use store::{Inflight, InflightHealth, Journal, LineWriter, RecordIndex};

use crate::histogram::{EXCHANGE_US, Histogram, OVERHEAD_US};
use crate::record::{FaultNote, Outcome, Record};
use crate::sides::{End, Side, Sides};
use family::Family;

pub use exposition::CONTENT_TYPE;

/// Most routes (dialect, operation, provider, model) with metrics of their own.
const ROUTES_MAX: usize = 1_000;
/// Most models with metrics of their own.
const MODELS_MAX: usize = 500;
/// Most tenants with metrics of their own.
const TENANTS_MAX: usize = 500;
/// Most policy rules with metrics of their own.
const RULES_MAX: usize = 1_000;
/// Most use cases (of a tenant) with metrics of their own. Callers name them.
const USE_CASES_MAX: usize = 500;
/// Most results of the idempotency stage.
const REPEATS_MAX: usize = 16;
/// Most outcomes of a reload, or of a roll-out.
const RELOADS_MAX: usize = 16;

/// Statuses with a label value of their own; others are counted by class.
const STATUSES: [u16; 19] = [
    200, 400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429, 499, 500, 501, 502, 503, 504, 529,
];
/// Label values of the classes, after those of [`STATUSES`].
const STATUS_CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];
/// Token classes of [`Usage`], as label values.
const TOKEN_CLASSES: [&str; 10] = [
    "input",
    "cached_read",
    "cached_write",
    "cached_write_1h",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "image_in",
    "image_out",
];
/// Where usage comes from, in the order of its table.
const SOURCES: [UsageSource; 5] = [
    UsageSource::Missing,
    UsageSource::ProviderInput,
    UsageSource::ProviderOutput,
    UsageSource::Provider,
    UsageSource::Estimated,
];
/// Origins in the order of the fault table.
const ORIGINS: [Origin; 3] = [Origin::Client, Origin::Gateway, Origin::Provider];
/// Outcomes in the order of their table.
const OUTCOMES: [Outcome; 7] = [
    Outcome::Unknown,
    Outcome::Complete,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::Cut,
    Outcome::Cancelled,
    Outcome::Lost,
];

/// All metrics of one process.
pub struct Meter {
    requests: Family<4, Statuses>,
    calls: Family<3, Calls>,
    overhead: Family<2, Overhead>,
    tokens: Family<2, Tokens>,
    tenants: Family<1, Used>,
    use_cases: Family<2, Used>,
    faults: [[AtomicU64; ORIGINS.len()]; FaultKind::ALL.len()],
    outcomes: [AtomicU64; OUTCOMES.len()],
    recovered: AtomicU64,
    usages: [AtomicU64; SOURCES.len()],
    flawed: AtomicU64,
    in_flight: Arc<AtomicI64>,
    open_streams: Arc<AtomicI64>,
    reloads: Family<1, AtomicU64>,
    policy: Family<3, AtomicU64>,
    idempotency: Family<1, AtomicU64>,
    /// Calls while a roll-out is on, by side and end.
    plan_calls: [[AtomicU64; End::ALL.len()]; Side::ALL.len()],
    rollouts: Family<1, AtomicU64>,
    /// The calls of the roll-out that is on.
    sides: ArcSwapOption<Sides>,
    watched: Mutex<Watched>,
}

/// What is read when the metrics are rendered.
#[derive(Default)]
struct Watched {
    plan: Option<String>,
    /// The candidate of a roll-out, and its share.
    rollout: Option<(String, f64)>,
    journal: Option<Arc<dyn Journal>>,
    lines: Option<Arc<LineWriter>>,
    index: Option<Arc<RecordIndex>>,
    inflight: Option<Arc<dyn Inflight>>,
    gauges: Vec<Gauge>,
}

#[derive(Clone)]
struct Gauge {
    name: &'static str,
    help: &'static str,
    read: Arc<dyn Fn() -> Vec<Sample> + Send + Sync>,
}

/// One value of a watched gauge.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Label names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// The labels of a route. Use the names of the plan, not the words of a
/// caller: where a refusal happens before a model is known, leave it empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteKey<'a> {
    /// The dialect of the caller.
    pub dialect: &'a str,
    /// Operation.
    pub operation: &'a str,
    /// Provider; empty if none was chosen.
    pub provider: &'a str,
    /// Model at the provider; empty if none was chosen.
    pub model: &'a str,
    /// Tenant; empty if unknown.
    pub tenant: &'a str,
    /// Use case; empty if the caller named none.
    pub use_case: &'a str,
}

/// The counters of one route, resolved once and cached by the caller.
#[derive(Debug)]
pub struct RouteHandles {
    statuses: Arc<Statuses>,
    calls: Arc<Calls>,
    overhead: Arc<Overhead>,
    tokens: Arc<Tokens>,
    tenant: Arc<Used>,
    use_case: Option<Arc<Used>>,
}

/// Requests by status.
#[derive(Debug, Default)]
struct Statuses([AtomicU64; STATUSES.len() + STATUS_CLASSES.len()]);

/// Durations of calls.
#[derive(Debug)]
struct Calls {
    duration: Histogram,
    first_token: Histogram,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            duration: Histogram::new(&EXCHANGE_US),
            first_token: Histogram::new(&EXCHANGE_US),
        }
    }
}

/// The gateway's own time.
#[derive(Debug)]
struct Overhead(Histogram);

impl Default for Overhead {
    fn default() -> Self {
        Self(Histogram::new(&OVERHEAD_US))
    }
}

/// Tokens by class.
#[derive(Debug, Default)]
struct Tokens([AtomicU64; TOKEN_CLASSES.len()]);

/// What one tenant or one use case used.
#[derive(Debug, Default)]
struct Used {
    requests: AtomicU64,
    tokens_in: AtomicU64,
    tokens_out: AtomicU64,
}

impl Used {
    fn add(&self, usage: &Usage) {
        self.requests.fetch_add(1, Relaxed);
        let (tokens_in, tokens_out) = (usage.input_total(), usage.output_total());
        if tokens_in > 0 {
            self.tokens_in.fetch_add(tokens_in, Relaxed);
        }
        if tokens_out > 0 {
            self.tokens_out.fetch_add(tokens_out, Relaxed);
        }
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter")
    }
}

impl Meter {
    /// A meter at zero.
    pub fn new() -> Self {
        Self {
            requests: Family::new(["dialect", "operation", "provider", "model"], 2, ROUTES_MAX),
            calls: Family::new(["operation", "provider", "model"], 1, MODELS_MAX),
            overhead: Family::new(["dialect", "operation"], 0, ROUTES_MAX),
            tokens: Family::new(["provider", "model"], 0, MODELS_MAX),
            tenants: Family::new(["tenant"], 0, TENANTS_MAX),
            use_cases: Family::new(["tenant", "use_case"], 0, USE_CASES_MAX),
            faults: Default::default(),
            outcomes: Default::default(),
            recovered: AtomicU64::new(0),
            usages: Default::default(),
            flawed: AtomicU64::default(),
            in_flight: Arc::default(),
            open_streams: Arc::default(),
            reloads: Family::new(["outcome"], 0, RELOADS_MAX),
            policy: Family::new(["mode", "verdict", "rule"], 2, RULES_MAX),
            idempotency: Family::new(["result"], 0, REPEATS_MAX),
            plan_calls: Default::default(),
            rollouts: Family::new(["outcome"], 0, RELOADS_MAX),
            sides: ArcSwapOption::empty(),
            watched: Mutex::default(),
        }
    }

    /// The handles of a route. Takes locks: call it once and keep the result.
    pub fn route(&self, key: &RouteKey) -> Arc<RouteHandles> {
        let RouteKey {
            dialect,
            operation,
            provider,
            model,
            tenant,
            use_case,
        } = *key;
        Arc::new(RouteHandles {
            statuses: self.requests.get([dialect, operation, provider, model]),
            calls: self.calls.get([operation, provider, model]),
            overhead: self.overhead.get([dialect, operation]),
            tokens: self.tokens.get([provider, model]),
            tenant: self.tenants.get([tenant]),
            use_case: match use_case {
                "" => None,
                use_case => Some(self.use_cases.get([tenant, use_case])),
            },
        })
    }

    /// Counts one exchange as under way until the guard is dropped.
    pub fn enter(&self) -> InFlight {
        InFlight(Level::raise(&self.in_flight))
    }

    /// Counts one answer as being streamed until the guard is dropped.
    pub fn open_stream(&self) -> OpenStream {
        OpenStream(Level::raise(&self.open_streams))
    }

    /// Counts a finished exchange. [`crate::Slot::write`] does it; call it only
    /// for an exchange that writes no record.
    pub fn count(&self, record: &Record, route: &RouteHandles) {
        route.statuses.0[status_index(record.status)].fetch_add(1, Relaxed);
        route.calls.duration.observe_us(record.duration_us);
        if let Some(us) = record.first_token_us() {
            route.calls.first_token.observe_us(us);
        }
        if let Some(us) = record.overhead_us {
            route.overhead.0.observe_us(us);
        }
        for (class, tokens) in token_classes(&record.usage).into_iter().enumerate() {
            if tokens > 0 {
                route.tokens.0[class].fetch_add(tokens, Relaxed);
            }
        }
        route.tenant.add(&record.usage);
        if let Some(use_case) = &route.use_case {
            use_case.add(&record.usage);
        }
        let outcome = OUTCOMES.iter().position(|known| *known == record.outcome);
        self.outcomes[outcome.unwrap_or_default()].fetch_add(1, Relaxed);
        if !record.attempts.is_empty() {
            self.count_usage(&record.usage);
        }
        if let Some(fault) = &record.fault {
            self.count_fault(fault);
        }
    }

    fn count_usage(&self, usage: &Usage) {
        let source = SOURCES.iter().position(|known| *known == usage.source);
        self.usages[source.unwrap_or_default()].fetch_add(1, Relaxed);
        self.flawed.fetch_add(usage.flawed.into(), Relaxed);
    }

    fn count_fault(&self, fault: &FaultNote) {
        // A word that is not in the taxonomy is a bug of ours, and is counted
        // as one.
        let kinds = FaultKind::ALL;
        let kind = kinds.iter().position(|kind| kind.name() == fault.kind);
        let origin = ORIGINS
            .iter()
            .position(|origin| origin.name() == fault.origin);
        let (kind, origin) = kind.zip(origin).unwrap_or((kinds.len() - 1, 1));
        self.faults[kind][origin].fetch_add(1, Relaxed);
    }

    /// Exchanges under way.
    pub fn in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.load(Relaxed)).unwrap_or_default()
    }

    /// Answers being streamed.
    pub fn open_streams(&self) -> u64 {
        u64::try_from(self.open_streams.load(Relaxed)).unwrap_or_default()
    }

    /// The plan that is now in force, by its digest.
    pub fn plan_in_force(&self, digest: &str) {
        self.watched().plan = Some(digest.to_owned());
    }

    /// A roll-out begins, with nothing counted. Before the first call is held
    /// to its candidate.
    pub fn rollout_begins(&self) {
        self.sides.store(Some(Arc::default()));
    }

    /// The candidate that is rolled out, and its share from 0 to 1; or that
    /// there is none.
    pub fn rollout_share(&self, share: Option<(&str, f64)>) {
        if share.is_none() {
            self.sides.store(None);
        }
        self.watched().rollout = share.map(|(digest, share)| (digest.to_owned(), share));
    }

    /// Counts a roll-out by how it ended, such as `promoted`.
    pub fn rollout_ended(&self, outcome: &'static str) {
        self.rollouts.get([outcome]).fetch_add(1, Relaxed);
    }

    /// The calls of the roll-out that is on.
    pub fn sides(&self) -> Option<Arc<Sides>> {
        self.sides.load_full()
    }

    /// Counts a finished call of a roll-out.
    pub fn count_side(&self, sides: &Sides, side: Side, record: &Record) {
        let end = End::of(record);
        sides.count(side, end, record);
        let nth = match side {
            Side::InForce => 0,
            Side::Candidate => 1,
        };
        self.plan_calls[nth][end.index()].fetch_add(1, Relaxed);
    }

    /// Counts a reload by its outcome, such as `applied` or `rejected`.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads.get([outcome]).fetch_add(1, Relaxed);
    }

    /// Counts a policy rule that was broken: its mode, what came of it
    /// (`would_deny`, `warn`, `deny`) and its name.
    pub fn policy(&self, rule: &str, mode: &str, verdict: &str) {
        self.policy.get([mode, verdict, rule]).fetch_add(1, Relaxed);
    }

    /// Counts a call with an idempotency key by what came of its key, such as
    /// `first` or `replay`.
    pub fn idempotency(&self, result: &'static str) {
        self.idempotency.get([result]).fetch_add(1, Relaxed);
    }

    /// Shows the lag of this index.
    pub fn watch_index(&self, index: Arc<RecordIndex>) {
        self.watched().index = Some(index);
    }

    /// Shows the rows of exchanges under way.
    pub fn watch_inflight(&self, inflight: Arc<dyn Inflight>) {
        self.watched().inflight = Some(inflight);
    }

    /// How the table of exchanges under way is doing, if there is one.
    pub fn inflight(&self) -> Option<InflightHealth> {
        let inflight = self.watched().inflight.clone();
        inflight.map(|inflight| inflight.health())
    }

    /// Counts records that an earlier process began and this one wrote.
    pub fn recovered(&self, records: u64, of_them_lost: u64) {
        self.recovered.fetch_add(records, Relaxed);
        let lost = OUTCOMES.iter().position(|known| *known == Outcome::Lost);
        self.outcomes[lost.unwrap_or_default()].fetch_add(of_them_lost, Relaxed);
    }

    /// Shows a gauge of another room, read whenever the metrics are rendered.
    /// `name` is the full name with its unit.
    pub fn watch(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
    ) {
        let read = Arc::new(read);
        self.watched().gauges.push(Gauge { name, help, read });
    }

    pub(crate) fn watch_journal(&self, journal: Arc<dyn Journal>) {
        self.watched().journal = Some(journal);
    }

    pub(crate) fn watch_lines(&self, lines: Arc<LineWriter>) {
        self.watched().lines = Some(lines);
    }

    /// All metrics in the OpenMetrics text format; see [`CONTENT_TYPE`].
    pub fn render(self: &Arc<Self>) -> String {
        exposition::render(self)
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        // Nothing that can panic runs under this lock.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One exchange under way.
#[derive(Debug)]
pub struct InFlight(#[expect(dead_code, reason = "held for its drop")] Level);

/// One answer being streamed.
#[derive(Debug)]
pub struct OpenStream(#[expect(dead_code, reason = "held for its drop")] Level);

/// One unit of a gauge, given back when dropped.
#[derive(Debug)]
struct Level(Arc<AtomicI64>);

impl Level {
    fn raise(gauge: &Arc<AtomicI64>) -> Self {
        gauge.fetch_add(1, Relaxed);
        Self(gauge.clone())
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn status_index(status: u16) -> usize {
    let known = STATUSES.iter().position(|known| *known == status);
    known.unwrap_or_else(|| {
        STATUSES.len()
            + match status {
                200..=299 => 0,
                300..=399 => 1,
                400..=499 => 2,
                500..=599 => 3,
                _ => 4,
            }
    })
}

fn token_classes(usage: &Usage) -> [u64; TOKEN_CLASSES.len()] {
    [
        usage.input,
        usage.cached_read,
        usage.cached_write,
        usage.cached_write_1h,
        usage.output,
        usage.reasoning,
        usage.audio_in,
        usage.audio_out,
        usage.image_in,
        usage.image_out,
    ]
}

#[cfg(test)]
mod tests;

//! Rate limits, budgets, and how much is reserved for a call.

use access::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Millis, Named};
use crate::plan::{MaxCost, Reservation};

/// A rate limit: so much in a time, or at the same time. What it refuses is
/// answered with 429 and passes by itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitEntry {
    /// Name in messages, records and metrics. Its counters go by it.
    pub name: String,
    /// What is counted. Default: `requests`.
    #[serde(default)]
    pub measure: MeasureName,
    /// How much: a whole number of requests, tokens or calls at once; dollars
    /// for `cost`, such as `12.50`.
    pub limit: String,
    /// In which time. Needed for everything but `concurrency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Millis>,
    /// How many requests may come together. Default: the limit itself. Only
    /// for `requests` that are spread evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub burst: Option<u64>,
    /// How the time is cut. Default: `even` for requests, `sliding` for the
    /// rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowName>,
    /// Each combination of values of these has a counter of its own. Default:
    /// one counter for all calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<DimensionName>,
    /// Only calls with one of these values (names, or globs) in each of these.
    #[serde(default, skip_serializing_if = "OnlyEntry::is_empty")]
    pub only: OnlyEntry,
    /// What it does about what it finds.
    #[serde(default)]
    pub mode: Mode,
    /// Calls wait in line instead of being refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueEntry>,
}

/// A budget: tokens or money that can be spent in a window. What it refuses is
/// answered with 402, which no client tries again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetEntry {
    /// Name in messages, records and metrics. Its counters go by it.
    pub name: String,
    /// What is counted. Default: `cost`.
    #[serde(default = "cost")]
    pub measure: MeasureName,
    /// How much: dollars for `cost`, such as `500.00`; a whole number of
    /// tokens or requests.
    pub limit: String,
    /// `day`, `week` (from Monday) or `month` of the calendar; `forever`; or a
    /// length such as `30d`, counted from `from`.
    pub window: String,
    /// Where midnight is taken, such as `Europe/Berlin`. Default: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// A moment at which a window of some length begins, such as
    /// `2026-01-15T00:00:00Z`. Default: 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Each combination of values of these has a budget of its own. Default:
    /// one budget for all calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<DimensionName>,
    /// Only calls with one of these values (names, or globs) in each of these.
    #[serde(default, skip_serializing_if = "OnlyEntry::is_empty")]
    pub only: OnlyEntry,
    /// What it does about what it finds.
    #[serde(default)]
    pub mode: Mode,
    /// What happens before it is used up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdEntry>,
    /// Another limit for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<ExceptionEntry>,
}

fn cost() -> MeasureName {
    MeasureName::Cost
}

/// A brake on what runs away: an agent in a loop, a key that leaked. What it
/// refuses is answered with 429.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrakeEntry {
    /// Name in messages, records and metrics. Its counters go by it.
    pub name: String,
    /// Each combination of values of these is looked at apart. Default: key.
    #[serde(default = "of_key")]
    pub by: Vec<DimensionName>,
    /// Only calls with one of these values (names, or globs) in each of these.
    #[serde(default, skip_serializing_if = "OnlyEntry::is_empty")]
    pub only: OnlyEntry,
    /// What it does about what it finds.
    #[serde(default)]
    pub mode: Mode,
    /// So many times the usual spending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity: Option<VelocityEntry>,
    /// So many nearly identical requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<RepeatsEntry>,
    /// So much reasoning in one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<ReasoningEntry>,
}

/// The most that a model may reason in one call. A larger budget that the
/// caller names is lowered; a stream that goes on reasoning ends with the
/// reason `length`; a whole answer passes, and is told in the record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasoningEntry {
    /// Reasoning tokens of one answer; at least the smallest budget that every
    /// provider takes.
    #[schemars(range(min = 1_024))]
    pub tokens: u64,
}

fn of_key() -> Vec<DimensionName> {
    vec![DimensionName::Key]
}

/// Spending that is many times what is usual.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VelocityEntry {
    /// How many times the usual.
    #[schemars(range(min = 1, max = 1000))]
    pub times: u32,
    /// The time that is looked at.
    pub over: Millis,
    /// The time that says what is usual; longer than `over`.
    pub baseline: Millis,
    /// Dollars that may always be spent in `over`.
    pub at_least: String,
}

/// Requests that are nearly identical: the last turn is the same but for case,
/// digits, spaces and punctuation.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatsEntry {
    /// How many.
    #[schemars(range(min = 1))]
    pub limit: u32,
    /// In which time.
    pub per: Millis,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasureName {
    /// Calls.
    #[default]
    Requests,
    /// Tokens of the input, cached ones too.
    InputTokens,
    /// Tokens of the output, reasoning too.
    OutputTokens,
    /// Tokens of input and output.
    Tokens,
    /// Money.
    Cost,
    /// Calls at the same time, for as long as their streams last.
    Concurrency,
}

/// How the time of a rate limit is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowName {
    /// Spread evenly, with a burst (GCRA). For requests.
    Even,
    /// The last so many seconds before each moment.
    Sliding,
    /// One window behind another.
    Fixed,
}

/// A dimension by which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DimensionName {
    /// Tenant of the caller.
    Tenant,
    /// App of the caller.
    App,
    /// Use case that the call names.
    UseCase,
    /// End user.
    User,
    /// Public id of the key.
    Key,
    /// Model as the caller names it.
    Model,
    /// `chat`, `embeddings` or `count_tokens`.
    Operation,
    /// What is asked: nearly identical requests share one value.
    Content,
    /// Provider. Counted for each attempt.
    Provider,
    /// Model as the provider knows it. Counted for each attempt.
    UpstreamModel,
    /// Account at the provider. Counted for each attempt.
    Account,
}

/// Which calls are meant: one of these names or globs in each dimension.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OnlyEntry {
    /// Tenants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tenant: Vec<String>,
    /// Apps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app: Vec<String>,
    /// Use cases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub use_case: Vec<String>,
    /// End users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<String>,
    /// Public ids of keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// Models as callers name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<String>,
    /// `chat`, `embeddings`, `count_tokens`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operation: Vec<String>,
    /// Providers. Then it is counted for each attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provider: Vec<String>,
    /// Models as providers know them. Then it is counted for each attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream_model: Vec<String>,
    /// Accounts at providers. Then it is counted for each attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub account: Vec<String>,
}

impl OnlyEntry {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.all().iter().all(|(_, values)| values.is_empty())
    }

    /// Each dimension with its values.
    pub fn all(&self) -> [(DimensionName, &[String]); 10] {
        [
            (DimensionName::Tenant, &self.tenant),
            (DimensionName::App, &self.app),
            (DimensionName::UseCase, &self.use_case),
            (DimensionName::User, &self.user),
            (DimensionName::Key, &self.key),
            (DimensionName::Model, &self.model),
            (DimensionName::Operation, &self.operation),
            (DimensionName::Provider, &self.provider),
            (DimensionName::UpstreamModel, &self.upstream_model),
            (DimensionName::Account, &self.account),
        ]
    }
}

/// A bounded line of calls that wait for room, fair among callers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueEntry {
    /// Longest wait.
    pub wait: Millis,
    /// Most calls that wait for one counter.
    #[schemars(range(min = 1, max = 10_000))]
    pub length: u32,
    /// Use cases (names or globs) that come before all others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<String>,
    /// Use cases that come behind all others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<String>,
}

impl Default for QueueEntry {
    fn default() -> Self {
        Self {
            wait: Millis(5_000),
            length: 100,
            first: Vec::new(),
            last: Vec::new(),
        }
    }
}

/// What happens when a share of a budget is used. Exactly one of the actions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThresholdEntry {
    /// The share, in percent of the limit, such as `80`.
    #[schemars(range(min = 0, max = 100))]
    pub at: u8,
    /// It is told once in each window: in the log, metrics and the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<bool>,
    /// Calls go to this model instead, and say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degrade: Option<String>,
    /// Answers are capped at so many tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub shorten: Option<u32>,
    /// Calls get this one of `answers`, and no model is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Calls are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse: Option<bool>,
}

/// Another limit for a while.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionEntry {
    /// The limit meanwhile.
    pub limit: String,
    /// From when, such as `2026-11-20T00:00:00Z`. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when. Needed: an override ends.
    pub until: String,
    /// Why, for those who look at it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How much is reserved for a call before it is made.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReservationEntry {
    /// Output tokens of a call that names no limit of its own. It is written
    /// into the request, so that the provider holds to it. Only for calls that
    /// a limit or budget of tokens or cost is about.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub output_tokens: u32,
    /// How input tokens are bounded: `estimate` (by classes of bytes), or
    /// `strict` (no token is shorter than a byte, so nothing is underrated).
    pub input: InputBound,
    /// What is done, in this order, about a call whose worst case exceeds its
    /// `max_cost`. What helps nothing ends in a refusal that names what is
    /// missing.
    pub max_cost: MaxCostOrder,
    /// A stream reserves so many output tokens at a time, instead of all that
    /// it may have, and more while it goes on. One that gets no more ends with
    /// the reason `length`. Default: all at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 64, max = 1_000_000))]
    pub stream_slice: Option<u32>,
    /// Whether the input of a call whose bound does not fit a limit or budget
    /// is counted by its words before it is refused. Never with `strict`.
    pub count_near_limits: bool,
    /// What goes on top of that count, in percent, once the gateway has
    /// learned how the model's provider counts. Before, it is 50.
    #[schemars(range(min = 5, max = 400))]
    pub margin_percent: u32,
}

impl Default for ReservationEntry {
    fn default() -> Self {
        let known = Reservation::default();
        Self {
            output_tokens: known.output_tokens,
            input: match known.strict {
                true => InputBound::Strict,
                false => InputBound::Estimate,
            },
            max_cost: MaxCostOrder::default(),
            stream_slice: known.stream_slice,
            count_near_limits: known.counts_near_limits,
            margin_percent: known.margin_percent,
        }
    }
}

impl From<ReservationEntry> for Reservation {
    fn from(entry: ReservationEntry) -> Self {
        Self {
            output_tokens: entry.output_tokens,
            strict: entry.input == InputBound::Strict,
            max_cost: match entry.max_cost {
                MaxCostOrder::CapThenCheaper => MaxCost::CapThenCheaper,
                MaxCostOrder::CheaperThenCap => MaxCost::CheaperThenCap,
                MaxCostOrder::Cap => MaxCost::Cap,
                MaxCostOrder::Cheaper => MaxCost::Cheaper,
                MaxCostOrder::Refuse => MaxCost::Refuse,
            },
            stream_slice: entry.stream_slice,
            counts_near_limits: entry.count_near_limits,
            margin_percent: entry.margin_percent,
        }
    }
}

/// What is done about a call that may cost more than its caller wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxCostOrder {
    /// Its output is capped; where that is not enough, a cheaper candidate
    /// is taken.
    #[default]
    CapThenCheaper,
    /// A candidate that is cheap enough is taken; where there is none, the
    /// output is capped.
    CheaperThenCap,
    /// Its output is capped.
    Cap,
    /// A cheaper candidate is taken.
    Cheaper,
    /// It is refused.
    Refuse,
}

/// How input tokens are bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputBound {
    /// By classes of bytes: above the truth for nearly every text.
    #[default]
    Estimate,
    /// One token for each byte: above the truth for every text. Fees that have
    /// no bound are refused.
    Strict,
}

/// Answers that the gateway gives itself, by name.
pub type Answers = Named<AnswerEntry>;

/// An answer that the gateway gives itself, where a budget says so. It is not
/// given where the caller demanded a schema or a certain tool.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerEntry {
    /// What it says.
    pub text: String,
}

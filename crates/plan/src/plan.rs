//! The compiled plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::KeyRing;
use access::identity::Trust;
use access::policy::Policy;
use contract::seams::Endpoint;
use contract::{DialectId, Operation};
use dialects::{Dialect, Unsupported};
use http::{HeaderMap, HeaderValue};
use meter::Quotas;
use providers::{Account, Kind};
use routing::ModelTable;

use crate::idempotency::Idempotency;
use crate::role::Role;
use crate::tokenizers::Tokenizers;

/// Everything that decides over an exchange.
#[derive(Debug)]
pub struct Plan {
    /// Digest of the document: the first 16 hex digits of its BLAKE3.
    pub digest: Arc<str>,
    /// The same, as a header value.
    pub digest_header: HeaderValue,
    /// Providers, in the order of the document.
    pub providers: Vec<Arc<ProviderPlan>>,
    /// Models.
    pub models: ModelTable,
    /// Keys.
    pub keys: KeyRing,
    /// Credentials of callers beside keys.
    pub identity: Trust,
    /// Credentials of the admin API.
    pub operators: Vec<Operator>,
    /// What callers may tell about their calls.
    pub metadata: access::metadata::Settings,
    /// Calls that may be repeated.
    pub idempotency: Idempotency,
    /// What callers may do.
    pub policy: Policy,
    /// Rate limits and budgets.
    pub quotas: Quotas,
    /// How much one call may reason.
    pub reasoning_brakes: Vec<meter::ReasoningBrake>,
    /// Prices, and what is done where none is known.
    pub prices: meter::Prices,
    /// Vocabularies of models.
    pub tokenizers: Tokenizers,
    /// How much is reserved for a call.
    pub reservation: Reservation,
    /// Answers that the gateway gives itself, by name.
    pub answers: BTreeMap<Arc<str>, Arc<str>>,
    /// Bounds and choices.
    pub settings: Settings,
}

impl Default for Plan {
    /// A plan that serves nothing to nobody.
    fn default() -> Self {
        Self {
            digest: Arc::default(),
            digest_header: HeaderValue::from_static(""),
            providers: Vec::new(),
            models: ModelTable::default(),
            keys: KeyRing::new([0; 32]),
            identity: Trust::default(),
            operators: Vec::new(),
            metadata: access::metadata::Settings::default(),
            idempotency: Idempotency::default(),
            policy: Policy::default(),
            quotas: Quotas::default(),
            reasoning_brakes: Vec::new(),
            prices: meter::Prices::default(),
            tokenizers: Tokenizers::default(),
            reservation: Reservation::default(),
            answers: BTreeMap::new(),
            settings: Settings::default(),
        }
    }
}

/// A credential of the admin API.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// Its public name.
    pub id: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// The one tenant that it sees; `None` for all.
    pub tenant: Option<Arc<str>>,
    /// BLAKE3 of the credential, which is not kept itself.
    pub digest: [u8; 32],
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operator({}, {})", self.id, self.role.name())
    }
}

/// One provider.
pub struct ProviderPlan {
    /// Its name in the document.
    pub name: Arc<str>,
    /// The same, as a header value.
    pub name_header: HeaderValue,
    /// What kind it is.
    pub kind: &'static Kind,
    /// The dialects it is spoken to in, best first.
    pub dialects: Vec<&'static dyn Dialect>,
    /// Where it is; `None` for a model inside the gateway.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Path of its base URL, without a trailing slash.
    pub base_path: String,
    /// Its credential.
    pub account: Account,
    /// Headers of every request to it.
    pub headers: HeaderMap,
    /// Its time limits.
    pub times: Times,
}

impl std::fmt::Debug for ProviderPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderPlan")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl ProviderPlan {
    /// The dialect to speak for a call that came in `front`: the same if the
    /// provider has it, else its best that knows the operation.
    pub fn dialect_for(
        &self,
        front: DialectId,
        operation: Operation,
    ) -> Option<&'static dyn Dialect> {
        let mut able = self
            .dialects
            .iter()
            .copied()
            .filter(|dialect| dialect.operations().contains(&operation));
        able.clone()
            .find(|dialect| dialect.id() == front)
            .or_else(|| able.next())
    }
}

/// Time limits of an upstream call, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From the request sent to the head of the answer.
    pub head_ms: u64,
    /// From the request sent to the first token of a stream.
    pub first_token_ms: u64,
    /// Between two pieces of a stream, while we wait for the upstream.
    pub idle_ms: u64,
    /// The whole call.
    pub total_ms: u64,
}

impl Default for Times {
    /// The longest thinking models answer within ten minutes, which is also
    /// the default timeout of the vendors' SDKs.
    fn default() -> Self {
        Self {
            head_ms: 600_000,
            first_token_ms: 600_000,
            idle_ms: 120_000,
            total_ms: 1_800_000,
        }
    }
}

/// Bounds and choices of the road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Largest request body, bytes.
    pub body_bytes_max: usize,
    /// The same for single operations, where it differs.
    pub body_bytes_by_operation: OperationBytes,
    /// Largest answer that is not a stream, bytes.
    pub answer_bytes_max: usize,
    /// What becomes of a translation that loses something.
    pub losses: LossPolicy,
    /// What becomes of parameters that a model refuses.
    pub unsupported: Unsupported,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes_max: 32 * 1024 * 1024,
            body_bytes_by_operation: OperationBytes::default(),
            answer_bytes_max: 8 * 1024 * 1024,
            losses: LossPolicy::Declare,
            unsupported: Unsupported::Drop,
        }
    }
}

impl Settings {
    /// Largest request body of an operation, bytes.
    pub fn body_bytes_of(&self, operation: Operation) -> usize {
        let own = match operation {
            Operation::Chat => self.body_bytes_by_operation.chat,
            Operation::CountTokens => self.body_bytes_by_operation.count_tokens,
            Operation::Embed => self.body_bytes_by_operation.embed,
            Operation::ListModels | Operation::GetModel => None,
        };
        own.unwrap_or(self.body_bytes_max)
    }
}

/// Bytes by operation; `None` where the general limit holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationBytes {
    /// Generating an answer.
    pub chat: Option<usize>,
    /// Counting tokens.
    pub count_tokens: Option<usize>,
    /// Turning texts into vectors.
    pub embed: Option<usize>,
}

/// How much is reserved for a call before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Output tokens of a call that names no cap.
    pub output_tokens: u32,
    /// Whether input tokens are bounded by bytes alone, and fees without a
    /// bound are refused.
    pub strict: bool,
    /// What is done about a call whose worst case exceeds its `max_cost`.
    pub max_cost: MaxCost,
    /// Output tokens of a stream that are reserved at a time; `None`: all.
    pub stream_slice: Option<u32>,
    /// Whether the input is counted where its bound by bytes does not fit.
    pub counts_near_limits: bool,
    /// What goes on top of a count by a learned factor.
    pub margin_percent: u32,
}

/// What is done, in this order, about a call whose worst case exceeds what its
/// caller wants to spend. What helps nothing ends in a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxCost {
    /// Its output is capped, else a cheaper candidate is taken.
    #[default]
    CapThenCheaper,
    /// A candidate that is cheap enough is taken, else the output is capped.
    CheaperThenCap,
    /// Its output is capped.
    Cap,
    /// A cheaper candidate is taken.
    Cheaper,
    /// It is refused.
    Refuse,
}

impl MaxCost {
    /// Whether the output may be capped, where a candidate `fits` as it is or
    /// none does.
    pub fn caps(self, fits: bool) -> bool {
        match self {
            Self::CapThenCheaper | Self::Cap => true,
            Self::CheaperThenCap => !fits,
            Self::Cheaper | Self::Refuse => false,
        }
    }

    /// Whether other candidates are asked where the first does not fit.
    pub fn goes_on(self) -> bool {
        match self {
            Self::CapThenCheaper | Self::CheaperThenCap | Self::Cheaper => true,
            Self::Cap | Self::Refuse => false,
        }
    }
}

impl Default for Reservation {
    fn default() -> Self {
        Self {
            output_tokens: 8_192,
            strict: false,
            max_cost: MaxCost::default(),
            stream_slice: None,
            counts_near_limits: true,
            margin_percent: 25,
        }
    }
}

/// What becomes of a translation that loses something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossPolicy {
    /// It is declared in `tollgate-loss` and in the evidence.
    #[default]
    Declare,
    /// The request is refused.
    Refuse,
}

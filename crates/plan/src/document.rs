//! The document: what people write in `tollgate.yaml`. Its doc comments are
//! the descriptions of the JSON schema and of the reference.
//!
//! Deliberately not here: what follows from it (`compile`).

mod admin;
mod counters;
mod database;
mod idempotency;
mod identity;
mod key;
mod key_limits;
mod limits;
mod listen;
mod metadata;
mod model;
mod policy;
mod prices;
mod provider;
mod quota;
mod record;
pub(crate) mod text;
mod tokenizers;

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use admin::{AdminEntry, CredentialEntry, Owner, PlansEntry};
pub use counters::{CountersBackend, CountersEntry, CountersUnavailable};
pub use database::{DatabaseEntry, DatabaseUnavailable};
pub use idempotency::{IdempotencyEntry, OnUnknown, Retain};
pub use identity::{
    AnonymousEntry, CertificateEntry, ClaimsEntry, FixedEntry, ForwardedIn, IdentityEntry,
    IssuerEntry, MatchEntry, OneOrMore, RequiredClaim,
};
pub use key::{Assertion, KeyEntry, KeySource, KeySources};
pub use key_limits::{KeyBudget, KeyLimits, KeyRateLimit};
pub use limits::{Drain, Limits, Losses, OnUnsupported, OperationBytes, Translation};
pub use listen::{ClientAuth, Listen, ListenerEntry, Listeners, ObserveEntry, TlsEntry};
pub use metadata::{ContractEntry, MetadataEntry, RolloutEntry};
pub use model::{CandidateEntry, CapabilityEntry, ModelEntry, Reasoning};
pub use policy::{AppEntry, LayerEntry, PolicyEntry, RuleEntry, TenantEntry};
pub use prices::{
    CeilingEntry, Day, Dollars, LevelEntry, Multiplier, OverrideEntry, PricesEntry, RatesEntry,
    TierWord, UnknownPrice,
};
pub use provider::{CredentialsFrom, HttpChoice, ProviderEntry, Providers, SigningEntry, Timeouts};
pub(crate) use provider::{SIGNING_FIELD, dialect_names};
pub use quota::{
    AnswerEntry, Answers, BrakeEntry, BudgetEntry, DimensionName, ExceptionEntry, InputBound,
    MeasureName, OnlyEntry, QueueEntry, RateLimitEntry, ReasoningEntry, RepeatsEntry,
    ReservationEntry, ThresholdEntry, VelocityEntry, WindowName,
};
pub use record::{Durability, EvidenceEntry, LogEntry, Requests};
pub use text::{Bytes, MASK, Millis, Named, SecretText};
pub use tokenizers::{SplitName, TokenizerEntry, TokenizerKind};

/// The configuration of a Tollgate gateway. Every field may be left out.
/// `${env:NAME}`, `${env:NAME:-default}` and `${file:path}` are replaced in
/// every value.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    /// Where the gateway listens: `data` for calls, `admin` for operators.
    pub listen: Listen,
    /// Folder for records and state. Default: the platform's data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<String>,
    /// Worker threads. Default: one for each core.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<u32>,
    /// Upstreams by a name of your choice, or `auto` to find them from the
    /// usual environment variables. Order matters: where two providers serve a
    /// model by pattern, the first is asked.
    pub providers: Providers,
    /// Models by the name that callers use. Besides these, callers may say
    /// `provider/model`, and any name that a provider serves by pattern.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub models: Named<ModelEntry>,
    /// Keys of callers. Without any, the gateway makes a development key that
    /// works only on this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyEntry>,
    /// Who may make keys of callers: `document` (the keys above), `api` (the
    /// admin API and `tollgate keys`). What is left out may not. Default: both.
    #[serde(skip_serializing_if = "KeySources::is_default")]
    pub keys_from: KeySources,
    /// Credentials beside keys: tokens of identity providers and client
    /// certificates; and proxies in front of the gateway.
    pub identity: IdentityEntry,
    /// What callers tell about their calls.
    pub metadata: MetadataEntry,
    /// Calls with the header `idempotency-key`: a repeat is not a second call.
    pub idempotency: IdempotencyEntry,
    /// What callers may do: rules in layers, which only narrow.
    pub policy: PolicyEntry,
    /// Rate limits: so much in a time, or at the same time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimitEntry>,
    /// Budgets: tokens or money that can be spent in a window.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetEntry>,
    /// Brakes on what runs away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brakes: Vec<BrakeEntry>,
    /// Where limits and budgets are counted: here, or together with other
    /// replicas.
    pub counters: CountersEntry,
    /// The PostgreSQL database that replicas share: the ledger of all of them.
    pub database: DatabaseEntry,
    /// How much is reserved for a call before it is made.
    pub reservation: ReservationEntry,
    /// Answers that the gateway gives itself where a budget says so, by name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub answers: Answers,
    /// What models cost.
    pub prices: PricesEntry,
    /// Vocabularies of models, by which tokens are counted where they are not
    /// told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokenizers: Vec<TokenizerEntry>,
    /// The admin API: who may operate the gateway.
    pub admin: AdminEntry,
    /// Versions of the plan, and who owns it.
    pub plans: PlansEntry,
    /// Bounds of requests and connections.
    pub limits: Limits,
    /// What becomes of requests that the target cannot carry whole.
    pub translation: Translation,
    /// The record of every exchange.
    pub evidence: EvidenceEntry,
    /// Lines on standard output.
    pub log: LogEntry,
    /// How the gateway ends.
    pub drain: Drain,
}

impl Document {
    /// Calls `see` with the path of every secret and the secret. A test holds
    /// this to the fields that the schema marks.
    pub(crate) fn secrets<'a>(&'a self, see: &mut dyn FnMut(String, &'a SecretText)) {
        use crate::path::join;
        for (name, provider) in self.providers.named().iter() {
            provider.secrets(&mut |field, secret| {
                see(format!("{}.{field}", join("providers", name)), secret);
            });
        }
        for (nth, key) in self.keys.iter().enumerate() {
            see(format!("keys[{nth}].secret"), &key.secret);
        }
        if let Some(url) = &self.counters.url {
            see("counters.url".to_owned(), url);
        }
        if let Some(url) = &self.database.url {
            see("database.url".to_owned(), url);
        }
        if let Some(secret) = &self.database.shared_secret {
            see("database.shared_secret".to_owned(), secret);
        }
        for (nth, credential) in self.admin.credentials.iter().enumerate() {
            see(
                format!("admin.credentials[{nth}].secret"),
                &credential.secret,
            );
        }
    }
}

/// The JSON schema of a document (draft 2020-12).
pub fn schema() -> &'static serde_json::Value {
    static SCHEMA: LazyLock<serde_json::Value> =
        LazyLock::new(|| schemars::schema_for!(Document).to_value());
    &SCHEMA
}

//! What a call is counted by: its dimensions, each with one value.

/// A dimension by which calls are counted and matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The tenant of the caller.
    Tenant,
    /// The app of the caller.
    App,
    /// The use case, as the caller told it.
    UseCase,
    /// The end user, as the caller or the token named them.
    User,
    /// The public id of the caller's key.
    Key,
    /// The model as the caller named it.
    Model,
    /// The operation: `chat`, `embeddings`, `count_tokens`.
    Operation,
    /// What is asked, as a fingerprint that nearly identical requests share.
    Content,
    /// The provider of an attempt.
    Provider,
    /// The model of an attempt, as the provider knows it.
    UpstreamModel,
    /// The upstream account or key of an attempt.
    Account,
}

impl Dimension {
    /// Every dimension, in the order in which scopes are written.
    pub const ALL: [Self; 11] = [
        Self::Tenant,
        Self::App,
        Self::UseCase,
        Self::User,
        Self::Key,
        Self::Model,
        Self::Operation,
        Self::Content,
        Self::Provider,
        Self::UpstreamModel,
        Self::Account,
    ];

    /// The name in documents, records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::App => "app",
            Self::UseCase => "use_case",
            Self::User => "user",
            Self::Key => "key",
            Self::Model => "model",
            Self::Operation => "operation",
            Self::Content => "content",
            Self::Provider => "provider",
            Self::UpstreamModel => "upstream_model",
            Self::Account => "account",
        }
    }

    /// Whether it is known only for an attempt. What is counted by such a
    /// dimension is taken for each attempt, and a refusal there leaves out the
    /// candidate instead of refusing the caller.
    pub fn is_of_attempt(self) -> bool {
        match self {
            Self::Provider | Self::UpstreamModel | Self::Account => true,
            Self::Tenant
            | Self::App
            | Self::UseCase
            | Self::User
            | Self::Key
            | Self::Model
            | Self::Operation
            | Self::Content => false,
        }
    }
}

/// A call, as far as it is counted. A dimension that the call does not have
/// counts as the empty value: calls without a user share one counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// [`Dimension::Tenant`].
    pub tenant: &'a str,
    /// [`Dimension::App`].
    pub app: &'a str,
    /// [`Dimension::UseCase`].
    pub use_case: &'a str,
    /// [`Dimension::User`].
    pub user: &'a str,
    /// [`Dimension::Key`].
    pub key: &'a str,
    /// [`Dimension::Model`].
    pub model: &'a str,
    /// [`Dimension::Operation`].
    pub operation: &'a str,
    /// [`Dimension::Content`].
    pub content: &'a str,
    /// The attempt; `None` for what is counted of the caller.
    pub attempt: Option<Attempted<'a>>,
}

/// The dimensions of an attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempted<'a> {
    /// [`Dimension::Provider`].
    pub provider: &'a str,
    /// [`Dimension::UpstreamModel`].
    pub model: &'a str,
    /// [`Dimension::Account`].
    pub account: &'a str,
}

impl<'a> Subject<'a> {
    /// The value of a dimension; empty where the call has none.
    pub fn value(&self, dimension: Dimension) -> &'a str {
        let attempt = self.attempt.unwrap_or_default();
        match dimension {
            Dimension::Tenant => self.tenant,
            Dimension::App => self.app,
            Dimension::UseCase => self.use_case,
            Dimension::User => self.user,
            Dimension::Key => self.key,
            Dimension::Model => self.model,
            Dimension::Operation => self.operation,
            Dimension::Content => self.content,
            Dimension::Provider => attempt.provider,
            Dimension::UpstreamModel => attempt.model,
            Dimension::Account => attempt.account,
        }
    }
}

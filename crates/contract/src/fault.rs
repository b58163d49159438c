//! The fault taxonomy: one list of kinds for every room, each with its HTTP
//! status, its code and whether a retry helps. Dialects render it, providers
//! classify into it, routing reads `retry`.

use std::borrow::Cow;

/// What went wrong. The status and code of each kind are fixed by the public
/// contract (see `docs/errors.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The request is malformed or breaks a documented rule. 400.
    BadRequest,
    /// The request is well-formed, but the target cannot do what it asks. 400.
    Unsupported,
    /// A guard or content policy stopped it. 400.
    Blocked,
    /// No valid credential. 401.
    Unauthenticated,
    /// A budget is spent. 402, which no SDK retries.
    OverBudget,
    /// Policy denies it. 403.
    Forbidden,
    /// No such model, or none that this caller may see. 404.
    UnknownModel,
    /// No such path. 404.
    UnknownPath,
    /// The path exists, but not with this method. 405.
    MethodNotAllowed,
    /// The body, head or window exceeds its limit. 413.
    TooLarge,
    /// The body has a content type or encoding that is not served. 415.
    UnsupportedMedia,
    /// An idempotency key was used with another body. 422.
    Conflict,
    /// One of our limits. 429.
    RateLimited,
    /// A provider limits how much it is asked: its own 429. 429.
    UpstreamBusy,
    /// A provider refused the caller's content. Status as given (4xx).
    UpstreamRefused,
    /// A provider is broken or overloaded, or its key is dead. 502, never a
    /// 401. Every vendor tells its overload by a status of its own above 500
    /// and keeps 429 for limits, so clients slow down for limits only.
    UpstreamBroken,
    /// The gateway is overloaded or has no candidate left. 503.
    Overloaded,
    /// A deadline passed. 504.
    Timeout,
    /// The client went away. 499 in the evidence; nobody reads it on the wire.
    Cancelled,
    /// A bug of ours. 500.
    Internal,
}

impl FaultKind {
    /// Every kind, for docs, metrics and exhaustive tests.
    pub const ALL: [FaultKind; 20] = [
        Self::BadRequest,
        Self::Unsupported,
        Self::Blocked,
        Self::Unauthenticated,
        Self::OverBudget,
        Self::Forbidden,
        Self::UnknownModel,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::Conflict,
        Self::RateLimited,
        Self::UpstreamBusy,
        Self::UpstreamRefused,
        Self::UpstreamBroken,
        Self::Overloaded,
        Self::Timeout,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The HTTP status of the contract. [`Fault::status`] may carry another
    /// for [`FaultKind::UpstreamRefused`].
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::Unsupported | Self::Blocked | Self::UpstreamRefused => 400,
            Self::Unauthenticated => 401,
            Self::OverBudget => 402,
            Self::Forbidden => 403,
            Self::UnknownModel | Self::UnknownPath => 404,
            Self::MethodNotAllowed => 405,
            Self::TooLarge => 413,
            Self::UnsupportedMedia => 415,
            Self::Conflict => 422,
            Self::RateLimited | Self::UpstreamBusy => 429,
            Self::UpstreamBroken => 502,
            Self::Overloaded => 503,
            Self::Timeout => 504,
            Self::Cancelled => 499,
            Self::Internal => 500,
        }
    }

    /// The machine-readable code of the contract.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest | Self::Unsupported | Self::UnsupportedMedia => {
                "invalid_request_error"
            }
            Self::Blocked => "content_policy_violation",
            Self::Unauthenticated => "invalid_api_key",
            Self::OverBudget => "insufficient_quota",
            Self::Forbidden => "permission_denied",
            Self::UnknownModel => "model_not_found",
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "request_too_large",
            Self::Conflict => "idempotency_conflict",
            Self::RateLimited | Self::UpstreamBusy => "rate_limit_exceeded",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamBroken => "upstream_error",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal_error",
        }
    }

    /// The name in metrics, logs and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unsupported => "unsupported",
            Self::Blocked => "blocked",
            Self::Unauthenticated => "unauthenticated",
            Self::OverBudget => "over_budget",
            Self::Forbidden => "forbidden",
            Self::UnknownModel => "unknown_model",
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::UpstreamBusy => "upstream_busy",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamBroken => "upstream_broken",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// What a retry does for this kind when nothing more is known.
    fn retry(self) -> Retry {
        match self {
            Self::BadRequest
            | Self::Unsupported
            | Self::Blocked
            | Self::Unauthenticated
            | Self::OverBudget
            | Self::Forbidden
            | Self::UnknownModel
            | Self::UnknownPath
            | Self::MethodNotAllowed
            | Self::TooLarge
            | Self::UnsupportedMedia
            | Self::Conflict
            | Self::UpstreamRefused
            | Self::Cancelled => Retry::Never,
            Self::RateLimited | Self::Overloaded => Retry::After { ms: 1_000 },
            Self::UpstreamBusy | Self::UpstreamBroken | Self::Timeout | Self::Internal => {
                Retry::Other
            }
        }
    }
}

/// Whose fault it is. Breakers count only [`Origin::Provider`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The caller sent something wrong or went away.
    Client,
    /// Policy, limits or the gateway itself.
    Gateway,
    /// The upstream vendor or the way to it.
    Provider,
}

impl Origin {
    /// The name in metrics, logs and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Provider => "provider",
        }
    }
}

/// Whether a retry helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request fails again: `x-should-retry: false`.
    Never,
    /// The same request may succeed after this many milliseconds.
    After {
        /// Milliseconds to wait.
        ms: u64,
    },
    /// Another candidate, or another moment, may succeed.
    Other,
}

/// One fault. `public` is shown to the caller and never holds internals;
/// `private` goes to the evidence and never to a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {public}", kind.name())]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// Whose fault it is.
    pub origin: Origin,
    /// Whether a retry helps.
    pub retry: Retry,
    /// What happened, where, and what to do next; for the caller.
    pub public: Cow<'static, str>,
    /// Details for operators only.
    pub private: String,
    /// The path of the offending field, such as `messages[2].content`.
    pub field: Option<String>,
    /// The provider's status and body, when it refused the caller's content
    /// in a way that should reach the caller as given.
    pub upstream: Option<Box<UpstreamError>>,
    /// The HTTP status, where it is finer than the one of the kind.
    pub finer_status: Option<u16>,
}

/// A provider's own error answer, normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamError {
    /// HTTP status as the provider gave it.
    pub status: u16,
    /// The provider's machine-readable type or code, if any.
    pub code: Option<String>,
    /// The provider's message, bounded in length.
    pub message: String,
    /// The offending parameter, if the provider named it.
    pub param: Option<String>,
}

impl Fault {
    /// A fault of this kind with its usual retry advice.
    pub fn new(kind: FaultKind, origin: Origin, public: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            origin,
            retry: kind.retry(),
            public: public.into(),
            private: String::new(),
            field: None,
            upstream: None,
            finer_status: None,
        }
    }

    /// The caller sent something malformed.
    pub fn bad_request(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::BadRequest, Origin::Client, public)
    }

    /// The caller asks for something that the target cannot do.
    pub fn unsupported(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Unsupported, Origin::Client, public)
    }

    /// The provider misbehaved: rubbish, a reset, a missing end marker.
    pub fn upstream_broken(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::UpstreamBroken, Origin::Provider, public)
    }

    /// Names the offending field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds details for operators.
    #[must_use]
    pub fn because(mut self, private: impl Into<String>) -> Self {
        self.private = private.into();
        self
    }

    /// Sets the retry advice.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets an HTTP status that is finer than the one of the kind.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.finer_status = Some(status);
        self
    }

    /// The HTTP status: the kind's own, except where a finer one is set or a
    /// provider's refusal is passed on as given.
    pub fn status(&self) -> u16 {
        if let Some(status) = self.finer_status {
            return status;
        }
        match (&self.upstream, self.kind) {
            (Some(error), FaultKind::UpstreamRefused) if (400..500).contains(&error.status) => {
                error.status
            }
            (_, kind) => kind.status(),
        }
    }
}

/// Something that a translation could not carry. Declared in `tollgate-loss`
/// and in the evidence, or refused, by configuration; never silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field or feature, in the words of the dialect it came from,
    /// such as `seed` or `messages[3].citations`.
    pub what: Cow<'static, str>,
    /// Why it could not be carried.
    pub why: Cow<'static, str>,
}

impl Loss {
    /// A loss.
    pub fn new(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
        }
    }
}

//! What a caller tells about a call: user, use case, data class and the like.
//! Values are checked when they are read, so whoever holds a [`Metadata`]
//! holds allowed values.

/// The fields. Header names are `tollgate-` and the name with hyphens; in the
/// body object `tollgate` the name stands as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// End user, as the caller names them.
    User,
    /// Where the call comes from, such as `web`.
    Channel,
    /// What it is for.
    UseCase,
    /// How sensitive its content is.
    DataClass,
    /// Conversation or run it belongs to.
    Session,
    /// Family of models that is wanted.
    Family,
    /// Quality that is wanted.
    Quality,
    /// Region that is wanted.
    Region,
    /// Redaction profile; can only be stricter than policy.
    Redaction,
    /// Retention; can only be stricter than policy.
    Retention,
    /// What becomes of personal data; can only be stricter than policy.
    PiiMode,
    /// Most output tokens.
    MaxTokens,
    /// Most the call may cost, in nano-dollars.
    MaxCost,
    /// Longest time it may take, milliseconds.
    MaxLatencyMs,
    /// Version of the contract.
    Contract,
    /// Tags for reports.
    Tags,
}

impl Field {
    /// All, in the order of the reference.
    pub const ALL: [Field; 16] = [
        Self::User,
        Self::Channel,
        Self::UseCase,
        Self::DataClass,
        Self::Session,
        Self::Family,
        Self::Quality,
        Self::Region,
        Self::Redaction,
        Self::Retention,
        Self::PiiMode,
        Self::MaxTokens,
        Self::MaxCost,
        Self::MaxLatencyMs,
        Self::Contract,
        Self::Tags,
    ];

    /// The name in documents, bodies and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Channel => "channel",
            Self::UseCase => "use_case",
            Self::DataClass => "data_class",
            Self::Session => "session",
            Self::Family => "family",
            Self::Quality => "quality",
            Self::Region => "region",
            Self::Redaction => "redaction",
            Self::Retention => "retention",
            Self::PiiMode => "pii_mode",
            Self::MaxTokens => "max_tokens",
            Self::MaxCost => "max_cost",
            Self::MaxLatencyMs => "max_latency_ms",
            Self::Contract => "contract",
            Self::Tags => "tags",
        }
    }

    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// What a call told, each field at most once, in the order of [`Field`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    fields: Vec<(Field, Box<str>)>,
}

impl Metadata {
    /// The value of a field, in its normal form.
    pub fn get(&self, field: Field) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| *known == field)?;
        Some(value)
    }

    /// Sets a field to a value that was checked.
    pub fn set(&mut self, field: Field, value: impl Into<Box<str>>) {
        let value = value.into();
        match self
            .fields
            .binary_search_by_key(&field, |(known, _)| *known)
        {
            Ok(at) => self.fields[at].1 = value,
            Err(at) => self.fields.insert(at, (field, value)),
        }
    }

    /// All fields that were told.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &str)> {
        self.fields.iter().map(|(field, value)| (*field, &**value))
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

//! What a caller tells about a call: user, use case, data class and the like.
//! Values are checked when they are read, so whoever holds a [`Metadata`]
//! holds allowed values in their normal form.
//!
//! Deliberately not here: where they are told (`told`).

mod value;
mod version;

use std::sync::Arc;

pub(crate) use value::plain;
pub use value::{
    DATA_CLASSES, PII_MODES, QUALITIES, RETENTIONS, Shape, TAGS_MAX, TEXT_BYTES_MAX, normal,
};
pub use version::{CURRENT, VERSIONS, Version};

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

    /// Another name in the body object, for callers who know it from
    /// elsewhere.
    pub fn alias(self) -> Option<&'static str> {
        match self {
            Self::User => Some("user_id"),
            Self::DataClass => Some("data_classification"),
            Self::Family => Some("model_family"),
            Self::Quality => Some("quality_tier"),
            Self::Region => Some("region_preference"),
            Self::Redaction => Some("redaction_profile"),
            Self::Retention => Some("retention_policy"),
            Self::Channel
            | Self::UseCase
            | Self::Session
            | Self::PiiMode
            | Self::MaxTokens
            | Self::MaxCost
            | Self::MaxLatencyMs
            | Self::Contract
            | Self::Tags => None,
        }
    }

    /// What it says, for the docs.
    pub fn doc(self) -> &'static str {
        match self {
            Self::User => "The end user behind the call.",
            Self::Channel => "Where the call comes from, such as `web`.",
            Self::UseCase => "What the call is for; policy and metrics go by it.",
            Self::DataClass => "How sensitive the content is.",
            Self::Session => "The conversation or run that the call belongs to.",
            Self::Family => "The family of models that is wanted.",
            Self::Quality => "The quality that is wanted.",
            Self::Region => "The region that is wanted.",
            Self::Redaction => "The redaction profile.",
            Self::Retention => "What may be kept of the content.",
            Self::PiiMode => "What becomes of personal data.",
            Self::MaxTokens => "Most output tokens: caps the answer.",
            Self::MaxCost => "Most the call may cost.",
            Self::MaxLatencyMs => "Longest time the call may take.",
            Self::Contract => "The version of the contract that the call speaks.",
            Self::Tags => "Tags for reports.",
        }
    }

    /// What happens where two places tell the field differently.
    pub fn merge(self) -> Merge {
        match self {
            Self::MaxTokens | Self::MaxCost | Self::MaxLatencyMs => Merge::Smallest,
            Self::Retention | Self::PiiMode => Merge::Strictest,
            Self::User
            | Self::Channel
            | Self::UseCase
            | Self::DataClass
            | Self::Session
            | Self::Family
            | Self::Quality
            | Self::Region
            | Self::Redaction
            | Self::Contract
            | Self::Tags => Merge::Equal,
        }
    }

    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// What happens where two places tell a field differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// They must be equal.
    Equal,
    /// The smaller number counts.
    Smallest,
    /// The stricter word counts.
    Strictest,
}

/// What the operator says about metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Data classes that may be told, least sensitive first.
    pub data_classes: Vec<Box<str>>,
    /// The version for callers who name none.
    pub contract: &'static Version,
    /// Another version for a share of them.
    pub rollout: Option<Rollout>,
}

/// A version for a share of the callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The version.
    pub version: &'static Version,
    /// Share of the apps, 0 to 100.
    pub percent: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_classes: DATA_CLASSES.map(Into::into).into(),
            contract: &CURRENT,
            rollout: None,
        }
    }
}

impl Settings {
    /// The version for an app that names none. The same app gets the same
    /// version while the document stays, and a larger share only adds apps.
    pub fn version_for(&self, tenant: &str, app: &str) -> &'static Version {
        match self.rollout {
            Some(rollout) if drawn(tenant, app, rollout) => rollout.version,
            Some(_) | None => self.contract,
        }
    }
}

fn drawn(tenant: &str, app: &str, rollout: Rollout) -> bool {
    let mut hash = blake3::Hasher::new();
    for text in [tenant, app, rollout.version.date] {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let mut head = [0; 8];
    head.copy_from_slice(&hash.finalize().as_bytes()[..8]);
    u64::from_le_bytes(head) % 100 < u64::from(rollout.percent)
}

/// What a call told, each field at most once, in the order of [`Field`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    fields: Vec<(Field, Arc<str>)>,
}

impl Metadata {
    /// The value of a field, in its normal form.
    pub fn get(&self, field: Field) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| *known == field)?;
        Some(value)
    }

    /// The same, shared.
    pub fn shared(&self, field: Field) -> Option<Arc<str>> {
        let (_, value) = self.fields.iter().find(|(known, _)| *known == field)?;
        Some(value.clone())
    }

    /// The value of a field that holds a number.
    pub fn number(&self, field: Field) -> Option<u64> {
        self.get(field)?.parse().ok()
    }

    /// Sets a field to a value that was checked.
    pub fn set(&mut self, field: Field, value: impl Into<Arc<str>>) {
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

#[cfg(test)]
mod tests;

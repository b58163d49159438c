//! Limits and budgets of one key, which come and go with it.

use access::Mode;
use serde::{Deserialize, Deserializer, Serialize};

use super::OnlyEntry;
use super::quota::{BudgetEntry, DimensionName, MeasureName, RateLimitEntry, WindowName};
use super::text::Millis;

/// Limits and budgets of one key, as its maker writes them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLimits {
    /// So much in a time, or at the same time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<KeyRateLimit>,
    /// So much to spend in a window.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<KeyBudget>,
}

/// A rate limit of a key. Its fields are those of [`RateLimitEntry`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRateLimit {
    /// What is counted.
    #[serde(default)]
    pub measure: MeasureName,
    /// How much.
    #[serde(deserialize_with = "amount")]
    pub limit: String,
    /// In which time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Millis>,
    /// How many requests may come together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// How the time is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowName>,
    /// What it does about what it finds.
    #[serde(default)]
    pub mode: Mode,
}

/// A budget of a key. Its fields are those of [`BudgetEntry`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBudget {
    /// What is counted.
    #[serde(default = "cost")]
    pub measure: MeasureName,
    /// How much.
    #[serde(deserialize_with = "amount")]
    pub limit: String,
    /// Its window.
    pub window: String,
    /// Where midnight is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// A moment at which a window of some length begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it does about what it finds.
    #[serde(default)]
    pub mode: Mode,
}

fn cost() -> MeasureName {
    MeasureName::Cost
}

/// A number, or a text that holds one.
fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(serde_json::Number),
        Text(String),
    }
    Ok(match Written::deserialize(from)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    })
}

impl KeyLimits {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rate_limits.is_empty() && self.budgets.is_empty()
    }
}

/// Who is counted: the key, below its tenant, whose operators see it.
fn by() -> Vec<DimensionName> {
    vec![DimensionName::Tenant, DimensionName::Key]
}

impl KeyRateLimit {
    /// As an entry of the document of this name.
    pub(crate) fn entry(&self, name: String) -> RateLimitEntry {
        RateLimitEntry {
            name,
            measure: self.measure,
            limit: self.limit.clone(),
            per: self.per,
            burst: self.burst,
            window: self.window,
            by: by(),
            only: OnlyEntry::default(),
            mode: self.mode,
            queue: None,
        }
    }
}

impl KeyBudget {
    /// As an entry of the document of this name.
    pub(crate) fn entry(&self, name: String) -> BudgetEntry {
        BudgetEntry {
            name,
            measure: self.measure,
            limit: self.limit.clone(),
            window: self.window.clone(),
            time_zone: self.time_zone.clone(),
            from: self.from.clone(),
            by: by(),
            only: OnlyEntry::default(),
            mode: self.mode,
            thresholds: Vec::new(),
            overrides: Vec::new(),
        }
    }
}

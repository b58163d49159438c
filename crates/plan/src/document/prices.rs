//! Prices: a refreshed file, overrides, and what is done where none is known.

use meter::Money;
use meter::prices::{Class, Factor, Tier, day};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Wrong, parsed_text};

/// What models cost. Built-in prices come with the program; the later wins:
/// built-in, `file`, `overrides`, and overrides with a `tenant`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PricesEntry {
    /// A file of newer prices, in the form of the built-in ones. Models that it
    /// does not name keep their built-in price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What becomes of a call whose price nobody knows, where money is limited.
    pub unknown: UnknownPrice,
    /// The price of such a call, with `unknown: ceiling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<CeilingEntry>,
    /// Prices of your own, and discounts. Of those that match a call the one
    /// with the latest `from` holds, and of these the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideEntry>,
}

/// What becomes of a call whose price nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPrice {
    /// It is refused.
    #[default]
    Refuse,
    /// It is counted at the price of `ceiling`.
    Ceiling,
}

/// The price of calls whose price nobody knows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CeilingEntry {
    /// Dollars for a million input tokens.
    pub input: Dollars,
    /// Dollars for a million output tokens.
    pub output: Dollars,
}

/// A price of your own: one of `rates`, `multiplier` and `free`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OverrideEntry {
    /// Pattern of providers, by their names above. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Pattern of models, by their names at the provider. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider's region, or its first part: `eu` is also `eu-west-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The tenant whose contract says so. Default: it holds for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The first day on which it holds, in UTC. Default: it always did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Nothing is to pay, as on a server of your own.
    pub free: bool,
    /// The price of the layers below, times this: `0.85` is a discount of 15 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<Multiplier>,
    /// The price, whatever the layers below say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<RatesEntry>,
    /// Other rates for long inputs and tiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelEntry>,
}

/// Dollars by class of token, for a million. A class that is left out is
/// billed as the one that stands in for it: input or output.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RatesEntry {
    /// Plain input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Dollars>,
    /// Input that was read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_read: Option<Dollars>,
    /// Input that was written to it for five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_write: Option<Dollars>,
    /// Input that was written to it for an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_write_1h: Option<Dollars>,
    /// Audio of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_in: Option<Dollars>,
    /// Images of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_in: Option<Dollars>,
    /// Plain output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Dollars>,
    /// Reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Dollars>,
    /// Audio of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_out: Option<Dollars>,
    /// Images of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_out: Option<Dollars>,
    /// A thousand requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Dollars>,
    /// A thousand searches of the provider's own tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Dollars>,
    /// A second of audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Dollars>,
}

impl RatesEntry {
    /// The price of a class, as it is written.
    pub(crate) fn get(&self, class: Class) -> Option<Money> {
        let dollars = match class {
            Class::Input => self.input,
            Class::CachedRead => self.cached_read,
            Class::CachedWrite => self.cached_write,
            Class::CachedWrite1h => self.cached_write_1h,
            Class::AudioIn => self.audio_in,
            Class::ImageIn => self.image_in,
            Class::Output => self.output,
            Class::Reasoning => self.reasoning,
            Class::AudioOut => self.audio_out,
            Class::ImageOut => self.image_out,
            Class::Request => self.request,
            Class::Search => self.search,
            Class::Second => self.second,
        };
        dollars.map(|dollars| dollars.0)
    }
}

/// Rates for the whole of a call that was served at a tier, or whose input is
/// long.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelEntry {
    /// The tier that served the call.
    #[serde(default)]
    pub tier: TierWord,
    /// The input has more tokens than this, those of the cache included.
    #[serde(default)]
    pub above: u64,
    /// What the rates are there.
    pub rates: RatesEntry,
}

/// The tier at which a provider served a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierWord {
    /// What a call gets that asks for nothing.
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Before others.
    Priority,
    /// Generated faster.
    Fast,
    /// Part of a batch.
    Batch,
}

impl From<TierWord> for Tier {
    fn from(word: TierWord) -> Self {
        match word {
            TierWord::Standard => Self::Standard,
            TierWord::Flex => Self::Flex,
            TierWord::Priority => Self::Priority,
            TierWord::Fast => Self::Fast,
            TierWord::Batch => Self::Batch,
        }
    }
}

/// An amount of dollars; written `1.25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dollars(pub Money);

impl Dollars {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let instead = "write a number such as `1.25`, with at most 9 decimal places";
        match Money::parse(text) {
            Ok(money) if money >= Money::ZERO => Ok(Self(money)),
            Ok(_) => Err((
                format!("the price `{text}` is negative"),
                "write 0 or more, or a discount as `multiplier: 0.85`".to_owned(),
            )),
            Err(_) => Err((
                format!("`{text}` is no amount of dollars"),
                instead.to_owned(),
            )),
        }
    }
}

impl std::fmt::Display for Dollars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A factor; written `0.85`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier(pub Factor);

impl Multiplier {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        Factor::parse(text).map(Self).map_err(|_| {
            (
                format!("`{text}` is no multiplier"),
                "write a number from 0.000001 to 1000: `0.85` is a discount of 15 %; where \
                 nothing is to pay, write `free: true`"
                    .to_owned(),
            )
        })
    }
}

impl std::fmt::Display for Multiplier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A day; written `2026-11-21`. In seconds since 1970, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(pub u64);

impl Day {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        day(text).map(Self).ok_or_else(|| {
            (
                format!("`{text}` is no day"),
                "write year, month and day: `2026-11-21`".to_owned(),
            )
        })
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&meter::prices::date(self.0))
    }
}

parsed_text!(Dollars, "dollars-text", "Dollars", "number", ["1.25", "15"]);
parsed_text!(Multiplier, "factor-text", "Factor", "number", ["0.85"]);
parsed_text!(Day, "day-text", "Day", "string", ["2026-11-21"]);

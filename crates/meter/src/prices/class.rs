//! What is counted, and at which tier it was served.

use contract::Usage;

/// What is counted. Token classes are disjoint, as in [`Usage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Plain input tokens.
    Input,
    /// Input tokens read from the provider's prompt cache.
    CachedRead,
    /// Input tokens written to it for five minutes.
    CachedWrite,
    /// Input tokens written to it for an hour.
    CachedWrite1h,
    /// Audio tokens of the input.
    AudioIn,
    /// Image tokens of the input.
    ImageIn,
    /// Plain output tokens.
    Output,
    /// Reasoning tokens.
    Reasoning,
    /// Audio tokens of the output.
    AudioOut,
    /// Image tokens of the output.
    ImageOut,
    /// Requests.
    Request,
    /// Searches that the provider's own tool did.
    Search,
    /// Seconds of audio.
    Second,
}

/// In what quantity a price is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Million,
    Thousand,
    One,
}

impl Unit {
    /// How many of these are a million.
    pub(super) fn in_a_million(self) -> i64 {
        match self {
            Self::Million => 1,
            Self::Thousand => 1_000,
            Self::One => 1_000_000,
        }
    }
}

impl Class {
    /// All classes, in the order in which they are shown.
    pub const ALL: [Self; 13] = [
        Self::Input,
        Self::CachedRead,
        Self::CachedWrite,
        Self::CachedWrite1h,
        Self::AudioIn,
        Self::ImageIn,
        Self::Output,
        Self::Reasoning,
        Self::AudioOut,
        Self::ImageOut,
        Self::Request,
        Self::Search,
        Self::Second,
    ];

    /// The name in configurations, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedRead => "cached_read",
            Self::CachedWrite => "cached_write",
            Self::CachedWrite1h => "cached_write_1h",
            Self::AudioIn => "audio_in",
            Self::ImageIn => "image_in",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOut => "audio_out",
            Self::ImageOut => "image_out",
            Self::Request => "request",
            Self::Search => "search",
            Self::Second => "second",
        }
    }

    /// The word in a file of prices.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Input => "in",
            Self::CachedRead => "read",
            Self::CachedWrite => "write",
            Self::CachedWrite1h => "write1h",
            Self::AudioIn => "audio-in",
            Self::ImageIn => "image-in",
            Self::Output => "out",
            Self::Reasoning => "reasoning",
            Self::AudioOut => "audio-out",
            Self::ImageOut => "image-out",
            Self::Request => "request",
            Self::Search => "search",
            Self::Second => "second",
        }
    }

    /// In what quantity its price is written.
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Request | Self::Search => Unit::Thousand,
            Self::Second => Unit::One,
            Self::Input
            | Self::CachedRead
            | Self::CachedWrite
            | Self::CachedWrite1h
            | Self::AudioIn
            | Self::ImageIn
            | Self::Output
            | Self::Reasoning
            | Self::AudioOut
            | Self::ImageOut => Unit::Million,
        }
    }

    /// What the price is for: `per million tokens`, and the like.
    pub fn per(self) -> &'static str {
        match self.unit() {
            Unit::Million => "per million tokens",
            Unit::Thousand => "per thousand",
            Unit::One => "each",
        }
    }

    pub(super) fn at(self) -> usize {
        self as usize
    }

    /// Tokens of this class; 0 for what is no token.
    pub fn tokens(self, usage: &Usage) -> u64 {
        match self {
            Self::Input => usage.input,
            Self::CachedRead => usage.cached_read,
            Self::CachedWrite => usage.cached_write,
            Self::CachedWrite1h => usage.cached_write_1h,
            Self::AudioIn => usage.audio_in,
            Self::ImageIn => usage.image_in,
            Self::Output => usage.output,
            Self::Reasoning => usage.reasoning,
            Self::AudioOut => usage.audio_out,
            Self::ImageOut => usage.image_out,
            Self::Request | Self::Search | Self::Second => 0,
        }
    }
}

/// The tier at which a provider served a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// What a call gets that asks for nothing.
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Before others.
    Priority,
    /// Generated faster.
    Fast,
    /// Within hours, as part of a batch.
    Batch,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 5] = [
        Self::Standard,
        Self::Flex,
        Self::Priority,
        Self::Fast,
        Self::Batch,
    ];

    /// The word in files, configurations and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
            Self::Batch => "batch",
        }
    }

    /// The tier that a provider's word for it means; `None` for one that is
    /// not known, and for `auto`, which leaves it open.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "standard" | "default" | "on_demand" => Some(Self::Standard),
            "flex" => Some(Self::Flex),
            "priority" => Some(Self::Priority),
            "fast" => Some(Self::Fast),
            "batch" => Some(Self::Batch),
            _ => None,
        }
    }

    /// Whether it may cost more than the standard one, so that a call at it
    /// cannot be priced for certain where no price is listed.
    pub(super) fn is_dearer(self) -> bool {
        match self {
            Self::Priority | Self::Fast => true,
            Self::Standard | Self::Flex | Self::Batch => false,
        }
    }
}

/// Some tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiers(u8);

impl Tiers {
    /// Every tier.
    pub const ALL: Self = Self(0b1_1111);

    /// These tiers.
    pub fn of(tiers: &[Tier]) -> Self {
        Self(tiers.iter().fold(0, |all, tier| all | 1 << *tier as u8))
    }

    /// Whether this tier is among them.
    pub fn has(self, tier: Tier) -> bool {
        self.0 & 1 << tier as u8 != 0
    }

    /// The tiers, one by one.
    pub fn iter(self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().filter(move |tier| self.has(*tier))
    }
}

//! Usage in disjoint classes: no token is counted in two of them, so prices
//! can be applied class by class and sums are honest. Beside the tokens: what
//! is billed by request or by second, what the provider itself says it cost,
//! and in which tier it served.
//!
//! Deliberately not here: prices, and the names that vendors give to these
//! figures.

/// The most that one figure of a report may be. More is no count of one
/// answer but a mistake, and is treated as not told.
pub const FIGURE_MAX: u64 = 1_000_000_000;

/// Usage of one exchange by disjoint class.
///
/// Dialects that report inclusive figures (a prompt count that contains cached
/// tokens, a completion count that contains reasoning) are split on reading
/// and summed again on writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens billed at the plain rate: neither cached nor audio nor image.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cached_read: u64,
    /// Input tokens written to the provider's prompt cache, short ttl (5 min).
    pub cached_write: u64,
    /// Input tokens written to the provider's prompt cache, one hour ttl.
    pub cached_write_1h: u64,
    /// Output tokens billed at the plain rate: neither reasoning nor audio nor
    /// image.
    pub output: u64,
    /// Reasoning (thinking) tokens of the output.
    pub reasoning: u64,
    /// Audio tokens of the input.
    pub audio_in: u64,
    /// Audio tokens of the output.
    pub audio_out: u64,
    /// Image tokens of the input, where the provider counts them apart.
    pub image_in: u64,
    /// Image tokens of the output, where the provider counts them apart.
    pub image_out: u64,
    /// Searches of the web that the provider ran, billed by request.
    pub web_searches: u64,
    /// Seconds of audio of the input, where the provider bills by them.
    pub audio_seconds: u64,
    /// What the provider says it charged, in nano-dollars.
    pub told_cost_nanos: Option<u64>,
    /// The tier it was served in, where told.
    pub tier: Option<ServiceTier>,
    /// A figure of the report was none (negative, fractional, a text, absurd)
    /// and was left out.
    pub flawed: bool,
    /// Where the figures come from.
    pub source: UsageSource,
}

/// Where usage figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// Nobody said.
    #[default]
    Missing,
    /// The provider reported the input; nobody said the output yet.
    ProviderInput,
    /// The provider reported the output; nobody said the input.
    ProviderOutput,
    /// The provider reported both.
    Provider,
    /// Counted or bounded locally, at least on one side.
    Estimated,
}

impl UsageSource {
    /// The name in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::ProviderInput => "provider_input",
            Self::ProviderOutput => "provider_output",
            Self::Provider => "provider",
            Self::Estimated => "estimated",
        }
    }

    /// A report that tells these sides.
    pub fn of(input: bool, output: bool) -> Self {
        match (input, output) {
            (true, true) => Self::Provider,
            (true, false) => Self::ProviderInput,
            (false, true) => Self::ProviderOutput,
            (false, false) => Self::Missing,
        }
    }

    /// Whether somebody said the input.
    pub fn has_input(self) -> bool {
        match self {
            Self::ProviderInput | Self::Provider | Self::Estimated => true,
            Self::Missing | Self::ProviderOutput => false,
        }
    }

    /// Whether somebody said the output.
    pub fn has_output(self) -> bool {
        match self {
            Self::ProviderOutput | Self::Provider | Self::Estimated => true,
            Self::Missing | Self::ProviderInput => false,
        }
    }

    fn and(self, later: Self) -> Self {
        if self == Self::Estimated || later == Self::Estimated {
            return Self::Estimated;
        }
        Self::of(
            self.has_input() || later.has_input(),
            self.has_output() || later.has_output(),
        )
    }
}

impl Usage {
    /// Whether somebody said at least one side.
    pub fn is_told(&self) -> bool {
        self.source != UsageSource::Missing
    }

    /// All input tokens, as dialects with inclusive figures report them.
    pub fn input_total(&self) -> u64 {
        self.input
            .saturating_add(self.cached_read)
            .saturating_add(self.cached_write)
            .saturating_add(self.cached_write_1h)
            .saturating_add(self.audio_in)
            .saturating_add(self.image_in)
    }

    /// All output tokens, as dialects with inclusive figures report them.
    pub fn output_total(&self) -> u64 {
        self.output
            .saturating_add(self.reasoning)
            .saturating_add(self.audio_out)
            .saturating_add(self.image_out)
    }

    /// Takes over figures of a later report of the same exchange. Reports are
    /// cumulative and may tell one side only. Of a side that both tell, the
    /// larger one stands, and of equal ones the later, which may split it
    /// finer: mixing the classes of two reports would count tokens twice.
    pub fn merge(&mut self, later: &Usage) {
        if later.input_total() >= self.input_total() {
            self.take_input(later);
        }
        if later.output_total() >= self.output_total() {
            self.take_output(later);
        }
        self.web_searches = self.web_searches.max(later.web_searches);
        self.audio_seconds = self.audio_seconds.max(later.audio_seconds);
        self.told_cost_nanos = self.told_cost_nanos.max(later.told_cost_nanos);
        self.tier = later.tier.or(self.tier);
        self.flawed |= later.flawed;
        self.source = self.source.and(later.source);
    }

    /// Puts an estimate in for the sides that nobody told. Classes that were
    /// told although their side was not count as a part of it.
    pub fn fill(&mut self, estimate: &Usage) {
        let lacks_input = !self.source.has_input();
        let lacks_output = !self.source.has_output();
        if lacks_input {
            let rest = estimate.input_total().saturating_sub(self.input_total());
            self.input = self.input.saturating_add(rest);
        }
        if lacks_output {
            let known = self.output_total().saturating_sub(self.reasoning);
            self.reasoning = self.reasoning.max(estimate.reasoning);
            let rest = estimate.output_total().saturating_sub(estimate.reasoning);
            self.output = self.output.saturating_add(rest.saturating_sub(known));
        }
        if lacks_input || lacks_output {
            self.source = UsageSource::Estimated;
        }
    }

    fn take_input(&mut self, from: &Usage) {
        self.input = from.input;
        self.cached_read = from.cached_read;
        self.cached_write = from.cached_write;
        self.cached_write_1h = from.cached_write_1h;
        self.audio_in = from.audio_in;
        self.image_in = from.image_in;
    }

    fn take_output(&mut self, from: &Usage) {
        self.output = from.output;
        self.reasoning = from.reasoning;
        self.audio_out = from.audio_out;
        self.image_out = from.image_out;
    }
}

/// The tier an answer was served in: prices differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceTier {
    /// The usual one.
    Default,
    /// Cheaper and slower.
    Flex,
    /// Dearer, and served before others.
    Priority,
    /// Dearer, on faster machines.
    Fast,
    /// Asynchronous, at a rebate.
    Batch,
    /// Capacity that was bought ahead.
    Provisioned,
    /// One that has no name here.
    Other,
}

impl ServiceTier {
    /// The name in records and price tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
            Self::Batch => "batch",
            Self::Provisioned => "provisioned",
            Self::Other => "other",
        }
    }

    /// The tier of a vendor's word for it, whatever its case. `None` for words
    /// that say none was chosen yet.
    pub fn of(word: &str) -> Option<Self> {
        let known = TIER_WORDS.iter().find(|(known, _)| is_word(word, known));
        known.map_or(Some(Self::Other), |(_, tier)| *tier)
    }
}

/// The vendors' words for tiers, in small letters.
const TIER_WORDS: [(&str, Option<ServiceTier>); 20] = [
    ("default", Some(ServiceTier::Default)),
    ("standard", Some(ServiceTier::Default)),
    ("standard_only", Some(ServiceTier::Default)),
    ("on_demand", Some(ServiceTier::Default)),
    ("flex", Some(ServiceTier::Flex)),
    ("on_demand_flex", Some(ServiceTier::Flex)),
    ("priority", Some(ServiceTier::Priority)),
    ("on_demand_priority", Some(ServiceTier::Priority)),
    ("performance", Some(ServiceTier::Priority)),
    ("fast", Some(ServiceTier::Fast)),
    ("batch", Some(ServiceTier::Batch)),
    ("scale", Some(ServiceTier::Provisioned)),
    ("reserved", Some(ServiceTier::Provisioned)),
    ("provisioned", Some(ServiceTier::Provisioned)),
    ("provisioned_throughput", Some(ServiceTier::Provisioned)),
    ("", None),
    ("auto", None),
    ("unspecified", None),
    ("service_tier_unspecified", None),
    ("traffic_type_unspecified", None),
];

/// Whether a word is a known one, but for its case and its dashes. Streams
/// repeat it in every piece, so nothing is copied.
fn is_word(word: &str, known: &str) -> bool {
    let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (a == b'-' && b == b'_');
    word.len() == known.len() && word.bytes().zip(known.bytes()).all(same)
}

#[cfg(test)]
mod tests;

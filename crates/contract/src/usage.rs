//! Token usage in disjoint classes: no token is counted in two of them, so
//! prices can be applied class by class and sums are honest.

/// Tokens of one exchange by disjoint class.
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
    /// Output tokens billed at the plain rate: neither reasoning nor audio.
    pub output: u64,
    /// Reasoning (thinking) tokens of the output.
    pub reasoning: u64,
    /// Audio tokens of the input.
    pub audio_in: u64,
    /// Audio tokens of the output.
    pub audio_out: u64,
    /// Image tokens of the input, where the provider counts them apart.
    pub image_in: u64,
    /// Where the figures come from.
    pub source: UsageSource,
}

/// Where usage figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// Nobody said.
    #[default]
    Missing,
    /// The provider reported them.
    Provider,
    /// Counted or bounded locally.
    Estimated,
}

impl UsageSource {
    /// The name in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Provider => "provider",
            Self::Estimated => "estimated",
        }
    }
}

impl Usage {
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
    }

    /// Takes over figures of a later report of the same exchange. Providers
    /// send cumulative figures, sometimes only for some classes, so each class
    /// keeps its largest value.
    pub fn merge(&mut self, later: &Usage) {
        self.input = self.input.max(later.input);
        self.cached_read = self.cached_read.max(later.cached_read);
        self.cached_write = self.cached_write.max(later.cached_write);
        self.cached_write_1h = self.cached_write_1h.max(later.cached_write_1h);
        self.output = self.output.max(later.output);
        self.reasoning = self.reasoning.max(later.reasoning);
        self.audio_in = self.audio_in.max(later.audio_in);
        self.audio_out = self.audio_out.max(later.audio_out);
        self.image_in = self.image_in.max(later.image_in);
        if later.source != UsageSource::Missing {
            self.source = later.source;
        }
    }
}

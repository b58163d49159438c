//! A conversation in canonical form: what every chat dialect reads into and
//! writes from.
//!
//! System and developer messages are turns in their place; a dialect with a
//! top-level system field reads it as a leading [`Role::System`] turn. Tool
//! results are parts of user turns. Everything opaque (signatures, encrypted
//! reasoning, server-tool blocks) carries the dialect it belongs to.

use crate::model::DialectId;
use crate::text::RawJson;

/// A chat request without its model and stream flag.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// The conversation, oldest first.
    pub turns: Vec<Turn>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// Which tool must or may be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// The shape of the output.
    pub format: OutputFormat,
    /// Cap on output tokens, reasoning included.
    pub output_tokens_max: Option<u32>,
    /// Stop sequences.
    pub stop: Vec<String>,
    /// Number of alternative answers; `None` is one.
    pub n: Option<u32>,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// How much to reason.
    pub reasoning: Option<Reasoning>,
    /// Log probabilities: `Some(k)` asks for them with `k` alternatives.
    pub logprobs: Option<u32>,
    /// Output kinds asked for besides text, such as `audio` or `image`.
    pub modalities: Vec<String>,
    /// Voice and format of audio output, in the reader's own JSON.
    pub audio_out: Option<RawJson>,
    /// The vendor's id of the end user.
    pub user: Option<String>,
    /// Key-value pairs the vendor stores with the call.
    pub metadata: Vec<(String, String)>,
    /// Processing tier, such as `flex`, `priority`, `standard_only`.
    pub service_tier: Option<String>,
    /// Key that groups calls with a shared prompt prefix.
    pub prompt_cache_key: Option<String>,
    /// Verbosity word (`low`, `medium`, `high`).
    pub verbosity: Option<String>,
    /// The caller wants usage in the stream (only Chat Completions must ask).
    pub stream_usage: bool,
    /// A prompt-cache marker at the top level of the request.
    pub cache: Option<CacheMark>,
    /// `false` forbids the vendor to keep the exchange; targets that keep
    /// nothing satisfy it.
    pub store: Option<bool>,
    /// The caller wants reasoning in its encrypted form, to send it back
    /// (signatures are always shown, so only one dialect must ask).
    pub reasoning_sealed: bool,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// Name of the participant, where the dialect has one.
    pub name: Option<String>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions of the operator.
    System,
    /// Instructions of the developer (newer name of `System` in one dialect).
    Developer,
    /// The user, and tool results.
    User,
    /// The model.
    Assistant,
}

/// One piece of a turn or of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// A prompt-cache marker: the provider may cache up to and including it.
    pub cache: Option<CacheMark>,
    /// An opaque token of the vendor that must be echoed with this part on
    /// the next turn (for thinking parts: the proof over the text).
    pub signature: Option<Signature>,
    /// The vendor's id of this item, where it has one.
    pub id: Option<String>,
}

impl From<PartKind> for Part {
    fn from(kind: PartKind) -> Self {
        Self {
            kind,
            cache: None,
            signature: None,
            id: None,
        }
    }
}

impl Part {
    /// A plain text part.
    pub fn text(text: impl Into<String>) -> Self {
        PartKind::Text {
            text: text.into(),
            citations: Vec::new(),
        }
        .into()
    }
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Text, with its citations.
    Text {
        /// The text.
        text: String,
        /// Sources of the text.
        citations: Vec<Citation>,
    },
    /// An image.
    Image {
        /// The bytes or where they are.
        source: Media,
        /// Detail word (`low`, `high`, `auto`), where given.
        detail: Option<String>,
    },
    /// Sound.
    Audio {
        /// The bytes or where they are. Its mime tells the format.
        source: Media,
        /// What is said in it, for audio that a model produced.
        transcript: Option<String>,
    },
    /// A document or other file.
    File {
        /// The bytes, the text or where they are.
        source: Media,
        /// File name or title.
        name: Option<String>,
        /// Whether citations into it are asked for.
        citations: bool,
        /// What the file is about, told to the model beside it.
        context: Option<String>,
    },
    /// Reasoning. The proof, if any, is [`Part::signature`].
    Thinking {
        /// The readable text or summary; may be empty where only an
        /// encrypted form exists.
        text: String,
    },
    /// Reasoning that only the vendor can read; the data is
    /// [`Part::signature`].
    RedactedThinking,
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// The result of a tool.
    ToolResult(ToolResult),
    /// The model declines.
    Refusal {
        /// Its words.
        text: String,
    },
    /// Anything that only its own dialect understands (server-tool blocks,
    /// built-in tool items). Carried to the same dialect, lost elsewhere.
    Opaque {
        /// The dialect whose JSON it is.
        dialect: DialectId,
        /// Its type word, for the loss message.
        what: String,
        /// The JSON as it came.
        json: RawJson,
    },
}

/// Bytes of an image, sound or file, or where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// Base64 text (standard alphabet) and its mime type.
    Base64 {
        /// Mime type, such as `image/png`.
        mime: String,
        /// Base64 text, never decoded on the way.
        data: String,
    },
    /// A URL the vendor fetches.
    Url {
        /// The URL.
        url: String,
        /// Mime type, where told.
        mime: Option<String>,
    },
    /// An id of a file stored at the vendor.
    Id {
        /// The dialect whose store holds it.
        dialect: DialectId,
        /// The id.
        id: String,
        /// Mime type, where told.
        mime: Option<String>,
    },
    /// Plain text given as a document.
    Text {
        /// The text.
        text: String,
    },
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Id that the result refers to.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments: a JSON object as text for a function (`{}` when empty);
    /// free text for a custom tool.
    pub arguments: String,
    /// Whether it is a custom (free-text) tool.
    pub custom: bool,
}

/// The result of a tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// Id of the call it answers.
    pub call_id: String,
    /// Name of the tool, where the dialect tells it (some refer by name).
    pub name: Option<String>,
    /// Text and images of the result.
    pub parts: Vec<Part>,
    /// A structured result, where the dialect carries JSON instead of parts.
    pub json: Option<RawJson>,
    /// The tool failed.
    pub is_error: bool,
    /// Whether it answers a custom (free-text) tool.
    pub custom: bool,
}

/// A vendor's opaque token, tagged with the dialect that understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The dialect whose vendor made it.
    pub dialect: DialectId,
    /// The token, byte for byte.
    pub value: String,
}

/// A prompt-cache marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheMark {
    /// How long the provider should keep it.
    pub ttl: CacheTtl,
}

/// How long a provider should keep a cached prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheTtl {
    /// The vendor's default.
    Default,
    /// Five minutes, said explicitly.
    Minutes5,
    /// One hour.
    Hour1,
}

/// A source of a piece of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// What is cited.
    pub target: CitationTarget,
    /// The cited words, where told.
    pub cited_text: Option<String>,
    /// Where in our text the citation belongs: start and end in characters.
    pub span: Option<(u32, u32)>,
    /// The citation as it came, for writers of the same dialect.
    pub raw: Option<(DialectId, RawJson)>,
}

/// What a citation points at.
#[derive(Clone, Debug, PartialEq)]
pub enum CitationTarget {
    /// A web page.
    Url {
        /// Its address.
        url: String,
        /// Its title.
        title: Option<String>,
    },
    /// A document of the request.
    Document {
        /// Index among the documents.
        index: u32,
        /// Its title.
        title: Option<String>,
        /// Start and end in the document, in the unit told by `unit`.
        range: Option<(u32, u32)>,
        /// Unit of `range`.
        unit: RangeUnit,
    },
    /// A file stored at the vendor.
    File {
        /// Its id.
        id: String,
        /// Its name.
        name: Option<String>,
    },
}

/// Unit of a citation's range in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeUnit {
    /// Characters.
    Chars,
    /// Pages, from one.
    Pages,
    /// Content blocks.
    Blocks,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name; for hosted tools the vendor's type word.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// What it takes.
    pub kind: ToolKind,
    /// Arguments must follow the schema.
    pub strict: Option<bool>,
    /// A prompt-cache marker.
    pub cache: Option<CacheMark>,
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// A function with a JSON schema; `None` takes no arguments.
    Function {
        /// JSON schema of the arguments object.
        schema: Option<RawJson>,
    },
    /// Free text, optionally under a grammar.
    Custom {
        /// The grammar, in the reader's own JSON.
        format: Option<RawJson>,
    },
    /// A tool that the vendor runs itself.
    Hosted {
        /// The dialect whose vendor runs it.
        dialect: DialectId,
        /// Its definition as it came.
        json: RawJson,
    },
}

/// Which tool must or may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Tool {
        /// Its name.
        name: String,
    },
    /// Only these tools; one must be called if `required`.
    Allowed {
        /// Their names.
        names: Vec<String>,
        /// Whether one must be called.
        required: bool,
    },
}

/// The shape of the output.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// Name of the schema, where given.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: RawJson,
        /// Whether the vendor must enforce it.
        strict: Option<bool>,
    },
}

/// Sampling parameters. Absent means the vendor's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Temperature.
    pub temperature: Option<f64>,
    /// Nucleus mass.
    pub top_p: Option<f64>,
    /// Number of candidates.
    pub top_k: Option<u32>,
    /// Frequency penalty.
    pub frequency_penalty: Option<f64>,
    /// Presence penalty.
    pub presence_penalty: Option<f64>,
    /// Seed.
    pub seed: Option<i64>,
    /// Bias by token id, in the reader's own JSON object.
    pub logit_bias: Option<RawJson>,
}

/// How much to reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// On, off or left to the model.
    pub mode: Option<ReasoningMode>,
    /// Effort word.
    pub effort: Option<Effort>,
    /// Budget in tokens.
    pub budget_tokens: Option<u32>,
    /// Summary word (`auto`, `concise`, `detailed`), or whether thoughts are
    /// shown at all (`none`).
    pub summary: Option<String>,
}

/// On, off or left to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningMode {
    /// The model decides how much.
    Adaptive,
    /// On.
    Enabled,
    /// Off.
    Disabled,
}

/// Effort, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// No reasoning.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as possible.
    Max,
}

impl Effort {
    /// Reads the word; `None` for an unknown one.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The thinking budget in tokens that stands for this effort on models
    /// that know only budgets.
    pub fn budget_tokens(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 4_096,
            Self::High => 8_192,
            Self::XHigh | Self::Max => 16_384,
        }
    }

    /// The effort that stands for a budget on models that know only efforts.
    pub fn from_budget(tokens: u32) -> Self {
        match tokens {
            0 => Self::None,
            1..=1_024 => Self::Minimal,
            1_025..=2_048 => Self::Low,
            2_049..=4_096 => Self::Medium,
            4_097..=16_383 => Self::High,
            16_384.. => Self::XHigh,
        }
    }
}

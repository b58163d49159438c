//! Models by the name that callers use.

use std::borrow::Cow;

use contract::Capabilities;
use contract::model::ReasoningStyle;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A model: candidates, best first; or `provider/model` for one.
#[derive(Clone, Debug)]
pub enum ModelEntry {
    /// `provider/model`.
    Short(String),
    /// Candidates, best first.
    Candidates(Vec<CandidateEntry>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// Ways to serve it, best first.
    candidates: Vec<CandidateEntry>,
}

/// One way to serve a model, and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidateEntry {
    /// Name of a provider above.
    pub provider: String,
    /// The model as the provider knows it.
    pub model: String,
    /// Largest sum of input and output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// Largest output, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_max: Option<u32>,
    /// What requests to it may contain, where it differs from a current
    /// model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<CapabilityEntry>,
}

/// What requests to a model may contain.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CapabilityEntry {
    /// `temperature`, `top_p` and `top_k`.
    pub sampling: bool,
    /// How it is asked to reason.
    pub reasoning: Reasoning,
    /// A native JSON-schema output format.
    pub json_schema: bool,
    /// Images in the input.
    pub vision: bool,
    /// Audio in the input.
    pub audio: bool,
    /// Files (PDF and the like) in the input.
    pub files: bool,
    /// A `system` role in the middle of the conversation.
    pub system_in_place: bool,
}

impl Default for CapabilityEntry {
    fn default() -> Self {
        let known = Capabilities::default();
        Self {
            sampling: known.sampling,
            reasoning: match known.reasoning {
                ReasoningStyle::None => Reasoning::None,
                ReasoningStyle::Budget => Reasoning::Budget,
                ReasoningStyle::Effort => Reasoning::Effort,
            },
            json_schema: known.json_schema,
            vision: known.vision,
            audio: known.audio,
            files: known.files,
            system_in_place: known.system_in_place,
        }
    }
}

impl From<CapabilityEntry> for Capabilities {
    fn from(entry: CapabilityEntry) -> Self {
        Self {
            sampling: entry.sampling,
            reasoning: match entry.reasoning {
                Reasoning::None => ReasoningStyle::None,
                Reasoning::Budget => ReasoningStyle::Budget,
                Reasoning::Effort => ReasoningStyle::Effort,
            },
            json_schema: entry.json_schema,
            vision: entry.vision,
            audio: entry.audio,
            files: entry.files,
            system_in_place: entry.system_in_place,
        }
    }
}

/// How a model is asked to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// It cannot.
    None,
    /// By a token budget only (older models).
    Budget,
    /// By an effort word or an adaptive mode.
    Effort,
}

impl Serialize for ModelEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Short(text) => to.serialize_str(text),
            Self::Candidates(candidates) => Long {
                candidates: candidates.clone(),
            }
            .serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for ModelEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Short(String),
            Long(Long),
        }
        Ok(match Form::deserialize(from)? {
            Form::Short(text) => Self::Short(text),
            Form::Long(long) => Self::Candidates(long.candidates),
        })
    }
}

impl JsonSchema for ModelEntry {
    fn schema_name() -> Cow<'static, str> {
        "Model".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({
            "description": "A model: `candidates`, best first; or `provider/model` for one.",
            "anyOf": [{ "type": "string", "description": "`provider/model`" }, long],
        })
    }
}

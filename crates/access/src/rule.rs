//! What a policy rule is: one file that tells its name, its settings, how it
//! behaves on streams, and what it finds.
//!
//! A rule can only deny, or oblige to less. None can permit what another one
//! denies, so that a further rule or a further layer never widens anything.

use std::borrow::Cow;
use std::fmt::Debug;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::approval::Need;
use crate::facts::{Facts, Given, Place};

/// A kind of rule: the one list of them is [`crate::RULES`].
pub struct Kind {
    /// Its name: the field under which its settings stand.
    pub name: &'static str,
    /// What it is for, in a paragraph of Markdown.
    pub doc: &'static str,
    /// Settings that work, as YAML in one line.
    pub example: &'static str,
    /// What it does with answers, streams above all.
    pub streams: Streams,
    /// The schema of its settings.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Makes a rule of its settings, which fit the schema.
    pub compile: fn(&Value) -> Result<Box<dyn Rule>, Wrong>,
}

impl Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// How a rule looks at answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// It does not: it has decided before anything is sent.
    Before,
    /// Frame by frame; nothing that it denies has been passed on.
    Incremental,
    /// It needs the whole answer: a stream is held back whole, up to this
    /// many bytes.
    Buffered(usize),
    /// It needs the whole answer: a call that asks for a stream is refused.
    Refused,
}

impl Streams {
    /// The word in docs and `explain`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Incremental => "incremental",
            Self::Buffered(_) => "buffered",
            Self::Refused => "refused",
        }
    }
}

/// A compiled rule. Pure: the same facts give the same finding.
pub trait Rule: Send + Sync + Debug {
    /// Whether it looks into the body.
    fn needs_content(&self) -> bool {
        false
    }

    /// Whether it goes by the count of input tokens: that of calls whose body
    /// has more than so many bytes. `None`: of no call.
    fn counts_tokens_above(&self) -> Option<u64> {
        None
    }

    /// Whether it looks at what the model gives back.
    fn reads_answers(&self) -> bool {
        false
    }

    /// Whether it looks at places. Where it does not, it is not asked about
    /// them, so only a rule whose [`Rule::place`] always passes may say so.
    fn looks_at_places(&self) -> bool {
        true
    }

    /// How long a call waits for an approval that this rule wants,
    /// milliseconds; `None` for rules that want none.
    fn approval_wait_ms(&self) -> Option<u64> {
        None
    }

    /// What it finds in the call as asked.
    fn request(&self, facts: &Facts<'_>) -> Finding {
        let _ = facts;
        Finding::Pass
    }

    /// What it finds in a candidate: a breach leaves the candidate out.
    fn place(&self, facts: &Facts<'_>, place: &Place<'_>) -> Finding {
        let (_, _) = (facts, place);
        Finding::Pass
    }

    /// What it finds in what the model gave back.
    fn given(&self, facts: &Facts<'_>, given: &Given<'_>) -> Finding {
        let (_, _) = (facts, given);
        Finding::Pass
    }

    /// Whether a model may be listed for a caller who may call it with
    /// nothing else known. Used for lists and near matches.
    fn shows_model(&self, model: &str) -> bool {
        let _ = model;
        true
    }

    /// The rule in words for `explain`: what it permits.
    fn told(&self) -> String;
}

/// What a rule finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing to object to.
    Pass,
    /// The call breaks the rule.
    Breach(Breach),
    /// It may go on if the output is held to this many tokens.
    CapOutput(u64),
    /// It may go on once this is approved; until then it breaks the rule.
    NeedsApproval(Need, Breach),
}

impl Finding {
    /// A breach.
    pub fn breach(code: &'static str, said: impl Into<String>) -> Self {
        Self::Breach(Breach {
            code,
            said: said.into(),
            field: None,
        })
    }

    /// A breach of a field of the request.
    pub fn breach_at(
        code: &'static str,
        said: impl Into<String>,
        field: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Breach(Breach {
            code,
            said: said.into(),
            field: Some(field.into()),
        })
    }
}

/// How a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Stable code, such as `model_not_allowed`.
    pub code: &'static str,
    /// A sentence for the caller: what is not allowed, and what is.
    pub said: String,
    /// The field of the request, where there is one.
    pub field: Option<Cow<'static, str>>,
}

/// What is wrong with settings that fit their schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where, below the settings; empty for the whole, such as `allow[0]`.
    pub path: String,
    /// What is wrong, without a full stop.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl Wrong {
    /// A finding.
    pub fn new(
        path: impl Into<String>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
            instead: instead.into(),
        }
    }
}

/// The schema of settings of type `T`.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Reads settings of type `T`.
pub(crate) fn settings<T: DeserializeOwned>(value: &Value) -> Result<T, Wrong> {
    serde_json::from_value(value.clone())
        .map_err(|error| Wrong::new("", error.to_string(), "see the reference of this rule"))
}

//! A condition over the facts of a call, in the Common Expression Language.
//!
//! An expression is read once and looked through before it may run: it can
//! only use names that exist, and it cannot be written so that it takes long.

mod check;
mod names;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value as CelValue};
use schemars::JsonSchema;
use serde::Deserialize;

use self::check::Uses;
use self::names::Names;
use super::body::{self, Body};
use crate::facts::{Content, Facts, ToolFact};
use crate::metadata::{Field, Metadata};
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

/// Longest expression, in bytes.
const EXPRESSION_BYTES_MAX: usize = 4 * 1024;
/// Most tools or addresses of a call that a condition looks at.
const ITEMS_MAX: usize = 1_000;
/// Longest message of one's own, in bytes.
const MESSAGE_BYTES_MAX: usize = 500;

/// Functions and types of the language. Made once, because it is large.
static LANGUAGE: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

pub(super) static KIND: Kind = Kind {
    name: "condition",
    doc: "A condition over the facts of a call, in the [Common Expression \
          Language](https://cel.dev): `deny_if` refuses calls for which it is true, `allow_if` \
          those for which it is not. The facts: `tenant`, `app`, `key`, `user`, `address` (texts, \
          empty if not known), `groups` (list of texts), `operation`, `model`, `stream` (true or \
          false), `input_tokens` (number), `output_tokens_max` (number, or `null` if the caller \
          set none), `hour` (0 to 23, UTC), `weekday` (`mon` to `sun`, UTC), `tools` and `urls` \
          (lists of texts), `system` (whether the caller brought instructions), and `metadata` \
          with the names of the contract, whose values are texts (`metadata.use_case`). Ask for \
          metadata that a caller may leave out with `has(metadata.use_case)`. A condition that \
          fails on a call refuses it. Lists have `in`, `size()`, `exists`, `all`, `exists_one`; \
          texts have `startsWith`, `endsWith`, `contains`, `size()`. `message` is what the caller \
          reads instead of the usual sentence.",
    example: "{ deny_if: 'model.startsWith(\"gpt-\") && !(\"research\" in groups) && input_tokens > \
              10000', message: \"Long calls to this model are for the research group.\" }",
    streams: Streams::Before,
    schema: schema_of::<ConditionSettings>,
    compile: |value| {
        let settings: ConditionSettings = settings(value)?;
        Ok(Box::new(settings.checked()?))
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ConditionSettings {
    /// Expression that is true for calls to refuse.
    deny_if: Option<String>,
    /// Expression that is true for calls to let pass.
    allow_if: Option<String>,
    /// What the caller reads.
    message: Option<String>,
}

/// The rule.
struct Condition {
    source: String,
    program: Program,
    uses: Uses,
    /// What refuses a call.
    denies: bool,
    message: Option<String>,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("source", &self.source)
            .field("denies", &self.denies)
            .finish_non_exhaustive()
    }
}

impl ConditionSettings {
    fn checked(self) -> Result<Condition, Wrong> {
        let (path, source, denies) = match (self.deny_if, self.allow_if) {
            (Some(source), None) => ("deny_if", source, true),
            (None, Some(source)) => ("allow_if", source, false),
            (None, None) | (Some(_), Some(_)) => {
                return Err(Wrong::new(
                    "",
                    "a condition is either `deny_if` or `allow_if`",
                    "write one of them; a further condition is a further rule",
                ));
            }
        };
        if let Some(message) = &self.message {
            check_message(message)?;
        }
        let wrong = |(what, instead): (String, String)| Wrong::new(path, what, instead);
        let (program, uses) = check::read(&source).map_err(wrong)?;
        let condition = Condition {
            source,
            program,
            uses,
            denies,
            message: self.message,
        };
        match condition.try_out() {
            None => Ok(condition),
            Some(what) => Err(Wrong::new(
                path,
                what,
                "write an expression that is true or false, such as `model == \"gpt-5\"`",
            )),
        }
    }
}

fn check_message(message: &str) -> Result<(), Wrong> {
    let what = if message.trim().is_empty() {
        "this message is empty".to_owned()
    } else if message.len() > MESSAGE_BYTES_MAX {
        format!("this message is longer than {MESSAGE_BYTES_MAX} bytes")
    } else if message.contains(char::is_control) {
        "this message has line breaks or controls".to_owned()
    } else {
        return Ok(());
    };
    Err(Wrong::new(
        "message",
        what,
        "write a sentence that says what is refused and why",
    ))
}

impl Condition {
    fn evaluate(&self, facts: &Facts<'_>, content: &Content) -> Result<bool, Failure> {
        let looked_at = |used, count: usize| used && count > ITEMS_MAX;
        if looked_at(self.uses.tools, content.tools.len())
            || looked_at(self.uses.urls, content.urls.len())
        {
            return Err(Failure::TooMany);
        }
        let names = Names { facts, content };
        let mut context = Context::with_env(LANGUAGE.clone());
        context.set_variable_resolver(&names);
        match self.program.execute(&context) {
            Ok(CelValue::Bool(found)) => Ok(found),
            Ok(other) => Err(Failure::NotBool(other.type_of().to_string())),
            Err(error) => Err(Failure::Error(error)),
        }
    }

    /// Runs it once over a call that tells everything, and says what is wrong
    /// with any call.
    fn try_out(&self) -> Option<String> {
        let mut metadata = Metadata::default();
        for field in Field::ALL {
            metadata.set(field, "1");
        }
        let content = Content {
            tools: vec![ToolFact {
                name: "tool".into(),
                kind: "function",
            }],
            servers: Vec::new(),
            system: true,
            urls: vec!["https://example.com/".into()],
        };
        let facts = Facts {
            tenant: "tenant",
            app: "app",
            key_id: "key",
            groups: &["group".into()],
            metadata: &metadata,
            operation: contract::Operation::Chat,
            model: "model",
            stream: true,
            input_tokens: 1,
            output_tokens_max: Some(1),
            address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
            now_s: 0,
            content: Some(&content),
        };
        match self.evaluate(&facts, &content) {
            Ok(_) | Err(Failure::TooMany) => None,
            Err(Failure::NotBool(kind)) => Some(format!("this is a {kind}, not true or false")),
            Err(Failure::Error(error)) => match error {
                ExecutionError::NoSuchOverload(_)
                | ExecutionError::ValuesNotComparable(..)
                | ExecutionError::UnsupportedBinaryOperator(..)
                | ExecutionError::UnexpectedType { .. } => {
                    Some(format!("this mixes kinds of values: {error}"))
                }
                // Other errors can be those of the values, not of the
                // expression. The crate may also add more of them.
                _ => None,
            },
        }
    }
}

/// Why there is no answer.
enum Failure {
    TooMany,
    NotBool(String),
    Error(ExecutionError),
}

impl Failure {
    /// What a caller may know of it.
    fn said(&self) -> String {
        let why = match self {
            Self::TooMany => {
                format!("it names more than {ITEMS_MAX} tools or addresses")
            }
            Self::Error(ExecutionError::NoSuchKey(key)) if Field::named(key).is_some() => {
                format!("it does not tell `{key}` in its metadata")
            }
            Self::NotBool(_) | Self::Error(_) => "it cannot be evaluated".to_owned(),
        };
        format!("A condition of the policy cannot be decided for this call: {why}.")
    }
}

impl Rule for Condition {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn needs_content(&self) -> bool {
        self.uses.content()
    }

    fn counts_tokens_above(&self) -> Option<u64> {
        self.uses.input_tokens.then_some(0)
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        let empty;
        let content = match body::of(facts) {
            Body::Seen(content) => content,
            Body::Unknown if self.uses.content() => return body::unknown(),
            Body::None | Body::Unknown => {
                empty = Content::default();
                &empty
            }
        };
        match self.evaluate(facts, content) {
            Ok(found) if found != self.denies => Finding::Pass,
            Ok(_) => Finding::breach(
                "condition_denied",
                match &self.message {
                    Some(message) => message.as_str(),
                    None => "A condition of the policy refuses this call.",
                },
            ),
            Err(failure) => Finding::breach("condition_failed", failure.said()),
        }
    }

    fn told(&self) -> String {
        match self.denies {
            true => format!("only calls for which this is false: {}", self.source),
            false => format!("only calls for which this is true: {}", self.source),
        }
    }
}

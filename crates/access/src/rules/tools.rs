//! Which tools may be offered to a model, and called by it.

use contract::glob;
use schemars::JsonSchema;
use serde::Deserialize;

use super::body::{self, Body};
use super::patterns;
use super::words::{lower, shown};
use crate::facts::{Facts, Given, ToolFact};
use crate::rule::{Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

/// Longest name that counts as plain.
const NAME_BYTES_MAX: usize = 128;

pub(super) static KIND: Kind = Kind {
    name: "tools",
    doc: "Tools that a call may offer and that the model may call. `allow` and `deny` are patterns \
          (`*` is any text) for their names: a name must match one of `allow`, if there are any, \
          and none of `deny`, where upper and lower case are the same. Both hold for the tools in \
          the request and for the calls in the answer; in a stream a call that is denied is \
          stopped before the caller sees it. Names that are not plain (1 to 128 ASCII letters, \
          digits, `_`, `.`, `:` or `-`) match no `allow` and every `deny`, so that no encoding of \
          a name gets around a list. `kinds` are the kinds of tools that may be offered: \
          `function`, `custom`, `hosted` (run by the provider, such as its web search or an MCP \
          server it calls). What lets the provider run tools of a server is judged by the name \
          of its kind (`mcp`, `mcp_servers`, `plugins`), and by its `allowed_tools` where it \
          lists them; where it lists none, only the name of its kind is known, so deny that, or \
          leave it out of `allow`.",
    example: "{ allow: [\"search_*\", get_weather], deny: [\"search_internal\"], kinds: [function] }",
    streams: Streams::Incremental,
    schema: schema_of::<ToolsSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: ToolsSettings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ToolsSettings {
    /// Patterns of which a name must match one. Default: all names.
    allow: Vec<String>,
    /// Patterns of which a name must match none, whatever its case.
    deny: Vec<String>,
    /// Kinds that may be offered. Default: all kinds.
    kinds: Vec<ToolKind>,
}

/// A kind of tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ToolKind {
    /// Run by the caller, with arguments as JSON.
    Function,
    /// Run by the caller, with arguments as text.
    Custom,
    /// Run by the provider.
    Hosted,
}

impl ToolKind {
    const ALL: [Self; 3] = [Self::Function, Self::Custom, Self::Hosted];

    fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Custom => "custom",
            Self::Hosted => "hosted",
        }
    }
}

impl ToolsSettings {
    fn checked(mut self) -> Result<Box<dyn Rule>, Wrong> {
        patterns::check("allow", &self.allow)?;
        patterns::check("deny", &self.deny)?;
        patterns::check_alive(&self.allow, &self.deny)?;
        let all_kinds = ToolKind::ALL.iter().all(|kind| self.kinds.contains(kind));
        if self.allow.is_empty() && self.deny.is_empty() && (self.kinds.is_empty() || all_kinds) {
            return Err(Wrong::new(
                "",
                "this rule restricts nothing",
                "write patterns under `allow` or `deny`, or some kinds under `kinds`",
            ));
        }
        let dead = |pattern: &&String| !pattern.bytes().all(|byte| byte == b'*' || plain(byte));
        if let Some(pattern) = self.allow.iter().find(dead) {
            return Err(Wrong::new(
                "allow",
                format!("`{pattern}` can match no plain name"),
                "use ASCII letters, digits, `_`, `.`, `:`, `-` and `*`",
            ));
        }
        patterns::lowered(&mut self.deny);
        Ok(Box::new(self))
    }

    fn reads_names(&self) -> bool {
        !self.allow.is_empty() || !self.deny.is_empty()
    }

    fn permits_name(&self, name: &str) -> bool {
        if !self.reads_names() {
            return true;
        }
        let allowed = self.allow.is_empty() || patterns::any(&self.allow, name);
        let denied = || {
            let name = lower(name);
            self.deny
                .iter()
                .any(|pattern| glob::matches(pattern, &name))
        };
        is_plain(name) && allowed && !denied()
    }

    fn permits_kind(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|known| known.name() == kind)
    }

    fn offered(&self, tool: &ToolFact) -> Finding {
        if !self.permits_kind(tool.kind) {
            let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
            return Finding::breach_at(
                "tool_kind_not_allowed",
                format!(
                    "The tool `{}` is of the kind `{}`, and only {} may be offered here.",
                    shown(&tool.name),
                    tool.kind,
                    kinds.join(", ")
                ),
                "tools",
            );
        }
        if self.permits_name(&tool.name) {
            return Finding::Pass;
        }
        Finding::breach_at(
            "tool_not_allowed",
            format!("The tool `{}` may not be offered here.", shown(&tool.name)),
            "tools",
        )
    }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-')
}

fn is_plain(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

impl Rule for ToolsSettings {
    fn looks_at_places(&self) -> bool {
        false
    }

    fn needs_content(&self) -> bool {
        true
    }

    fn reads_answers(&self) -> bool {
        self.reads_names()
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        let content = match body::of(facts) {
            Body::None => return Finding::Pass,
            Body::Unknown => return body::unknown(),
            Body::Seen(content) => content,
        };
        let mut found = content.tools.iter().map(|tool| self.offered(tool));
        let breach = found.find(|finding| *finding != Finding::Pass);
        breach.unwrap_or(Finding::Pass)
    }

    fn given(&self, _facts: &Facts<'_>, given: &Given<'_>) -> Finding {
        match given {
            Given::ToolCall(name) if !self.permits_name(name) => Finding::breach(
                "tool_call_not_allowed",
                format!(
                    "The model called the tool `{}`, which may not be used here.",
                    shown(name)
                ),
            ),
            Given::ToolCall(_) | Given::Text(_) => Finding::Pass,
        }
    }

    fn told(&self) -> String {
        let mut told = patterns::told("tools", &self.allow, &self.deny);
        if !self.kinds.is_empty() {
            let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
            told.push_str(&format!(", of the kinds {}", kinds.join(", ")));
        }
        told
    }
}

//! Models, tools and classes of data that somebody must approve, call by
//! call.

use schemars::JsonSchema;
use serde::Deserialize;

use super::body::{self, Body};
use super::patterns;
use super::words::{SHOWN_CHARS_MAX, lower, shown};
use crate::approval::Need;
use crate::facts::{Content, Facts, Given, Place};
use crate::metadata::Field;
use crate::rule::{Breach, Finding, Kind, Rule, Streams, Wrong, schema_of, settings};

/// Longest wait of a call for its approval, milliseconds.
const WAIT_MS_MAX: u64 = 30_000;
/// Longest life of an approval, seconds: seven days.
const EXPIRES_S_MAX: u64 = 7 * 24 * 3_600;
/// Most things that one call may have approved.
const WHAT_MAX: usize = 32;

pub(super) static KIND: Kind = Kind {
    name: "approval",
    doc: "What one or two people must approve, call by call: `models` (by the name that callers \
          use, and by the name that the provider knows, so that no alias gets around it), `tools` \
          and `data_classes` (`tollgate-data-class`), as patterns (`*` is any text), where upper \
          and lower case are the same. A call that needs an approval is answered 403 with its id \
          in `tollgate-approval`; once it is approved, the same call with that header goes on, \
          once. A tool that the provider runs needs its approval when it is offered, any other \
          one when the model calls it. What lets the provider run tools of a server (`mcp`, \
          `mcp_servers`, `plugins`) needs one for those of its `allowed_tools` that match; where \
          it lists none, it needs one whatever the patterns are, as nobody knows what runs. A \
          call of another tool is held back, and a stream then ends with a \
          fault that names the id. `approvers` is how many must approve (1 or 2). `wait_ms` is \
          how long a call, or what is held back of a stream, waits for them before that. \
          `expires_s` is how long an approval can be given and used. Whoever asked cannot \
          approve. The page about approvals says more.",
    example: "{ models: [\"gpt-5*\"], tools: [\"send_*\"], data_classes: [restricted], approvers: 2 }",
    streams: Streams::Incremental,
    schema: schema_of::<ApprovalSettings>,
    compile: |value| {
        patterns::no_empty_list(value)?;
        let settings: ApprovalSettings = settings(value)?;
        settings.checked()
    },
};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ApprovalSettings {
    /// Patterns of models, by the name that callers use or the provider knows.
    models: Vec<String>,
    /// Patterns of tools.
    tools: Vec<String>,
    /// Patterns of classes of data.
    data_classes: Vec<String>,
    /// How many people must approve.
    #[schemars(range(min = 1, max = 2))]
    approvers: u8,
    /// How long a call waits for its approval before it is refused,
    /// milliseconds.
    #[schemars(range(min = 0, max = 30_000))]
    wait_ms: u64,
    /// How long an approval can be given and used, seconds.
    #[schemars(range(min = 1, max = 604_800))]
    expires_s: u64,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            tools: Vec::new(),
            data_classes: Vec::new(),
            approvers: 1,
            wait_ms: 0,
            expires_s: 3_600,
        }
    }
}

impl ApprovalSettings {
    fn checked(mut self) -> Result<Box<dyn Rule>, Wrong> {
        let lists = [
            ("models", &mut self.models),
            ("tools", &mut self.tools),
            ("data_classes", &mut self.data_classes),
        ];
        let mut is_empty = true;
        for (path, list) in lists {
            patterns::check(path, list)?;
            patterns::lowered(list);
            is_empty &= list.is_empty();
        }
        if is_empty {
            return Err(Wrong::new(
                "",
                "this rule has nothing approved",
                "write patterns under `models`, `tools` or `data_classes`",
            ));
        }
        let within = |path, number: u64, least: u64, most: u64| {
            let is_within = (least..=most).contains(&number);
            is_within.then_some(()).ok_or_else(|| {
                Wrong::new(
                    path,
                    format!("{number} is not from {least} to {most}"),
                    format!("write a number from {least} to {most}"),
                )
            })
        };
        within("approvers", self.approvers.into(), 1, 2)?;
        within("wait_ms", self.wait_ms, 0, WAIT_MS_MAX)?;
        within("expires_s", self.expires_s, 1, EXPIRES_S_MAX)?;
        Ok(Box::new(self))
    }

    /// What of the tools that the provider runs needs an approval.
    fn hosted(&self, content: &Content, what: &mut Vec<String>) {
        let hosted = content.tools.iter().filter(|tool| tool.kind == "hosted");
        let named = hosted.filter(|tool| patterns::any(&self.tools, &lower(&tool.name)));
        let named = named.map(|tool| thing("tool", &tool.name));
        // Any of them may be one that this rule is about.
        let unnamed = content.servers.iter();
        let unnamed = unnamed.map(|server| thing("every tool that runs by", server));
        for one in named.chain(unnamed) {
            if !what.contains(&one) {
                what.push(one);
            }
        }
    }

    fn finding(&self, what: Vec<String>) -> Finding {
        if what.is_empty() {
            return Finding::Pass;
        }
        if what.len() > WHAT_MAX {
            return Finding::breach(
                "approval_of_too_much",
                format!("This call needs more than {WHAT_MAX} approvals at once. Ask for less."),
            );
        }
        let people = match self.approvers {
            1 => "One person",
            _ => "Two people",
        };
        let breach = Breach {
            code: "approval_needed",
            said: format!("{people} must approve: {}.", what.join(", ")),
            field: None,
        };
        let need = Need {
            what,
            approvers: self.approvers,
            wait_ms: self.wait_ms,
            expires_s: self.expires_s,
        };
        Finding::NeedsApproval(need, breach)
    }
}

/// What people read and approve. Two names never give one text: of a long one
/// the digest is told, as it is not shown whole.
fn thing(kind: &str, name: &str) -> String {
    let told = shown(name);
    match name.chars().nth(SHOWN_CHARS_MAX) {
        None => format!("{kind} {told}"),
        Some(_) => {
            let digest = blake3::hash(name.as_bytes()).to_hex();
            format!("{kind} {told}~{}", &digest[..16])
        }
    }
}

impl Rule for ApprovalSettings {
    fn needs_content(&self) -> bool {
        !self.tools.is_empty()
    }

    fn reads_answers(&self) -> bool {
        !self.tools.is_empty()
    }

    fn approval_wait_ms(&self) -> Option<u64> {
        Some(self.wait_ms)
    }

    fn request(&self, facts: &Facts<'_>) -> Finding {
        if !body::sends(facts.operation) {
            return Finding::Pass;
        }
        let mut what = Vec::new();
        if patterns::any(&self.models, &lower(facts.model)) {
            what.push(thing("model", facts.model));
        }
        if let Some(class) = facts.metadata.get(Field::DataClass)
            && patterns::any(&self.data_classes, &lower(class))
        {
            what.push(thing("data class", class));
        }
        if !self.tools.is_empty() {
            match body::of(facts) {
                Body::None => {}
                Body::Unknown => return body::unknown(),
                Body::Seen(content) => self.hosted(content, &mut what),
            }
        }
        self.finding(what)
    }

    fn place(&self, _facts: &Facts<'_>, place: &Place<'_>) -> Finding {
        // As `provider/model` and behind an alias it is the same model.
        match patterns::any(&self.models, &lower(place.model)) {
            true => self.finding(vec![thing("model", place.model)]),
            false => Finding::Pass,
        }
    }

    fn given(&self, _facts: &Facts<'_>, given: &Given<'_>) -> Finding {
        match given {
            Given::ToolCall(name) if patterns::any(&self.tools, &lower(name)) => {
                self.finding(vec![thing("tool", name)])
            }
            Given::ToolCall(_) | Given::Text(_) => Finding::Pass,
        }
    }

    fn told(&self) -> String {
        let lists = [
            ("models", &self.models),
            ("tools", &self.tools),
            ("classes of data", &self.data_classes),
        ];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        let told: Vec<String> = lists
            .map(|(what, list)| format!("{what} {}", list.join(", ")))
            .collect();
        format!(
            "{} must approve {}",
            match self.approvers {
                1 => "one person",
                _ => "two people",
            },
            told.join("; ")
        )
    }
}

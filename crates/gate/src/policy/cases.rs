//! Cases of policy: the file, and whether a decision is the expected one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use access::Metadata;
use access::metadata::Field;
use admin::CallFacts;
use contract::Operation;
use judge::Explanation;
use serde::Deserialize;

/// Most cases of a file.
const CASES_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Case>,
}

/// A call, and what it is expected to come to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What the case is about.
    #[serde(default)]
    pub(crate) name: String,
    /// Id of the key that calls.
    pub(crate) key: String,
    /// The model, as the caller names it.
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) use_case: Option<String>,
    #[serde(default)]
    pub(crate) data_class: Option<String>,
    /// Other metadata by name.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) operation: Option<String>,
    #[serde(default)]
    pub(crate) stream: bool,
    /// Tools on offer.
    #[serde(default)]
    pub(crate) tools: Vec<String>,
    /// The caller brings system instructions.
    #[serde(default)]
    pub(crate) system: bool,
    /// URLs in the content.
    #[serde(default)]
    pub(crate) urls: Vec<String>,
    #[serde(default = "hundred")]
    pub(crate) input_tokens: u64,
    #[serde(default)]
    pub(crate) output_tokens_max: Option<u64>,
    #[serde(default)]
    pub(crate) address: Option<IpAddr>,
    /// When it happens, Unix seconds. Default: 2026-01-05 12:00 UTC, a Monday.
    #[serde(default = "monday")]
    pub(crate) at_s: u64,
    /// Tools that the model calls.
    #[serde(default)]
    pub(crate) calls: Vec<String>,
    /// Text that the model answers.
    #[serde(default)]
    pub(crate) answer: Option<String>,
    /// What is expected.
    #[serde(default)]
    pub(crate) expect: Expect,
    /// The rule that is expected to deny.
    #[serde(default)]
    pub(crate) rule: Option<String>,
    /// Rules that are expected to warn, all of them. Default: not looked at.
    #[serde(default)]
    pub(crate) warns: Option<Vec<String>>,
    /// The provider that is expected to be asked first.
    #[serde(default)]
    pub(crate) provider: Option<String>,
}

/// What is expected of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expect {
    #[default]
    Allow,
    Deny,
    /// It goes on once people have approved it.
    Approval,
}

fn hundred() -> u64 {
    100
}

fn monday() -> u64 {
    1_767_614_400
}

/// Reads a file of cases.
pub(super) fn read(text: &str) -> Result<Vec<Case>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    match file.cases.len() {
        0 => Err("there is no case in it; write `cases:` with at least one".to_owned()),
        1..=CASES_MAX => Ok(file.cases),
        many => Err(format!(
            "{many} cases are more than {CASES_MAX}; write several files"
        )),
    }
}

impl Case {
    /// A plain chat call with these facts.
    pub(super) fn of(call: &CallFacts) -> Self {
        Self {
            name: String::new(),
            key: call.key.clone(),
            model: call.model.clone(),
            use_case: call.use_case.clone(),
            data_class: call.data_class.clone(),
            metadata: BTreeMap::new(),
            operation: None,
            stream: call.stream,
            tools: call.tools.clone(),
            system: false,
            urls: Vec::new(),
            input_tokens: call.input_tokens,
            output_tokens_max: call.output_tokens,
            address: None,
            at_s: monday(),
            calls: Vec::new(),
            answer: None,
            expect: Expect::Allow,
            rule: None,
            warns: None,
            provider: None,
        }
    }

    pub(super) fn operation(&self) -> Result<Operation, String> {
        let all = [
            Operation::Chat,
            Operation::CountTokens,
            Operation::Embed,
            Operation::ListModels,
            Operation::GetModel,
        ];
        let Some(name) = &self.operation else {
            return Ok(Operation::Chat);
        };
        let found = all.into_iter().find(|operation| operation.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|operation| operation.name()).collect();
            format!(
                "there is no operation `{name}`; write one of {}",
                names.join(", ")
            )
        })
    }

    pub(super) fn metadata(&self) -> Result<Metadata, String> {
        let mut metadata = Metadata::default();
        for (name, value) in &self.metadata {
            let field =
                Field::named(name).ok_or_else(|| format!("there is no metadata field `{name}`"))?;
            metadata.set(field, value.as_str());
        }
        let own = [
            (Field::UseCase, &self.use_case),
            (Field::DataClass, &self.data_class),
        ];
        for (field, value) in own {
            if let Some(value) = value {
                metadata.set(field, value.as_str());
            }
        }
        Ok(metadata)
    }

    /// How the decision differs from the expected one.
    pub(super) fn differs(&self, told: &Explanation) -> Option<String> {
        match (self.expect, &told.outcome) {
            (Expect::Allow, Err(fault)) => {
                return Some(format!("expected to be allowed, but: {}", fault.public));
            }
            (Expect::Deny, Ok(_)) => {
                return Some("expected to be denied, but it is allowed".to_owned());
            }
            (Expect::Approval, Ok(_)) => {
                return Some("expected to need an approval, but it is allowed".to_owned());
            }
            (Expect::Approval, Err(fault)) if told.approvers.is_none() => {
                return Some(format!(
                    "expected to need an approval, but: {}",
                    fault.public
                ));
            }
            (Expect::Deny, Err(fault)) if told.approvers.is_some() => {
                return Some(format!("expected to be denied, but: {}", fault.public));
            }
            (Expect::Allow, Ok(_)) | (Expect::Deny | Expect::Approval, Err(_)) => {}
        }
        if let Some(rule) = &self.rule
            && told.denied_by.as_ref() != Some(rule)
        {
            let by = told.denied_by.as_deref().unwrap_or("no rule");
            return Some(format!("expected rule `{rule}` to deny, but it was {by}"));
        }
        if let Some(warns) = &self.warns
            && *warns != told.warned_by
        {
            let found = told.warned_by.join(", ");
            return Some(format!(
                "expected warnings of [{}], but got [{found}]",
                warns.join(", ")
            ));
        }
        let first = told.outcome.as_ref().ok().and_then(|all| all.first());
        if let Some(provider) = &self.provider
            && first.map(|(provider, _)| provider) != Some(provider)
        {
            let found = first.map_or("nobody", |(provider, _)| provider);
            return Some(format!(
                "expected provider `{provider}` first, but it is {found}"
            ));
        }
        None
    }
}

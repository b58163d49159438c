//! Operators: the credentials of the admin API, and who owns the plan.
//!
//! Deliberately not here: what a role may do, which the admin API says route by
//! route.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::SecretText;
use crate::role::Role;

/// The admin API.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminEntry {
    /// Credentials of operators. Besides these, the key that the gateway keeps
    /// in `admin.key` of its data folder has the role `admin`; as soon as there
    /// is one credential here, that key works only on this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialEntry>,
}

/// A credential of an operator.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialEntry {
    /// Public name, shown in the audit journal: 1 to 64 letters, digits, `.`,
    /// `_` or `-`.
    pub id: String,
    /// The credential itself, preferably as `${env:NAME}` or `${file:path}`:
    /// 24 characters or more.
    pub secret: SecretText,
    /// What it may do.
    pub role: Role,
    /// It sees this tenant only. Default: all. Not for the role `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// Versions of the plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlansEntry {
    /// Who owns the plan: `file` (this document; the admin API changes
    /// nothing), or `api` (this document is only the first; later changes of it
    /// are reported and not applied). Read from the file and the command line
    /// only; a document that comes by the API cannot change it.
    pub owner: Owner,
}

/// Who owns the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The configuration file, or the environment where there is none.
    #[default]
    File,
    /// The admin API.
    Api,
}

impl Owner {
    /// The word in documents and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

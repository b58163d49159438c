//! Roles of the admin API's credentials.
//!
//! Deliberately not here: what a role may do, which the admin API says route by
//! route.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a credential of the admin API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Read, manage keys, and reload.
    Operator,
    /// Everything.
    Admin,
    /// Read, the audit journal too, and change nothing.
    Auditor,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Auditor];

    /// The word in documents and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }
}

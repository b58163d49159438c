//! The kinds of policy rules. A new one is a file below and a line in the
//! list; validation, JSON schema, reference and `explain` read this list.

mod models;

use crate::rule::Kind;

/// All kinds.
pub static RULES: &[&Kind] = &[&models::KIND];

/// The kind of this name.
pub fn rule_kind(name: &str) -> Option<&'static Kind> {
    RULES.iter().copied().find(|kind| kind.name == name)
}

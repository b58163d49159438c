//! The kinds of policy rules. A new one is a file below and a line in the
//! list; validation, JSON schema, reference and `explain` read this list.

mod approval;
mod body;
mod condition;
mod context_length;
mod data_class;
mod models;
mod operations;
mod output_length;
mod output_schema;
mod patterns;
mod providers;
mod regions;
mod required_metadata;
mod sources;
mod streaming;
mod system_prompt;
mod time_window;
mod tools;
mod words;

use crate::rule::Kind;

/// All kinds.
pub static RULES: &[&Kind] = &[
    &models::KIND,
    &operations::KIND,
    &providers::KIND,
    &regions::KIND,
    &data_class::KIND,
    &tools::KIND,
    &context_length::KIND,
    &output_length::KIND,
    &output_schema::KIND,
    &streaming::KIND,
    &system_prompt::KIND,
    &sources::KIND,
    &time_window::KIND,
    &required_metadata::KIND,
    &condition::KIND,
    &approval::KIND,
];

/// The kind of this name.
pub fn rule_kind(name: &str) -> Option<&'static Kind> {
    RULES.iter().copied().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests;

//! Tools of servers that a provider calls on behalf of a call: they go by the
//! names of the server, and what offers them has a name of its own.
//!
//! Deliberately not here: what rules make of them.

use bytes::Bytes;
use contract::RawJson;
use dialects::json::{Doc, Json, Kind};

/// Whether what goes by this name runs tools of others.
pub(super) fn runs_others(name: &str) -> bool {
    let letters = name.chars().filter(|c| c.is_ascii_alphanumeric());
    let word: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    word.starts_with("mcp") || word == "plugins"
}

/// The names of its tools, where it lists all that may run. Whatever is not
/// clearly such a list is none.
pub(super) fn listed(json: &RawJson) -> Option<Vec<Box<str>>> {
    let doc = Doc::request(Bytes::copy_from_slice(json.as_str().as_bytes())).ok()?;
    let root = doc.root();
    let mut names = Vec::new();
    match root.kind() {
        Kind::Array => {
            for server in root.items() {
                names.extend(of_one(only(server, "tool_configuration")?)?);
            }
        }
        Kind::Object => names = of_one(root)?,
        Kind::Null
        | Kind::True
        | Kind::False
        | Kind::Number
        | Kind::String
        | Kind::EscapedString => return None,
    }
    (!names.is_empty()).then_some(names)
}

fn of_one(json: Json<'_>) -> Option<Vec<Box<str>>> {
    let allowed = only(json, "allowed_tools")?;
    let list = match allowed.kind() == Kind::Array {
        true => allowed,
        false => only(allowed, "tool_names").filter(|it| it.kind() == Kind::Array)?,
    };
    let names: Option<Vec<Box<str>>> = list
        .items()
        .map(|name| name.str().map(|name| name.into_owned().into()))
        .collect();
    // An empty list may also mean all.
    names.filter(|names| !names.is_empty())
}

/// The field of this name, if there is one and no other.
fn only<'a>(json: Json<'a>, key: &str) -> Option<Json<'a>> {
    if json.kind() != Kind::Object {
        return None;
    }
    let mut found = json.members().filter(|member| member.is(key));
    let first = found.next()?;
    found.next().is_none().then_some(first.value)
}

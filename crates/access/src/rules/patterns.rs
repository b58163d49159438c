//! Lists of patterns: what is allowed and what is denied, in one way for all
//! rules that have such lists.

use contract::glob;
use serde_json::Value;

use crate::rule::Wrong;

/// Most patterns in one list.
const PATTERNS_MAX: usize = 1_000;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256;

/// Whether `name` matches one of `allow`, if there are any, and none of
/// `deny`.
pub(super) fn permits(allow: &[String], deny: &[String], name: &str) -> bool {
    (allow.is_empty() || any(allow, name)) && !any(deny, name)
}

/// Whether `name` matches one of the patterns.
pub(super) fn any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| glob::matches(pattern, name))
}

/// Refuses lists that were written and hold nothing: it is not plain whether
/// they mean everything or nothing.
pub(super) fn no_empty_list(settings: &Value) -> Result<(), Wrong> {
    let Value::Object(fields) = settings else {
        return Ok(());
    };
    for (name, value) in fields {
        if value.as_array().is_some_and(Vec::is_empty) {
            return Err(Wrong::new(
                name.as_str(),
                "this list is empty, which could mean all or nothing",
                "leave the list out, or name what it is about (`\"*\"` is everything)",
            ));
        }
    }
    Ok(())
}

/// Checks the patterns of the list at `path`.
pub(super) fn check(path: &str, patterns: &[String]) -> Result<(), Wrong> {
    if patterns.len() > PATTERNS_MAX {
        return Err(Wrong::new(
            path,
            format!("{} patterns are more than {PATTERNS_MAX}", patterns.len()),
            "use `*` to say the same with fewer patterns",
        ));
    }
    for (nth, pattern) in patterns.iter().enumerate() {
        let at = || format!("{path}[{nth}]");
        if pattern.is_empty() || pattern.trim() != pattern {
            return Err(Wrong::new(
                at(),
                "this pattern is empty or begins or ends with a space",
                "write a name, or a pattern such as `abc-*`",
            ));
        }
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(Wrong::new(
                at(),
                format!("this pattern is longer than {PATTERN_BYTES_MAX} bytes"),
                "write a shorter pattern with `*`",
            ));
        }
        if patterns[..nth].contains(pattern) {
            return Err(Wrong::new(
                at(),
                format!("`{pattern}` stands in this list twice"),
                "leave one of them out",
            ));
        }
    }
    Ok(())
}

/// Checks two lists, and that they restrict something together.
pub(super) fn check_both(allow: &[String], deny: &[String]) -> Result<(), Wrong> {
    check("allow", allow)?;
    check("deny", deny)?;
    check_alive(allow, deny)?;
    if deny.is_empty() && (allow.is_empty() || allow.iter().any(|pattern| pattern == "*")) {
        return Err(Wrong::new(
            "",
            "this rule restricts nothing",
            "write patterns under `allow` or `deny`",
        ));
    }
    Ok(())
}

/// Refuses patterns of `allow` of which `deny` leaves nothing.
pub(super) fn check_alive(allow: &[String], deny: &[String]) -> Result<(), Wrong> {
    for (nth, allowed) in allow.iter().enumerate() {
        // A pattern that matches the text of another one matches all that
        // the other one does. Patterns for kinds are of another sort.
        let sort = |pattern: &str| pattern.starts_with("kind:");
        let covers = |denied: &&String| {
            glob::matches(denied, allowed) && (*denied == "*" || sort(denied) == sort(allowed))
        };
        if let Some(denied) = deny.iter().find(covers) {
            return Err(Wrong::new(
                format!("allow[{nth}]"),
                format!("`{allowed}` allows nothing, because `{denied}` under `deny` covers it"),
                "leave one of them out",
            ));
        }
    }
    Ok(())
}

/// The lists in words: `all models, but not x`.
pub(super) fn told(what: &str, allow: &[String], deny: &[String]) -> String {
    let mut told = match allow.is_empty() {
        true => format!("all {what}"),
        false => format!("{what} {}", allow.join(", ")),
    };
    if !deny.is_empty() {
        told.push_str(", but not ");
        told.push_str(&deny.join(", "));
    }
    told
}

/// The patterns in lower case, for names that are compared without regard to
/// case.
pub(super) fn lowered(patterns: &mut [String]) {
    for pattern in patterns {
        pattern.make_ascii_lowercase();
    }
}

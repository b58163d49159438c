//! Keys for people: one with all its fields, many as a table, and a new secret
//! with what to do with it.
//!
//! Deliberately not here: JSON, which is printed as it came.

use std::fmt::Write;

use serde_json::Value;

use crate::admin::escape;

/// Longest text of a field, characters.
const FIELD_CHARS: usize = 200;
/// Longest text of a cell, characters.
const CELL_CHARS: usize = 30;

/// One key, and its new secret where there is one.
pub(super) fn one(answer: &Value) -> String {
    let key = &answer["key"];
    let mut out = String::new();
    if let Some(secret) = answer["secret"].as_str() {
        let secret = escape::plain(secret, FIELD_CHARS);
        let _ = writeln!(
            out,
            "{secret}\n\nThis secret is shown once and kept nowhere. Put it where the application \
             reads its\nAPI key from; it is sent as `Authorization: Bearer ..` or in the header of \
             the SDK.\n"
        );
    }
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<11} {text}");
    };
    line("id", text(&key["id"]));
    if key["name"].as_str().is_some_and(|name| !name.is_empty()) {
        line("name", text(&key["name"]));
    }
    line("state", state(key));
    line("tenant", text(&key["tenant"]));
    line("app", text(&key["app"]));
    line("groups", list(&key["groups"], "none"));
    line("models", list(&key["models"], "all"));
    limits(key, &mut line);
    line(
        "created",
        format!(
            "{} by {}",
            text(&key["created_at"]),
            text(&key["created_by"])
        ),
    );
    line("expires", or(&key["expires_at"], "never"));
    if key["rotated_at"].is_string() {
        line("rotated", text(&key["rotated_at"]));
    }
    let older = key["secrets"].as_array().into_iter().flatten();
    for secret in older.filter(|secret| secret["until"].is_string()) {
        line(
            "old secret",
            format!(
                "of {}, works until {}",
                text(&secret["created_at"]),
                text(&secret["until"])
            ),
        );
    }
    if key["revoked_at"].is_string() {
        let by = text(&key["revoked_by"]);
        line("revoked", format!("{} by {by}", text(&key["revoked_at"])));
    }
    line("last used", or(&key["last_used_at"], "never"));
    line(
        "on revoke",
        match key["on_revoke"].as_str() {
            Some("cut") => "open streams are cut".to_owned(),
            _ => "open streams finish".to_owned(),
        },
    );
    out
}

/// The limits of its own, a line for each.
fn limits(key: &Value, line: &mut dyn FnMut(&str, String)) {
    for limit in of(&key["limits"], "rate_limits") {
        let measure = or(&limit["measure"], "requests");
        let per = limit["per"]
            .as_str()
            .map(|per| format!(" in {}", escape::plain(per, FIELD_CHARS)));
        line(
            "limit",
            format!(
                "{} {measure}{}{}",
                text(&limit["limit"]),
                per.unwrap_or_default(),
                mode(limit)
            ),
        );
    }
    for budget in of(&key["limits"], "budgets") {
        let measure = or(&budget["measure"], "cost");
        line(
            "budget",
            format!(
                "{} {measure} in {}{}",
                text(&budget["limit"]),
                text(&budget["window"]),
                mode(budget)
            ),
        );
    }
}

fn of<'v>(limits: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    limits[name].as_array().into_iter().flatten()
}

/// What a limit does, where that is not to refuse.
fn mode(limit: &Value) -> String {
    let mode = limit["mode"].as_str().filter(|mode| *mode != "enforce");
    mode.map(|mode| format!(" ({})", escape::plain(mode, FIELD_CHARS)))
        .unwrap_or_default()
}

/// Many keys. `more`: there are further ones.
pub(super) fn table(keys: &[Value], more: bool) -> String {
    if keys.is_empty() {
        return "No keys. Make one with `tollgate keys create`.\n".to_owned();
    }
    let head = [
        "id",
        "state",
        "tenant",
        "app",
        "name",
        "expires",
        "last used",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(keys.iter().map(|key| {
        [
            cell(&key["id"]),
            state(key),
            cell(&key["tenant"]),
            cell(&key["app"]),
            cell(&key["name"]),
            day(&key["expires_at"]),
            day(&key["last_used_at"]),
        ]
    }));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if more {
        out.push_str("There are more: raise --limit, or narrow with --tenant, --app, --state.\n");
    }
    out
}

fn state(key: &Value) -> String {
    match key["shadowed"].as_bool() {
        Some(true) => "shadowed by a key of the configuration".to_owned(),
        Some(false) | None => text(&key["state"]),
    }
}

fn text(value: &Value) -> String {
    escape::plain(value.as_str().unwrap_or("-"), FIELD_CHARS)
}

fn cell(value: &Value) -> String {
    escape::plain(value.as_str().unwrap_or("-"), CELL_CHARS)
}

fn or(value: &Value, without: &str) -> String {
    match value.is_string() {
        true => text(value),
        false => without.to_owned(),
    }
}

/// A time to the minute.
fn day(value: &Value) -> String {
    match text(value).get(..16) {
        Some(day) => day.replace('T', " "),
        None => "-".to_owned(),
    }
}

fn list(value: &Value, without: &str) -> String {
    let texts: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
    match texts.is_empty() {
        true => without.to_owned(),
        false => texts.join(", "),
    }
}

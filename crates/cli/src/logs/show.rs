//! Records as text: one line for each in a list, or one whole.
//!
//! Deliberately not here: asking for them. Every text of a record is hostile.

use serde_json::{Map, Value};

use crate::admin::escape;

/// Longest text of a line, characters.
const FIELD_CHARS: usize = 40;
/// Longest text in a whole record, characters.
const TEXT_CHARS: usize = 2_100;

const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

/// How lists are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    pub(super) colours: bool,
}

impl Lines {
    /// One exchange, without a line end: time, number, tenant/app, dialect and
    /// provider/model, status and outcome, tokens, duration, first token,
    /// fault.
    pub(super) fn line(self, record: &Value) -> String {
        let text = |name: &str| escape::plain(text_of(record, name), FIELD_CHARS);
        let joined = |a: &str, b: &str| match (text(a), text(b)) {
            (a, b) if a.is_empty() && b.is_empty() => "-".to_owned(),
            (a, b) if b.is_empty() => a,
            (a, b) => format!("{a}/{b}"),
        };
        let status = record["status"].as_u64().unwrap_or_default();
        let colour = match status {
            200..=399 => GREEN,
            400..=499 => YELLOW,
            _ => RED,
        };
        let dialect = Some(text("dialect")).filter(|name| !name.is_empty());
        let mut line = format!(
            "{}  {:<7} {:<20} {} -> {:<28} {}",
            self.paint(DIM, &clock(text_of(record, "time"))),
            format!("#{}", record["sequence"].as_u64().unwrap_or_default()),
            joined("tenant", "app"),
            dialect.as_deref().unwrap_or("-"),
            joined("provider", "model"),
            self.paint(colour, &format!("{status} {:<9}", text("outcome"))),
        );
        let tokens = |name: &str| record[name].as_u64().unwrap_or_default();
        let (input, output) = (tokens("input_tokens"), tokens("output_tokens"));
        if input + output > 0 {
            line.push_str(&format!("  {input}+{output} tok"));
        }
        if let Some(us) = record["duration_us"].as_u64() {
            line.push_str(&format!("  {}", duration(us)));
        }
        if let Some(us) = record["first_token_us"].as_u64() {
            line.push_str(&format!("  first {}", duration(us)));
        }
        if record["fault"].is_string() {
            let fault = format!("{} ({})", text("fault"), text("origin"));
            line.push_str(&format!("  {}", self.paint(RED, &fault)));
        }
        line.trim_end().to_owned()
    }

    /// One record whole, with line ends.
    pub(super) fn whole(self, record: &Value) -> String {
        let mut out = String::new();
        match record {
            Value::Object(fields) => self.object(&mut out, fields, 0),
            other => out.push_str(&format!("{}\n", scalar("", other))),
        }
        out
    }

    fn object(self, out: &mut String, fields: &Map<String, Value>, depth: usize) {
        let is_plain = |value: &&Value| !value.is_object() && !value.is_array();
        let names = fields.iter().filter(|(_, value)| is_plain(value));
        let width = names
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or_default();
        let indent = "  ".repeat(depth);
        for (name, value) in fields {
            let shown = escape::plain(name, FIELD_CHARS);
            match value {
                Value::Object(inner) => {
                    out.push_str(&format!("{indent}{shown}\n"));
                    self.object(out, inner, depth + 1);
                }
                Value::Array(items) => {
                    out.push_str(&format!("{indent}{shown}\n"));
                    items
                        .iter()
                        .for_each(|item| self.item(out, item, depth + 1));
                }
                plain => {
                    let name = self.paint(DIM, &format!("{shown:<width$}"));
                    out.push_str(&format!("{indent}{name}  {}\n", scalar(&shown, plain)));
                }
            }
        }
    }

    fn item(self, out: &mut String, item: &Value, depth: usize) {
        let mut inner = String::new();
        match item {
            Value::Object(fields) => self.object(&mut inner, fields, 0),
            other => inner = format!("{}\n", scalar("", other)),
        }
        for (n, line) in inner.lines().enumerate() {
            let mark = if n == 0 { "- " } else { "  " };
            out.push_str(&format!("{}{mark}{line}\n", "  ".repeat(depth)));
        }
    }

    fn paint(self, colour: &str, text: &str) -> String {
        match self.colours {
            true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

fn text_of<'a>(record: &'a Value, name: &str) -> &'a str {
    record[name].as_str().unwrap_or_default()
}

/// A value on one line; durations in microseconds are shown for people.
fn scalar(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => escape::plain(text, TEXT_CHARS),
        Value::Number(number) if name.ends_with("_us") && name != "arrived_us" => {
            number.as_u64().map_or_else(|| number.to_string(), duration)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            escape::json(&value.to_string())
        }
    }
}

/// `2025-11-21T10:00:00.123456Z` as `2025-11-21 10:00:00.123`.
fn clock(time: &str) -> String {
    let cut: String = time.chars().take(23).collect();
    escape::plain(&cut.replacen('T', " ", 1), FIELD_CHARS)
}

fn duration(us: u64) -> String {
    match us {
        0..=999 => format!("{us} us"),
        1_000..=9_999 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        10_000..=999_999 => format!("{} ms", us / 1_000),
        1_000_000..=59_999_999 => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
        _ => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

#[cfg(test)]
mod tests;

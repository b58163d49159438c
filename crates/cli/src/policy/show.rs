//! An explanation, as people and programs read it. It may come from a gateway
//! elsewhere, so no text of it can do anything but be read.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

use crate::admin::escape;
use crate::config::Format;

/// Longest text of a field, characters.
const FIELD_CHARS: usize = 2_000;

/// Prints an explanation.
///
/// # Errors
/// The output cannot be written.
pub fn print(told: &Value, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let text = match format {
        Format::Json => json(told),
        Format::Text => text(told),
    };
    out.write_all(text.as_bytes())
}

fn json(told: &Value) -> String {
    // Line ends stand only between what JSON is made of.
    let pretty = format!("{told:#}");
    let lines = pretty.split('\n');
    lines
        .map(|line| format!("{}\n", escape::json(line)))
        .collect()
}

fn text(told: &Value) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let (key, model) = (field(&told["key"]), field(&told["model"]));
    let _ = writeln!(out, "Policy of key {key} for {model}");
    if told["plan"].is_string() {
        let side = match told["side"].as_str() {
            Some("candidate") => ", which is being rolled out",
            Some(_) | None => "",
        };
        let _ = writeln!(out, "by plan {}{side}", field(&told["plan"]));
    }
    out.push('\n');
    rules(told, &mut out);
    out.push('\n');
    for left in items(&told["excluded"]) {
        let (place, rule) = (place(left), field(&left["rule"]));
        let _ = writeln!(out, "left out  {place} by rule {rule}");
    }
    if let Some(tokens) = told["output_tokens_max"].as_u64() {
        let rule = field(&told["capped_by"]);
        let _ = writeln!(out, "capped    at {tokens} output tokens by rule {rule}");
    }
    let _ = if told["allowed"] == true {
        let names: Vec<String> = items(&told["candidates"]).map(place).collect();
        writeln!(out, "ALLOWED   {}", names.join(", then "))
    } else {
        let word = match told["approvers"].is_null() {
            true => "DENIED",
            false => "APPROVAL",
        };
        writeln!(out, "{word:<9} {}", field(&told["refusal"]))
    };
    out
}

/// A line for each rule, below the name of its layer.
fn rules(told: &Value, out: &mut String) {
    let mut layer = String::new();
    let mut has_rules = false;
    for line in items(&told["rules"]) {
        has_rules = true;
        let of = field(&line["layer"]);
        if of != layer {
            let _ = writeln!(out, "{of}");
            layer = of;
        }
        let mark = if line["broken"].is_null() { " " } else { "x" };
        let _ = writeln!(
            out,
            "  {mark} {:<24} {:<8} {}: {}",
            field(&line["rule"]),
            field(&line["mode"]),
            field(&line["kind"]),
            field(&line["permits"])
        );
        if !line["broken"].is_null() {
            let _ = writeln!(out, "      {}", field(&line["broken"]));
        }
    }
    if !has_rules {
        out.push_str("  no rules: everything that the key may use is allowed\n");
    }
}

fn place(of: &Value) -> String {
    format!("{}/{}", field(&of["provider"]), field(&of["model"]))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn field(value: &Value) -> String {
    escape::plain(value.as_str().unwrap_or("-"), FIELD_CHARS)
}

#[cfg(test)]
mod tests;

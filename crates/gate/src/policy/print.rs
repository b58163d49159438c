//! Decisions, as people and programs read them.

use std::io::{self, Write};

use access::RULES;
use cli::Format;
use judge::Explanation;
use serde_json::json;

use super::cases::Case;

pub(super) fn kinds(format: Format, out: &mut dyn Write) -> io::Result<u8> {
    match format {
        Format::Json => {
            let kinds: Vec<_> = RULES
                .iter()
                .map(|kind| {
                    json!({
                        "name": kind.name,
                        "doc": kind.doc,
                        "example": kind.example,
                        "streams": kind.streams.name(),
                    })
                })
                .collect();
            writeln!(out, "{:#}", json!(kinds))?;
        }
        Format::Text => {
            for kind in RULES {
                writeln!(
                    out,
                    "{}\n  {}\n  {}: {}\n",
                    kind.name, kind.doc, kind.name, kind.example
                )?;
            }
        }
    }
    Ok(0)
}

pub(super) fn explanation(
    case: &Case,
    told: &Explanation,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{:#}", as_json(case, told)),
        Format::Text => as_text(case, told, out),
    }
}

fn as_json(case: &Case, told: &Explanation) -> serde_json::Value {
    let lines: Vec<_> = told
        .lines
        .iter()
        .map(|line| {
            json!({
                "layer": line.layer, "rule": line.rule, "kind": line.kind,
                "mode": line.mode.name(), "streams": line.streams,
                "permits": line.told, "broken": line.broken,
            })
        })
        .collect();
    let excluded: Vec<_> = told
        .excluded
        .iter()
        .map(|(provider, model, rule)| json!({"provider": provider, "model": model, "rule": rule}))
        .collect();
    let candidates: Vec<_> = told
        .outcome
        .iter()
        .flatten()
        .map(|(provider, model)| json!({"provider": provider, "model": model}))
        .collect();
    json!({
        "key": case.key, "model": case.model, "allowed": told.outcome.is_ok(),
        "refusal": told.outcome.as_ref().err().map(|fault| fault.public.to_string()),
        "denied_by": told.denied_by, "approvers": told.approvers, "warned_by": told.warned_by,
        "output_tokens_max": told.output_cap.as_ref().map(|(tokens, _)| tokens),
        "candidates": candidates, "excluded": excluded, "rules": lines,
    })
}

fn as_text(case: &Case, told: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Policy of key {} for {}\n", case.key, case.model)?;
    if told.lines.is_empty() {
        writeln!(
            out,
            "  no rules: everything that the key may use is allowed"
        )?;
    }
    let mut layer = "";
    for line in &told.lines {
        if line.layer != layer {
            writeln!(out, "{}", line.layer)?;
            layer = &line.layer;
        }
        let mark = if line.broken.is_some() { "x" } else { " " };
        writeln!(
            out,
            "  {mark} {:<24} {:<8} {}: {}",
            line.rule,
            line.mode.name(),
            line.kind,
            line.told
        )?;
        if let Some(broken) = &line.broken {
            writeln!(out, "      {broken}")?;
        }
    }
    writeln!(out)?;
    for (provider, model, rule) in &told.excluded {
        writeln!(out, "left out  {provider}/{model} by rule {rule}")?;
    }
    if let Some((tokens, rule)) = &told.output_cap {
        writeln!(out, "capped    at {tokens} output tokens by rule {rule}")?;
    }
    match &told.outcome {
        Ok(candidates) => {
            let names: Vec<String> = candidates
                .iter()
                .map(|(provider, model)| format!("{provider}/{model}"))
                .collect();
            writeln!(out, "ALLOWED   {}", names.join(", then "))
        }
        Err(fault) => {
            let word = match told.approvers {
                Some(_) => "APPROVAL",
                None => "DENIED",
            };
            writeln!(out, "{word:<9} {}", fault.public)
        }
    }
}

pub(super) fn results(
    results: &[(&Case, Option<String>)],
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    let wrong = results.iter().filter(|(_, wrong)| wrong.is_some()).count();
    match format {
        Format::Json => {
            let cases: Vec<_> = results
                .iter()
                .map(
                    |(case, wrong)| json!({"name": case.name, "ok": wrong.is_none(), "why": wrong}),
                )
                .collect();
            writeln!(
                out,
                "{:#}",
                json!({"cases": cases, "passed": results.len() - wrong, "failed": wrong})
            )
        }
        Format::Text => {
            for (nth, (case, wrong)) in results.iter().enumerate() {
                let name = match case.name.as_str() {
                    "" => format!("case {}", nth + 1),
                    name => name.to_owned(),
                };
                match wrong {
                    None => writeln!(out, "ok      {name}")?,
                    Some(why) => writeln!(out, "FAILED  {name}\n        {why}")?,
                }
            }
            writeln!(out, "\n{} passed, {wrong} failed", results.len() - wrong)
        }
    }
}

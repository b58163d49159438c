//! Decisions, as people and programs read them.

use std::io::{self, Write};

use access::RULES;
use cli::Format;
use evidence::Side;
use judge::Explanation;
use serde_json::{Value, json};

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

/// The plan of a running gateway that explained something. Its digest is made
/// with a secret of that gateway, so a configuration alone has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct By<'a> {
    pub(super) digest: &'a str,
    /// On which side of a roll-out the key is, where one is on.
    pub(super) side: Option<Side>,
}

/// An explanation, as the command prints it and the admin API answers it.
pub(super) fn explanation(by: Option<By<'_>>, case: &Case, told: &Explanation) -> Value {
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
        "plan": by.map(|by| by.digest), "side": by.and_then(|by| by.side).map(Side::name),
        "key": case.key, "model": case.model, "allowed": told.outcome.is_ok(),
        "refusal": told.outcome.as_ref().err().map(|fault| fault.public.to_string()),
        "denied_by": told.denied_by, "approvers": told.approvers, "warned_by": told.warned_by,
        "output_tokens_max": told.output_cap.as_ref().map(|(tokens, _)| tokens),
        "capped_by": told.output_cap.as_ref().map(|(_, rule)| rule),
        "candidates": candidates, "excluded": excluded, "rules": lines,
    })
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

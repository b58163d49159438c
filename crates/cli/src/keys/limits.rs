//! Limits and budgets of a key as people type them: `requests=60/1m`,
//! `concurrency=4`, `100.00/month`.
//!
//! Deliberately not here: what they mean, which the gateway checks.

use clap::Args;
use serde_json::{Map, Value, json};

/// Limits of a key's own.
#[derive(Clone, Debug, Default, Args)]
pub struct LimitArgs {
    /// So much in a time, such as `requests=60/1m` or `tokens=100000/1h`, or
    /// at once, `concurrency=4`; may be repeated.
    #[arg(long = "limit", value_name = "MEASURE=AMOUNT/TIME", value_parser = limit)]
    pub limits: Vec<Value>,
    /// So much to spend: dollars (`100.00/month`) or, for another measure,
    /// `tokens=5000000/day`; windows are day, week, month, forever or a length
    /// such as `30d`. May be repeated.
    #[arg(long = "budget", value_name = "AMOUNT/WINDOW", value_parser = budget)]
    pub budgets: Vec<Value>,
}

impl LimitArgs {
    /// What is sent.
    pub(super) fn body(&self) -> Map<String, Value> {
        let lists = [("rate_limits", &self.limits), ("budgets", &self.budgets)];
        let named = lists.into_iter().filter(|(_, list)| !list.is_empty());
        named
            .map(|(name, list)| (name.to_owned(), json!(list)))
            .collect()
    }
}

fn limit(text: &str) -> Result<Value, String> {
    let wrong = || "write `requests=60/1m`, `tokens=100000/1h` or `concurrency=4`".to_owned();
    let (measure, rest) = text.split_once('=').ok_or_else(wrong)?;
    let mut entry = json!({"measure": measure});
    match rest.split_once('/') {
        Some((amount, per)) => {
            entry["limit"] = json!(amount);
            entry["per"] = json!(per);
        }
        None => entry["limit"] = json!(rest),
    }
    Ok(entry)
}

fn budget(text: &str) -> Result<Value, String> {
    let wrong = || "write `100.00/month`, or `tokens=5000000/day`".to_owned();
    let (what, window) = text.split_once('/').ok_or_else(wrong)?;
    let mut entry = json!({"window": window});
    match what.split_once('=') {
        Some((measure, amount)) => {
            entry["measure"] = json!(measure);
            entry["limit"] = json!(amount);
        }
        None => entry["limit"] = json!(what),
    }
    Ok(entry)
}

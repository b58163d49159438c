//! The columns of the index, taken from a record.
//!
//! Deliberately not here: the index itself (room `store`).

use contract::{Usage, UsageSource};
use store::{Leg, LimitHit, Row};

use crate::record::{Attempt, Record};

/// Characters of the plan digest that the index keeps.
const PLAN_CHARS: usize = 12;
/// The tag of a call that names its cost centre.
const COST_CENTER: &str = "cost_center";
/// Stages of decisions of limits and budgets.
const LIMIT_STAGES: [&str; 2] = ["rate_limit", "budget"];

/// Decodes a payload and takes the columns: the [`store::Extract`] of a record
/// index over records.
pub fn extract(payload: &[u8]) -> Result<Row, String> {
    let record = Record::decode(payload).map_err(|error| error.to_string())?;
    Ok(row(&record))
}

/// The columns of one record.
pub fn row(record: &Record) -> Row {
    let served = record.served();
    let text = |name: &Option<crate::Name>| name.as_deref().unwrap_or_default().to_owned();
    let asked = record.request.model.as_deref().unwrap_or_default();
    Row {
        request_id: *record.id.as_bytes(),
        arrived_us: record.arrived_us,
        ended_us: record.arrived_us.saturating_add(record.duration_us),
        tenant: text(&record.who.tenant),
        app: text(&record.who.app),
        key_id: text(&record.who.key_id),
        operation: record.operation.to_string(),
        dialect: record.dialect.to_string(),
        provider: served.map_or_else(String::new, |attempt| attempt.provider.to_string()),
        model: served.map_or(asked, |attempt| &attempt.model).to_owned(),
        status: record.status,
        outcome: record.outcome.name().to_owned(),
        fault: record.fault.as_ref().map(|fault| fault.kind.to_string()),
        origin: record.fault.as_ref().map(|fault| fault.origin.to_string()),
        stream: record.request.stream,
        input_tokens: record.usage.input_total(),
        output_tokens: record.usage.output_total(),
        duration_us: record.duration_us,
        first_token_us: record.first_token_us(),
        cost_nanos: record.cost_nanos,
        plan: text(&record.plan).chars().take(PLAN_CHARS).collect(),
        use_case: text(&record.who.use_case),
        user: text(&record.who.user),
        cost_center: tag(record, COST_CENTER).unwrap_or_default().to_owned(),
        price_version: text(&record.price_version),
        cached_read_tokens: record.usage.cached_read,
        cached_write_tokens: cached_write(&record.usage),
        reasoning_tokens: record.usage.reasoning,
        estimated: record.usage.source == UsageSource::Estimated,
        limit: limit(record),
        legs: record.attempts.iter().filter_map(leg).collect(),
    }
}

/// The value of a tag of the call.
fn tag<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    let mut notes = record.metadata.iter();
    let (_, tags) = notes.find(|(field, _)| field == "tags" || field == "tollgate-tags")?;
    let mut pairs = tags.split(',').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim())
}

fn cached_write(usage: &Usage) -> u64 {
    usage.cached_write.saturating_add(usage.cached_write_1h)
}

/// The limit or budget that was hit: the one that refused, else the first that
/// would have.
fn limit(record: &Record) -> Option<LimitHit> {
    let hits = record.decisions.iter().filter_map(|decision| {
        let is_limit = LIMIT_STAGES.contains(&&*decision.stage);
        // A threshold of a budget that refuses is a refusal of the budget.
        let verdict = match &*decision.verdict {
            "deny" | "refuse" => "deny",
            "would_deny" => "would_deny",
            "warn" => "warn",
            _ => return None,
        };
        let name = decision.rule.as_deref().filter(|_| is_limit)?;
        Some(LimitHit {
            name: name.to_owned(),
            kind: decision.stage.to_string(),
            verdict: verdict.to_owned(),
        })
    });
    // Of equal ones the first.
    hits.min_by_key(|hit| hit.verdict != "deny")
}

/// An attempt with a bill of its own.
fn leg(attempt: &Attempt) -> Option<Leg> {
    let cost_nanos = attempt.cost_nanos?;
    let usage = attempt.usage.unwrap_or_default();
    Some(Leg {
        provider: attempt.provider.to_string(),
        model: attempt.model.to_string(),
        input_tokens: usage.input_total(),
        output_tokens: usage.output_total(),
        cached_read_tokens: usage.cached_read,
        cached_write_tokens: cached_write(&usage),
        reasoning_tokens: usage.reasoning,
        estimated: usage.source == UsageSource::Estimated,
        cost_nanos,
    })
}

#[cfg(test)]
mod tests;

//! The columns of the index, taken from a record.
//!
//! Deliberately not here: the index itself (room `store`).

use store::Row;

use crate::record::Record;

/// Characters of the plan digest that the index keeps.
const PLAN_CHARS: usize = 12;

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
    }
}

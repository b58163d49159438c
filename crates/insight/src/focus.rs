//! Spending in the columns of FOCUS, the FinOps Open Cost and Usage
//! Specification, version 1.2: its 21 mandatory columns, those about usage
//! that we know, and columns of our own that begin with `x_`, as the
//! specification wants them.
//!
//! Tollgate knows one price of a call, so the billed, effective, contracted
//! and list cost are the same.
//!
//! Deliberately not here: what was spent.

use meter::prices::{date, day};
use serde_json::{Map, Value};
use store::index::spend::{Dimension, Group, Key, Spent};

use crate::cell::{Cell, Table};

/// The version of the specification.
pub const VERSION: &str = "1.2";

/// The grouping of the export: one line for each day of each of these.
pub const BY: [Dimension; 8] = [
    Dimension::Day,
    Dimension::Tenant,
    Dimension::CostCenter,
    Dimension::App,
    Dimension::UseCase,
    Dimension::Provider,
    Dimension::Model,
    Dimension::PriceVersion,
];

/// The columns, in order.
pub const COLUMNS: [&str; 32] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SubAccountId",
    "Tags",
    "x_CachedInputTokens",
    "x_Calls",
    "x_EstimatedCost",
    "x_PriceVersion",
    "x_UnpricedCalls",
];

const DAY_US: u64 = 86_400_000_000;

/// The export. Groups are of [`BY`]; those that cost and used nothing, such as
/// refusals, are no charges and left out.
pub fn table(spent: &Spent) -> Table {
    let charges = spent.groups.iter().filter(|group| {
        let sums = &group.sums;
        sums.cost_nanos != 0 || sums.input_tokens != 0 || sums.output_tokens != 0
    });
    Table {
        columns: COLUMNS.to_vec(),
        rows: charges.map(row).collect(),
    }
}

fn row(group: &Group) -> Vec<Cell> {
    let text = |dimension: Dimension| {
        let at = BY.iter().position(|it| *it == dimension);
        match at.and_then(|at| group.keys.get(at)) {
            Some(Key::Text(text)) => text.as_str(),
            Some(Key::Time(_)) | None => "",
        }
    };
    let from_us = match group.keys.first() {
        Some(Key::Time(at_us)) => *at_us,
        Some(Key::Text(_)) | None => 0,
    };
    let (month, next) = month(from_us);
    let sums = &group.sums;
    let cost = || Cell::Money(sums.cost_nanos);
    let tokens = || Cell::Int(sums.input_tokens + sums.output_tokens);
    let word = |word: &str| Cell::Text(word.to_owned());
    let provider = || Cell::text(text(Dimension::Provider));
    let model = text(Dimension::Model);
    let sku = format!("{}/{model}", text(Dimension::Provider));
    let mut tags = Map::new();
    for dimension in [Dimension::CostCenter, Dimension::UseCase] {
        if !text(dimension).is_empty() {
            tags.insert(dimension.name().to_owned(), text(dimension).into());
        }
    }
    vec![
        cost(),
        provider(),
        provider(),
        word("USD"),
        Cell::Time(next),
        Cell::Time(month),
        word("Usage"),
        Cell::Nothing,
        Cell::Text(format!("Tokens of {model}")),
        Cell::Time(from_us.saturating_add(DAY_US)),
        Cell::Time(from_us),
        tokens(),
        word("Tokens"),
        cost(),
        cost(),
        provider(),
        cost(),
        tokens(),
        word("Tokens"),
        provider(),
        provider(),
        Cell::text(text(Dimension::App)),
        word("AI and Machine Learning"),
        Cell::text(model),
        Cell::Text(sku),
        Cell::text(text(Dimension::Tenant)),
        Cell::Text(Value::Object(tags).to_string()),
        Cell::Int(sums.cached_read_tokens),
        Cell::Int(sums.calls),
        Cell::Money(sums.estimated_nanos),
        Cell::text(text(Dimension::PriceVersion)),
        Cell::Int(sums.unpriced),
    ]
}

/// Begin of the month of a moment, and of the next one.
fn month(at_us: u64) -> (u64, u64) {
    let first = |at_s: u64| {
        let mut text = date(at_s);
        text.replace_range(8.., "01");
        day(&text).unwrap_or_default()
    };
    let from = first(at_us / 1_000_000);
    // No month is shorter than 28 days, and none longer than 31.
    let next = first(from + 32 * DAY_US / 1_000_000);
    (from * 1_000_000, next * 1_000_000)
}

#[cfg(test)]
mod tests;

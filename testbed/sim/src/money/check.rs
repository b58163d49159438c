//! What must hold of records and of what was sent, once everybody is done.

use std::collections::BTreeMap;

use contract::Usage;
use evidence::{Attempt, Outcome, Record, Reservation};
use meter::{Amounts, Measure};

use super::oracle::{Oracle, amount};
use super::price::{self, Rate};
use super::scenario::Plot;
use crate::ledger::Who;
use crate::world::{World, key_id};

/// The ledger by exchange: the rows of its one record.
pub(super) fn ledger(records: &[Record]) -> BTreeMap<usize, Vec<Reservation>> {
    let mut ledger: BTreeMap<usize, Vec<Reservation>> = BTreeMap::new();
    for record in records {
        if let Some(exchange) = exchange_of(record) {
            let rows = record.reservations.iter().cloned();
            ledger.entry(exchange).or_default().extend(rows);
        }
    }
    ledger
}

fn exchange_of(record: &Record) -> Option<usize> {
    let key = record.who.key_id.as_deref()?;
    (0..64).find(|nth| key_id(*nth) == key)
}

/// Checks all records. `crashed` are exchanges that were under way when a
/// process died.
pub(super) fn all(
    oracle: &mut Oracle,
    (world, plot): (&World, &Plot),
    records: &[Record],
    crashed: &[usize],
) {
    for exchange in 0..plot.callers.len() {
        let own: Vec<&Record> = records
            .iter()
            .filter(|record| exchange_of(record) == Some(exchange))
            .collect();
        match own[..] {
            [] if crashed.contains(&exchange) => {}
            [record] => one(oracle, (world, plot), exchange, record),
            _ => oracle.add(
                "one-record",
                format!("x{exchange} has {} records", own.len()),
            ),
        }
        sent(oracle, world, exchange);
    }
    rows(oracle, records);
}

/// Nothing goes to an upstream that was not admitted.
fn sent(oracle: &mut Oracle, world: &World, exchange: usize) {
    let book = world.ledger.book();
    let calls = book.calls_of(exchange);
    let verdict = oracle.verdicts.get(&exchange).copied().unwrap_or_default();
    if verdict.refused && !verdict.admitted && !calls.is_empty() {
        let count = calls.len();
        oracle.add(
            "sent",
            format!("x{exchange} was refused and made {count} calls"),
        );
    }
    let has_of_attempt = |provider: &str| {
        let mut quotas = oracle.quotas.iter();
        // A quota of attempts may name tenants, and then is about some calls.
        quotas.any(|quota| quota.scope.is_of_attempt() && quota.scope.only.is_empty())
            && !oracle
                .admitted_to
                .iter()
                .any(|(nth, to)| *nth == exchange && to == provider)
    };
    let unasked: Vec<String> = calls
        .iter()
        .map(|call| call.who.to_string())
        .filter(|provider| has_of_attempt(provider))
        .collect();
    for provider in unasked {
        oracle.add("sent", format!("{provider} was called and not admitted to"));
    }
}

/// The rows of the ledger are what was taken, one for one, settled alike. What
/// came to nothing need not be there: it was released.
fn rows(oracle: &mut Oracle, records: &[Record]) {
    type Row = (String, String, (u64, u64), i64, Option<i64>);
    let mut ledger: Vec<Row> = Vec::new();
    for row in records.iter().flat_map(|record| &record.reservations) {
        let counts = row.until_us != 0 && row.measure != "concurrency" && row.amount() != 0;
        ledger.extend(counts.then(|| {
            (
                row.quota.to_string(),
                row.scope.to_string(),
                (row.from_us, row.until_us),
                row.reserved,
                Some(row.settled.unwrap_or(row.reserved)),
            )
        }));
    }
    let taken = oracle.entries.iter().filter(|entry| {
        entry.is_counted()
            && !entry.gone
            && entry.draw.measure != Measure::Concurrency
            && entry.settled != Some(0)
    });
    let mut taken: Vec<Row> = taken
        .map(|entry| {
            (
                entry.draw.quota.to_string(),
                entry.scope.clone(),
                (entry.draw.span.from_us, entry.draw.span.until_us),
                entry.draw.amount,
                entry.settled,
            )
        })
        .collect();
    ledger.sort();
    taken.sort();
    if ledger != taken {
        let only = |of: &[Row], other: &[Row]| -> Vec<Row> {
            let rows = of.iter().filter(|row| !other.contains(row));
            rows.cloned().collect()
        };
        let text = format!(
            "the ledger has {:?}, and the flow {:?}",
            only(&ledger, &taken),
            only(&taken, &ledger)
        );
        oracle.add("row", text);
    }
}

fn one(oracle: &mut Oracle, (world, plot): (&World, &Plot), exchange: usize, record: &Record) {
    let tenant = plot.callers[exchange].tenant;
    let at_s = record.arrived_us / 1_000_000;
    let rate = price::rate(&plot.prices, tenant, at_s);
    let rates: Vec<Option<Rate>> = record
        .attempts
        .iter()
        .map(|attempt| rate.or(own_rate(world, exchange, attempt)))
        .collect();
    let lost = record.outcome == Outcome::Lost;
    if lost {
        let open = record.reservations.iter().all(|row| row.settled.is_none());
        if !open {
            oracle.add(
                "lost",
                format!("x{exchange} was lost, and something of it is settled"),
            );
        }
    } else {
        costs(oracle, exchange, record, &rates);
    }
    for row in &record.reservations {
        let text = |what: &str| format!("x{exchange}: {what}: {row:?}");
        if let Some(nth) = row.attempt {
            let attempt = record.attempts.get(nth as usize);
            let to = attempt.map_or("nobody", |attempt| &attempt.provider);
            let is_own = *row.scope == *"" || !row.scope.contains("provider=") || {
                row.scope
                    .split(", ")
                    .any(|part| part == format!("provider={to}"))
            };
            let unsent = attempt.is_none();
            let is_released = unsent && row.settled == Some(0);
            if !(lost || is_own || is_released) {
                oracle.add("row", text(&format!("the attempt went to {to}")));
            }
        }
        let Some(measure) = Measure::named(&row.measure) else {
            oracle.add("row", text("no such measure"));
            continue;
        };
        if measure == Measure::Cost
            && row.attempt.is_none()
            && plot.callers[exchange]
                .max_cost
                .is_some_and(|most| reserved(record, row) > most)
        {
            oracle.add("max-cost", text("more than the caller allows"));
        }
        let Some(settled) = row.settled else {
            if !lost {
                oracle.add("row", text("it was never settled"));
            }
            continue;
        };
        let wanted = amount(measure, &took(record, row.attempt, &rates));
        if let Some(wrong) = misshared(record, row, (settled, wanted)) {
            oracle.add("row", text(&wrong));
        }
    }
    let calls = world.ledger.calls(exchange);
    if record.outcome == Outcome::Refused && calls > 0 {
        oracle.add(
            "sent",
            format!("x{exchange} is recorded as refused and made {calls} calls"),
        );
    }
}

/// What is reserved in slices is settled together, and each slice but the last
/// to no more than it is.
fn misshared(record: &Record, row: &Reservation, (settled, wanted): (i64, i64)) -> Option<String> {
    let same = |it: &&Reservation| (it.counter, it.attempt) == (row.counter, row.attempt);
    let mut slices = record.reservations.iter().filter(same);
    let all = slices.clone().filter_map(|it| it.settled);
    if all.fold(0, i64::saturating_add) != wanted {
        return Some(format!("the truth is {wanted}"));
    }
    let is_last = slices.next_back().is_some_and(|it| std::ptr::eq(it, row));
    let is_debt = !is_last && settled > row.reserved;
    is_debt.then(|| "debt of a slice that is not the last".to_owned())
}

/// What is reserved of the counter of a row, by all its slices.
fn reserved(record: &Record, row: &Reservation) -> i64 {
    let rows = record.reservations.iter();
    let same = rows.filter(|it| (it.counter, it.attempt) == (row.counter, row.attempt));
    same.fold(0, |sum, it| sum.saturating_add(it.reserved))
}

/// The record's own cost, and that of its attempts.
fn costs(oracle: &mut Oracle, exchange: usize, record: &Record, rates: &[Option<Rate>]) {
    let all = legs(record);
    let billed = all
        .iter()
        .filter_map(|(nth, usage)| Some(rates[*nth]?.cost(usage)));
    let wanted = billed.reduce(i64::saturating_add);
    if record.cost_nanos != wanted {
        oracle.add(
            "price",
            format!(
                "x{exchange} cost {wanted:?} by {rates:?}, and is recorded with {:?}: {:?}",
                record.cost_nanos, record.usage
            ),
        );
    }
}

/// Without a price list, what the gateway answers itself is free.
fn own_rate(world: &World, exchange: usize, attempt: &Attempt) -> Option<Rate> {
    let who = Who::parse(&attempt.provider)?;
    let candidate = &world.scenario.exchanges[exchange].candidates[who.candidate];
    candidate.spoken.is_none().then_some(Rate::FREE)
}

/// Attempts that took something: their place, and what they took.
fn legs(record: &Record) -> Vec<(usize, Usage)> {
    let committed = record.attempts.iter().position(|it| it.committed);
    let last = record.attempts.len().checked_sub(1);
    let own = committed.or(last);
    let mut legs = Vec::new();
    for (nth, attempt) in record.attempts.iter().enumerate() {
        let Attempt { usage, .. } = attempt;
        let is_own = own == Some(nth);
        let figures = match usage {
            Some(usage) => Some(*usage),
            None if is_own && record.usage != Usage::default() => Some(record.usage),
            None => None,
        };
        legs.extend(figures.map(|usage| (nth, usage)));
    }
    legs
}

/// What a call took, or one attempt of it.
fn took(record: &Record, attempt: Option<u32>, rates: &[Option<Rate>]) -> Amounts {
    let mut sum = Amounts::default();
    for (nth, usage) in legs(record) {
        if attempt.is_some_and(|wanted| wanted as usize != nth) {
            continue;
        }
        sum.input += usage.input_total();
        sum.output += usage.output_total();
        let cost = rates[nth].map_or(0, |rate| rate.cost(&usage));
        sum.cost = sum.cost.saturating_add(cost);
    }
    sum
}

//! Whether records are in the database as they are in a journal.

use std::collections::HashMap;

use tokio_postgres::{Client, Error, Row};

use super::{LedgerRow, bounded, text};

/// A record of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its exchange.
    pub request_id: [u8; 16],
    /// The record as it was written.
    pub payload: Vec<u8>,
    /// What it took of limits and budgets.
    pub ledger: Vec<LedgerRow>,
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differing {
    /// The database does not have this record.
    Missing([u8; 16]),
    /// It has another one of this exchange.
    Record([u8; 16]),
    /// Its rows of limits and budgets are not those of the record.
    Ledger([u8; 16]),
}

const RECORDS: &str = "SELECT request_id, payload FROM records WHERE request_id = ANY($1)";
const LEDGER: &str = "SELECT request_id, quota, kind, measure, scope, counter, from_us, until_us,
  after_us, reserved, settled, level, quota_limit, attempt
  FROM ledger WHERE request_id = ANY($1) ORDER BY request_id, nth";

/// A row as the database has it.
#[derive(PartialEq, Eq)]
struct Kept {
    texts: [String; 4],
    counter: Vec<u8>,
    numbers: [i64; 6],
    settled: Option<i64>,
    attempt: Option<i64>,
}

pub(super) async fn differing(
    client: &Client,
    wanted: Vec<Wanted>,
) -> Result<Vec<Differing>, Error> {
    let ids: Vec<Vec<u8>> = wanted.iter().map(|it| it.request_id.to_vec()).collect();
    let mut records: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for row in client.query(RECORDS, &[&ids]).await? {
        records.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let mut ledger: HashMap<Vec<u8>, Vec<Kept>> = HashMap::new();
    for row in client.query(LEDGER, &[&ids]).await? {
        let rows = ledger.entry(row.try_get(0)?).or_default();
        rows.push(Kept::of_database(&row)?);
    }
    let mut found = Vec::new();
    for it in &wanted {
        let id = it.request_id;
        let expected: Vec<Kept> = it.ledger.iter().map(Kept::of_journal).collect();
        let kept = ledger.get(id.as_slice()).map(Vec::as_slice);
        match records.get(id.as_slice()) {
            None => found.push(Differing::Missing(id)),
            Some(payload) if *payload != it.payload => found.push(Differing::Record(id)),
            Some(_) if kept.unwrap_or_default() != expected => found.push(Differing::Ledger(id)),
            Some(_) => {}
        }
    }
    Ok(found)
}

impl Kept {
    fn of_database(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            texts: [
                row.try_get(1)?,
                row.try_get(2)?,
                row.try_get(3)?,
                row.try_get(4)?,
            ],
            counter: row.try_get(5)?,
            numbers: [
                row.try_get(6)?,
                row.try_get(7)?,
                row.try_get(8)?,
                row.try_get(9)?,
                row.try_get(11)?,
                row.try_get(12)?,
            ],
            settled: row.try_get(10)?,
            attempt: row.try_get(13)?,
        })
    }

    fn of_journal(row: &LedgerRow) -> Self {
        Self {
            texts: [&row.quota, &row.kind, &row.measure, &row.scope].map(|it| text(it)),
            counter: row.counter.to_be_bytes().to_vec(),
            numbers: [
                bounded(row.from_us),
                bounded(row.until_us),
                bounded(row.after_us),
                row.reserved,
                row.level,
                row.limit,
            ],
            settled: row.settled,
            attempt: row.attempt.map(i64::from),
        }
    }
}

//! Bringing a batch, in one transaction.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Transaction};

use super::{Brought, LedgerRow, Outcome, Position, bounded, text};

const RECORDS: &str = "INSERT INTO records SELECT * FROM unnest(
  $1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
  $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
  $14::integer[], $15::text[], $16::text[], $17::text[], $18::boolean[],
  $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[],
  $24::text[], $25::text[], $26::text[], $27::text[], $28::text[],
  $29::bigint[], $30::bigint[], $31::bigint[], $32::boolean[],
  $33::text[], $34::text[], $35::text[], $36::bigint[], $37::bytea[])
  ON CONFLICT DO NOTHING";

const LEGS: &str = "INSERT INTO legs SELECT * FROM unnest(
  $1::bytea[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
  $7::bigint[], $8::bigint[], $9::bigint[], $10::boolean[], $11::bigint[])
  ON CONFLICT DO NOTHING";

const LEDGER: &str = "INSERT INTO ledger SELECT * FROM unnest(
  $1::bytea[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[],
  $7::bytea[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
  $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
  ON CONFLICT DO NOTHING";

/// Moves a position that is where it was thought to be.
const MOVE: &str = "UPDATE nodes SET sequence = $4, hash = $5, recorded_us = $6, unreadable = $7,
  moved_at = now() WHERE node = $1 AND sequence = $2 AND hash = $3";

/// The first move of a node.
const BEGIN: &str = "INSERT INTO nodes (node, sequence, hash, recorded_us, unreadable)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

/// A column of a batch.
type Column = Box<dyn ToSql + Sync + Send>;

/// Where this node is; at its beginning where the database does not know it.
pub(super) async fn position(client: &Client, node: &[u8; 16]) -> Result<Position, Error> {
    let sql = "SELECT sequence, hash, recorded_us, unreadable FROM nodes WHERE node = $1";
    let Some(row) = client.query_opt(sql, &[&node.as_slice()]).await? else {
        return Ok(Position::default());
    };
    let number = |nth: usize| -> Result<u64, Error> {
        let number: i64 = row.try_get(nth)?;
        Ok(u64::try_from(number).unwrap_or_default())
    };
    let hash: &[u8] = row.try_get(1)?;
    Ok(Position {
        sequence: number(0)?,
        // One of another length is of no entry, which the reader notices.
        hash: hash.try_into().unwrap_or_default(),
        recorded_us: number(2)?,
        unreadable: number(3)?,
    })
}

pub(super) async fn bring(
    client: &mut Client,
    node: &[u8; 16],
    (from, to): (Position, Position),
    batch: Vec<Brought>,
) -> Result<Outcome, Error> {
    let transaction = client.transaction().await?;
    if !move_on(&transaction, node, from, to).await? {
        transaction.rollback().await?;
        return Ok(Outcome::Elsewhere);
    }
    if !batch.is_empty() {
        let columns = records(node, &batch);
        insert(&transaction, RECORDS, columns).await?;
    }
    if batch.iter().any(|it| !it.row.legs.is_empty()) {
        insert(&transaction, LEGS, legs(&batch)).await?;
    }
    if batch.iter().any(|it| !it.ledger.is_empty()) {
        insert(&transaction, LEDGER, ledger(&batch)).await?;
    }
    transaction.commit().await?;
    Ok(Outcome::Done)
}

async fn move_on(
    transaction: &Transaction<'_>,
    node: &[u8; 16],
    from: Position,
    to: Position,
) -> Result<bool, Error> {
    let node = node.as_slice();
    let (sequence, hash) = (bounded(to.sequence), to.hash.as_slice());
    let (recorded_us, unreadable) = (bounded(to.recorded_us), bounded(to.unreadable));
    let moved = transaction
        .execute(
            MOVE,
            &[
                &node,
                &bounded(from.sequence),
                &from.hash.as_slice(),
                &sequence,
                &hash,
                &recorded_us,
                &unreadable,
            ],
        )
        .await?;
    if moved > 0 || from != Position::default() {
        return Ok(moved > 0);
    }
    let begin: [&(dyn ToSql + Sync); 5] = [&node, &sequence, &hash, &recorded_us, &unreadable];
    Ok(transaction.execute(BEGIN, &begin).await? > 0)
}

async fn insert(
    transaction: &Transaction<'_>,
    sql: &str,
    columns: Vec<Column>,
) -> Result<(), Error> {
    let columns: Vec<&(dyn ToSql + Sync)> = columns
        .iter()
        .map(|it| &**it as &(dyn ToSql + Sync))
        .collect();
    transaction.execute(sql, &columns).await?;
    Ok(())
}

/// A column of all rows.
fn column<R, T: ToSql + Sync + Send + 'static>(rows: &[R], of: impl Fn(&R) -> T) -> Column
where
    Vec<T>: ToSql,
{
    Box::new(rows.iter().map(of).collect::<Vec<T>>())
}

/// In the order of the table.
fn records(node: &[u8; 16], batch: &[Brought]) -> Vec<Column> {
    let hit = |it: &Brought, of: fn(&store::index::LimitHit) -> &String| {
        it.row.limit.as_ref().map(|hit| text(of(hit)))
    };
    vec![
        column(batch, |it| it.row.request_id.to_vec()),
        column(batch, |_| node.to_vec()),
        column(batch, |it| bounded(it.sequence)),
        column(batch, |it| bounded(it.recorded_us)),
        column(batch, |it| bounded(it.row.arrived_us)),
        column(batch, |it| bounded(it.row.ended_us)),
        column(batch, |it| text(&it.row.tenant)),
        column(batch, |it| text(&it.row.app)),
        column(batch, |it| text(&it.row.key_id)),
        column(batch, |it| text(&it.row.operation)),
        column(batch, |it| text(&it.row.dialect)),
        column(batch, |it| text(&it.row.provider)),
        column(batch, |it| text(&it.row.model)),
        column(batch, |it| i32::from(it.row.status)),
        column(batch, |it| text(&it.row.outcome)),
        column(batch, |it| it.row.fault.as_deref().map(text)),
        column(batch, |it| it.row.origin.as_deref().map(text)),
        column(batch, |it| it.row.stream),
        column(batch, |it| bounded(it.row.input_tokens)),
        column(batch, |it| bounded(it.row.output_tokens)),
        column(batch, |it| bounded(it.row.duration_us)),
        column(batch, |it| it.row.first_token_us.map(bounded)),
        column(batch, |it| it.row.cost_nanos),
        column(batch, |it| text(&it.row.plan)),
        column(batch, |it| text(&it.row.use_case)),
        column(batch, |it| text(&it.row.user)),
        column(batch, |it| text(&it.row.cost_center)),
        column(batch, |it| text(&it.row.price_version)),
        column(batch, |it| bounded(it.row.cached_read_tokens)),
        column(batch, |it| bounded(it.row.cached_write_tokens)),
        column(batch, |it| bounded(it.row.reasoning_tokens)),
        column(batch, |it| it.row.estimated),
        column(batch, |it| hit(it, |hit| &hit.name)),
        column(batch, |it| hit(it, |hit| &hit.kind)),
        column(batch, |it| hit(it, |hit| &hit.verdict)),
        column(batch, legs_nanos),
        column(batch, |it| it.payload.clone()),
    ]
}

/// As the index of one replica adds them up.
fn legs_nanos(of: &Brought) -> i64 {
    let legs = of.row.legs.iter();
    legs.fold(0, |sum: i64, leg| sum.saturating_add(leg.cost_nanos))
}

/// Rows of all records: of which, at which place, and what.
fn parts<T>(batch: &[Brought], of: impl Fn(&Brought) -> &[T]) -> Vec<(Vec<u8>, i32, &T)> {
    let each = batch.iter().flat_map(|it| {
        let id = it.row.request_id.to_vec();
        let rows = of(it).iter().zip(0..);
        rows.map(move |(row, nth)| (id.clone(), nth, row))
    });
    each.collect()
}

fn legs(batch: &[Brought]) -> Vec<Column> {
    let legs = parts(batch, |it| &it.row.legs);
    vec![
        column(&legs, |it| it.0.clone()),
        column(&legs, |it| it.1),
        column(&legs, |it| text(&it.2.provider)),
        column(&legs, |it| text(&it.2.model)),
        column(&legs, |it| bounded(it.2.input_tokens)),
        column(&legs, |it| bounded(it.2.output_tokens)),
        column(&legs, |it| bounded(it.2.cached_read_tokens)),
        column(&legs, |it| bounded(it.2.cached_write_tokens)),
        column(&legs, |it| bounded(it.2.reasoning_tokens)),
        column(&legs, |it| it.2.estimated),
        column(&legs, |it| it.2.cost_nanos),
    ]
}

fn ledger(batch: &[Brought]) -> Vec<Column> {
    let rows: Vec<(Vec<u8>, i32, &LedgerRow)> = parts(batch, |it| &it.ledger);
    vec![
        column(&rows, |it| it.0.clone()),
        column(&rows, |it| it.1),
        column(&rows, |it| text(&it.2.quota)),
        column(&rows, |it| text(&it.2.kind)),
        column(&rows, |it| text(&it.2.measure)),
        column(&rows, |it| text(&it.2.scope)),
        column(&rows, |it| it.2.counter.to_be_bytes().to_vec()),
        column(&rows, |it| bounded(it.2.from_us)),
        column(&rows, |it| bounded(it.2.until_us)),
        column(&rows, |it| bounded(it.2.after_us)),
        column(&rows, |it| it.2.reserved),
        column(&rows, |it| it.2.settled),
        column(&rows, |it| it.2.level),
        column(&rows, |it| it.2.limit),
        column(&rows, |it| it.2.attempt.map(i64::from)),
    ]
}

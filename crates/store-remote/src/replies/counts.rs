//! How many keys and bytes there are: of each tenant, and of all in shares.

use std::collections::BTreeMap;

use store::replies::Held;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row, Transaction};

use super::{Param, unsigned};

/// Shares of the sum of all tenants. Calls of one share wait for each other
/// while they are written.
const SHARES: u8 = 16;

/// What changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) keys: i64,
    pub(super) bytes: i64,
}

impl Change {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Changes of tenants, by their names.
pub(super) type Changes = BTreeMap<Vec<u8>, Change>;

/// The share of a tenant.
fn share(tenant: &[u8]) -> Vec<u8> {
    // FNV-1a: the same on every replica, and no secret.
    let hash = tenant.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    vec![(hash >> 32) as u8 % SHARES]
}

const SUM: &str = "SELECT coalesce(sum(keys), 0)::bigint AS keys,
                          coalesce(sum(bytes), 0)::bigint AS bytes
                   FROM reply_counts WHERE is_share";

/// Changes what a tenant has; how much there is then of all, and of it.
pub(super) async fn change(
    transaction: &Transaction<'_>,
    tenant: &[u8],
    change: Change,
) -> Result<(Held, Held), Error> {
    let changes = Changes::from([(tenant.to_owned(), change)]);
    let changed = change_many(transaction, &changes).await?;
    let own = changed.iter().find(|row| !row.get::<_, bool>("is_share"));
    let own = own.map(of).unwrap_or_default();
    let sum = transaction.query_typed_one(SUM, &[]).await?;
    Ok((of(&sum), own))
}

/// Changes what tenants have, in the one order that all keep to.
pub(super) async fn change_many(
    transaction: &Transaction<'_>,
    changes: &Changes,
) -> Result<Vec<Row>, Error> {
    let mut all: BTreeMap<(bool, Vec<u8>), Change> = BTreeMap::new();
    for (tenant, change) in changes {
        for name in [(false, tenant.clone()), (true, share(tenant))] {
            let sum = all.entry(name).or_default();
            *sum = sum.and(*change);
        }
    }
    let (mut is_share, mut names) = (Vec::new(), Vec::new());
    let (mut keys, mut bytes) = (Vec::new(), Vec::new());
    for ((shared, name), change) in all {
        is_share.push(shared);
        names.push(name);
        keys.push(change.keys);
        bytes.push(change.bytes);
    }
    let sql = "INSERT INTO reply_counts AS c (is_share, name, keys, bytes)
               SELECT * FROM unnest($1::boolean[], $2::bytea[], $3::bigint[], $4::bigint[])
                 AS t(is_share, name, keys, bytes) ORDER BY is_share, name
               ON CONFLICT (is_share, name) DO UPDATE
                 SET keys = c.keys + excluded.keys, bytes = c.bytes + excluded.bytes
               RETURNING is_share, name, keys, bytes";
    let params: [Param<'_>; 4] = [
        (&is_share, Type::BOOL_ARRAY),
        (&names, Type::BYTEA_ARRAY),
        (&keys, Type::INT8_ARRAY),
        (&bytes, Type::INT8_ARRAY),
    ];
    let changed = transaction.query_typed(sql, &params).await?;
    // Of a tenant without keys nothing is left; its row is held already.
    let left = changed.iter().filter(|row| {
        let keys: i64 = row.get("keys");
        !row.get::<_, bool>("is_share") && keys <= 0
    });
    let empty: Vec<Vec<u8>> = left.map(|row| row.get("name")).collect();
    if !empty.is_empty() {
        let sql = "DELETE FROM reply_counts WHERE NOT is_share AND name = ANY($1)";
        let params: [Param<'_>; 1] = [(&empty, Type::BYTEA_ARRAY)];
        transaction.execute_typed(sql, &params).await?;
    }
    Ok(changed)
}

/// How much there is of all.
pub(super) async fn held(client: &Client) -> Result<Held, Error> {
    Ok(of(&client.query_typed_one(SUM, &[]).await?))
}

fn of(row: &Row) -> Held {
    Held {
        keys: unsigned(row.get("keys")),
        bytes: unsigned(row.get("bytes")),
    }
}

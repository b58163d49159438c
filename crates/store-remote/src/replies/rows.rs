//! The rows of replies: what is found, taken, ended and removed. Every value
//! is a bound parameter.

use store::replies::{
    KeptReply, RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyRow, ReplyState,
};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row, Transaction};

use super::counts::{Change, Changes};
use super::{Param, signed, unsigned};

/// Locks of keys are apart from other locks of the database.
const LOCKS: u64 = 0x7265_706c_6965_7300;

/// The time as it is given, or else by the server's clock.
macro_rules! now {
    ($given:literal) => {
        concat!(
            "coalesce(",
            $given,
            "::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
        )
    };
}

/// A key, as the rows have it.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) tenant: Vec<u8>,
    app: Vec<u8>,
    key: Vec<u8>,
    lock: i64,
}

impl Own {
    pub(super) fn of(key: &ReplyKey) -> Self {
        let (head, _) = key.digest.split_first_chunk().expect("it has 32 bytes");
        Self {
            tenant: key.tenant.clone().into_bytes(),
            app: key.app.clone().into_bytes(),
            key: key.digest.to_vec(),
            lock: (u64::from_be_bytes(*head) ^ LOCKS).cast_signed(),
        }
    }

    fn params(&self) -> [Param<'_>; 3] {
        [
            (&self.tenant, Type::BYTEA),
            (&self.app, Type::BYTEA),
            (&self.key, Type::BYTEA),
        ]
    }
}

/// A claim, as the rows have it.
pub(super) struct Claiming {
    pub(super) own: Own,
    pub(super) now: Option<i64>,
    request: Vec<u8>,
    by: String,
    owner: String,
    lease_us: i64,
    ttl_us: i64,
    retakes_unknown: bool,
}

impl Claiming {
    pub(super) fn of(claim: &ReplyClaim, now: Option<i64>) -> Self {
        Self {
            own: Own::of(&claim.key),
            now,
            request: claim.request.to_vec(),
            by: claim.by.clone(),
            owner: claim.owner.clone(),
            lease_us: signed(claim.lease_us),
            ttl_us: signed(claim.ttl_us),
            retakes_unknown: claim.retakes_unknown,
        }
    }
}

/// Waits for whoever does something about this key; what time it is then.
pub(super) async fn lock(
    transaction: &Transaction<'_>,
    own: &Own,
    now: Option<i64>,
) -> Result<i64, Error> {
    // The list is worked through from the left.
    let sql = concat!("SELECT pg_advisory_xact_lock($1)::text, ", now!("$2"));
    let params: [Param<'_>; 2] = [(&own.lock, Type::INT8), (&now, Type::INT8)];
    Ok(transaction.query_typed_one(sql, &params).await?.get(1))
}

/// What a claim finds.
pub(super) enum Found {
    /// A call that has the key; or what stands there cannot be read.
    Other(Result<ReplyRow, RepliesError>),
    /// Nothing.
    Free,
    /// A row that may be taken, with the bytes of its reply.
    Over(i64),
}

pub(super) async fn find(
    transaction: &Transaction<'_>,
    claiming: &Claiming,
    now: i64,
) -> Result<Found, Error> {
    // The reply of another request is not even read.
    let sql = "SELECT request, by_call, state, started_us, lease_us, expires_us, status, bytes,
                      head, CASE WHEN request = $4 THEN body END AS body
               FROM replies WHERE tenant = $1 AND app = $2 AND key = $3 FOR UPDATE";
    let [tenant, app, key] = claiming.own.params();
    let params: [Param<'_>; 4] = [tenant, app, key, (&claiming.request, Type::BYTEA)];
    let Some(row) = transaction.query_typed_opt(sql, &params).await? else {
        return Ok(Found::Free);
    };
    let (state, lease_us): (String, i64) = (row.get("state"), row.get("lease_us"));
    let expires_us: i64 = row.get("expires_us");
    let runs = state == "running" && lease_us > now;
    if expires_us <= now && !runs {
        return Ok(Found::Over(row.get("bytes")));
    }
    let is_unknown = state == "unknown" || state == "running" && !runs;
    let is_same = row.get::<_, Vec<u8>>("request") == claiming.request;
    if claiming.retakes_unknown && is_same && is_unknown {
        return Ok(Found::Over(row.get("bytes")));
    }
    let read = read(&row, &state, is_unknown);
    let foreign = || RepliesError::Foreign("a reply holds what no gateway writes".to_owned());
    Ok(Found::Other(read.ok_or_else(foreign)))
}

fn read(row: &Row, state: &str, is_unknown: bool) -> Option<ReplyRow> {
    let state = match state {
        _ if is_unknown => ReplyState::Unknown,
        "running" => ReplyState::Running,
        "completed" => {
            let status = u16::try_from(row.get::<_, Option<i32>>("status")?).ok()?;
            let head: Option<String> = row.get("head");
            let body: Option<Vec<u8>> = row.get("body");
            let reply = match head.zip(body) {
                Some((head, body)) => Some(KeptReply::read(status, &head, body)?),
                None => None,
            };
            ReplyState::Completed { status, reply }
        }
        _ => return None,
    };
    Some(ReplyRow {
        request: row.get::<_, Vec<u8>>("request").try_into().ok()?,
        by: row.get("by_call"),
        started_us: unsigned(row.get("started_us")),
        expires_us: unsigned(row.get("expires_us")),
        state,
    })
}

/// Makes it the call that has the key.
pub(super) async fn take(
    transaction: &Transaction<'_>,
    claiming: &Claiming,
    now: i64,
) -> Result<(), Error> {
    let sql = "INSERT INTO replies (tenant, app, key, request, by_call, owner, state, started_us,
                                    lease_us, ttl_us, expires_us)
               VALUES ($1, $2, $3, $4, $5, $6, 'running', $7, $8, $9, $10)
               ON CONFLICT (tenant, app, key) DO UPDATE SET
                 request = excluded.request, by_call = excluded.by_call, owner = excluded.owner,
                 state = excluded.state, started_us = excluded.started_us,
                 lease_us = excluded.lease_us, ttl_us = excluded.ttl_us,
                 expires_us = excluded.expires_us, status = NULL, bytes = 0, head = NULL,
                 body = NULL";
    let lease_us = now.saturating_add(claiming.lease_us);
    let expires_us = lease_us.saturating_add(claiming.ttl_us);
    let [tenant, app, key] = claiming.own.params();
    let params: [Param<'_>; 10] = [
        tenant,
        app,
        key,
        (&claiming.request, Type::BYTEA),
        (&claiming.by, Type::TEXT),
        (&claiming.owner, Type::TEXT),
        (&now, Type::INT8),
        (&lease_us, Type::INT8),
        (&claiming.ttl_us, Type::INT8),
        (&expires_us, Type::INT8),
    ];
    transaction.execute_typed(sql, &params).await?;
    Ok(())
}

pub(super) async fn is_running(
    client: &Client,
    own: &Own,
    now: Option<i64>,
) -> Result<bool, Error> {
    let sql = concat!(
        "SELECT EXISTS (SELECT 1 FROM replies
           WHERE tenant = $1 AND app = $2 AND key = $3 AND state = 'running' AND lease_us > ",
        now!("$4"),
        ")"
    );
    let [tenant, app, key] = own.params();
    let params: [Param<'_>; 4] = [tenant, app, key, (&now, Type::INT8)];
    Ok(client.query_typed_one(sql, &params).await?.get(0))
}

/// An end, as the rows have it.
pub(super) struct Ending {
    pub(super) own: Own,
    pub(super) now: Option<i64>,
    /// There was no room for its reply.
    pub(super) is_cut: bool,
    by: String,
    /// None where the key is given back.
    state: Option<&'static str>,
    status: Option<i32>,
    reply: Option<KeptReply>,
}

impl Ending {
    pub(super) fn of(key: &ReplyKey, by: &str, end: &ReplyEnd, now: Option<i64>) -> Self {
        let (state, status, reply) = match end {
            ReplyEnd::Released => (None, None, None),
            ReplyEnd::Unknown => (Some("unknown"), None, None),
            ReplyEnd::Completed { status, reply } => {
                (Some("completed"), Some(i32::from(*status)), reply.clone())
            }
        };
        Self {
            own: Own::of(key),
            now,
            is_cut: false,
            by: by.to_owned(),
            state,
            status,
            reply,
        }
    }

    /// The outcome is kept without the reply.
    pub(super) fn leave_out(&mut self) {
        self.reply = None;
        self.is_cut = true;
    }
}

/// Writes an end, if the call has the key and runs; what it changes.
pub(super) async fn end(
    transaction: &Transaction<'_>,
    ending: &Ending,
    now: i64,
) -> Result<Option<Change>, Error> {
    let [tenant, app, key] = ending.own.params();
    let by: Param<'_> = (&ending.by, Type::TEXT);
    let Some(state) = ending.state else {
        let sql = "DELETE FROM replies
                   WHERE tenant = $1 AND app = $2 AND key = $3 AND by_call = $4
                     AND state = 'running'";
        let params = [tenant, app, key, by];
        let gone = transaction.execute_typed(sql, &params).await?;
        let change = Change { keys: -1, bytes: 0 };
        return Ok((gone > 0).then_some(change));
    };
    let sql = "UPDATE replies SET state = $5, status = $6, head = $7, body = $8, bytes = $9,
                 expires_us = least($10::numeric + ttl_us, 9223372036854775807)::bigint
               WHERE tenant = $1 AND app = $2 AND key = $3 AND by_call = $4
                 AND state = 'running'";
    let reply = ending.reply.as_ref();
    let (head, body) = (reply.map(KeptReply::head), reply.map(|it| &it.body));
    let bytes = signed(reply.map_or(0, KeptReply::bytes));
    let params: [Param<'_>; 10] = [
        tenant,
        app,
        key,
        by,
        (&state, Type::TEXT),
        (&ending.status, Type::INT4),
        (&head, Type::TEXT),
        (&body, Type::BYTEA),
        (&bytes, Type::INT8),
        (&now, Type::INT8),
    ];
    let kept = transaction.execute_typed(sql, &params).await?;
    Ok((kept > 0).then_some(Change { keys: 0, bytes }))
}

pub(super) async fn renew(
    client: &Client,
    owner: &str,
    now: Option<i64>,
    lease_us: i64,
) -> Result<(), Error> {
    let sql = concat!(
        "UPDATE replies SET lease_us = t.lease, expires_us =
           least(t.lease::numeric + ttl_us, 9223372036854775807)::bigint
         FROM (SELECT ",
        now!("$2"),
        " + $3 AS lease) t
         WHERE owner = $1 AND state = 'running'"
    );
    let params: [Param<'_>; 3] = [
        (&owner, Type::TEXT),
        (&now, Type::INT8),
        (&lease_us, Type::INT8),
    ];
    client.execute_typed(sql, &params).await?;
    Ok(())
}

/// Most bytes of replies that are removed at a time, and one reply beyond it.
const REMOVED_BYTES_MAX: i64 = 8 << 20;

/// Removes at most so many whose time is over, oldest first, and passes over
/// those that somebody else is about to remove or take.
pub(super) async fn remove(
    transaction: &Transaction<'_>,
    now: Option<i64>,
    most: i64,
) -> Result<Changes, Error> {
    let sql = concat!(
        "WITH t AS MATERIALIZED (SELECT ",
        now!("$1"),
        " AS now), over AS MATERIALIZED (
           SELECT r.tenant, r.app, r.key, r.bytes, r.expires_us FROM replies r, t
           WHERE r.expires_us <= t.now AND NOT (r.state = 'running' AND r.lease_us > t.now)
           ORDER BY r.expires_us LIMIT $2 FOR UPDATE OF r SKIP LOCKED),
         sized AS MATERIALIZED (
           SELECT tenant, app, key, sum(bytes) OVER (ORDER BY expires_us, tenant, app, key)
             - bytes AS before FROM over)
         DELETE FROM replies r USING sized
         WHERE r.tenant = sized.tenant AND r.app = sized.app AND r.key = sized.key
           AND sized.before < $3
         RETURNING r.tenant, r.bytes"
    );
    let params: [Param<'_>; 3] = [
        (&now, Type::INT8),
        (&most, Type::INT8),
        (&REMOVED_BYTES_MAX, Type::INT8),
    ];
    let mut changes = Changes::new();
    for row in transaction.query_typed(sql, &params).await? {
        let sum = changes.entry(row.get("tenant")).or_default();
        *sum = sum.and(Change {
            keys: -1,
            bytes: -row.get::<_, i64>("bytes"),
        });
    }
    Ok(changes)
}

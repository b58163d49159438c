//! Replies in a SQLite file of the data folder. Every value is a bound
//! parameter. A change is on the disk before it is answered (WAL with
//! `synchronous = FULL`) and made in one transaction, so that of two processes
//! that have the file open only one is the first with a key. What is removed
//! is overwritten, since a kept reply is content.
//!
//! Deliberately not here: encryption. Whoever reads the file as its owner
//! reads the replies.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::{
    Claimed, Held, KeptReply, Replies, RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyLimits,
    ReplyRow, ReplyState, Settled,
};
use crate::sqlite::{NotOpened, SqliteFile, Tables};

const TABLES: Tables = Tables {
    version: 1,
    sql: SQL,
    steps: &[],
};
/// What is held is counted as it changes: to count the rows would take longer
/// the more there are.
const SQL: &str = "
CREATE TABLE replies(
  tenant TEXT NOT NULL,
  app TEXT NOT NULL,
  key BLOB NOT NULL,
  request BLOB NOT NULL,
  by_call TEXT NOT NULL,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  started_us INTEGER NOT NULL,
  lease_us INTEGER NOT NULL,
  ttl_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  status INTEGER,
  bytes INTEGER NOT NULL DEFAULT 0,
  head TEXT,
  body BLOB,
  PRIMARY KEY(tenant, app, key)
) STRICT;
CREATE INDEX replies_expires ON replies(expires_us);
CREATE INDEX replies_running ON replies(owner) WHERE state = 'running';
CREATE TABLE held(
  tenant TEXT NOT NULL PRIMARY KEY,
  keys INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
CREATE TRIGGER replies_added AFTER INSERT ON replies BEGIN
  INSERT INTO held(tenant, keys, bytes) VALUES (new.tenant, 1, new.bytes)
  ON CONFLICT(tenant) DO UPDATE SET keys = keys + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER replies_changed AFTER UPDATE OF bytes ON replies BEGIN
  UPDATE held SET bytes = bytes - old.bytes + new.bytes WHERE tenant = new.tenant;
END;
CREATE TRIGGER replies_removed AFTER DELETE ON replies BEGIN
  UPDATE held SET keys = keys - 1, bytes = bytes - old.bytes WHERE tenant = old.tenant;
  DELETE FROM held WHERE tenant = old.tenant AND keys = 0;
END;
";

/// Their time is over at `:now`.
const OVER: &str = "expires_us <= :now AND NOT (state = 'running' AND lease_us > :now)";
/// Most that are removed to make room for one.
const FORGOTTEN_AT_ONCE: u64 = 1_000;

/// Replies in a SQLite file.
pub struct SqliteReplies {
    file: SqliteFile,
}

impl SqliteReplies {
    /// Opens the file, or makes it, so that only its owner reads it.
    ///
    /// # Errors
    /// The file cannot be opened, or is not one of replies.
    pub fn open(path: &Path) -> Result<Self, RepliesError> {
        let file = SqliteFile::open(path, &TABLES).map_err(|error| not_opened(path, error))?;
        file.lock().pragma_update(None, "secure_delete", "on")?;
        Ok(Self { file })
    }
}

/// Says which file it is and what to do.
fn not_opened(path: &Path, error: NotOpened) -> RepliesError {
    match error {
        NotOpened::Foreign(why) => RepliesError::Foreign(format!(
            "{} cannot be used as the store of replies: {why}. Use the gateway that wrote it, or \
             move it away: idempotency keys that were used before are then unknown, and their \
             calls run again if they are repeated.",
            path.display()
        )),
        NotOpened::Sqlite(error) => RepliesError::Sqlite(error),
        NotOpened::Io(error) => RepliesError::Io(error),
    }
}

impl Replies for SqliteReplies {
    fn claim(&self, claim: &ReplyClaim) -> Result<Claimed, RepliesError> {
        self.file.change(|transaction| {
            if let Some(found) = find(transaction, claim)? {
                let is_same = found.request == claim.request;
                let is_unknown = found.state == ReplyState::Unknown;
                if !(claim.retakes_unknown && is_same && is_unknown) {
                    return Ok(Claimed::Found(found));
                }
            } else {
                remove_over(transaction, &claim.key, claim.now_us)?;
                make_room(transaction, claim)?;
            }
            insert(transaction, claim)?;
            Ok(Claimed::First)
        })
    }

    fn is_running(&self, key: &ReplyKey, now_us: u64) -> Result<bool, RepliesError> {
        let connection = self.file.lock();
        let mut statement = connection.prepare_cached(
            "SELECT 1 FROM replies WHERE tenant = :tenant AND app = :app AND key = :key
               AND state = 'running' AND lease_us > :now",
        )?;
        Ok(statement.exists(named_params! {
            ":tenant": key.tenant, ":app": key.app, ":key": key.digest, ":now": now_us,
        })?)
    }

    fn settle(
        &self,
        key: &ReplyKey,
        by: &str,
        end: &ReplyEnd,
        at: (u64, ReplyLimits),
    ) -> Result<Settled, RepliesError> {
        self.file.change(|transaction| match end {
            ReplyEnd::Released => {
                let sql = "DELETE FROM replies WHERE tenant = :tenant AND app = :app
                             AND key = :key AND by_call = :by AND state = 'running'";
                let removed = transaction.prepare_cached(sql)?.execute(named_params! {
                    ":tenant": key.tenant, ":app": key.app, ":key": key.digest, ":by": by,
                })?;
                Ok(kept(removed))
            }
            ReplyEnd::Unknown => write_end(transaction, (key, by, at.0), &Written::UNKNOWN),
            ReplyEnd::Completed { status, reply } => complete(
                transaction,
                (key, by, at.0),
                (*status, reply.as_ref()),
                at.1,
            ),
        })
    }

    fn renew(&self, owner: &str, now_us: u64, lease_us: u64) -> Result<(), RepliesError> {
        self.file.change(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE replies SET lease_us = :lease, expires_us = :lease + ttl_us
                     WHERE owner = :owner AND state = 'running'",
                )?
                .execute(named_params! {
                    ":owner": owner, ":lease": later(now_us, lease_us),
                })?;
            Ok(())
        })
    }

    fn forget(&self, now_us: u64, most: u64) -> Result<u64, RepliesError> {
        self.file
            .change(|transaction| Ok(forget(transaction, now_us, most)?))
    }

    fn held(&self) -> Result<Held, RepliesError> {
        Ok(held(&self.file.lock(), None)?)
    }
}

/// Two times together; SQLite's numbers have a sign.
fn later(at_us: u64, more_us: u64) -> u64 {
    at_us.saturating_add(more_us).min(i64::MAX.unsigned_abs())
}

fn kept(changed: usize) -> Settled {
    match changed {
        0 => Settled::Gone,
        _ => Settled::Kept,
    }
}

fn insert(transaction: &Transaction<'_>, claim: &ReplyClaim) -> rusqlite::Result<()> {
    let lease_us = later(claim.now_us, claim.lease_us);
    transaction
        .prepare_cached(
            "INSERT INTO replies(tenant, app, key, request, by_call, owner, state, started_us,
                                 lease_us, ttl_us, expires_us)
             VALUES (:tenant, :app, :key, :request, :by, :owner, 'running', :now,
                     :lease, :ttl, :expires)
             ON CONFLICT(tenant, app, key) DO UPDATE SET
               request = excluded.request, by_call = excluded.by_call, owner = excluded.owner,
               state = excluded.state, started_us = excluded.started_us,
               lease_us = excluded.lease_us, ttl_us = excluded.ttl_us,
               expires_us = excluded.expires_us",
        )?
        .execute(named_params! {
            ":tenant": claim.key.tenant,
            ":app": claim.key.app,
            ":key": claim.key.digest,
            ":request": claim.request,
            ":by": claim.by,
            ":owner": claim.owner,
            ":now": claim.now_us,
            ":lease": lease_us,
            ":ttl": claim.ttl_us,
            ":expires": later(lease_us, claim.ttl_us),
        })?;
    Ok(())
}

/// The call that has the key at the time of the claim.
fn find(transaction: &Transaction<'_>, claim: &ReplyClaim) -> rusqlite::Result<Option<ReplyRow>> {
    // The reply of another request is not even read.
    let sql = format!(
        "SELECT request, by_call, started_us, expires_us, status, head,
                CASE WHEN state = 'running' AND lease_us <= :now THEN 'unknown' ELSE state END
                  AS state,
                CASE WHEN request = :request THEN body END AS body
         FROM replies
         WHERE tenant = :tenant AND app = :app AND key = :key AND NOT ({OVER})"
    );
    let params = named_params! {
        ":tenant": claim.key.tenant,
        ":app": claim.key.app,
        ":key": claim.key.digest,
        ":request": claim.request,
        ":now": claim.now_us,
    };
    let mut statement = transaction.prepare_cached(&sql)?;
    statement.query_row(params, read).optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<ReplyRow> {
    let state: String = row.get("state")?;
    let state = match state.as_str() {
        "running" => ReplyState::Running,
        "completed" => {
            let status: u16 = row.get("status")?;
            let body: Option<Vec<u8>> = row.get("body")?;
            let head: Option<String> = row.get("head")?;
            let reply = match head.zip(body) {
                Some((head, body)) => {
                    Some(KeptReply::read(status, &head, body).ok_or_else(foreign)?)
                }
                None => None,
            };
            ReplyState::Completed { status, reply }
        }
        "unknown" => ReplyState::Unknown,
        _ => return Err(foreign()),
    };
    Ok(ReplyRow {
        request: row.get("request")?,
        by: row.get("by_call")?,
        started_us: row.get("started_us")?,
        expires_us: row.get("expires_us")?,
        state,
    })
}

fn foreign() -> rusqlite::Error {
    let why = "a reply holds what no gateway writes";
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, why.into())
}

/// Removes the key, if its time is over.
fn remove_over(transaction: &Transaction<'_>, key: &ReplyKey, now_us: u64) -> rusqlite::Result<()> {
    let sql = format!(
        "DELETE FROM replies WHERE tenant = :tenant AND app = :app AND key = :key AND {OVER}"
    );
    transaction.prepare_cached(&sql)?.execute(named_params! {
        ":tenant": key.tenant, ":app": key.app, ":key": key.digest, ":now": now_us,
    })?;
    Ok(())
}

/// Those whose time is over make room for one more.
fn make_room(transaction: &Transaction<'_>, claim: &ReplyClaim) -> Result<(), RepliesError> {
    let tenant = Some(claim.key.tenant.as_str());
    let check = |transaction: &Transaction<'_>| {
        let (all, own) = (held(transaction, None)?, held(transaction, tenant)?);
        claim.limits.check(all, own)
    };
    while let Err(full) = check(transaction) {
        if forget(transaction, claim.now_us, FORGOTTEN_AT_ONCE)? == 0 {
            return Err(full);
        }
    }
    Ok(())
}

fn forget(transaction: &Transaction<'_>, now_us: u64, most: u64) -> rusqlite::Result<u64> {
    let sql = format!(
        "DELETE FROM replies WHERE rowid IN (
           SELECT rowid FROM replies WHERE {OVER} ORDER BY expires_us LIMIT :most)"
    );
    let removed = transaction.prepare_cached(&sql)?.execute(named_params! {
        ":now": now_us, ":most": most.min(i64::MAX.unsigned_abs()),
    })?;
    Ok(removed as u64)
}

fn held(connection: &Connection, tenant: Option<&str>) -> rusqlite::Result<Held> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(keys), 0), coalesce(sum(bytes), 0) FROM held
         WHERE :tenant IS NULL OR tenant = :tenant",
    )?;
    statement.query_row(named_params! {":tenant": tenant}, |row| {
        Ok(Held {
            keys: row.get(0)?,
            bytes: row.get(1)?,
        })
    })
}

/// What an end writes.
struct Written<'a> {
    state: &'static str,
    status: Option<u16>,
    reply: Option<&'a KeptReply>,
}

impl Written<'_> {
    const UNKNOWN: Self = Self {
        state: "unknown",
        status: None,
        reply: None,
    };
}

fn complete(
    transaction: &Transaction<'_>,
    own: (&ReplyKey, &str, u64),
    (status, reply): (u16, Option<&KeptReply>),
    limits: ReplyLimits,
) -> Result<Settled, RepliesError> {
    let bytes = reply.map_or(0, KeptReply::bytes);
    let has_room = |transaction: &Transaction<'_>| -> rusqlite::Result<bool> {
        Ok(held(transaction, None)?.bytes.saturating_add(bytes) <= limits.bytes)
    };
    let mut fits = bytes == 0 || has_room(transaction)?;
    while !fits && forget(transaction, own.2, FORGOTTEN_AT_ONCE)? > 0 {
        fits = has_room(transaction)?;
    }
    let written = Written {
        state: "completed",
        status: Some(status),
        reply: reply.filter(|_| fits),
    };
    match write_end(transaction, own, &written)? {
        Settled::Kept if !fits => Ok(Settled::WithoutReply),
        settled @ (Settled::Kept | Settled::WithoutReply | Settled::Gone) => Ok(settled),
    }
}

fn write_end(
    transaction: &Transaction<'_>,
    (key, by, now_us): (&ReplyKey, &str, u64),
    written: &Written<'_>,
) -> Result<Settled, RepliesError> {
    let changed = transaction
        .prepare_cached(
            "UPDATE replies SET state = :state, status = :status, head = :head, body = :body,
                                bytes = :bytes, expires_us = :now + ttl_us
             WHERE tenant = :tenant AND app = :app AND key = :key AND by_call = :by
               AND state = 'running'",
        )?
        .execute(named_params! {
            ":tenant": key.tenant,
            ":app": key.app,
            ":key": key.digest,
            ":by": by,
            ":state": written.state,
            ":status": written.status,
            ":head": written.reply.map(KeptReply::head),
            ":body": written.reply.map(|reply| &reply.body),
            ":bytes": written.reply.map_or(0, KeptReply::bytes),
            ":now": now_us,
        })?;
    Ok(kept(changed))
}

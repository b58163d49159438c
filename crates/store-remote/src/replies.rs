//! Replies that replicas share, in PostgreSQL. Each question is answered in one
//! transaction, which is on the server's disk before it is answered.
//!
//! All that is about a key is done one after the other, under a lock that ends
//! with its transaction: a claim whose answer was lost is over before its key
//! is given back. Who runs and whose time is over goes by the server's clock,
//! so that replicas need not agree on the time.
//!
//! Deliberately not here: what becomes of a claim that was not answered
//! (`store::ReplyLane` gives its key back), and what a repeat is told.

mod counts;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use store::replies::{
    Claimed, Held, RemoteFault, Replies, RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyLimits,
    Settled,
};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use crate::postgres::{Postgres, PostgresError, Work};
use rows::{Claiming, Ending, Own};

/// Most that are forgotten to make room for one, at a time.
const FORGOTTEN_AT_ONCE: i64 = 1_000;
/// Most times that room is made for one.
const ROUNDS_MAX: usize = 8;
/// Longest wait for one question: others wait for it, and so do the renewals
/// of what runs.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How much longer than others a reply may take: it has a body.
const REPLY_TIMES: u32 = 4;

/// Whose clock says what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// The server's.
    Server,
    /// The one of whoever asks, as the suite of all stores has it.
    Caller,
}

/// Replies in a database that replicas share.
#[derive(Debug)]
pub struct PostgresReplies {
    database: Arc<Postgres>,
    time: Time,
    keys: AtomicU64,
    bytes: AtomicU64,
}

impl PostgresReplies {
    /// In this database, which need not be there yet.
    pub fn new(database: Arc<Postgres>) -> Self {
        Self {
            database,
            time: Time::Server,
            keys: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// How much there was when it was last looked at: by a claim, or by a
    /// forgetting. Nobody waits for the database.
    pub fn last_held(&self) -> Held {
        Held {
            keys: self.keys.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// The time for the server; none where it has its own.
    fn now(&self, now_us: u64) -> Option<i64> {
        (self.time == Time::Caller).then_some(signed(now_us))
    }

    fn run<T, F>(&self, times: u32, work: F) -> Result<T, RepliesError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Client) -> Work<'c, T> + Send + 'static,
    {
        let at_most = self.database.deadline().saturating_mul(times).min(WAIT_MAX);
        self.database.run(at_most, work).map_err(failed)
    }

    fn note(&self, held: Held) {
        self.keys.store(held.keys, Relaxed);
        self.bytes.store(held.bytes, Relaxed);
    }
}

impl Replies for PostgresReplies {
    fn claim(&self, claim: &ReplyClaim) -> Result<Claimed, RepliesError> {
        let claiming = Claiming::of(claim, self.now(claim.now_us));
        let limits = claim.limits;
        let (claimed, held) = self.run(1, move |client| {
            Box::pin(async move { make_claim(client, &claiming, limits).await })
        })?;
        held.into_iter().for_each(|held| self.note(held));
        claimed
    }

    fn is_running(&self, key: &ReplyKey, now_us: u64) -> Result<bool, RepliesError> {
        let (own, now) = (Own::of(key), self.now(now_us));
        self.run(1, move |client| {
            Box::pin(async move { rows::is_running(client, &own, now).await })
        })
    }

    fn settle(
        &self,
        key: &ReplyKey,
        by: &str,
        end: &ReplyEnd,
        (now_us, limits): (u64, ReplyLimits),
    ) -> Result<Settled, RepliesError> {
        let ending = Ending::of(key, by, end, self.now(now_us));
        let times = match end {
            ReplyEnd::Completed { reply: Some(_), .. } => REPLY_TIMES,
            ReplyEnd::Completed { reply: None, .. } | ReplyEnd::Released | ReplyEnd::Unknown => 1,
        };
        self.run(times, move |client| {
            Box::pin(async move { make_end(client, ending, limits).await })
        })
    }

    fn renew(&self, owner: &str, now_us: u64, lease_us: u64) -> Result<(), RepliesError> {
        let (owner, now) = (owner.to_owned(), self.now(now_us));
        self.run(1, move |client| {
            Box::pin(async move { rows::renew(client, &owner, now, signed(lease_us)).await })
        })
    }

    fn forget(&self, now_us: u64, most: u64) -> Result<u64, RepliesError> {
        let now = self.now(now_us);
        let until = Instant::now() + self.database.deadline();
        let (gone, held) = self.run(REPLY_TIMES, move |client| {
            Box::pin(async move {
                // In pieces, each of which is done for good.
                let mut gone = 0;
                while gone < most && Instant::now() < until {
                    match forget(client, now, signed(most - gone)).await? {
                        0 => break,
                        some => gone += some,
                    }
                }
                Ok((gone, counts::held(client).await?))
            })
        })?;
        self.note(held);
        Ok(gone)
    }

    fn held(&self) -> Result<Held, RepliesError> {
        self.run(1, |client| {
            Box::pin(async move { counts::held(client).await })
        })
    }
}

type Told = Result<Claimed, RepliesError>;

/// Claims, and makes room where there is none. With how much there is then.
async fn make_claim(
    client: &mut Client,
    claiming: &Claiming,
    limits: ReplyLimits,
) -> Result<(Told, Option<Held>), Error> {
    let mut rounds = 0;
    loop {
        let transaction = client.transaction().await?;
        let now = rows::lock(&transaction, &claiming.own, claiming.now).await?;
        let found = rows::find(&transaction, claiming, now).await?;
        let before = match found {
            rows::Found::Other(found) => return Ok((found.map(Claimed::Found), None)),
            rows::Found::Free => None,
            rows::Found::Over(bytes) => Some(bytes),
        };
        rows::take(&transaction, claiming, now).await?;
        let change = counts::Change {
            keys: i64::from(before.is_none()),
            bytes: -before.unwrap_or(0),
        };
        let (all, own) = counts::change(&transaction, &claiming.own.tenant, change).await?;
        // The one that is over gave its own place.
        let full = match before {
            None => limits.check(less_one(all), less_one(own)).err(),
            Some(_) => None,
        };
        let Some(full) = full else {
            transaction.commit().await?;
            return Ok((Ok(Claimed::First), Some(all)));
        };
        transaction.rollback().await?;
        rounds += 1;
        if rounds == ROUNDS_MAX || forget(client, Some(now), FORGOTTEN_AT_ONCE).await? == 0 {
            return Ok((Err(full), None));
        }
    }
}

fn less_one(held: Held) -> Held {
    Held {
        keys: held.keys.saturating_sub(1),
        ..held
    }
}

/// Ends a call, and makes room for its reply where there is none.
async fn make_end(
    client: &mut Client,
    mut ending: Ending,
    limits: ReplyLimits,
) -> Result<Settled, Error> {
    let mut rounds = 0;
    loop {
        let transaction = client.transaction().await?;
        let now = rows::lock(&transaction, &ending.own, ending.now).await?;
        let change = rows::end(&transaction, &ending, now).await?;
        let Some(change) = change else {
            return Ok(Settled::Gone);
        };
        let mut fits = true;
        if change != counts::Change::default() {
            let (all, _) = counts::change(&transaction, &ending.own.tenant, change).await?;
            fits = change.bytes <= 0 || all.bytes <= limits.bytes;
        }
        if fits {
            transaction.commit().await?;
            return Ok(match ending.is_cut {
                true => Settled::WithoutReply,
                false => Settled::Kept,
            });
        }
        transaction.rollback().await?;
        rounds += 1;
        if rounds == ROUNDS_MAX || forget(client, Some(now), FORGOTTEN_AT_ONCE).await? == 0 {
            ending.leave_out();
        }
    }
}

/// Removes at most so many whose time is over, oldest first: fewer where their
/// replies are large, and one at least.
async fn forget(client: &mut Client, now: Option<i64>, most: i64) -> Result<u64, Error> {
    let transaction = client.transaction().await?;
    let gone = rows::remove(&transaction, now, most).await?;
    let mut all = 0;
    for change in gone.values() {
        all += change.keys.unsigned_abs();
    }
    if all > 0 {
        counts::change_many(&transaction, &gone).await?;
    }
    transaction.commit().await?;
    Ok(all)
}

/// What the server takes: its numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn failed(error: PostgresError) -> RepliesError {
    let why = error.to_string();
    RepliesError::Remote(match error {
        PostgresError::Unasked(_) | PostgresError::Refused { .. } => RemoteFault::NotDone(why),
        PostgresError::Unavailable(_) => RemoteFault::Unknown(why),
    })
}

/// A parameter and its type, so that nothing is prepared.
type Param<'p> = (&'p (dyn tokio_postgres::types::ToSql + Sync), Type);

#[cfg(test)]
mod tests;

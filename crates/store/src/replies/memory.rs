//! Replies in memory: for tests, simulations and gateways without a data
//! folder.
//!
//! Deliberately not here: durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    Claimed, Held, Replies, RepliesError, ReplyClaim, ReplyEnd, ReplyKey, ReplyLimits, ReplyRow,
    ReplyState, Settled,
};

/// Replies in memory.
#[derive(Default)]
pub struct MemoryReplies {
    kept: Mutex<BTreeMap<ReplyKey, Kept>>,
}

#[derive(Clone)]
struct Kept {
    row: ReplyRow,
    owner: String,
    lease_us: u64,
    ttl_us: u64,
}

impl Kept {
    fn runs(&self, now_us: u64) -> bool {
        self.row.state == ReplyState::Running && self.lease_us > now_us
    }

    fn is_over(&self, now_us: u64) -> bool {
        self.row.expires_us <= now_us && !self.runs(now_us)
    }

    /// As it stands now.
    fn row(&self, now_us: u64) -> ReplyRow {
        let mut row = self.row.clone();
        if row.state == ReplyState::Running && !self.runs(now_us) {
            row.state = ReplyState::Unknown;
        }
        row
    }

    fn bytes(&self) -> u64 {
        match &self.row.state {
            ReplyState::Completed {
                reply: Some(reply), ..
            } => reply.bytes(),
            ReplyState::Completed { reply: None, .. }
            | ReplyState::Running
            | ReplyState::Unknown => 0,
        }
    }
}

impl MemoryReplies {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<ReplyKey, Kept>> {
        // Nothing that can panic runs under this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held<'a>(kept: impl Iterator<Item = (&'a ReplyKey, &'a Kept)>) -> Held {
    kept.fold(Held::default(), |held, (_, kept)| Held {
        keys: held.keys + 1,
        bytes: held.bytes + kept.bytes(),
    })
}

fn forget(kept: &mut BTreeMap<ReplyKey, Kept>, now_us: u64, most: u64) -> u64 {
    let over = kept.iter().filter(|(_, it)| it.is_over(now_us));
    let mut over: Vec<_> = over
        .map(|(key, it)| (it.row.expires_us, key.clone()))
        .collect();
    over.sort();
    over.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    for (_, key) in &over {
        kept.remove(key);
    }
    over.len() as u64
}

impl Replies for MemoryReplies {
    fn claim(&self, claim: &ReplyClaim) -> Result<Claimed, RepliesError> {
        let mut kept = self.kept();
        let now_us = claim.now_us;
        let found = kept.get(&claim.key).filter(|it| !it.is_over(now_us));
        if let Some(found) = found {
            let mut row = found.row(now_us);
            let is_same = row.request == claim.request;
            let retaken = claim.retakes_unknown && is_same && row.state == ReplyState::Unknown;
            if !retaken {
                if let ReplyState::Completed { reply, .. } = &mut row.state
                    && !is_same
                {
                    *reply = None;
                }
                return Ok(Claimed::Found(row));
            }
        } else {
            kept.remove(&claim.key);
            forget(&mut kept, now_us, u64::MAX);
            let of_tenant = kept
                .iter()
                .filter(|(key, _)| key.tenant == claim.key.tenant);
            claim.limits.check(held(kept.iter()), held(of_tenant))?;
        }
        let lease_us = now_us.saturating_add(claim.lease_us);
        let first = Kept {
            row: ReplyRow {
                request: claim.request,
                by: claim.by.clone(),
                started_us: now_us,
                expires_us: lease_us.saturating_add(claim.ttl_us),
                state: ReplyState::Running,
            },
            owner: claim.owner.clone(),
            lease_us,
            ttl_us: claim.ttl_us,
        };
        kept.insert(claim.key.clone(), first);
        Ok(Claimed::First)
    }

    fn is_running(&self, key: &ReplyKey, now_us: u64) -> Result<bool, RepliesError> {
        Ok(self.kept().get(key).is_some_and(|it| it.runs(now_us)))
    }

    fn settle(
        &self,
        key: &ReplyKey,
        by: &str,
        end: &ReplyEnd,
        (now_us, limits): (u64, ReplyLimits),
    ) -> Result<Settled, RepliesError> {
        let mut kept = self.kept();
        let is_own = |it: &&Kept| it.row.by == by && it.row.state == ReplyState::Running;
        let Some(mut own) = kept.get(key).filter(is_own).cloned() else {
            return Ok(Settled::Gone);
        };
        own.row.expires_us = now_us.saturating_add(own.ttl_us);
        let mut settled = Settled::Kept;
        own.row.state = match end {
            ReplyEnd::Released => {
                kept.remove(key);
                return Ok(Settled::Kept);
            }
            ReplyEnd::Unknown => ReplyState::Unknown,
            ReplyEnd::Completed { status, reply } => {
                let mut reply = reply.clone();
                if let Some(bytes) = reply.as_ref().map(super::KeptReply::bytes) {
                    let has_room = |held: Held| held.bytes.saturating_add(bytes) <= limits.bytes;
                    if !has_room(held(kept.iter())) {
                        forget(&mut kept, now_us, u64::MAX);
                    }
                    if !has_room(held(kept.iter())) {
                        reply = None;
                        settled = Settled::WithoutReply;
                    }
                }
                ReplyState::Completed {
                    status: *status,
                    reply,
                }
            }
        };
        kept.insert(key.clone(), own);
        Ok(settled)
    }

    fn renew(&self, owner: &str, now_us: u64, lease_us: u64) -> Result<(), RepliesError> {
        let mut kept = self.kept();
        let own = kept.values_mut();
        for it in own.filter(|it| it.owner == owner && it.row.state == ReplyState::Running) {
            it.lease_us = now_us.saturating_add(lease_us);
            it.row.expires_us = it.lease_us.saturating_add(it.ttl_us);
        }
        Ok(())
    }

    fn forget(&self, now_us: u64, most: u64) -> Result<u64, RepliesError> {
        Ok(forget(&mut self.kept(), now_us, most))
    }

    fn held(&self) -> Result<Held, RepliesError> {
        Ok(held(self.kept().iter()))
    }
}

//! Approvals in memory: for tests, simulations and gateways without a data
//! folder.
//!
//! Deliberately not here: durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    ApprovalFilter, ApprovalLimits, ApprovalRow, ApprovalState, Approvals, ApprovalsError, Open,
    Vote,
};

/// Approvals in memory.
#[derive(Default)]
pub struct MemoryApprovals {
    limits: ApprovalLimits,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_number: BTreeMap<u64, ApprovalRow>,
    last: u64,
}

impl MemoryApprovals {
    /// None yet, within these limits.
    pub fn with_limits(limits: ApprovalLimits) -> Self {
        Self {
            limits,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs under this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&self, id: &str) -> Option<&ApprovalRow> {
        self.by_number.values().find(|row| row.id == id)
    }
}

impl Approvals for MemoryApprovals {
    fn ask(&self, row: &ApprovalRow) -> Result<ApprovalRow, ApprovalsError> {
        let mut kept = self.kept();
        let now_us = row.asked_us;
        let open = || kept.by_number.values().filter(|it| it.is_open(now_us));
        if let Some(same) = open().find(|it| it.asks_the_same(row)) {
            return Ok(same.clone());
        }
        let of_tenant = || open().filter(|it| it.tenant == row.tenant);
        let of_key = of_tenant().filter(|it| it.key_id == row.key_id);
        self.limits.check(Open {
            of_key: of_key.count() as u64,
            of_tenant: of_tenant().count() as u64,
            of_all: open().count() as u64,
        })?;
        kept.last += 1;
        let row = ApprovalRow {
            number: kept.last,
            ..row.clone()
        };
        kept.by_number.insert(row.number, row.clone());
        let over = (kept.by_number.len() as u64).saturating_sub(self.limits.kept);
        let ended = kept.by_number.values().filter(|it| !it.is_open(now_us));
        let ended: Vec<u64> = ended.take(over as usize).map(|it| it.number).collect();
        for number in ended {
            kept.by_number.remove(&number);
        }
        Ok(row)
    }

    fn find(&self, id: &str) -> Result<Option<ApprovalRow>, ApprovalsError> {
        Ok(self.kept().find(id).cloned())
    }

    fn vote(&self, id: &str, vote: &Vote) -> Result<ApprovalRow, ApprovalsError> {
        let mut kept = self.kept();
        let row = kept.find(id).ok_or(ApprovalsError::Unknown)?.voted(vote)?;
        kept.by_number.insert(row.number, row.clone());
        Ok(row)
    }

    fn spend(&self, id: &str, by: &str, now_us: u64) -> Result<bool, ApprovalsError> {
        let mut kept = self.kept();
        let spent = kept.find(id).and_then(|row| row.spent(by, now_us));
        Ok(match spent {
            Some(row) => kept.by_number.insert(row.number, row).is_some(),
            None => false,
        })
    }

    fn list(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRow>, ApprovalsError> {
        let kept = self.kept();
        let before = filter.before.unwrap_or(u64::MAX);
        let rows = kept.by_number.range(..before).rev().map(|(_, row)| row);
        let found = rows.filter(|row| filter.shows(row));
        Ok(found.take(filter.limit()).cloned().collect())
    }

    fn pending(&self, now_us: u64) -> Result<u64, ApprovalsError> {
        let kept = self.kept();
        let rows = kept.by_number.values();
        let pending = rows.filter(|row| row.state(now_us) == ApprovalState::Pending);
        Ok(pending.count() as u64)
    }
}

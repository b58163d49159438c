//! Keys in memory: for tests and simulations.
//!
//! Deliberately not here: durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    KEYS_ACTIVE_MAX, KEYS_PAGE_MAX, KeyCounts, KeyFilter, KeyRow, KeyState, Keys, KeysError,
};

/// Keys in memory.
pub struct MemoryKeys {
    active_max: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_number: BTreeMap<u64, KeyRow>,
    change: u64,
}

impl Kept {
    fn next_change(&mut self) -> u64 {
        self.change += 1;
        self.change
    }

    fn find(&self, id: &str) -> Option<&KeyRow> {
        self.by_number.values().find(|row| row.id == id)
    }
}

impl Default for MemoryKeys {
    fn default() -> Self {
        Self::with_limit(KEYS_ACTIVE_MAX)
    }
}

impl MemoryKeys {
    /// No keys yet, and room for so many active ones.
    pub fn with_limit(active_max: u64) -> Self {
        Self {
            active_max,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs under this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for MemoryKeys {
    fn create(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        let mut kept = self.kept();
        if kept.find(&row.id).is_some() {
            return Err(KeysError::Taken);
        }
        let active = kept
            .by_number
            .values()
            .filter(|kept| kept.state(row.created_us) == KeyState::Active);
        if active.count() as u64 >= self.active_max {
            return Err(KeysError::Full(self.active_max));
        }
        let change = kept.next_change();
        let row = KeyRow {
            number: change,
            change,
            ..row.clone()
        };
        kept.by_number.insert(change, row.clone());
        Ok(row)
    }

    fn replace(&self, row: &KeyRow) -> Result<KeyRow, KeysError> {
        let mut kept = self.kept();
        let before = kept.find(&row.id).cloned().ok_or(KeysError::Unknown)?;
        if before.change != row.change {
            return Err(KeysError::Changed);
        }
        let row = KeyRow {
            number: before.number,
            change: kept.next_change(),
            created_us: before.created_us,
            created_by: before.created_by,
            last_used_us: before.last_used_us,
            ..row.clone()
        };
        kept.by_number.insert(row.number, row.clone());
        Ok(row)
    }

    fn find(&self, id: &str) -> Result<Option<KeyRow>, KeysError> {
        Ok(self.kept().find(id).cloned())
    }

    fn list(&self, filter: &KeyFilter) -> Result<Vec<KeyRow>, KeysError> {
        let kept = self.kept();
        let before = filter.before.unwrap_or(u64::MAX);
        let rows = kept.by_number.range(..before).rev().map(|(_, row)| row);
        let found = rows.filter(|row| {
            filter.tenant.as_ref().is_none_or(|it| *it == row.tenant)
                && filter.app.as_ref().is_none_or(|it| *it == row.app)
                && filter.state.is_none_or(|it| it == row.state(filter.now_us))
        });
        let limit = filter.limit.min(KEYS_PAGE_MAX) as usize;
        Ok(found.take(limit).cloned().collect())
    }

    fn changed_after(&self, change: u64) -> Result<Vec<KeyRow>, KeysError> {
        let kept = self.kept();
        let rows = kept.by_number.values();
        let mut rows: Vec<KeyRow> = rows.filter(|row| row.change > change).cloned().collect();
        rows.sort_by_key(|row| row.change);
        Ok(rows)
    }

    fn last_change(&self) -> Result<u64, KeysError> {
        Ok(self.kept().change)
    }

    fn note_used(&self, used: &[(String, u64)]) -> Result<(), KeysError> {
        let mut kept = self.kept();
        for (id, us) in used {
            for row in kept.by_number.values_mut().filter(|row| row.id == *id) {
                row.last_used_us = row.last_used_us.max(Some(*us));
            }
        }
        Ok(())
    }

    fn counts(&self, now_us: u64) -> Result<KeyCounts, KeysError> {
        let mut counts = KeyCounts::default();
        for row in self.kept().by_number.values() {
            counts.count(row, now_us);
        }
        Ok(counts)
    }
}

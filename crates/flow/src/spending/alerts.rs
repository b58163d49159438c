//! Budgets that reached a share: told once for each window of each counter.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use meter::Reached;

/// Most windows that are remembered. Beyond it everything is forgotten, and
/// something may be told twice.
const REMEMBERED_MAX: usize = 100_000;

/// A counter, the begin of its window, and a share of it.
type Told = (u128, u64, u32);

/// Tells people that a budget has reached a share.
pub struct Alerts {
    told: Mutex<HashSet<Told>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

impl Default for Alerts {
    /// Nobody is told.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl Alerts {
    /// To this.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            told: Mutex::default(),
            tell: Box::new(tell),
        }
    }

    /// Tells it, if it has not been told for this window.
    pub(crate) fn reached(&self, reached: &Reached, text: impl FnOnce() -> String) {
        let key = (reached.counter, reached.from_us, reached.at);
        let is_new = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= REMEMBERED_MAX {
                told.clear();
            }
            told.insert(key)
        };
        if is_new {
            (self.tell)(&text());
        }
    }
}

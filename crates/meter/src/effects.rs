//! What budgets ask for before they are used up.

use std::sync::Arc;

use crate::book::Want;
use crate::quota::{Action, Hold, Pace, Threshold};

/// A threshold that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The budget.
    pub quota: Arc<str>,
    /// The counter.
    pub counter: u128,
    /// What the budget does about what it finds.
    pub hold: Hold,
    /// The share that was reached, in thousandths.
    pub at: u32,
    /// What is done.
    pub action: Action,
    /// What is settled and reserved.
    pub level: i64,
    /// The limit.
    pub limit: i64,
    /// Begin of the window, microseconds since the Unix epoch.
    pub from_us: u64,
}

/// All thresholds that calls have reached, where `levels` are those of
/// `wants`, in their order. Of one budget, of the actions of one sort, the one
/// with the highest share is given.
pub fn reached(now_us: u64, wants: &[Want<'_>], levels: &[i64]) -> Vec<Reached> {
    let mut all = Vec::new();
    for (want, level) in wants.iter().zip(levels) {
        let quota = want.quota;
        let limit = quota.limit_at(now_us);
        let is_reached = |threshold: &&Threshold| {
            i128::from(*level) * 1_000 >= i128::from(limit) * i128::from(threshold.at)
        };
        let mut own: Vec<Reached> = Vec::new();
        for threshold in quota.thresholds.iter().filter(is_reached) {
            let same = |known: &Reached| known.action.name() == threshold.action.name();
            own.retain(|known| !same(known));
            own.push(Reached {
                quota: quota.name.clone(),
                counter: want.counter,
                hold: quota.hold,
                at: threshold.at,
                action: threshold.action.clone(),
                level: *level,
                limit,
                from_us: match &quota.pace {
                    Pace::Window(window) => window.span(now_us).from_us,
                    Pace::Gcra { .. } | Pace::Permits => 0,
                },
            });
        }
        all.extend(own);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{Measure, Quota, QuotaKind, QuotaSpec, Scope};
    use crate::window::Window;

    #[test]
    fn the_highest_share_of_each_sort_counts() {
        let threshold = |at, action| Threshold { at, action };
        let quota = Arc::new(Quota::new(QuotaSpec {
            name: "b".into(),
            kind: QuotaKind::Budget,
            measure: Measure::Cost,
            limit: 1_000,
            pace: Pace::Window(Window::Forever),
            scope: Scope::default(),
            hold: Hold::Enforce,
            overrides: Vec::new(),
            thresholds: vec![
                threshold(500, Action::Alert),
                threshold(800, Action::Shorten(500)),
                threshold(900, Action::Shorten(100)),
                threshold(1_000, Action::Refuse),
            ],
            queue: None,
            usual: None,
        }));
        let wants = [Want {
            quota: &quota,
            counter: 7,
            amount: 1,
        }];
        let at = |level| -> Vec<Action> {
            let found = reached(0, &wants, &[level]);
            found.into_iter().map(|it| it.action).collect()
        };
        assert_eq!(at(499), []);
        assert_eq!(at(500), [Action::Alert]);
        assert_eq!(at(899), [Action::Alert, Action::Shorten(500)]);
        let all = [Action::Alert, Action::Shorten(100), Action::Refuse];
        assert_eq!(at(i64::MAX), all);
    }
}

//! When temporary keys are borrowed again. Pure: the time, the roll of dice
//! and what came of the last try are handed in.

use std::sync::Arc;

use crate::lending::{Lent, Loan};

/// Keys are borrowed again this long before they end, milliseconds: the time
/// from which on the vendors' metadata services hold the next ones ready.
pub const MARGIN_MS: u64 = 300_000;
/// Shortest wait after a success, milliseconds, so that a source which lends
/// for moments only is not asked without end.
pub const WAIT_MS_MIN: u64 = 1_000;
/// First wait after a failure, milliseconds; it doubles with each further one.
pub const RETRY_MS_FIRST: u64 = 1_000;
/// Longest wait after a failure, milliseconds.
pub const RETRY_MS_MAX: u64 = 60_000;

/// The upkeep of one loan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upkeep {
    failures: u32,
}

impl Upkeep {
    /// The loan after a try, and the wait until the next one in milliseconds;
    /// `None`: the keys do not end. Keys at hand stay when a try fails: a
    /// signature looks at their end itself.
    pub fn settle(
        &mut self,
        loan: &Loan,
        outcome: Result<Lent, String>,
        unix_us: u64,
        roll: u64,
    ) -> (Loan, Option<u64>) {
        match outcome {
            Ok(lent) => {
                self.failures = 0;
                let wait = lent.expires_us.map(|end| until_renewal(end, unix_us, roll));
                let fresh = Loan {
                    lent: Some(Arc::new(lent)),
                    trouble: None,
                };
                (fresh, wait)
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                let kept = Loan {
                    lent: loan.lent.clone(),
                    trouble: Some(why.into()),
                };
                (kept, Some(until_retry(self.failures, roll)))
            }
        }
    }
}

/// [`MARGIN_MS`] before the end, or half way to it if that is later; up to a
/// tenth of the margin earlier, so that gateways do not ask all at once.
fn until_renewal(expires_us: u64, unix_us: u64, roll: u64) -> u64 {
    let left_ms = expires_us.saturating_sub(unix_us) / 1_000;
    let margin = MARGIN_MS.min(left_ms / 2);
    let early = roll % (margin / 10 + 1);
    (left_ms - margin).saturating_sub(early).max(WAIT_MS_MIN)
}

/// Doubling, bounded, and up to a quarter shorter by chance.
fn until_retry(failures: u32, roll: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = (RETRY_MS_FIRST << doublings).min(RETRY_MS_MAX);
    wait - roll % (wait / 4 + 1)
}

#[cfg(test)]
mod tests {
    //! Cases: what was at hand, what came, what is at hand and when to try.

    use contract::Secret;

    use super::*;
    use crate::lending::SigningKeys;

    const NOW: u64 = 1_800_000_000_000_000;
    const SECOND: u64 = 1_000_000;

    fn lent(id: &str, seconds: Option<u64>) -> Lent {
        Lent {
            keys: SigningKeys {
                access_key_id: id.into(),
                secret_access_key: Secret::new("s".into()),
                session_token: None,
            },
            expires_us: seconds.map(|seconds| NOW + seconds * SECOND),
        }
    }

    #[test]
    fn keys_are_renewed_before_they_end() {
        let wait = |seconds: Option<u64>, roll: u64| {
            let mut upkeep = Upkeep::default();
            let outcome = Ok(lent("a", seconds));
            upkeep.settle(&Loan::default(), outcome, NOW, roll).1
        };
        assert_eq!(wait(Some(3_600), 0), Some(3_300_000), "five minutes before");
        assert_eq!(wait(Some(3_600), 30_000), Some(3_270_000), "a bit earlier");
        assert_eq!(wait(Some(900), 0), Some(600_000));
        assert_eq!(wait(Some(600), 0), Some(300_000));
        assert_eq!(wait(Some(60), 0), Some(30_000), "half way");
        assert_eq!(wait(Some(1), 0), Some(WAIT_MS_MIN), "never without a wait");
        assert_eq!(wait(None, 0), None, "they do not end");
        for roll in [0, 1, 77, u64::MAX] {
            let wait = wait(Some(3_600), roll).expect("they end");
            assert!((3_270_000..=3_300_000).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn a_failure_keeps_what_is_at_hand_and_waits_ever_longer() {
        let mut upkeep = Upkeep::default();
        let (mut loan, _) = upkeep.settle(&Loan::default(), Ok(lent("a", Some(60))), NOW, 0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let (next, wait) = upkeep.settle(&loan, Err("no way".into()), NOW, 0);
            waits.push(wait.expect("it is tried again") / 1_000);
            loan = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let kept = loan.lent.as_ref().expect("the old keys stay");
        assert_eq!(kept.keys.access_key_id, "a");
        assert_eq!(loan.trouble.as_deref(), Some("no way"));
        let (loan, _) = upkeep.settle(&loan, Ok(lent("b", Some(60))), NOW, 0);
        assert_eq!(loan.trouble, None);
        let (_, wait) = upkeep.settle(&loan, Err("no way".into()), NOW, 0);
        assert_eq!(wait, Some(RETRY_MS_FIRST), "a success forgets failures");
    }

    #[test]
    fn waits_after_failures_are_bounded_and_spread() {
        for failures in [1, 2, 7, 40, u32::MAX] {
            for roll in [0, 1, 12_345, u64::MAX] {
                let wait = until_retry(failures, roll);
                assert!((RETRY_MS_FIRST * 3 / 4..=RETRY_MS_MAX).contains(&wait));
            }
        }
    }
}

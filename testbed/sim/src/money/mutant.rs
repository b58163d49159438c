//! Planted mistakes about money: each bends one thing at a seam, so that
//! tests can show that the oracle notices.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use meter::{
    Admitted, Counters, Draw, Hold, Level, Measure, Override, Pace, Quota, QuotaSpec, Refused,
    Subject, Want,
};

use super::life::lock;
use super::scenario::TENANTS;

/// A planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyMutant {
    /// None: everything as it is.
    None,
    /// The flow settles twice.
    SettledTwice,
    /// The counters settle twice.
    CountedTwice,
    /// What a call did not take at all is not released.
    LostRelease,
    /// It is settled to what was reserved instead of the truth.
    SettledToReserved,
    /// Half of what a call took is settled, and the record tells all.
    HalfSettled,
    /// Permits come back when the head of the answer has come.
    EarlyPermit,
    /// The window is that of the settlement instead of the admission.
    WindowAtSettle,
    /// What was taken before a refusal stays taken.
    NotAllOrNothing,
    /// Nothing beyond what was reserved is settled.
    ForgottenDebt,
    /// A limit lets one more in.
    OneMore,
    /// Every tenant is counted with the first one.
    OtherTenant,
    /// What is refused goes on.
    OpenOnRefusal,
    /// What would be refused in mode `shadow` or `warn` is refused.
    ShadowRefuses,
    /// Windows are let go of before they have passed.
    SweptEarly,
    /// Other limits for a while are passed over.
    NoOverrides,
    /// Calls go on although what they hold could not be written down.
    Unwritten,
    /// Records that the journal has are brought in again after a crash.
    BroughtInTwice,
    /// Calls that were under way at a crash are forgotten.
    ForgottenByCrash,
    /// Calls that were under way at a crash count as free.
    LostForFree,
    /// Calls are priced by another list.
    OtherPrice,
}

impl MoneyMutant {
    /// Every mistake, and the rules of which one must notice it.
    pub const ALL: [(MoneyMutant, &'static [&'static str]); 20] = [
        (Self::SettledTwice, &["settle-once"]),
        (Self::CountedTwice, &["counter", "ledger"]),
        (Self::LostRelease, &["counter", "ledger"]),
        (Self::SettledToReserved, &["counter", "ledger"]),
        (Self::HalfSettled, &["row"]),
        (Self::EarlyPermit, &["counter", "budget"]),
        (Self::WindowAtSettle, &["counter", "ledger"]),
        (Self::NotAllOrNothing, &["counter", "ledger"]),
        (Self::ForgottenDebt, &["debt"]),
        (Self::OneMore, &["budget"]),
        (Self::OtherTenant, &["counter", "scope"]),
        (Self::OpenOnRefusal, &["all-or-nothing"]),
        (Self::ShadowRefuses, &["refused"]),
        (Self::SweptEarly, &["counter", "ledger"]),
        (Self::NoOverrides, &["budget", "refused"]),
        (Self::Unwritten, &["durable"]),
        (Self::BroughtInTwice, &["one-record"]),
        (Self::ForgottenByCrash, &["durable"]),
        (Self::LostForFree, &["lost"]),
        (Self::OtherPrice, &["price"]),
    ];
}

/// Counters that make the mistake.
pub(super) struct Bent {
    pub(super) inner: Arc<dyn Counters>,
    pub(super) mutant: MoneyMutant,
    /// What was taken, by key; for permits that come back early.
    pub(super) taken: Mutex<Vec<(String, Draw)>>,
    /// The quotas of counters; for windows that are computed again.
    pub(super) known: Mutex<HashMap<u128, Arc<Quota>>>,
    pub(super) now_us: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Bent {
    /// The head of an answer has come.
    pub(super) fn on_head(&self, key: &str) {
        if self.mutant != MoneyMutant::EarlyPermit {
            return;
        }
        let own = |it: &mut (String, Draw)| it.0 == key && it.1.measure == Measure::Concurrency;
        let early: Vec<(String, Draw)> = lock(&self.taken).extract_if(.., own).collect();
        let early: Vec<(&Draw, i64)> = early.iter().map(|(_, draw)| (draw, 0)).collect();
        self.inner.settle(&mut early.into_iter());
    }

    fn bent(&self, want: &Want<'_>) -> Arc<Quota> {
        let spec: &QuotaSpec = want.quota;
        let mut spec = spec.clone();
        match self.mutant {
            MoneyMutant::OneMore => {
                spec.limit += 1;
                let more = |it: &mut Override| it.limit += 1;
                spec.overrides.iter_mut().for_each(more);
            }
            MoneyMutant::ShadowRefuses => spec.hold = Hold::Enforce,
            MoneyMutant::NoOverrides => spec.overrides.clear(),
            _ => {}
        }
        Arc::new(Quota::new(spec))
    }

    fn one_by_one(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        let mut all = Admitted::default();
        for want in wants {
            let one = self.inner.admit(now_us, subject, &[*want])?;
            all.draws.extend(one.draws);
            all.would_refuse.extend(one.would_refuse);
        }
        Ok(all)
    }
}

impl Counters for Bent {
    fn admit(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        let quotas: Vec<Arc<Quota>> = wants.iter().map(|want| self.bent(want)).collect();
        let first = Subject {
            tenant: TENANTS[0],
            ..*subject
        };
        let wants: Vec<Want<'_>> = wants
            .iter()
            .zip(&quotas)
            .map(|(want, quota)| Want {
                quota,
                counter: match self.mutant {
                    MoneyMutant::OtherTenant => quota.counter(&first),
                    _ => want.counter,
                },
                amount: want.amount,
            })
            .collect();
        let mut known = lock(&self.known);
        known.extend(wants.iter().map(|want| (want.counter, want.quota.clone())));
        drop(known);
        let came = match self.mutant {
            MoneyMutant::NotAllOrNothing => self.one_by_one(now_us, subject, &wants),
            _ => self.inner.admit(now_us, subject, &wants),
        };
        if let Ok(admitted) = &came {
            let draws = admitted.draws.iter();
            let draws = draws.map(|draw| (subject.key.to_owned(), draw.clone()));
            lock(&self.taken).extend(draws);
        }
        match came {
            Err(Refused::Breached(_)) if self.mutant == MoneyMutant::OpenOnRefusal => {
                Ok(Admitted::default())
            }
            came => came,
        }
    }

    fn settle(&self, settled: &mut dyn Iterator<Item = (&Draw, i64)>) {
        let mut all = Vec::new();
        for (draw, actual) in settled {
            let mut draw = draw.clone();
            let mut actual = actual;
            let mut taken = lock(&self.taken);
            let known = taken.iter().position(|(_, it)| *it == draw);
            let is_held = known.map(|at| taken.swap_remove(at)).is_some();
            drop(taken);
            match self.mutant {
                MoneyMutant::CountedTwice => all.push((draw.clone(), actual)),
                MoneyMutant::LostRelease if actual == 0 => continue,
                MoneyMutant::SettledToReserved => actual = draw.amount,
                MoneyMutant::ForgottenDebt => actual = actual.min(draw.amount),
                MoneyMutant::EarlyPermit if !is_held => continue,
                MoneyMutant::WindowAtSettle => {
                    let known = lock(&self.known).get(&draw.counter).cloned();
                    if let Some(Pace::Window(window)) = known.map(|quota| quota.pace.clone()) {
                        draw.span = window.span((self.now_us)());
                    }
                }
                _ => {}
            }
            all.push((draw, actual));
        }
        self.inner
            .settle(&mut all.iter().map(|(draw, actual)| (draw, *actual)));
    }

    fn levels_of(&self, now_us: u64, wants: &[Want<'_>]) -> Vec<i64> {
        self.inner.levels_of(now_us, wants)
    }

    fn levels(&self) -> Vec<Level> {
        self.inner.levels()
    }

    fn debt(&self, measure: Measure) -> i64 {
        self.inner.debt(measure)
    }

    fn sweep(&self, now_us: u64) {
        let beyond = match self.mutant {
            MoneyMutant::SweptEarly => 100 * 86_400_000_000,
            _ => 0,
        };
        self.inner.sweep(now_us + beyond);
    }
}

/// A flow that makes the mistake.
pub(super) struct Careless {
    pub(super) inner: Arc<dyn Counters>,
    pub(super) mutant: MoneyMutant,
}

impl Counters for Careless {
    fn admit(
        &self,
        now_us: u64,
        subject: &Subject<'_>,
        wants: &[Want<'_>],
    ) -> Result<Admitted, Refused> {
        self.inner.admit(now_us, subject, wants)
    }

    fn settle(&self, settled: &mut dyn Iterator<Item = (&Draw, i64)>) {
        let all: Vec<(&Draw, i64)> = settled.collect();
        let halves = |actual: i64| match self.mutant {
            MoneyMutant::HalfSettled => actual / 2,
            _ => actual,
        };
        let mut once = all.iter().map(|(draw, actual)| (*draw, halves(*actual)));
        self.inner.settle(&mut once);
        if self.mutant == MoneyMutant::SettledTwice {
            self.inner.settle(&mut all.into_iter());
        }
    }

    fn levels_of(&self, now_us: u64, wants: &[Want<'_>]) -> Vec<i64> {
        self.inner.levels_of(now_us, wants)
    }

    fn levels(&self) -> Vec<Level> {
        self.inner.levels()
    }

    fn debt(&self, measure: Measure) -> i64 {
        self.inner.debt(measure)
    }

    fn sweep(&self, now_us: u64) {
        self.inner.sweep(now_us);
    }
}

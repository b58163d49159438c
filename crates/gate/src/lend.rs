//! The tender of temporary keys: it carries the steps by which `providers`
//! borrows them, publishes them in one cell, and borrows again in time.
//! Signing reads the cell without a lock.
//!
//! Deliberately not here: what a step means and when the next one is due,
//! which `providers` decides.

mod steps;

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use plan::InForce;
use providers::{Heard, Lender, Lent, Loan, Loans, Step, Upkeep};

use crate::tender::{Tender, Ward, World};

/// Longest wait for the first keys of a plan before it is put in force. A
/// source that takes longer has its provider fail until it answers.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest time for all steps of one loan together.
const LOAN_TIME: Duration = Duration::from_secs(90);
/// Most steps of one loan: five roles one after another need eight.
const STEPS_MAX: usize = 16;
/// Longest time between two looks at the wall clock while waiting: a machine
/// that slept must not wait on for what is overdue.
const LOOK_EVERY_MS: u64 = 30_000;

/// The tender of loans.
#[derive(Clone)]
pub(crate) struct Lending {
    desk: Arc<Desk>,
    tender: Arc<Tender<Lender>>,
    /// Ids of the plan in force, whose keys calls at work still need.
    before: Arc<Mutex<HashSet<Arc<str>>>>,
}

impl Ward for Lender {
    fn id(&self) -> &Arc<str> {
        Lender::id(self)
    }
}

/// Where keys are published.
struct Desk {
    loans: Arc<ArcSwap<Loans>>,
    /// Held while the cell is changed.
    writing: Mutex<()>,
    changed: Condvar,
}

impl Lending {
    /// A tender that publishes in this cell.
    pub(crate) fn new(loans: Arc<ArcSwap<Loans>>) -> Self {
        let desk = Arc::new(Desk {
            loans,
            writing: Mutex::new(()),
            changed: Condvar::new(),
        });
        let publishes_in = desk.clone();
        let tender = Tender::new("credentials", move |world, lender| {
            let desk = publishes_in.clone();
            Box::pin(Borrower { world, desk }.upkeep(lender))
        });
        Self {
            desk,
            tender: Arc::new(tender),
            before: Arc::default(),
        }
    }

    /// The cell.
    pub(crate) fn loans(&self) -> Arc<ArcSwap<Loans>> {
        self.desk.loans.clone()
    }

    /// Borrows what these plans need from now on, and waits, for as long as is
    /// bearable, until each source answered or failed. To be called before a
    /// new plan is put in force; keys of those before stay until the next call.
    pub(crate) fn follow(&self, plans: &InForce) {
        let lenders = lenders(plans);
        let ids: HashSet<Arc<str>> = lenders.iter().map(|lender| lender.id().clone()).collect();
        {
            let mut kept = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut *kept, ids.clone());
            self.desk
                .keep(&|id| before.contains(id) || ids.contains(id));
            if let Err(why) = self.tender.want(lenders) {
                crate::say(&format!(
                    "temporary credentials cannot be fetched: no thread can be started: {why}"
                ));
                return;
            }
        }
        self.desk.await_all(&ids);
    }
}

/// The lenders of these plans, each once.
fn lenders(plans: &InForce) -> Vec<Arc<Lender>> {
    let mut seen = HashSet::new();
    plans
        .plans()
        .flat_map(|plan| &plan.providers)
        .filter_map(|provider| provider.account.lender.clone())
        .filter(|lender| seen.insert(lender.id().clone()))
        .collect()
}

impl Desk {
    fn loan(&self, id: &str) -> Loan {
        self.loans.load().get(id).cloned().unwrap_or_default()
    }

    fn publish(&self, id: &Arc<str>, loan: Loan) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.loans.load().with(id.clone(), loan);
        self.loans.store(Arc::new(next));
        self.changed.notify_all();
    }

    fn keep(&self, keep: &dyn Fn(&str) -> bool) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.loans.load().only(keep);
        self.loans.store(Arc::new(next));
    }

    fn await_all(&self, ids: &HashSet<Arc<str>>) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let lacks = |(): &mut ()| {
            let loans = self.loans.load();
            ids.iter().any(|id| loans.get(id).is_none())
        };
        // What is not there in time comes later, and calls say so until then.
        drop(self.changed.wait_timeout_while(writing, FIRST_WAIT, lacks));
    }
}

/// Who borrows, and where what is lent is published.
struct Borrower {
    world: World,
    desk: Arc<Desk>,
}

impl Borrower {
    /// Keeps one loan up, for good or until keys come that do not end.
    async fn upkeep(self, lender: Arc<Lender>) {
        let mut upkeep = Upkeep::default();
        loop {
            let outcome = match tokio::time::timeout(LOAN_TIME, self.borrow(&lender)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("it took longer than {} s", LOAN_TIME.as_secs())),
            };
            let now = self.world.clock.unix_us();
            let before = self.desk.loan(lender.id());
            let (loan, wait_ms) = upkeep.settle(&before, outcome, now, self.world.dice.roll());
            tell(&lender, &before, &loan);
            self.desk.publish(lender.id(), loan);
            let Some(wait_ms) = wait_ms else {
                return;
            };
            self.wait_until(now.saturating_add(wait_ms.saturating_mul(1_000)))
                .await;
        }
    }

    async fn wait_until(&self, unix_us: u64) {
        loop {
            let left_ms = unix_us
                .saturating_sub(self.world.clock.unix_us())
                .div_ceil(1_000);
            if left_ms == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left_ms.min(LOOK_EVERY_MS))).await;
        }
    }

    async fn borrow(&self, lender: &Lender) -> Result<Lent, String> {
        let mut heard: Vec<Heard> = Vec::new();
        while heard.len() < STEPS_MAX {
            let came = match lender.next(&heard, self.world.clock.unix_us()) {
                Step::Send(outbound) => steps::send(&*self.world.wire, *outbound).await,
                Step::Read(path) => steps::read(path).await,
                Step::Run(program) => steps::run(program).await,
                Step::Done(lent) => return Ok(lent),
                Step::Failed(why) => return Err(why),
            };
            heard.push(came);
        }
        Err(format!("it took more than {STEPS_MAX} steps"))
    }
}

/// Says what changed, and nothing while it stays as it is.
fn tell(lender: &Lender, before: &Loan, loan: &Loan) {
    let name = lender.name();
    match (&before.trouble, &loan.trouble) {
        (was, Some(why)) if was.as_ref() != Some(why) => crate::say(&format!(
            "temporary credentials by {name} cannot be fetched: {why}; it is tried again"
        )),
        (Some(_), None) => {
            crate::say(&format!("temporary credentials by {name} are there again"));
        }
        (_, _) => {}
    }
}

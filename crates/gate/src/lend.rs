//! The tender of temporary keys: it carries the steps by which `providers`
//! borrows them, publishes them in one cell, and borrows again in time.
//! Signing reads the cell without a lock.
//!
//! Deliberately not here: what a step means and when the next one is due,
//! which `providers` decides.

mod steps;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use contract::seams::{Clock, Dice, Wire};
use plan::InForce;
use providers::{Heard, Lender, Lent, Loan, Loans, Step, Upkeep};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use transport::{HttpWire, RealClock, RealDice, WireOptions};

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

/// The tender. It starts with the first lender, and ends with its last handle.
#[derive(Clone)]
pub(crate) struct Lending {
    desk: Arc<Desk>,
    state: Arc<Mutex<State>>,
}

/// What the tender was told.
#[derive(Default)]
struct State {
    wanted: Option<watch::Sender<Vec<Arc<Lender>>>>,
    /// Ids of the plan in force, whose keys calls at work still need.
    before: HashSet<Arc<str>>,
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
        let desk = Desk {
            loans,
            writing: Mutex::new(()),
            changed: Condvar::new(),
        };
        Self {
            desk: Arc::new(desk),
            state: Arc::default(),
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
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut state.before, ids.clone());
            self.desk
                .keep(&|id| before.contains(id) || ids.contains(id));
            if let Err(why) = self.tell(&mut state, lenders) {
                crate::say(&format!(
                    "temporary credentials cannot be fetched: no thread can be started: {why}"
                ));
                return;
            }
        }
        self.desk.await_all(&ids);
    }

    fn tell(&self, state: &mut State, lenders: Vec<Arc<Lender>>) -> std::io::Result<()> {
        if let Some(wanted) = &state.wanted {
            wanted.send_replace(lenders);
            return Ok(());
        }
        if lenders.is_empty() {
            return Ok(());
        }
        let (wanted, heard) = watch::channel(lenders);
        let desk = self.desk.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("credentials".to_owned())
            .spawn(move || runtime.block_on(tend(heard, desk)))?;
        state.wanted = Some(wanted);
        Ok(())
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

/// Tends the lenders that are wanted, until nobody can want any.
async fn tend(mut wanted: watch::Receiver<Vec<Arc<Lender>>>, desk: Arc<Desk>) {
    let world = World {
        wire: Arc::new(HttpWire::new(WireOptions::default())),
        clock: Arc::new(RealClock::new()),
        dice: Arc::new(RealDice::new()),
        desk,
    };
    let mut tasks = JoinSet::new();
    let mut running: HashMap<Arc<str>, AbortHandle> = HashMap::new();
    loop {
        let lenders = wanted.borrow_and_update().clone();
        running.retain(|id, task| {
            let stays = lenders.iter().any(|lender| lender.id() == id);
            if !stays {
                task.abort();
            }
            stays
        });
        for lender in lenders {
            let id = lender.id().clone();
            running
                .entry(id)
                .or_insert_with(|| tasks.spawn(world.clone().upkeep(lender)));
        }
        // Those that ended are forgotten.
        while tasks.try_join_next().is_some() {}
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// What the tender needs of the world.
#[derive(Clone)]
struct World {
    wire: Arc<dyn Wire>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    desk: Arc<Desk>,
}

impl World {
    /// Keeps one loan up, for good or until keys come that do not end.
    async fn upkeep(self, lender: Arc<Lender>) {
        let mut upkeep = Upkeep::default();
        loop {
            let outcome = match tokio::time::timeout(LOAN_TIME, self.borrow(&lender)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("it took longer than {} s", LOAN_TIME.as_secs())),
            };
            let now = self.clock.unix_us();
            let before = self.desk.loan(lender.id());
            let (loan, wait_ms) = upkeep.settle(&before, outcome, now, self.dice.roll());
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
            let left_ms = unix_us.saturating_sub(self.clock.unix_us()).div_ceil(1_000);
            if left_ms == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left_ms.min(LOOK_EVERY_MS))).await;
        }
    }

    async fn borrow(&self, lender: &Lender) -> Result<Lent, String> {
        let mut heard: Vec<Heard> = Vec::new();
        while heard.len() < STEPS_MAX {
            let came = match lender.next(&heard, self.clock.unix_us()) {
                Step::Send(outbound) => steps::send(&*self.wire, *outbound).await,
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

//! A new configuration while the gateway runs: the plan is swapped whole, or
//! the last good one stays. What cannot change without a restart is said.
//!
//! Deliberately not here: watching files (`config::watch`), and what must be
//! noted before a plan is in force (room `admin`).

use std::io::IsTerminal;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use admin::{Applied, Author, By, Candidate, Compile, Hands, How, Plans, Put, Reply, RolloutEnd};
use contract::seams::Clock as _;
use plan::{Diagnostic, InForce, Owner, Plan};
use transport::RealClock;

use crate::config::{Loaded, Outcome};
use crate::serve::{House, Shape};

/// Longest wait of an operator for a reload that they asked for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Makes candidates for the plan in force.
pub(crate) struct Maker {
    house: House,
    shape: Shape,
    owner: Owner,
}

impl Maker {
    /// A maker for this house, which runs with this shape.
    pub(crate) fn new(house: House, shape: Shape, owner: Owner) -> Self {
        Self {
            house,
            shape,
            owner,
        }
    }

    /// What was loaded, ready to be put in force.
    pub(crate) fn candidate(&self, loaded: Loaded) -> Candidate {
        let mut restart_needed = self.shape.differs(&Shape::of(&loaded.compiled));
        if loaded.document.plans.owner != self.owner {
            restart_needed.push("plans.owner");
        }
        Candidate {
            plan: Arc::new(loaded.compiled.plan),
            kept: loaded.kept,
            restart_needed,
        }
    }

    /// How plans of the admin API are made, and how all are put in force.
    pub(crate) fn hands(&self, compile: Compile) -> Hands {
        let house = self.house.clone();
        let put: Put = Arc::new(move |next, ended| house.put(next, ended));
        Hands { compile, put }
    }
}

impl House {
    /// Puts a plan, and perhaps its candidate, in force.
    fn put(&self, next: InForce, ended: Option<RolloutEnd>) {
        let before = self.plan.load_full();
        let meter = self.evidence.meter();
        if !Arc::ptr_eq(&before.plan, &next.plan) {
            meter.plan_in_force(&next.plan.digest);
            self.gauges.plan_loaded(RealClock::new().unix_us());
        }
        let candidate = next
            .rollout
            .as_ref()
            .map(|rollout| rollout.candidate.clone());
        if let Some(rollout) = &next.rollout {
            let known = before.rollout.as_ref().map(|known| &known.candidate.digest);
            if known != Some(&rollout.candidate.digest) {
                meter.rollout_begins();
            }
            let share = f64::from(rollout.share.hundredths()) / 10_000.0;
            meter.rollout_share(Some((&rollout.candidate.digest, share)));
        }
        let is_known = |plan: &Arc<Plan>| before.plans().any(|known| Arc::ptr_eq(known, plan));
        let is_new = !next.plans().all(is_known);
        let next = Arc::new(next);
        // What a new plan needs is fetched first. Where one only goes, it goes
        // at once.
        if is_new {
            self.follow(&next);
        }
        self.plan.store(next.clone());
        if !is_new && before.plans().count() != next.plans().count() {
            self.follow(&next);
        }
        if candidate.is_none() {
            meter.rollout_share(None);
        }
        if let Some(ended) = ended {
            meter.rollout_ended(ended.name());
        }
    }

    /// Fetches what these plans need, and waits for it as long as is bearable.
    pub(crate) fn follow(&self, in_force: &InForce) {
        self.lending.follow(in_force);
        self.issuers.follow(in_force);
    }
}

/// Applies reloads, and lets those who asked for one wait for it.
pub(crate) struct Applier {
    maker: Arc<Maker>,
    plans: Arc<Plans>,
    /// Where the configuration is from.
    name: String,
    /// Who that is in the audit journal.
    author: &'static str,
    last: Mutex<Last>,
    told: Condvar,
}

/// Says what the operator should know about a configuration that is usable.
pub(crate) fn warn(warnings: &[Diagnostic], name: &str) {
    if !warnings.is_empty() {
        let colours = std::io::stderr().is_terminal();
        crate::say(&plan::render(warnings, name, colours));
    }
}

/// The last reload: its number and what became of it.
struct Last {
    number: u64,
    outcome: Option<Result<Applied, Reply>>,
    /// Who waits for the next one.
    asker: Option<Author>,
}

impl Applier {
    /// An applier of what is loaded from `name`, which the audit journal calls
    /// `author`.
    pub(crate) fn new(
        maker: Arc<Maker>,
        plans: Arc<Plans>,
        name: String,
        author: &'static str,
    ) -> Arc<Self> {
        let last = Mutex::new(Last {
            number: 0,
            outcome: None,
            asker: None,
        });
        Arc::new(Self {
            maker,
            plans,
            name,
            author,
            last,
            told: Condvar::new(),
        })
    }

    /// Takes in what became of a load.
    pub(crate) fn apply(&self, outcome: Outcome) {
        let asker = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.asker.take()
        };
        let now_us = RealClock::new().unix_us();
        let author = asker.unwrap_or_else(|| Author::itself(self.author, now_us));
        let outcome = match outcome {
            Ok(loaded) => match self.plans.owner() {
                Owner::File => self.put_in_force(loaded, &author),
                Owner::Api => Err(self.pass_over(&loaded)),
            },
            Err(failure) => {
                let colours = std::io::stderr().is_terminal();
                crate::say(&format!(
                    "{} cannot be used, so plan {} stays in force:\n{}",
                    self.name,
                    self.in_force(),
                    failure.render(&self.name, colours)
                ));
                let told = failure.render(&self.name, false);
                Err(Reply::fault(422, "configuration_refused", &told))
            }
        };
        let word = if outcome.is_ok() {
            "applied"
        } else {
            "rejected"
        };
        self.maker.house.evidence.meter().reloaded(word);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.number += 1;
        last.outcome = Some(outcome);
        self.told.notify_all();
    }

    fn put_in_force(&self, loaded: Loaded, author: &Author) -> Result<Applied, Reply> {
        warn(&loaded.compiled.warnings, &self.name);
        let candidate = self.maker.candidate(loaded);
        let applied = self.plans.take_in(candidate, author, How::Reload, None);
        match &applied {
            Ok(applied) => {
                if !applied.restart_needed.is_empty() {
                    crate::say(&format!(
                        "{}: changes of these take effect at the next start (`tollgate` can be \
                         started again beside this one: it takes the sockets over without losing a call)",
                        applied.restart_needed.join(", ")
                    ));
                }
                crate::say(&format!("{}: plan {} is in force", self.name, applied.plan));
            }
            Err(refusal) => crate::say(&format!(
                "{} was not put in force, so plan {} stays: {}",
                self.name,
                self.in_force(),
                String::from_utf8_lossy(&refusal.body)
            )),
        }
        applied
    }

    /// The file changed, but it does not own the plan.
    fn pass_over(&self, loaded: &Loaded) -> Reply {
        let (of_file, now) = (&loaded.compiled.plan.digest, self.in_force());
        let told = format!(
            "The admin API owns the plan, so what {} says (plan {of_file}) was not put in force; \
             plan {now} stays. `tollgate plan apply {}` puts it in force.",
            self.name, self.name
        );
        if **of_file != *now {
            crate::say(&told);
        }
        Reply::fault(409, "api_owns_the_plan", &told)
    }

    fn in_force(&self) -> Arc<str> {
        self.maker.house.plan.load().plan.digest.clone()
    }

    /// Asks for a reload on somebody's behalf and waits for what becomes of it.
    pub(crate) fn ask(&self, by: &By, trigger: &dyn Fn()) -> Result<Applied, Reply> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.number;
        last.asker = Some(by.into());
        trigger();
        let waited = self
            .told
            .wait_timeout_while(last, WAIT_MAX, |last| last.number == before);
        let (last, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let ended = last.outcome.clone().filter(|_| last.number != before);
        ended.unwrap_or_else(|| {
            Err(Reply::fault(
                503,
                "reload_under_way",
                "The reload did not end in time; the log tells when it does.",
            ))
        })
    }
}

//! The checkers: what must hold after every run, whatever happened in it.

mod answer;
mod attempts;
mod head;

use evidence::Record;

use crate::Violation;
use crate::executor::End;
use crate::heard::Heard;
use crate::scenario::{CandidatePlan, ExchangePlan, Flaw};
use crate::world::{World, key_id};

/// One exchange with all that is known of it.
pub(crate) struct Case<'a> {
    pub(crate) index: usize,
    pub(crate) plan: &'a ExchangePlan,
    pub(crate) heard: &'a Heard,
    pub(crate) record: &'a Record,
    pub(crate) answer_bytes_max: usize,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Findings(Vec<Violation>);

impl Findings {
    /// Notes a broken rule.
    pub(crate) fn add(&mut self, rule: &'static str, what: impl Into<String>) {
        self.0.push(Violation {
            rule,
            what: what.into(),
        });
    }

    /// Notes a broken rule unless it holds.
    pub(crate) fn demand(
        &mut self,
        holds: bool,
        rule: &'static str,
        what: impl FnOnce() -> String,
    ) {
        if !holds {
            self.add(rule, what());
        }
    }
}

impl Case<'_> {
    /// The candidate of an attempt, by the name that the plan gave it.
    pub(crate) fn candidate(&self, at: usize) -> &CandidatePlan {
        &self.plan.candidates[at]
    }

    /// Whether it is answered in the dialect that the upstream speaks.
    pub(crate) fn same(&self, at: usize) -> bool {
        let spoken = self.candidate(at).spoken;
        spoken.is_some_and(|dialect| dialect.id() == self.plan.front.id())
    }
}

/// Checks a run.
pub(crate) fn all(world: &World, end: End) -> Vec<Violation> {
    let mut findings = Findings::default();
    for (rule, what) in std::mem::take(&mut world.ledger.book().broken) {
        findings.add(rule, what);
    }
    findings.demand(end == End::Done, "stuck", || format!("the run is {end:?}"));
    let records = world.records();
    house(world, &records, &mut findings);
    if end != End::Done {
        return findings.0;
    }
    for (index, plan) in world.scenario.exchanges.iter().enumerate() {
        world.heard(index, |heard| {
            exchange(world, (index, plan), heard, &records, &mut findings);
        });
    }
    findings.0
}

/// What holds for the run as a whole.
fn house(world: &World, records: &[Record], findings: &mut Findings) {
    let health = world.journal.health();
    findings.demand(health.abandoned == 0, "one-record", || {
        format!("{} slots were abandoned", health.abandoned)
    });
    findings.demand(health.slots_in_use == 0, "one-record", || {
        format!("{} slots are still in use", health.slots_in_use)
    });
    let exchanges = world.scenario.exchanges.len() as u64;
    let accounted = records.len() as u64 + health.refused;
    findings.demand(accounted == exchanges, "one-record", || {
        format!(
            "{exchanges} exchanges left {} records and {} refusals of the journal",
            records.len(),
            health.refused
        )
    });
    let meter = world.flow.evidence.meter();
    findings.demand(meter.in_flight() == 0, "gauges", || {
        format!("{} exchanges are in flight", meter.in_flight())
    });
    findings.demand(meter.open_streams() == 0, "gauges", || {
        format!("{} streams are open", meter.open_streams())
    });
}

fn exchange(
    world: &World,
    (index, plan): (usize, &ExchangePlan),
    heard: &Heard,
    records: &[Record],
    findings: &mut Findings,
) {
    let calls = world.ledger.calls(index);
    if let Some(before) = heard.left {
        findings.demand(calls == before, "sent-late", || {
            format!("x{index}: {before} calls when its caller left, {calls} at the end")
        });
    }
    let id = heard.headers.get("tollgate-request-id");
    let id = id.and_then(|id| id.to_str().ok());
    let key = key_id(index);
    let own: Vec<&Record> = records
        .iter()
        .filter(|record| match id {
            Some(id) => record.id.text().as_str() == id,
            None => record.who.key_id.as_deref() == Some(&*key),
        })
        .collect();
    let [record] = own[..] else {
        let refused = heard.status == Some(503) && own.is_empty() && calls == 0;
        findings.demand(refused && world.scenario.slots == 1, "one-record", || {
            format!("x{index} has {} records", own.len())
        });
        return;
    };
    let case = Case {
        index,
        plan,
        heard,
        record,
        answer_bytes_max: world.scenario.answer_bytes_max,
    };
    refusals(&case, calls, findings);
    let book = world.ledger.book();
    let own_calls = book.calls_of(index);
    let held = book.held_after(index);
    let served = attempts::check(&case, &own_calls, findings);
    answer::check(&case, served.as_ref(), held, findings);
}

/// What is refused before any upstream is called.
fn refusals(case: &Case<'_>, calls: usize, findings: &mut Findings) {
    let Case { index, plan, .. } = case;
    let wanted = match plan.flaw {
        Flaw::None => return,
        Flaw::WrongKey | Flaw::NoKey => 401,
        Flaw::UnknownModel => 404,
        Flaw::CutBody => 400,
        Flaw::LostBody(kind) => kind.status(),
    };
    findings.demand(calls == 0, "refusal", || {
        format!(
            "x{index} was to be refused ({:?}) and made {calls} calls",
            plan.flaw
        )
    });
    if let Some(status) = case.heard.status {
        findings.demand(status == wanted, "status", || {
            format!("x{index}: {:?} got status {status}", plan.flaw)
        });
        findings.demand(case.record.outcome.name() == "refused", "outcome", || {
            format!(
                "x{index}: {:?} is recorded as {:?}",
                plan.flaw, case.record.outcome
            )
        });
    }
}

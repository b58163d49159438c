//! One life of the gateway: a flow over seams that may die, and what the next
//! life makes of the journal and of the table of calls under way.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use access::{Consumer, KeyRing};
use arc_swap::ArcSwap;
use contract::Secret;
use contract::seams::{Clock, Wire};
use evidence::{Evidence, Ledger, LogLine, Meter, Outcome, Record};
use flow::{Flow, Handles};
use meter::{Book, Counters, Draw, LocalCounters, Measure, QuotaKind, Quotas, Span};
use plan::Plan;
use store::{InflightOptions, InflightState, InflightTable, Journal};

use super::life::{Disk, Life, LifeInflight, LifeJournal, LifeWire, Shared};
use super::mutant::{Bent, Careless, MoneyMutant};
use super::oracle::Oracle;
use super::price::{self, Line};
use super::scenario::Plot;
use super::tap::Tap;
use crate::chance::Chance;
use crate::clock::SimClock;
use crate::scenario::Scenario;
use crate::upstream::SimWire;
use crate::world::{self, SimDice};

/// What outlives a process.
pub(super) struct Outside {
    pub(super) clock: SimClock,
    pub(super) wire: Arc<SimWire>,
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) oracle: Arc<Mutex<Oracle>>,
    pub(super) mutant: MoneyMutant,
}

/// A process.
pub(super) struct Process {
    pub(super) life: Arc<Life>,
    pub(super) flow: Arc<Flow>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) table: Arc<InflightTable>,
}

impl Process {
    /// Starts one, which dies after so many acts. Its counters are those of
    /// the ledger.
    pub(super) fn start(
        outside: &Outside,
        (plot, scenario): (&Plot, &Scenario),
        acts: u64,
        chance: &mut Chance,
    ) -> Self {
        let life = Life::new(acts);
        let shared = Shared {
            disk: outside.disk.clone(),
            life: life.clone(),
            chance: Mutex::new(chance.fork()),
            in_use: AtomicU64::new(0),
        };
        let journal = LifeJournal(Arc::new(shared));
        let (counters, bent) = counters(outside, &journal, &life, plot.faults.unasked.clone());
        let on_head = move |exchange| bent.on_head(&world::key_id(exchange));
        let wire: Arc<dyn Wire> = Arc::new(LifeWire {
            inner: outside.wire.clone(),
            life: life.clone(),
            on_head: Box::new(on_head),
        });
        let table = || {
            let slots_max = plot.faults.rows;
            Arc::new(InflightTable::in_memory(InflightOptions { slots_max }))
        };
        let own = table();
        let inflight = LifeInflight {
            table: own.clone(),
            life: life.clone(),
            clock: outside.clock.clone(),
            down: plot.faults.down.clone(),
            elsewhere: (outside.mutant == MoneyMutant::Unwritten).then(table),
        };
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let evidence = Evidence::new(journal.clone(), Arc::new(Meter::new()), LogLine::Off, None);
        let flow = Flow {
            key_quotas: Arc::default(),
            plan: Arc::new(ArcSwap::from_pointee(
                plan(plot, scenario, outside.mutant).into(),
            )),
            wire,
            clock: Arc::new(outside.clock.clone()),
            dice: Arc::new(SimDice(Mutex::new(chance.fork()))),
            evidence,
            keys: Arc::default(),
            loans: Arc::default(),
            tokens: flow::Tokens::default(),
            handles: Handles::default(),
            approvals: None,
            counters,
            alerts: Arc::default(),
            lines: Arc::default(),
            factors: Arc::default(),
            inflight: Some(Arc::new(inflight)),
            replies: None,
        };
        Self {
            life,
            flow: Arc::new(flow),
            journal,
            table: own,
        }
    }
}

fn counters(
    outside: &Outside,
    journal: &dyn Journal,
    life: &Arc<Life>,
    down: Vec<(u64, u64)>,
) -> (Arc<dyn Counters>, Arc<Bent>) {
    let book = rebuilt(journal, outside.clock.unix_us());
    let local: Arc<dyn Counters> = Arc::new(LocalCounters::new(book));
    let mutant = outside.mutant;
    let clock = outside.clock.clone();
    let bent = Arc::new(Bent {
        inner: local.clone(),
        mutant,
        taken: Mutex::default(),
        known: Mutex::default(),
        now_us: Box::new(move || clock.unix_us()),
    });
    let tap: Arc<dyn Counters> = Arc::new(Tap {
        inner: match mutant {
            MoneyMutant::None => local,
            _ => bent.clone(),
        },
        oracle: outside.oracle.clone(),
        life: life.clone(),
        clock: outside.clock.clone(),
        down,
    });
    let counters: Arc<dyn Counters> = match mutant {
        MoneyMutant::SettledTwice | MoneyMutant::HalfSettled => {
            Arc::new(Careless { inner: tap, mutant })
        }
        _ => tap,
    };
    (counters, bent)
}

fn plan(plot: &Plot, scenario: &Scenario, mutant: MoneyMutant) -> Plan {
    let mut keys = KeyRing::new([1; 32]);
    for (nth, caller) in plot.callers.iter().enumerate() {
        let mut consumer = Consumer::new(world::key_id(nth), caller.tenant, "a");
        consumer.user = Some(caller.user.into());
        keys.add(&Secret::new(world::key(nth)), consumer);
    }
    let mut answers = std::collections::BTreeMap::new();
    answers.insert("sorry".into(), "The budget is used up.".into());
    let bent = |line: &Line| Line {
        rate: line.rate.dearer(),
        ..*line
    };
    let lines: Vec<Line> = match mutant {
        MoneyMutant::OtherPrice => plot.prices.iter().map(bent).collect(),
        _ => plot.prices.clone(),
    };
    Plan {
        keys,
        quotas: Quotas::new(plot.quotas.iter().cloned()),
        prices: price::prices(&lines),
        reservation: plan::Reservation {
            output_tokens: plot.output_tokens,
            strict: plot.strict,
            stream_slice: plot.slice,
            ..plan::Reservation::default()
        },
        answers,
        ..world::plan(scenario)
    }
}

/// All records on the disk.
pub(super) fn records(disk: &Disk) -> Vec<Record> {
    let entries = disk.entries.iter();
    entries
        .filter_map(|entry| Record::decode(entry).ok())
        .collect()
}

/// The pure part of a recovery: what was under way and is not in the journal
/// comes into it, ended exchanges as their record, others as lost.
pub(super) fn recover(disk: &mut Disk, table: &InflightTable, mutant: MoneyMutant) {
    disk.crash();
    let known: BTreeSet<_> = records(disk).into_iter().map(|record| record.id).collect();
    for row in table.rows().expect("memory can be read") {
        let record = Record::decode(&row.bytes).expect("whole rows");
        if known.contains(&record.id) && mutant != MoneyMutant::BroughtInTwice {
            continue;
        }
        match row.state {
            InflightState::Ended => disk.write(row.bytes),
            InflightState::Begun if mutant == MoneyMutant::ForgottenByCrash => {}
            InflightState::Begun => {
                let mut record = record;
                record.outcome = Outcome::Lost;
                if mutant == MoneyMutant::LostForFree {
                    let rows = record.reservations.iter_mut();
                    rows.for_each(|row| row.settled = Some(0));
                }
                disk.write(record.encode());
            }
        }
    }
}

/// The counters of a journal, by its ledger: what was settled, and what was
/// reserved by those of whom nothing else is known. Permits and cells pass by
/// themselves.
fn rebuilt(journal: &dyn Journal, now_us: u64) -> Book {
    let mut ledger = Ledger::default();
    let mut cursor = journal.cursor(1, None).expect("memory can be read");
    while let Some(entry) = cursor.next_entry().expect("memory can be read") {
        ledger.take(&entry, now_us);
    }
    let mut book = Book::default();
    for (window, total) in ledger.totals() {
        let draw = Draw {
            quota: total.quota.clone(),
            kind: QuotaKind::named(&total.kind).expect("kinds of this version"),
            measure: Measure::named(&total.measure).expect("measures of this version"),
            counter: window.counter,
            scope: total.scope.clone(),
            span: Span {
                from_us: window.from_us,
                until_us: window.until_us,
            },
            after_us: total.after_us,
            amount: 0,
            level: 0,
            limit: 0,
            whole_us: None,
        };
        book.credit(&draw, total.settled);
    }
    book
}

//! One run: the real flow between simulated callers and upstreams.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use access::{Consumer, KeyRing};
use arc_swap::ArcSwap;
use contract::Secret;
use contract::seams::{Dice, Endpoint, HttpVersion};
use evidence::{Evidence, LogLine, Meter, Record};
use flow::{Flow, Handles};
use http::{HeaderMap, HeaderValue};
use plan::{Plan, ProviderPlan, Settings, Times};
use routing::{Candidate, ModelTable};
use store::Journal;

use crate::asks;
use crate::chance::Chance;
use crate::clock::SimClock;
use crate::heard::Heard;
use crate::journal::SimJournal;
use crate::ledger::{Ledger, Who};
use crate::mutant::{Mutant, MutantWire};
use crate::scenario::{CandidatePlan, Manner, Scenario};
use crate::upstream::{AnyWire, SimWire};

/// The time limits of every upstream.
pub(crate) const TIMES: Times = Times {
    head_ms: 2_000,
    first_token_ms: 20_000,
    idle_ms: 8_000,
    total_ms: 60_000,
};

/// Everything of one run.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) mutant: Mutant,
    pub(crate) clock: SimClock,
    pub(crate) ledger: Ledger,
    pub(crate) flow: Arc<Flow>,
    pub(crate) journal: Arc<dyn Journal>,
    heard: RefCell<Vec<Heard>>,
}

/// What a world is played on.
pub(crate) struct Stage {
    pub(crate) clock: SimClock,
    pub(crate) ledger: Ledger,
    pub(crate) flow: Arc<Flow>,
    pub(crate) journal: Arc<dyn Journal>,
}

/// Chance for the flow.
pub(crate) struct SimDice(pub(crate) Mutex<Chance>);

impl Dice for SimDice {
    fn roll(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .next()
    }
}

impl World {
    /// The world of a scenario.
    pub(crate) fn new(mut scenario: Scenario, mutant: Mutant) -> Self {
        let clock = SimClock::default();
        let count = scenario.exchanges.len();
        let ledger = Ledger::new(clock.clone(), count);
        let journal = Arc::new(SimJournal::new(scenario.slots, mutant));
        let wire = Arc::new(sim_wire(&mut scenario, &clock, &ledger));
        let wire: AnyWire = match mutant {
            Mutant::None => wire,
            _ => Arc::new(MutantWire {
                inner: wire,
                mutant,
                kept: Arc::default(),
            }),
        };
        let evidence = Evidence::new(journal.clone(), Arc::new(Meter::new()), LogLine::Off, None);
        let flow = Arc::new(Flow {
            key_quotas: Arc::default(),
            plan: Arc::new(ArcSwap::from_pointee(plan(&scenario).into())),
            wire,
            clock: Arc::new(clock.clone()),
            dice: Arc::new(SimDice(Mutex::new(scenario.chance.fork()))),
            evidence,
            keys: Arc::default(),
            loans: Arc::default(),
            tokens: flow::Tokens::default(),
            handles: Handles::default(),
            approvals: None,
            counters: Arc::new(meter::LocalCounters::default()),
            alerts: Arc::default(),
            lines: Arc::default(),
            factors: Arc::default(),
            inflight: None,
            replies: None,
        });
        let stage = Stage {
            clock,
            ledger,
            flow,
            journal,
        };
        Self::on(stage, scenario, mutant)
    }

    /// The world of a scenario, on a stage.
    pub(crate) fn on(stage: Stage, scenario: Scenario, mutant: Mutant) -> Self {
        let Stage {
            clock,
            ledger,
            flow,
            journal,
        } = stage;
        let heard = scenario.exchanges.iter().map(|_| Heard::default());
        Self {
            heard: RefCell::new(heard.collect()),
            scenario,
            mutant,
            clock,
            ledger,
            flow,
            journal,
        }
    }

    /// Looks into, or changes, what a caller heard.
    pub(crate) fn heard<T>(&self, index: usize, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.borrow_mut()[index])
    }

    /// All records so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        let Ok(mut cursor) = self.journal.cursor(1, None) else {
            return Vec::new();
        };
        std::iter::from_fn(|| cursor.next_entry().ok().flatten())
            .filter_map(|entry| Record::decode(&entry.payload).ok())
            .collect()
    }

    /// Whether a record names the caller of this exchange.
    pub(crate) fn is_recorded(&self, index: usize) -> bool {
        let key = key_id(index);
        let mut records = self.records().into_iter();
        records.any(|record| record.who.key_id.as_deref() == Some(&*key))
    }

    /// No upstream call of the exchange may be held by anybody.
    pub(crate) fn nothing_open(&self, index: usize, when: &str) {
        let open = self.ledger.open_calls(index);
        if open > 0 {
            let what = format!("x{index}: {open} upstream calls are still open {when}");
            self.ledger.broken("cancel", what);
        }
    }

    /// Writes the scenario of an exchange into the trace.
    pub(crate) fn note_ask(&self, index: usize) {
        let plan = &self.scenario.exchanges[index];
        self.ledger.note(format_args!(
            "x{index} asks {} stream={} usage={} {:?} {:?} {:?} {} bytes",
            plan.ask.path,
            plan.stream,
            plan.usage,
            plan.shape,
            plan.flaw,
            plan.manner,
            plan.ask.body.len()
        ));
        for (at, candidate) in plan.candidates.iter().enumerate() {
            let spoken = candidate.spoken.map_or("-", |dialect| dialect.id().0);
            self.ledger.note(format_args!(
                "x{index}c{at} is {} {spoken} {:?}",
                candidate.kind, candidate.act
            ));
        }
    }
}

/// The key of a caller.
pub(crate) fn key(index: usize) -> String {
    format!("tg-sim-{index}")
}

/// The public id of a caller's key.
pub(crate) fn key_id(index: usize) -> String {
    format!("k{index}")
}

pub(crate) fn sim_wire(scenario: &mut Scenario, clock: &SimClock, ledger: &Ledger) -> SimWire {
    let mut scripts = std::collections::BTreeMap::new();
    let mut restless = Vec::new();
    for (x, exchange) in scenario.exchanges.iter().enumerate() {
        restless.push(!matches!(exchange.manner, Manner::Slow { .. }));
        for (c, candidate) in exchange.candidates.iter().enumerate() {
            scripts.extend(candidate.script.clone().map(|script| ((x, c), script)));
        }
    }
    SimWire {
        clock: clock.clone(),
        ledger: ledger.clone(),
        scripts,
        chance: Mutex::new(scenario.chance.fork()),
        restless,
    }
}

/// The plan of a scenario.
pub(crate) fn plan(scenario: &Scenario) -> Plan {
    let mut keys = KeyRing::new([1; 32]);
    let mut models = ModelTable::default();
    let mut providers = Vec::new();
    for (x, exchange) in scenario.exchanges.iter().enumerate() {
        let consumer = Consumer::new(key_id(x), "t", "a");
        keys.add(&Secret::new(key(x)), consumer);
        let first = providers.len();
        for (c, candidate) in exchange.candidates.iter().enumerate() {
            let who = Who {
                exchange: x,
                candidate: c,
            };
            providers.push(Arc::new(provider(who, candidate)));
        }
        let candidates = (first..providers.len())
            .map(|provider| Candidate::new(provider, "up-m", None))
            .collect();
        models.name(format!("m{x}"), candidates);
    }
    Plan {
        digest: "0123456789abcdef".into(),
        digest_header: HeaderValue::from_static("0123456789abcdef"),
        providers,
        models,
        keys,
        settings: Settings {
            answer_bytes_max: scenario.answer_bytes_max,
            losses: scenario.losses,
            unsupported: scenario.unsupported,
            ..Settings::default()
        },
        ..Plan::default()
    }
}

fn provider(who: Who, candidate: &CandidatePlan) -> ProviderPlan {
    let kind = providers::kind(candidate.kind).expect("scenarios name kinds that exist");
    let name = who.to_string();
    let endpoint = Endpoint {
        id: name.clone(),
        tls: false,
        host: "upstream".into(),
        port: 80,
        authority: HeaderValue::from_static("upstream"),
        ca_pem: None,
        proxy: None,
        version: HttpVersion::Auto,
        connections_max: 1,
        connect_ms: 1_000,
    };
    ProviderPlan {
        name_header: HeaderValue::try_from(&name).expect("plain ASCII"),
        name: name.into(),
        kind,
        dialects: candidate.dialects.clone(),
        endpoint: candidate.spoken.map(|_| Arc::new(endpoint)),
        base_path: candidate.spoken.map_or("", asks::base_path).to_owned(),
        account: providers::Account {
            key: Some(Secret::new("upstream-key".into())),
            ..providers::Account::default()
        },
        headers: HeaderMap::new(),
        times: TIMES,
    }
}

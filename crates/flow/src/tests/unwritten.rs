//! What is reserved cannot be written down: nothing is sent, nothing is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use meter::{Dimension, Hold, Measure, Pace, QuotaKind, QuotaSpec, Quotas, Scope, Window};
use store::{
    Inflight, InflightError, InflightHealth, InflightOptions, InflightRow, InflightTable, Tag,
    Ticket,
};

use super::world::{Got, Script, World, plan};

const CHAT: &str = "/v1/chat/completions";
const HI: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":100}"#;
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"up-m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}"#;

/// A table of which one write fails.
struct FailsAt {
    table: InflightTable,
    nth: u32,
    writes: AtomicU32,
}

impl FailsAt {
    fn check(&self) -> Result<(), InflightError> {
        match self.writes.fetch_add(1, Relaxed) == self.nth {
            true => Err(InflightError::Closed),
            false => Ok(()),
        }
    }
}

impl Inflight for FailsAt {
    fn begin(&self, row: &[u8]) -> Result<Tag, InflightError> {
        self.check()?;
        self.table.begin(row)
    }

    fn amend(&self, tag: &mut Tag, row: &[u8]) -> Result<(), InflightError> {
        self.check()?;
        self.table.amend(tag, row)
    }

    fn end(&self, tag: Tag, row: &[u8], ticket: &Ticket) {
        self.table.end(tag, row, ticket);
    }

    fn cancel(&self, tag: Tag) {
        self.table.cancel(tag);
    }

    fn health(&self) -> InflightHealth {
        self.table.health()
    }

    fn others(&self) -> Result<Vec<InflightRow>, InflightError> {
        self.table.others()
    }
}

fn quota(name: &str, measure: Measure, by: Dimension) -> QuotaSpec {
    QuotaSpec {
        name: name.into(),
        kind: QuotaKind::Budget,
        measure,
        limit: 10_000,
        pace: Pace::Window(Window::Forever),
        scope: Scope {
            by: vec![by],
            only: Vec::new(),
        },
        hold: Hold::Enforce,
        overrides: Vec::new(),
        thresholds: Vec::new(),
        queue: None,
        usual: None,
    }
}

/// A call while the write of this number fails.
fn call(nth: u32) -> (World, Got) {
    let mut plan = plan(&[("mistral", "openai_chat"), ("openai", "openai_chat")]);
    plan.quotas = Quotas::new([
        quota("mine", Measure::Requests, Dimension::Tenant),
        quota("theirs", Measure::Requests, Dimension::Provider),
    ]);
    let world = World::of(plan, vec![Ok(Script::json(200, ANSWER))]);
    let mut flow = Arc::into_inner(world.flow).expect("nobody else has it");
    flow.inflight = Some(Arc::new(FailsAt {
        table: InflightTable::in_memory(InflightOptions::default()),
        nth,
        writes: AtomicU32::new(0),
    }));
    let world = World {
        flow: Arc::new(flow),
        ..world
    };
    let got = world.call(CHAT, HI);
    (world, got)
}

fn stands(world: &World) -> Vec<(String, i64, i64)> {
    let levels = world.flow.counters.levels().into_iter();
    let taken = levels.filter(|level| level.settled != 0 || level.reserved != 0);
    let mut taken: Vec<_> = taken
        .map(|level| (level.scope.to_string(), level.settled, level.reserved))
        .collect();
    taken.sort();
    taken
}

#[test]
fn a_call_that_cannot_be_written_down_takes_nothing() {
    let (world, got) = call(0);
    assert_eq!(got.status, 503, "{}", got.body);
    assert!(world.sent().is_empty());
    assert_eq!(stands(&world), []);
    let record = world.records().pop().expect("a record");
    assert!(record.reservations.is_empty(), "{record:?}");
}

/// Found by the simulation: the provider that was passed over was charged for
/// the one that served.
#[test]
fn a_candidate_that_cannot_be_written_down_is_charged_nothing() {
    let (world, got) = call(1);
    assert_eq!(got.status, 200, "{}", got.body);
    let record = world.records().pop().expect("a record");
    let served = "provider=openai".to_owned();
    let own = ("tenant=t".to_owned(), 1, 0);
    assert_eq!(stands(&world), [(served.clone(), 1, 0), own]);
    let scopes = record.reservations.iter().map(|row| row.scope.to_string());
    assert_eq!(scopes.collect::<Vec<_>>(), ["tenant=t".to_owned(), served]);
}

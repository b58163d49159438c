//! The tender of issuers' keys: it fetches them, publishes them in one cell,
//! and fetches again in time, or earlier where a call shows a token with a key
//! that is not known. Calls read the cell without a lock.
//!
//! Deliberately not here: what is asked, what an answer means, and how old
//! keys may get, which `access` decides.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::jwt::{Heard, Held, KeySet, KeySets, Source, Step};
use arc_swap::ArcSwap;
use contract::seams::{Outbound, Wire};
use flow::{AskForKeys, Tokens};
use plan::{InForce, Plan};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::tender::{Tender, Ward, World};

/// Longest wait for the first keys of a plan before it is put in force. Until
/// keys come, tokens of their issuer are answered with 503.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest time for all requests of one fetch together.
const FETCH_TIME: Duration = Duration::from_secs(15);
/// Most bytes of an answer.
const BYTES_MAX: usize = 256 * 1024;
/// Most requests of one fetch: the description of an issuer, and its keys.
const REQUESTS_MAX: usize = 2;
/// Longest time between two looks at the wall clock while waiting: a machine
/// that slept must not wait on for what is overdue.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The tender of issuers' keys.
#[derive(Clone)]
pub(crate) struct IssuerKeys {
    desk: Arc<Desk>,
    tender: Arc<Tender<Source>>,
}

impl Default for IssuerKeys {
    fn default() -> Self {
        let desk: Arc<Desk> = Arc::default();
        let publishes_in = desk.clone();
        let tender = Tender::new("issuers", move |world, source| {
            let desk = publishes_in.clone();
            Box::pin(Fetcher { world, desk }.upkeep(source))
        });
        Self {
            desk,
            tender: Arc::new(tender),
        }
    }
}

impl Ward for Source {
    fn id(&self) -> &Arc<str> {
        Source::id(self)
    }
}

/// Where keys are published, and asked for.
#[derive(Default)]
struct Desk {
    keys: Arc<ArcSwap<KeySets>>,
    /// Held while the cell is changed: the sources of the plan in force, whose
    /// keys calls at work still need.
    before: Mutex<HashSet<Arc<str>>>,
    changed: Condvar,
    /// Sources that are to be asked before they are due.
    asked: Mutex<HashSet<Arc<str>>>,
    bell: Notify,
}

impl IssuerKeys {
    /// What a worker needs for tokens.
    pub(crate) fn tokens(&self) -> Tokens {
        let desk = self.desk.clone();
        let ask: AskForKeys = Arc::new(move |source| desk.ask(source));
        Tokens::new(self.desk.keys.clone(), ask)
    }

    /// What is at hand of the issuers of a plan, by name.
    pub(crate) fn held(&self, plan: &Plan) -> Vec<(Arc<str>, Held)> {
        let keys = self.desk.keys.load();
        sources(plan)
            .iter()
            .map(|source| (source.name().clone(), keys.of(source.id()).clone()))
            .collect()
    }

    /// Fetches what these plans need from now on, and waits, for as long as is
    /// bearable, until each issuer answered or failed. To be called before a
    /// new plan is put in force; keys of those before stay until the next call.
    pub(crate) fn follow(&self, plans: &InForce) {
        let mut seen = HashSet::new();
        let all = plans.plans().flat_map(|plan| sources(plan));
        let sources: Vec<Arc<Source>> = all
            .filter(|source| seen.insert(source.id().clone()))
            .collect();
        let ids: HashSet<Arc<str>> = sources.iter().map(|source| source.id().clone()).collect();
        self.desk.keep(&ids);
        if let Err(why) = self.tender.want(sources) {
            crate::say(&format!(
                "keys of issuers cannot be fetched: no thread can be started: {why}"
            ));
            return;
        }
        self.desk.await_all(&ids);
    }
}

/// The sources of a plan.
fn sources(plan: &Plan) -> Vec<Arc<Source>> {
    let issuers = plan.identity.issuers.0.iter();
    issuers.map(|issuer| issuer.source.clone()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn ask(&self, source: &Arc<str>) {
        lock(&self.asked).insert(source.clone());
        self.bell.notify_waiters();
    }

    fn publish(&self, source: &Arc<str>, held: Held) {
        let _writing = lock(&self.before);
        let next = self.keys.load().with(source.clone(), held);
        self.keys.store(Arc::new(next));
        self.changed.notify_all();
    }

    /// Keeps what these sources and those before them gave.
    fn keep(&self, ids: &HashSet<Arc<str>>) {
        let mut writing = lock(&self.before);
        let before = std::mem::replace(&mut *writing, ids.clone());
        let keep = |id: &str| before.contains(id) || ids.contains(id);
        let next = self.keys.load().only(&keep);
        self.keys.store(Arc::new(next));
    }

    fn await_all(&self, ids: &HashSet<Arc<str>>) {
        let writing = lock(&self.before);
        let lacks = |_: &mut HashSet<Arc<str>>| {
            let keys = self.keys.load();
            ids.iter().any(|id| !keys.was_asked(id))
        };
        // What is not there in time comes later, and calls say so until then.
        drop(self.changed.wait_timeout_while(writing, FIRST_WAIT, lacks));
    }
}

/// Who fetches, and where what came is published.
struct Fetcher {
    world: World,
    desk: Arc<Desk>,
}

impl Fetcher {
    /// Keeps the keys of one issuer current.
    async fn upkeep(self, source: Arc<Source>) {
        loop {
            let outcome = match timeout(FETCH_TIME, self.fetch(&source)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("it took longer than {} s", FETCH_TIME.as_secs())),
            };
            let before = self.desk.keys.load().of(source.id()).clone();
            let held = before.settle(outcome, self.now_s());
            tell(&source, &before, &held);
            let due_s = held.due_s(source.refresh_s(), self.world.dice.roll());
            self.desk.publish(source.id(), held.clone());
            // Whoever asked meanwhile finds what came of it.
            lock(&self.desk.asked).remove(source.id());
            self.wait(&source, &held, due_s).await;
        }
    }

    fn now_s(&self) -> u64 {
        self.world.clock.unix_us() / 1_000_000
    }

    /// Waits until it is due, or asked for.
    async fn wait(&self, source: &Source, held: &Held, due_s: u64) {
        loop {
            let mut bell = std::pin::pin!(self.desk.bell.notified());
            bell.as_mut().enable();
            let now_s = self.now_s();
            let asked = lock(&self.desk.asked).contains(source.id());
            if now_s >= due_s || (asked && held.may_be_asked(now_s)) {
                return;
            }
            let left = Duration::from_secs(due_s - now_s).min(LOOK_EVERY);
            // Either is a reason to look again.
            let _ = timeout(left, bell).await;
        }
    }

    async fn fetch(&self, source: &Source) -> Result<KeySet, String> {
        let mut heard = Vec::new();
        loop {
            match source.next(&heard) {
                Step::Send(_) if heard.len() == REQUESTS_MAX => {
                    return Err(format!("it took more than {REQUESTS_MAX} requests"));
                }
                Step::Send(outbound) => heard.push(send(&*self.world.wire, *outbound).await),
                Step::Done(keys) => return Ok(keys),
                Step::Failed(why) => return Err(why),
            }
        }
    }
}

/// Sends a request and takes its whole answer.
async fn send(wire: &dyn Wire, outbound: Outbound) -> Heard {
    let at = format!("{}:{}", outbound.endpoint.host, outbound.endpoint.port);
    let inbound = match wire.send(outbound).await {
        Ok(inbound) => inbound,
        Err(fault) => return Heard::Nothing(format!("{at} gave no answer ({fault})")),
    };
    let status = inbound.status.as_u16();
    let (mut rest, mut body) = (inbound.body, Vec::new());
    while let Some(piece) = poll_fn(|cx| rest.poll_chunk(cx)).await {
        match piece {
            Ok(piece) if body.len() + piece.len() <= BYTES_MAX => body.extend_from_slice(&piece),
            Ok(_) => {
                return Heard::Nothing(format!(
                    "the answer of {at} is larger than {BYTES_MAX} bytes"
                ));
            }
            Err(fault) => return Heard::Nothing(format!("{at} broke off ({fault})")),
        }
    }
    Heard::Answer { status, body }
}

/// Says what changed, and nothing while it stays as it is.
fn tell(source: &Source, before: &Held, held: &Held) {
    let name = source.name();
    match (&before.trouble, &held.trouble) {
        (was, Some(why)) if was.as_ref() != Some(why) => {
            let meanwhile = match &held.set {
                Some(_) => "the last ones count meanwhile",
                None => "its tokens are answered with 503 meanwhile",
            };
            crate::say(&format!(
                "the keys of issuer {name} cannot be fetched: {why}; it is tried again, and \
                 {meanwhile}"
            ));
        }
        (Some(_), None) => crate::say(&format!("the keys of issuer {name} are there again")),
        (_, _) => {}
    }
}

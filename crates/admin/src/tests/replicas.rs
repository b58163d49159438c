//! Replicas that share the versions of the plan: what one puts in force is in
//! force on all, each change once, whatever a replica cannot do.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use store::shelf::{Decide, Shelf};
use store::{Cabinet, MirroredShelf};

use super::*;

const FIRST: &str = "providers: {box: {kind: sandbox}}\nmodels: {small: box/echo}\n";
const SECOND: &str = "providers: {box: {kind: sandbox}}\nmodels: {large: box/echo}\n";
const THIRD: &str = "providers: {box: {kind: sandbox}}\nmodels: {third: box/echo}\n";

/// A database of files, which can be away.
struct Server {
    cabinet: Cabinet,
    changes: AtomicU64,
    is_away: AtomicBool,
}

impl Server {
    fn new(home: &TempDir) -> Arc<Self> {
        Arc::new(Self {
            cabinet: Cabinet::open(&home.path().join("server")).unwrap(),
            changes: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
        })
    }

    fn away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn ask(&self) -> io::Result<&Cabinet> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(io::Error::other("the database is away")),
            false => Ok(&self.cabinet),
        }
    }
}

impl Shelf for Server {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Shelf::read(self.ask()?, name)
    }
    fn change(&self, name: &str, decide: &mut Decide<'_>) -> io::Result<()> {
        let mut count = 0;
        self.ask()?.change(name, &mut |bytes| {
            let edits = decide(bytes)?;
            count = edits.len() as u64;
            Ok(edits)
        })?;
        self.changes.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }
    fn last_change(&self) -> io::Result<Option<u64>> {
        self.ask()?;
        Ok(Some(self.changes.load(Ordering::Relaxed)))
    }
}

/// A replica: its plans, and what is in force.
struct Replica {
    plans: Plans,
    cell: Arc<ArcSwap<InForce>>,
    /// It lacks what the documents refer to.
    is_lacking: Arc<AtomicBool>,
    /// Kept for as long as it runs.
    _dir: Arc<TempDir>,
}

/// Starts a replica in a folder with this document, as `gate` does. Digests of
/// each are its own, as its folder and its listeners would make them.
fn start(server: &Arc<Server>, dir: &Arc<TempDir>, nth: u8, document: &str) -> Replica {
    let started = try_start(server, dir, nth, document);
    started.unwrap_or_else(|refused| panic!("{:?}", told(Err(refused))))
}

fn try_start(
    server: &Arc<Server>,
    dir: &Arc<TempDir>,
    nth: u8,
    document: &str,
) -> Result<Replica, Reply> {
    let made = move |text: &str| {
        // As a data folder of its own, which is in every digest.
        let (compiled, kept) = compile(&format!("{text}data_dir: /replica/{nth}\n"))?;
        let kept = plan::Kept {
            text: kept
                .text
                .replace(&format!("data_dir: /replica/{nth}\n"), ""),
            ..kept
        };
        Ok::<_, Vec<plan::Diagnostic>>((compiled, kept))
    };
    let copy = Cabinet::open(&dir.path().join("copy")).unwrap();
    let shelf = MirroredShelf::new(server.clone(), copy, Versions::BOOK);
    let versions = Versions::shared(Arc::new(shelf));
    let last = versions.of_api().unwrap();
    let text = last.as_ref().map_or(document, |(_, text)| text);
    let (compiled, kept) = made(text).unwrap();
    let cell = Arc::new(ArcSwap::from_pointee(InForce::from(compiled.plan)));
    let is_lacking = Arc::<AtomicBool>::default();
    let hands = Hands {
        compile: {
            let is_lacking = is_lacking.clone();
            Arc::new(move |text| match is_lacking.load(Ordering::Relaxed) {
                true => compile("providers: {box: {kind: nothing}}").map(candidate),
                false => made(text).map(candidate),
            })
        },
        ..hands(&cell, &Arc::default())
    };
    let audit = Audit::new(&dir.path().join("audit"), [nth; 16]);
    let now = (cell.load().plan.clone(), kept);
    let plans = Plans::new(versions, audit, plan::Owner::Api, hands, now);
    if let Some((version, _)) = &last {
        plans.take_up(version);
    }
    let author = author();
    plans.begin(&author)?;
    plans.resume(&author)?;
    Ok(Replica {
        plans,
        cell,
        is_lacking,
        _dir: dir.clone(),
    })
}

#[test]
fn a_first_plan_that_the_others_could_not_use_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(&home);
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let document = format!("{FIRST}keys: [{{id: k, secret: tg-0123456789abcdef01234567}}]\n");
    let Err(refused) = try_start(&server, &dir, 1, &document) else {
        panic!("it was started");
    };
    let refused = told(Err(refused)).unwrap_err();
    assert_eq!(refused, (422, "secret_written_out".to_owned()));
    assert!(Versions::shared(server).list().unwrap().is_empty());
}

fn author() -> Author {
    Author::itself("gateway", NOW_US)
}

fn by() -> By {
    By {
        actor: Actor {
            id: "ops".into(),
            role: plan::Role::Admin,
            tenant: None,
        },
        peer: None,
        request_id: RequestId::mint(NOW_US, 1),
        now_us: NOW_US,
    }
}

impl Replica {
    fn digest(&self) -> String {
        self.cell.load().plan.digest.to_string()
    }

    /// The models in force.
    fn models(&self) -> Vec<String> {
        let plan = self.cell.load().plan.clone();
        plan.models
            .names()
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    fn candidate(&self) -> Option<f64> {
        let in_force = self.cell.load();
        let rollout = in_force.rollout.as_ref();
        rollout.map(|rollout| rollout.share.percent())
    }

    fn apply(&self, document: &str, more: Value) -> Result<u16, (u16, String)> {
        let mut body = json!({"document": document, "expected": self.digest()});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        told(self.plans.apply(body.to_string().as_bytes(), &by()))
    }

    fn look(&self) -> Option<String> {
        self.plans.catch_up(&author()).unwrap()
    }
}

fn told(outcome: Result<Reply, Reply>) -> Result<u16, (u16, String)> {
    outcome.map(|reply| reply.status.as_u16()).map_err(|reply| {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let code = body["error"]["code"].as_str().unwrap().to_owned();
        (reply.status.as_u16(), code)
    })
}

fn two() -> (TempDir, Arc<Server>, Replica, Replica) {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(&home);
    let dir = || Arc::new(tempfile::tempdir().unwrap());
    let one = start(&server, &dir(), 1, FIRST);
    let other = start(&server, &dir(), 2, FIRST);
    (home, server, one, other)
}

#[test]
fn what_one_applies_is_in_force_on_all_and_nobody_writes_it_again() {
    let (_home, server, one, other) = two();
    assert_eq!(one.plans.numbers(), Some((1, 1)));
    assert_ne!(one.digest(), other.digest(), "digests are each one's own");
    one.apply(SECOND, json!({})).unwrap();
    let changes = server.changes.load(Ordering::Relaxed);
    let said = other.look().unwrap();
    assert!(said.contains("number 2"), "{said}");
    assert_eq!(other.models(), ["large"]);
    assert_eq!(other.plans.numbers(), Some((2, 2)));
    for replica in [&one, &other, &one] {
        assert_eq!(replica.look(), None);
    }
    assert_eq!(server.changes.load(Ordering::Relaxed), changes);
    // Back again, from the other side.
    let first = Versions::shared(server.clone()).list().unwrap()[0]
        .digest
        .clone();
    told(other.plans.rollback(&first, b"", &by())).unwrap();
    assert!(one.look().is_some());
    assert_eq!(one.models(), ["small"]);
    assert_eq!(one.plans.numbers(), Some((3, 3)));
}

#[test]
fn of_two_changes_at_once_one_is_refused() {
    let (_home, _server, one, other) = two();
    one.apply(SECOND, json!({})).unwrap();
    // It has not looked yet, and must not undo what it does not know.
    let refused = other.apply(THIRD, json!({})).unwrap_err();
    assert_eq!(refused, (409, "rollout_conflict".to_owned()));
    let refused = other.apply(THIRD, json!({"rollout": {"percent": 5}}));
    assert_eq!(refused.unwrap_err().0, 409);
    assert!(other.plans.is_behind());
    assert_eq!(other.models(), ["small"], "until it looks");
    assert!(other.look().is_some());
    assert!(!other.plans.is_behind());
    other.apply(THIRD, json!({})).unwrap();
    one.look();
    assert_eq!(
        (one.models(), one.plans.numbers()),
        (other.models(), Some((3, 3)))
    );
}

#[test]
fn a_roll_out_begun_changed_and_promoted_on_any_replica_is_on_on_all() {
    let (_home, server, one, other) = two();
    one.apply(SECOND, json!({"rollout": {"percent": 10}}))
        .unwrap();
    assert!(other.look().is_some());
    assert_eq!(
        (one.candidate(), other.candidate()),
        (Some(10.0), Some(10.0))
    );
    assert_eq!(other.look(), None);
    told(other.plans.set_rollout(br#"{"percent": 40}"#, &by())).unwrap();
    assert!(one.look().is_some());
    assert_eq!(one.candidate(), Some(40.0));
    // A restart goes on with it.
    let again = start(&server, &one._dir, 1, FIRST);
    assert_eq!(again.candidate(), Some(40.0));
    told(other.plans.promote(b"", &by())).unwrap();
    assert!(one.look().is_some() && again.look().is_some());
    for replica in [&one, &other, &again] {
        assert_eq!(
            (replica.models(), replica.candidate()),
            (vec!["large".to_owned()], None)
        );
        assert_eq!(replica.plans.numbers(), Some((2, 2)));
        assert_eq!(replica.look(), None);
    }
    // A condition that breaks on one ends it for all.
    other
        .apply(FIRST, json!({"rollout": {"percent": 10}}))
        .unwrap();
    one.look();
    let breach = plan::Breach {
        bound: "deny_rate".to_owned(),
        text: String::new(),
    };
    let candidate = one.cell.load().rollout.clone().unwrap();
    let broken = (breach, plan::Figures::default());
    let digest = candidate.candidate.digest.clone();
    one.plans.abort_broken(&digest, broken, &author()).unwrap();
    assert!(other.look().is_some());
    assert_eq!(other.candidate(), None);
}

#[test]
fn a_replica_that_cannot_use_a_plan_keeps_the_last_good_one_and_says_so() {
    let (_home, _server, one, other) = two();
    other.is_lacking.store(true, Ordering::Relaxed);
    one.apply(SECOND, json!({})).unwrap();
    for _ in 0..2 {
        let refused = other.plans.catch_up(&author()).unwrap_err();
        assert_eq!(refused.status.as_u16(), 422);
        assert_eq!(other.models(), ["small"]);
        assert_eq!(other.plans.numbers(), Some((1, 2)));
    }
    // What it does not have it cannot change.
    other.is_lacking.store(false, Ordering::Relaxed);
    assert_eq!(other.apply(THIRD, json!({})).unwrap_err().0, 409);
    assert!(other.look().is_some());
    assert_eq!(other.plans.numbers(), Some((2, 2)));
    // A roll-out that it cannot try goes on without it.
    other.is_lacking.store(true, Ordering::Relaxed);
    one.apply(THIRD, json!({"rollout": {"percent": 10}}))
        .unwrap();
    let said = other.look().unwrap();
    assert!(said.contains("goes on without this replica"), "{said}");
    assert_eq!((one.candidate(), other.candidate()), (Some(10.0), None));
    assert_eq!((one.look(), other.look()), (None, None));
    assert_eq!(one.candidate(), Some(10.0), "nobody ended it");
}

#[test]
fn without_the_database_a_replica_starts_with_its_copy_and_changes_nothing() {
    let (_home, server, one, other) = two();
    one.apply(SECOND, json!({})).unwrap();
    other.look();
    server.away(true);
    let again = start(&server, &other._dir, 2, FIRST);
    assert_eq!(again.models(), ["large"]);
    assert_eq!(again.plans.numbers(), Some((2, 2)));
    let refused = again.apply(THIRD, json!({})).unwrap_err();
    assert_eq!(refused, (503, "versions_unavailable".to_owned()));
    assert_eq!(
        again.plans.catch_up(&author()).unwrap_err().status.as_u16(),
        503
    );
    assert_eq!(again.models(), ["large"]);
    server.away(false);
    one.apply(THIRD, json!({})).unwrap();
    assert!(again.look().is_some());
    assert_eq!(again.models(), ["third"]);
}

/// An emptied database, or another schema, and one restart.
#[test]
fn a_database_that_lost_its_plans_puts_no_file_in_force() {
    let (home, server, one, other) = two();
    one.apply(SECOND, json!({})).unwrap();
    other.look();
    let emptied = Arc::new(Server {
        cabinet: Cabinet::open(&home.path().join("emptied")).unwrap(),
        changes: AtomicU64::new(0),
        is_away: AtomicBool::new(false),
    });
    let again = start(&emptied, &other._dir, 2, THIRD);
    assert_eq!(again.models(), ["large"], "what its copy says");
    assert_eq!(again.plans.numbers(), Some((2, 2)));
    assert!(Versions::shared(emptied.clone()).list().unwrap().is_empty());
    let refused = again.apply(THIRD, json!({})).unwrap_err();
    assert_eq!(refused, (503, "versions_unavailable".to_owned()));
    let refused = again.plans.catch_up(&author()).unwrap_err();
    let said = String::from_utf8(refused.body.to_vec()).unwrap();
    assert!(said.contains("bring the database back"), "{said}");
    assert!(Versions::shared(emptied).list().unwrap().is_empty());
    // The right one again.
    let again = start(&server, &other._dir, 2, THIRD);
    assert_eq!((again.models(), again.look()), (one.models(), None));
}

/// A restore or a failover: a number may be that of another plan, and a change
/// may be another one.
#[test]
fn a_database_that_was_brought_back_is_followed_whatever_its_numbers_say() {
    let (home, server, one, other) = two();
    one.apply(SECOND, json!({})).unwrap();
    other.look();
    let (elsewhere, theirs, third, _) = two();
    third.apply(THIRD, json!({})).unwrap();
    let changes = |server: &Server| server.changes.load(Ordering::Relaxed);
    assert_eq!(changes(&server), changes(&theirs));
    for file in std::fs::read_dir(elsewhere.path().join("server")).unwrap() {
        let file = file.unwrap();
        let to = home.path().join("server").join(file.file_name());
        std::fs::copy(file.path(), to).unwrap();
    }
    // Whoever has not looked yet changes nothing.
    assert_eq!(one.apply(FIRST, json!({})).unwrap_err().0, 409);
    for replica in [&one, &other] {
        replica.plans.doubt();
        assert!(replica.look().is_some());
        assert_eq!(replica.models(), ["third"]);
        assert_eq!(replica.plans.numbers(), Some((2, 2)));
        assert_eq!(replica.look(), None);
    }
    // An older one: what is known as the newest comes down.
    one.apply(FIRST, json!({})).unwrap();
    other.look();
    assert_eq!(other.plans.numbers(), Some((3, 3)));
    let book = elsewhere.path().join("server").join(Versions::BOOK);
    std::fs::copy(&book, home.path().join("server").join(Versions::BOOK)).unwrap();
    // A look in vain is as good as a lost connection.
    server.away(true);
    assert!(other.plans.catch_up(&author()).is_err());
    server.away(false);
    assert!(other.look().is_some());
    assert_eq!(
        (other.models(), other.plans.numbers()),
        (vec!["third".to_owned()], Some((2, 2)))
    );
}

#[test]
fn a_replica_that_starts_takes_the_plan_of_the_others_whatever_its_file_says() {
    let (_home, server, one, _other) = two();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let late = start(&server, &dir, 3, THIRD);
    assert_eq!(late.models(), one.models());
    assert_eq!(Versions::shared(server).list().unwrap().len(), 1);
}

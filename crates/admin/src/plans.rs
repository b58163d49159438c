//! Putting plans in force: from the file, by the admin API, and again as they
//! were before. One at a time; each is in the audit journal and among the
//! versions before it is in force, or it is not put in force.
//!
//! Deliberately not here: reading and compiling a document, and swapping the
//! plan, both of which are handed in.

mod answers;
mod catch_up;
mod rollout;
mod taken;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plan::{Diagnostic, InForce, Kept, Owner, Plan};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::{Audit, Author, Change};
use crate::auth::By;
use crate::params::{Page, Params};
use crate::reply::Reply;
use crate::versions::{
    Content, How, Last, NotKept, RolloutEnd, RolloutLine, Version, Versions, is_digest,
};
use answers::{
    diff, not_kept, parse, refused, returned, sound_note, unavailable, view, written_out,
};
use rollout::{Running, Wish};
use taken::{Numbers, Taken};

pub use rollout::rollout_figures;
pub(crate) use rollout::rollout_short;

/// A document that compiled and can be put in force.
pub struct Candidate {
    /// Its plan.
    pub plan: Arc<Plan>,
    /// The form in which it is kept.
    pub kept: Kept,
    /// Sections that differ from what runs and take effect at the next start.
    pub restart_needed: Vec<&'static str>,
}

impl Candidate {
    fn digest(&self) -> &str {
        &self.plan.digest
    }
}

/// Compiles a document that a caller of the admin API sent.
pub type Compile = Arc<dyn Fn(&str) -> Result<Candidate, Vec<Diagnostic>> + Send + Sync>;
/// Puts a plan and perhaps its candidate in force, and tells how a roll-out
/// ended with it. Cannot fail.
pub type Put = Arc<dyn Fn(InForce, Option<RolloutEnd>) + Send + Sync>;

/// How plans are made and put in force.
#[derive(Clone)]
pub struct Hands {
    /// Makes one.
    pub compile: Compile,
    /// Puts it in force.
    pub put: Put,
}

/// A plan that was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its digest.
    pub plan: String,
    /// Digest of the plan before it.
    pub before: String,
    /// Number of its line among the versions; none if nothing changed.
    pub number: Option<u64>,
    /// Sections that take effect at the next start.
    pub restart_needed: Vec<&'static str>,
    /// What changed, line by line.
    pub diff: String,
}

/// Versions of the plan, and the one way by which a plan comes in force.
pub struct Plans {
    versions: Versions,
    audit: Audit,
    owner: Owner,
    hands: Hands,
    /// Another process on the folder, or another replica, was found to have
    /// changed something.
    is_behind: AtomicBool,
    numbers: Numbers,
    /// What was taken may not be what there is.
    is_doubted: AtomicBool,
    /// Held while a plan is put in force.
    in_force: Mutex<Now>,
}

/// What is in force.
struct Now {
    plan: Arc<Plan>,
    kept: Kept,
    rollout: Option<Running>,
    /// What of versions that replicas share this is.
    taken: Taken,
}

impl Now {
    /// Whether this is the digest of what is in force: the one that this
    /// gateway makes of it, or the one that its versions say.
    fn is(&self, digest: &str) -> bool {
        digest == self.digest() || self.taken.digest() == Some(digest)
    }

    fn digest(&self) -> &str {
        &self.plan.digest
    }
}

/// A plan that is about to be in force.
struct Step<'a> {
    how: How,
    note: Option<String>,
    before: Option<String>,
    digest: &'a str,
    diff: Option<String>,
    kept: &'a Kept,
    /// The roll-out that ends with it.
    ended: Option<&'a RolloutLine>,
    /// The version after which it comes.
    after: Last<'a>,
}

/// What a call brings that wants a document in force.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposal {
    document: String,
    note: Option<String>,
    /// Digest of the plan that is in force as far as the caller knows.
    expected: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// Not for all at once.
    rollout: Option<Wish>,
}

/// What a call brings that wants a version again.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Return {
    note: Option<String>,
    expected: Option<String>,
}

#[derive(Serialize)]
struct List<'a> {
    plan: &'a str,
    owner: &'static str,
    versions: Vec<Value>,
    next: Option<u64>,
    rollouts: Vec<Value>,
}

impl Plans {
    /// Versions of the plan, of which this one is about to be in force.
    pub fn new(
        versions: Versions,
        audit: Audit,
        owner: Owner,
        hands: Hands,
        (plan, kept): (Arc<Plan>, Kept),
    ) -> Self {
        Self {
            versions,
            audit,
            owner,
            hands,
            is_behind: AtomicBool::new(false),
            numbers: Numbers::default(),
            is_doubted: AtomicBool::new(false),
            in_force: Mutex::new(Now {
                plan,
                kept,
                rollout: None,
                taken: Taken::default(),
            }),
        }
    }

    /// Who owns the plan.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Notes the plan with which the gateway starts, unless it was in force
    /// last.
    ///
    /// # Errors
    /// It could not be noted, so the gateway must not start with it.
    pub fn begin(&self, author: &Author) -> Result<(), Reply> {
        let mut now = self.lock();
        match self.versions.is_shared() {
            true => self.begin_shared(&mut now, author),
            false => self.begin_with(&now, author),
        }
    }

    fn begin_with(&self, now: &Now, author: &Author) -> Result<(), Reply> {
        let last = self.versions.list().map_err(|error| unavailable(&error))?;
        let last = last.last();
        if last.is_some_and(|last| last.digest == now.digest()) {
            return Ok(());
        }
        let how = match last.is_some_and(|last| last.how.is_of_api()) {
            true if self.owner == Owner::Api => How::Restart,
            true | false => How::Start,
        };
        let before = last.map(|last| last.digest.clone());
        let diff = match &before {
            Some(digest) => self
                .content(digest)?
                .map(|content| diff((digest, &content.document), (now.digest(), &now.kept.text))),
            None => None,
        };
        let step = Step {
            how,
            note: None,
            before,
            digest: now.digest(),
            diff,
            kept: &now.kept,
            ended: None,
            after: None,
        };
        self.note(author, step).map(drop)
    }

    /// Puts a plan in force.
    ///
    /// # Errors
    /// It could not be noted; the plan before stays in force.
    pub fn take_in(
        &self,
        candidate: Candidate,
        author: &Author,
        how: How,
        note: Option<String>,
    ) -> Result<Applied, Reply> {
        let mut now = self.lock();
        self.take_in_now(&mut now, candidate, author, how, note)
    }

    fn take_in_now(
        &self,
        now: &mut Now,
        candidate: Candidate,
        author: &Author,
        how: How,
        note: Option<String>,
    ) -> Result<Applied, Reply> {
        let diff = diff(
            (now.digest(), &now.kept.text),
            (candidate.digest(), &candidate.kept.text),
        );
        let last = self.versions.list().map_err(|error| unavailable(&error))?;
        // A file that was merely touched is nobody's change, and one that
        // another process on this data folder has noted is one change.
        let is_new = last
            .last()
            .is_none_or(|last| last.digest != candidate.digest());
        let number = match is_new || author.role.is_some() {
            true => self.note(
                author,
                Step {
                    how,
                    note,
                    before: Some(now.digest().to_owned()),
                    digest: candidate.digest(),
                    diff: Some(diff.clone()),
                    kept: &candidate.kept,
                    ended: None,
                    after: now.taken.last(),
                },
            )?,
            false => None,
        };
        let before = now.digest().to_owned();
        now.plan = candidate.plan;
        now.kept = candidate.kept;
        let digest = now.digest().to_owned();
        self.took(now, number, &digest);
        self.put(now, None);
        Ok(Applied {
            plan: now.digest().to_owned(),
            before,
            number,
            restart_needed: candidate.restart_needed,
            diff,
        })
    }

    /// Puts in force what is to be.
    fn put(&self, now: &Now, ended: Option<RolloutEnd>) {
        let in_force = InForce {
            plan: now.plan.clone(),
            rollout: now.rollout.as_ref().map(|running| running.in_force.clone()),
        };
        (self.hands.put)(in_force, ended);
    }

    /// Writes the audit entry and the version of a change that is about to be
    /// made.
    fn note(&self, author: &Author, step: Step) -> Result<Option<u64>, Reply> {
        let Step { how, digest, .. } = step;
        let change = Change {
            action: how.action(),
            object: format!("plan/{digest}"),
            tenant: None,
            before: json!({"plan": step.before}),
            after: json!({"plan": digest, "diff": step.diff}),
            note: step.note.clone(),
        };
        let is_new = step.before.as_deref() != Some(digest) || step.ended.is_some();
        let version = Version {
            number: 0,
            digest: digest.to_owned(),
            before: step.before,
            how,
            author: author.id.to_string(),
            time_us: author.now_us,
            note: step.note,
            removed: false,
        };
        self.record(author, change, || match is_new {
            true => self
                .versions
                .keep(&version, step.kept, step.ended, step.after)
                .map(Some),
            false => Ok(None),
        })
    }

    /// Writes the audit entry of a change, and then the change itself.
    fn record<T>(
        &self,
        author: &Author,
        change: Change,
        write: impl FnOnce() -> Result<T, NotKept>,
    ) -> Result<T, Reply> {
        self.audit.record(author, &change)?;
        write().map_err(|why| {
            let undone = Change {
                action: "plan.not_applied",
                note: Some(why.to_string()),
                ..change
            };
            if matches!(why, NotKept::ChangedMeanwhile) {
                self.is_behind.store(true, Ordering::Relaxed);
            }
            // The entry before says what was tried; if this one cannot be
            // written either, the versions still say what is in force.
            let _ = self.audit.record(author, &undone);
            not_kept(&why)
        })
    }

    /// A page of versions, newest first.
    pub(crate) fn list(&self, page: Page) -> Reply {
        let versions = match self.versions.list() {
            Ok(versions) => versions,
            Err(error) => return unavailable(&error),
        };
        let before = page.before.unwrap_or(u64::MAX);
        let mut older = versions
            .into_iter()
            .rev()
            .filter(|version| version.number < before)
            .peekable();
        let versions: Vec<Version> = older.by_ref().take(page.limit as usize).collect();
        let next = versions.last().map(|last| last.number);
        let rollouts = match self.versions.rollouts() {
            Ok(rollouts) => rollouts,
            Err(error) => return unavailable(&error),
        };
        let rollouts = rollouts.iter().rev().take(page.limit as usize);
        let now = self.lock();
        Reply::json(&List {
            plan: now.digest(),
            rollouts: rollouts.map(rollout::view).collect(),
            owner: self.owner.name(),
            next: next.filter(|_| older.peek().is_some()),
            versions: versions.iter().map(view).collect(),
        })
    }

    /// One version.
    pub(crate) fn one(&self, digest: &str) -> Result<Reply, Reply> {
        let content = self.wanted(digest)?;
        let lines = self.versions.list().map_err(|error| unavailable(&error))?;
        let lines: Vec<Value> = lines
            .iter()
            .filter(|version| version.digest == digest)
            .map(view)
            .collect();
        Ok(Reply::json(&json!({
            "plan": content.digest,
            "document": content.document,
            "written_out": content.written_out,
            "can_be_applied": content.written_out.is_empty(),
            "in_force": self.lock().is(digest),
            "versions": lines,
        })))
    }

    /// What differs between a version and another, or the plan in force.
    pub(crate) fn compare(&self, digest: &str, params: &Params) -> Result<Reply, Reply> {
        let to = self.wanted(digest)?;
        let (against, from) = match params.get("against") {
            Some(against) => (against.to_owned(), self.wanted(against)?.document),
            None => {
                let now = self.lock();
                (now.digest().to_owned(), now.kept.text.clone())
            }
        };
        let diff = diff((&against, &from), (digest, &to.document));
        Ok(Reply::json(
            &json!({"from": against, "to": digest, "diff": diff}),
        ))
    }

    /// Puts a document in force that a caller sent, or says what would change.
    pub(crate) fn apply(&self, body: &[u8], by: &By) -> Result<Reply, Reply> {
        let proposal: Proposal = parse(body)?;
        let note = sound_note(proposal.note)?;
        if !proposal.dry_run {
            self.is_ours()?;
        }
        let candidate = (self.hands.compile)(&proposal.document).map_err(|bad| refused(&bad))?;
        if self.owner == Owner::Api && !candidate.kept.written_out.is_empty() {
            return Err(written_out(&candidate.kept.written_out));
        }
        let share = proposal.rollout.map(|wish| wish.read(&candidate));
        let share = share.transpose()?;
        let mut now = self.lock();
        self.expect(&now, proposal.expected.as_deref(), &candidate)?;
        if proposal.dry_run {
            let diff = diff(
                (now.digest(), &now.kept.text),
                (candidate.digest(), &candidate.kept.text),
            );
            return Ok(Reply::json(&json!({
                "plan": candidate.digest(),
                "before": now.digest(),
                "restart_needed": candidate.restart_needed,
                "diff": diff,
                "dry_run": true,
            })));
        }
        if proposal.expected.is_none() {
            return Err(Reply::fault(
                400,
                "bad_body",
                "The field `expected` is missing. Write the digest of the plan that your document \
                 was made from (GET /v1/plan), so that nobody's change is lost.",
            ));
        }
        rollout::none_is_on(&now)?;
        let author = by.into();
        match share {
            Some(share) => self.begin_rollout(&mut now, candidate, share, (&author, note)),
            None => self
                .take_in_now(&mut now, candidate, &author, How::Apply, note)
                .map(|applied| Reply::json(&applied)),
        }
    }

    /// Puts a version in force again.
    pub(crate) fn rollback(&self, digest: &str, body: &[u8], by: &By) -> Result<Reply, Reply> {
        let wish = returned(body)?;
        let content = self.wanted(digest)?;
        self.is_ours()?;
        if !content.written_out.is_empty() {
            return Err(written_out(&content.written_out));
        }
        let candidate = (self.hands.compile)(&content.document).map_err(|bad| refused(&bad))?;
        let mut now = self.lock();
        self.expect(&now, wish.expected.as_deref(), &candidate)?;
        rollout::none_is_on(&now)?;
        self.take_in_now(&mut now, candidate, &by.into(), How::Rollback, wish.note)
            .map(|applied| Reply::json(&applied))
    }

    /// Refuses where the file owns the plan.
    fn is_ours(&self) -> Result<(), Reply> {
        match self.owner {
            Owner::Api => Ok(()),
            Owner::File => Err(Reply::fault(
                409,
                "file_owns_the_plan",
                "The configuration file owns the plan, so nothing was changed: change the file, or \
                 give the plan to the admin API with `plans: {owner: api}` in the file (or \
                 `--plan-owner api`) and a restart.",
            )),
        }
    }

    /// Refuses where another plan is in force than the caller thinks.
    fn expect(
        &self,
        now: &Now,
        expected: Option<&str>,
        candidate: &Candidate,
    ) -> Result<(), Reply> {
        let Some(expected) = expected.filter(|expected| !now.is(expected)) else {
            return Ok(());
        };
        let known = self.content(expected)?;
        let diff = match &known {
            Some(known) => diff((expected, &known.document), (now.digest(), &now.kept.text)),
            None => diff(
                (now.digest(), &now.kept.text),
                (candidate.digest(), &candidate.kept.text),
            ),
        };
        let message = format!(
            "Plan {} is in force, not the one that you expected, so nothing was changed. The diff \
             shows what changed meanwhile; take it in and send the document again.",
            now.digest()
        );
        let more =
            json!({"plan": now.digest(), "diff": diff, "diff_is_of_expected": known.is_some()});
        Err(Reply::fault_with(409, "plan_conflict", &message, more))
    }

    fn wanted(&self, digest: &str) -> Result<Content, Reply> {
        if !is_digest(digest) {
            return Err(Reply::fault(
                400,
                "bad_digest",
                "This is no digest of a plan. Write its 16 digits; `tollgate plan list` shows them.",
            ));
        }
        self.content(digest)?.ok_or_else(|| {
            Reply::fault(
                404,
                "plan_not_found",
                "No version with this digest is kept. `tollgate plan list` shows those that are.",
            )
        })
    }

    fn content(&self, digest: &str) -> Result<Option<Content>, Reply> {
        self.versions
            .content(digest)
            .map_err(|error| unavailable(&error))
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // A change that panicked left either the one or the other plan.
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

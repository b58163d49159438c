//! Roll-outs: a plan that a share of the callers is held to before it is in
//! force for all. One at a time; each step is in the audit journal and in the
//! book of the versions before it is taken.
//!
//! Deliberately not here: which callers those are and when a condition is
//! broken (`plan`), and when it is looked (`gate`).

use std::sync::Arc;

use evidence::{End, Meter, Quantiles, SideCount, SidesCount, dangerous, rfc3339};
use plan::{
    Abort, Breach, Figures, InForce, Kept, Owner, Range, Rollout, Share, SideFigures, Spread,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Candidate, How, Now, Plans, Return, Step, diff, not_kept, parse, returned, sound_note,
    unavailable,
};
use crate::audit::{Author, Change};
use crate::auth::By;
use crate::reply::Reply;
use crate::versions::{Ended, RolloutEnd, RolloutLine};

/// The roll-out that is on.
pub(super) struct Running {
    pub(super) in_force: Arc<Rollout>,
    kept: Kept,
    pub(super) line: RolloutLine,
}

/// What a call brings that wants a document rolled out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    percent: Option<f64>,
    tenants: Option<Vec<String>>,
    abort: Option<Abort>,
}

/// What a call brings that wants another share.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Another {
    percent: Option<f64>,
    tenants: Option<Vec<String>>,
    note: Option<String>,
    /// Digest of the candidate, as far as the caller knows.
    expected: Option<String>,
}

impl Wish {
    /// The share and the condition, if this candidate can be rolled out.
    pub(super) fn read(self, candidate: &Candidate) -> Result<(Share, Option<Abort>), Reply> {
        if self.percent.is_none() && self.tenants.is_none() {
            return Err(bad(
                "`rollout` names nobody. Write `percent`, `tenants` or both.",
            ));
        }
        let share = Share::new(
            candidate.digest(),
            self.percent.unwrap_or_default(),
            self.tenants.unwrap_or_default(),
        );
        let share = share.map_err(|why| bad(&why))?;
        if !candidate.restart_needed.is_empty() {
            let message = format!(
                "These need a restart and cannot be rolled out: {}. Leave their changes out, or \
                 apply the document to all.",
                candidate.restart_needed.join(", ")
            );
            let more = json!({"restart_needed": candidate.restart_needed});
            return Err(Reply::fault_with(422, "needs_restart", &message, more));
        }
        Ok((share, self.abort))
    }
}

/// Refuses while a roll-out is on.
pub(super) fn none_is_on(now: &Now) -> Result<(), Reply> {
    let Some(running) = &now.rollout else {
        return Ok(());
    };
    let candidate = &running.line.digest;
    let message = format!(
        "Plan {candidate} is being rolled out, so nothing was changed. End that first: `tollgate \
         plan rollout promote` or `tollgate plan rollout abort`."
    );
    let more = json!({"candidate": candidate});
    Err(Reply::fault_with(409, "rollout_is_on", &message, more))
}

impl Plans {
    pub(super) fn begin_rollout(
        &self,
        now: &mut Now,
        candidate: Candidate,
        (share, abort): (Share, Option<Abort>),
        (author, note): (&Author, Option<String>),
    ) -> Result<Reply, Reply> {
        if candidate.digest() == now.digest() {
            let told = "This plan is in force already, so there is nothing to roll out.";
            return Err(Reply::fault(422, "nothing_to_roll_out", told));
        }
        let diff = diff(
            (now.digest(), &now.kept.text),
            (candidate.digest(), &candidate.kept.text),
        );
        let line = RolloutLine {
            number: 0,
            digest: candidate.digest().to_owned(),
            base: now.digest().to_owned(),
            share,
            abort,
            author: author.id.to_string(),
            time_us: author.now_us,
            note,
            ended: None,
        };
        let mut after = about(&line);
        after["diff"] = json!(diff);
        let change = change("plan.rollout", &line, json!(null), after);
        let line = self.record(author, change, || {
            let after = now.taken.last();
            self.versions.begin_rollout(&line, &candidate.kept, after)
        })?;
        now.rollout = Some(running(candidate, line));
        self.put(now, None);
        Ok(self.told(now, Some(&diff)))
    }

    /// Goes on with the roll-out that was on when the gateway ended. What
    /// people should know about it, if it was on.
    ///
    /// # Errors
    /// It can neither go on nor be ended.
    pub fn resume(&self, author: &Author) -> Result<Option<String>, Reply> {
        let line = self.versions.rollout();
        match line.map_err(|error| unavailable(&error))? {
            Some(line) => self.go_on(&mut self.lock(), line, author).map(Some),
            None => Ok(None),
        }
    }

    /// Goes on with this roll-out, or ends it. What people should know.
    pub(super) fn go_on(
        &self,
        now: &mut Now,
        line: RolloutLine,
        author: &Author,
    ) -> Result<String, Reply> {
        let digest = line.digest.clone();
        match self.again(now, &line)? {
            Ok(candidate) => {
                // A secret that it refers to may be another by now. What
                // replicas share is left as the one says that began it.
                let line = match self.versions.is_shared() {
                    true => line,
                    false => RolloutLine {
                        digest: candidate.digest().to_owned(),
                        ..line
                    },
                };
                if line.digest != digest {
                    self.versions
                        .change_rollout(&line, Some(&candidate.kept))
                        .map_err(|why| not_kept(&why))?;
                }
                let told = format!(
                    "the roll-out of plan {} goes on: {}",
                    line.digest,
                    words(&line.share)
                );
                now.rollout = Some(running(candidate, line));
                self.put(now, None);
                Ok(told)
            }
            Err(why) if self.versions.is_shared() => {
                now.taken.passed_over = Some(line);
                self.put(now, None);
                Ok(format!(
                    "the roll-out of plan {digest} goes on without this replica, which holds all \
                     its callers to plan {}: {why}",
                    now.digest()
                ))
            }
            Err(why) => {
                let told = format!(
                    "the roll-out of plan {digest} does not go on, and plan {} is in force for \
                     all: {why}",
                    now.digest()
                );
                let ended = Ended {
                    how: RolloutEnd::Lost,
                    author: author.id.to_string(),
                    time_us: author.now_us,
                    note: Some(why),
                    breach: None,
                    figures: None,
                };
                self.end(now, line, author, ended)?;
                Ok(told)
            }
        }
    }

    /// The candidate of a roll-out again, or why it cannot be.
    fn again(&self, now: &Now, line: &RolloutLine) -> Result<Result<Candidate, String>, Reply> {
        if self.owner == Owner::File {
            return Ok(Err("the configuration file owns the plan".to_owned()));
        }
        let Some(content) = self.content(&line.digest)? else {
            return Ok(Err("its document is gone".to_owned()));
        };
        let candidate = match (self.hands.compile)(&content.document) {
            Ok(candidate) => candidate,
            Err(bad) => {
                let why = plan::render(&bad, "document", false);
                return Ok(Err(format!("it cannot be used any more:\n{why}")));
            }
        };
        Ok(if candidate.digest() == now.digest() {
            Err("it is in force already".to_owned())
        } else if candidate.restart_needed.is_empty() {
            Ok(candidate)
        } else {
            Err(format!(
                "these differ from what runs: {}",
                candidate.restart_needed.join(", ")
            ))
        })
    }

    /// The roll-out that is on, with what its calls came to.
    pub(crate) fn rollout(&self, meter: &Meter) -> Reply {
        let now = self.lock();
        let Some(running) = &now.rollout else {
            return Reply::json(&json!({"plan": now.digest(), "rollout": null}));
        };
        let mut told = view(&running.line);
        if let Some(sides) = meter.sides() {
            told["calls"] = json!(rollout_figures(&sides.now()));
        }
        Reply::json(&json!({"plan": now.digest(), "rollout": told}))
    }

    /// Gives the roll-out another share.
    pub(crate) fn set_rollout(&self, body: &[u8], by: &By) -> Result<Reply, Reply> {
        let wish: Another = parse(body)?;
        let note = sound_note(wish.note)?;
        if wish.percent.is_none() && wish.tenants.is_none() {
            return Err(bad(
                "Nothing is to be changed. Write `percent` or `tenants`.",
            ));
        }
        let mut now = self.lock();
        let running = self.running(&now, wish.expected.as_deref())?;
        let mut line = running.line.clone();
        if let Some(percent) = wish.percent {
            line.share.set_percent(percent).map_err(|why| bad(&why))?;
        }
        if let Some(tenants) = wish.tenants {
            line.share.set_tenants(tenants).map_err(|why| bad(&why))?;
        }
        let mut change = change(
            "plan.rollout_set",
            &line,
            about(&running.line),
            about(&line),
        );
        change.note = note;
        let next = Running {
            in_force: Arc::new(Rollout {
                candidate: running.in_force.candidate.clone(),
                share: line.share.clone(),
                abort: line.abort.clone(),
            }),
            kept: running.kept.clone(),
            line,
        };
        self.record(&by.into(), change, || {
            self.versions.change_rollout(&next.line, None)
        })?;
        now.rollout = Some(next);
        self.put(&now, None);
        Ok(self.told(&now, None))
    }

    /// Puts the candidate in force for all.
    pub(crate) fn promote(&self, body: &[u8], by: &By) -> Result<Reply, Reply> {
        let Return { note, expected } = returned(body)?;
        let mut now = self.lock();
        let running = self.running(&now, expected.as_deref())?;
        let author: Author = by.into();
        let diff = diff(
            (now.digest(), &now.kept.text),
            (&running.line.digest, &running.kept.text),
        );
        let ended = RolloutLine {
            ended: Some(ended(RolloutEnd::Promoted, &author, note.clone())),
            ..running.line.clone()
        };
        let before = now.digest().to_owned();
        let step = Step {
            how: How::Promote,
            note,
            before: Some(before.clone()),
            digest: &running.line.digest,
            diff: Some(diff.clone()),
            kept: &running.kept,
            ended: Some(&ended),
            after: now.taken.last(),
        };
        let number = self.note(&author, step)?;
        if let Some(running) = now.rollout.take() {
            now.plan = running.in_force.candidate.clone();
            now.kept = running.kept;
        }
        self.took(&mut now, number, &ended.digest);
        self.put(&now, Some(RolloutEnd::Promoted));
        Ok(Reply::json(&json!({
            "plan": now.digest(),
            "before": before,
            "number": number,
            "restart_needed": [],
            "diff": diff,
        })))
    }

    /// Holds all callers to the plan in force again.
    pub(crate) fn abort(&self, body: &[u8], by: &By) -> Result<Reply, Reply> {
        let Return { note, expected } = returned(body)?;
        let mut now = self.lock();
        let line = self.running(&now, expected.as_deref())?.line.clone();
        let author: Author = by.into();
        let ended = ended(RolloutEnd::Aborted, &author, note);
        let line = self.end(&mut now, line, &author, ended)?;
        Ok(Reply::json(
            &json!({"plan": now.digest(), "rollout": view(&line)}),
        ))
    }

    /// The same, since a bound was broken: unless the roll-out of this
    /// candidate has ended meanwhile.
    ///
    /// # Errors
    /// It could not be noted, so the roll-out goes on.
    pub fn abort_broken(
        &self,
        candidate: &str,
        (breach, figures): (Breach, Figures),
        author: &Author,
    ) -> Result<(), Reply> {
        let mut now = self.lock();
        let running = now.rollout.as_ref();
        let is_it = |running: &&Running| *running.in_force.candidate.digest == *candidate;
        let Some(running) = running.filter(is_it) else {
            return Ok(());
        };
        let line = running.line.clone();
        let ended = Ended {
            note: Some(breach.text.clone()),
            breach: Some(breach),
            figures: Some(figures),
            ..ended(RolloutEnd::ConditionBroken, author, None)
        };
        self.end(&mut now, line, author, ended).map(drop)
    }

    fn end(
        &self,
        now: &mut Now,
        line: RolloutLine,
        author: &Author,
        ended: Ended,
    ) -> Result<RolloutLine, Reply> {
        let how = ended.how;
        let mut after = json!({"plan": now.digest(), "ended": how});
        if let (Some(breach), Some(figures)) = (&ended.breach, &ended.figures) {
            after["broken"] = json!(breach);
            after["figures"] = json!(figures);
        }
        let mut change = change("plan.rollout_abort", &line, about(&line), after);
        change.note.clone_from(&ended.note);
        let line = RolloutLine {
            ended: Some(ended),
            ..line
        };
        self.record(author, change, || self.versions.change_rollout(&line, None))?;
        now.rollout = None;
        self.put(now, Some(how));
        Ok(line)
    }

    /// The roll-out that is on, if it is the one that the caller expects.
    fn running<'n>(&self, now: &'n Now, expected: Option<&str>) -> Result<&'n Running, Reply> {
        self.is_ours()?;
        let running = now.rollout.as_ref().ok_or_else(|| {
            let told = "No plan is being rolled out. `tollgate plan list` shows how the last \
                        roll-out ended.";
            Reply::fault(409, "no_rollout", told)
        })?;
        let known = [&running.line.digest, &*running.in_force.candidate.digest];
        match expected.filter(|expected| !known.contains(expected)) {
            None => Ok(running),
            Some(_) => {
                let message = format!(
                    "Plan {} is being rolled out, not the one that you expected, so nothing was \
                     changed.",
                    running.line.digest
                );
                let more = json!({"candidate": running.line.digest});
                Err(Reply::fault_with(409, "rollout_conflict", &message, more))
            }
        }
    }

    /// What is told of a roll-out that goes on.
    fn told(&self, now: &Now, diff: Option<&str>) -> Reply {
        let rollout = now.rollout.as_ref().map(|running| view(&running.line));
        let mut told = json!({"plan": now.digest(), "rollout": rollout});
        if let Some(diff) = diff {
            told["diff"] = json!(diff);
        }
        Reply::json(&told)
    }
}

fn running(candidate: Candidate, line: RolloutLine) -> Running {
    Running {
        in_force: Arc::new(Rollout {
            candidate: candidate.plan,
            share: line.share.clone(),
            abort: line.abort.clone(),
        }),
        kept: candidate.kept,
        line,
    }
}

fn ended(how: RolloutEnd, author: &Author, note: Option<String>) -> Ended {
    Ended {
        how,
        author: author.id.to_string(),
        time_us: author.now_us,
        note,
        breach: None,
        figures: None,
    }
}

fn change(action: &'static str, line: &RolloutLine, before: Value, after: Value) -> Change {
    Change {
        action,
        object: format!("plan/{}", line.digest),
        tenant: None,
        before,
        after,
        note: line.note.clone(),
    }
}

/// Who is held to which plan.
fn about(line: &RolloutLine) -> Value {
    told_of(&line.digest, &line.share, line.abort.as_ref())
}

fn told_of(candidate: &str, share: &Share, abort: Option<&Abort>) -> Value {
    json!({
        "candidate": candidate,
        "percent": share.percent(),
        "tenants": share.tenants(),
        "abort": abort,
    })
}

/// The roll-out that is on, in few words, for the state of the process. It
/// waits for nobody who changes the plan.
pub(crate) fn rollout_short(in_force: &InForce, meter: &Meter) -> Value {
    let Some(rollout) = &in_force.rollout else {
        return Value::Null;
    };
    let digest = &rollout.candidate.digest;
    let mut told = told_of(digest, &rollout.share, rollout.abort.as_ref());
    if let Some(sides) = meter.sides() {
        let count = sides.now();
        told["calls"] = json!({
            "in_force": count.in_force.calls(),
            "candidate": count.candidate.calls(),
        });
    }
    told
}

/// The same in the words of people.
fn words(share: &Share) -> String {
    match share.tenants() {
        [] => format!("{} % of the callers", share.percent()),
        tenants => {
            let tenants: Vec<String> = tenants.iter().map(|name| harmless(name)).collect();
            format!(
                "{} % of the callers, and the tenants {}",
                share.percent(),
                tenants.join(", ")
            )
        }
    }
}

/// A name in a line for people, which can do nothing there.
fn harmless(name: &str) -> String {
    name.chars()
        .flat_map(|c| match dangerous(c) {
            true => c.escape_unicode().collect::<Vec<char>>(),
            false => vec![c],
        })
        .collect()
}

/// A roll-out in answers.
pub(super) fn view(line: &RolloutLine) -> Value {
    let mut view = about(line);
    view["number"] = json!(line.number);
    view["base"] = json!(line.base);
    view["author"] = json!(line.author);
    view["time"] = json!(rfc3339(line.time_us));
    view["note"] = json!(line.note);
    view["ended"] = match &line.ended {
        None => Value::Null,
        Some(ended) => json!({
            "how": ended.how,
            "author": ended.author,
            "time": rfc3339(ended.time_us),
            "note": ended.note,
            "broken": ended.breach,
            "figures": ended.figures,
        }),
    };
    view
}

/// Counts as the figures that conditions are held against.
pub fn rollout_figures(count: &SidesCount) -> Figures {
    let spread = |times: Quantiles| {
        let range = |percent| {
            let (from_us, to_us) = times.percent(percent);
            Range { from_us, to_us }
        };
        Spread {
            count: times.count(),
            p95: range(95),
            p99: range(99),
        }
    };
    let side = |count: &SideCount| SideFigures {
        calls: count.calls(),
        denied: count.ended(End::Denied),
        errors: count.ended(End::Error),
        cancelled: count.ended(End::Cancelled),
        latency: spread(count.latency()),
        first_token: spread(count.first_token()),
    };
    Figures {
        in_force: side(&count.in_force),
        candidate: side(&count.candidate),
    }
}

fn bad(why: &str) -> Reply {
    Reply::fault(400, "bad_body", why)
}

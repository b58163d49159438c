//! Taking in what others changed: another process on the same folder, which
//! during a hand-over answers operators until the one after it is ready, or
//! another replica that shares the versions.
//!
//! Deliberately not here: when it is looked (`gate`).

use std::sync::atomic::Ordering;

use plan::Owner;

use super::taken::Taken;
use super::{Candidate, Now, Plans, refused, unavailable};
use crate::audit::Author;
use crate::reply::Reply;
use crate::versions::{RolloutLine, Version};

impl Plans {
    /// Whether a change was refused since another process or replica had made
    /// one, which this one has not taken in yet.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Puts in force what the list of versions says, where others changed it
    /// meanwhile. What people should know about it, if so.
    ///
    /// # Errors
    /// It cannot be read or used; what is in force stays.
    pub fn catch_up(&self, author: &Author) -> Result<Option<String>, Reply> {
        if self.owner == Owner::File {
            return Ok(None);
        }
        match self.versions.is_shared() {
            true => {
                let is_doubted = self.is_doubted.swap(false, Ordering::Relaxed);
                let followed = self.follow(author, is_doubted);
                if followed.is_err() {
                    self.doubt();
                }
                followed
            }
            false => self.take_over(author),
        }
    }

    /// What another process on the folder changed.
    fn take_over(&self, author: &Author) -> Result<Option<String>, Reply> {
        let mut now = self.lock();
        self.is_behind.store(false, Ordering::Relaxed);
        let latest = self.versions.latest();
        let (last, line) = latest.map_err(|error| unavailable(&error))?;
        let last = last.filter(|last| last.how.is_of_api() && last.digest != now.digest());
        let known = now.rollout.as_ref().map(|running| &running.line);
        if last.is_none() && line.as_ref() == known {
            return Ok(None);
        }
        let mut next = now.again();
        if let Some(last) = &last {
            next.become_of(self.made(last)?);
        }
        // A secret of it may be another for this process.
        self.begin_with(&next, author)?;
        let rollout = self.with_rollout(&mut next, line, author)?;
        let told = format!(
            "another process changed the plan meanwhile: plan {} is in force; {rollout}",
            next.digest()
        );
        *now = next;
        Ok(Some(told))
    }

    /// What another replica changed. Nothing is written: who changed it did.
    /// Where `is_doubted`, the number of its last change says nothing.
    fn follow(&self, author: &Author, is_doubted: bool) -> Result<Option<String>, Reply> {
        let mut now = self.lock();
        let change = self.last_change()?;
        if change.is_some() && change == now.taken.change && !is_doubted {
            self.is_behind.store(false, Ordering::Relaxed);
            return Ok(None);
        }
        let latest = self.versions.latest();
        let (last, line) = latest.map_err(|error| unavailable(&error))?;
        self.numbers
            .newest(last.as_ref().map_or(0, |last| last.number));
        let last = last.filter(|last| Some((last.number, &*last.digest)) != now.taken.last());
        let known = now.rollout.as_ref().map(|running| &running.line);
        let known = known.or(now.taken.passed_over.as_ref());
        let is_known = last.is_none() && line.as_ref() == known;
        let made = last.as_ref().map(|last| self.made(last)).transpose()?;
        let restart = made.as_ref().map(|made| made.restart_needed.join(", "));
        let mut next = now.again();
        if let Some(made) = made {
            next.become_of(made);
        }
        // What was read may be of a copy, or of between two changes.
        if self.last_change()? != change {
            if is_doubted {
                self.doubt();
            }
            return Ok(None);
        }
        self.is_behind.store(false, Ordering::Relaxed);
        if is_known {
            now.taken.change = change;
            return Ok(None);
        }
        next.taken = Taken {
            version: match last {
                Some(last) => Some((last.number, last.digest)),
                None => now.taken.version.clone(),
            },
            passed_over: None,
            change,
        };
        let rollout = self.with_rollout(&mut next, line, author)?;
        let restart = match restart.as_deref() {
            None | Some("") => String::new(),
            Some(names) => format!("; changes of these take effect at the next start: {names}"),
        };
        let told = format!(
            "another replica changed the plan: plan {}, number {} of the versions, is in force; \
             {rollout}{restart}",
            next.digest(),
            next.taken.number().unwrap_or_default()
        );
        *now = next;
        self.tell(&now);
        Ok(Some(told))
    }

    fn last_change(&self) -> Result<Option<u64>, Reply> {
        let change = self.versions.last_change();
        change.map_err(|error| unavailable(&error))
    }

    fn made(&self, last: &Version) -> Result<Candidate, Reply> {
        let content = self.wanted(&last.digest)?;
        (self.hands.compile)(&content.document).map_err(|bad| refused(&bad))
    }

    /// Puts it in force with the roll-out that is on.
    fn with_rollout(
        &self,
        next: &mut Now,
        line: Option<RolloutLine>,
        author: &Author,
    ) -> Result<String, Reply> {
        match line {
            Some(line) => self.go_on(next, line, author),
            None => {
                self.put(next, None);
                Ok("no plan is being rolled out".to_owned())
            }
        }
    }
}

impl Now {
    /// The same without its roll-out.
    fn again(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            kept: self.kept.clone(),
            rollout: None,
            taken: self.taken.clone(),
        }
    }

    fn become_of(&mut self, made: Candidate) {
        self.plan = made.plan;
        self.kept = made.kept;
    }
}

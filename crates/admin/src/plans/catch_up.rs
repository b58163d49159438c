//! Taking in what another process on the same folder changed: during a
//! hand-over the one before answers operators until the one after it is ready.
//!
//! Deliberately not here: when it is looked (`gate`).

use std::sync::atomic::Ordering;

use plan::Owner;

use super::{Now, Plans, refused, unavailable};
use crate::audit::Author;
use crate::reply::Reply;

impl Plans {
    /// Whether a change was refused since another process had made one, which
    /// this one has not taken in yet.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Puts in force what the list of versions says, where another process
    /// changed it meanwhile. What people should know about it, if so.
    ///
    /// # Errors
    /// It cannot be read or used; what is in force stays.
    pub fn catch_up(&self, author: &Author) -> Result<Option<String>, Reply> {
        if self.owner == Owner::File {
            return Ok(None);
        }
        let mut now = self.lock();
        self.is_behind.store(false, Ordering::Relaxed);
        let latest = self.versions.latest();
        let (last, line) = latest.map_err(|error| unavailable(&error))?;
        let last = last.filter(|last| last.how.is_of_api() && last.digest != now.digest());
        let known = now.rollout.as_ref().map(|running| &running.line);
        if last.is_none() && line.as_ref() == known {
            return Ok(None);
        }
        let (plan, kept) = match &last {
            Some(last) => {
                let content = self.wanted(&last.digest)?;
                let made = (self.hands.compile)(&content.document);
                let candidate = made.map_err(|bad| refused(&bad))?;
                (candidate.plan, candidate.kept)
            }
            None => (now.plan.clone(), now.kept.clone()),
        };
        let mut next = Now {
            plan,
            kept,
            rollout: None,
        };
        // A secret of it may be another for this process.
        self.begin_with(&next, author)?;
        let rollout = match line {
            Some(line) => self.go_on(&mut next, line, author)?,
            None => {
                self.put(&next, None);
                "no plan is being rolled out".to_owned()
            }
        };
        let told = format!(
            "another process changed the plan meanwhile: plan {} is in force; {rollout}",
            next.digest()
        );
        *now = next;
        Ok(Some(told))
    }
}

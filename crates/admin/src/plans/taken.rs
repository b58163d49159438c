//! Versions that several replicas share: which of them this gateway has taken
//! in. Two gateways may make different digests of one document, where their
//! folders, listeners or secrets differ; so versions are told apart by their
//! numbers, and by the digests that the versions say: after a restore or a
//! failover a number may be that of another plan.
//!
//! Deliberately not here: putting a plan in force.

use std::sync::atomic::{AtomicU64, Ordering};

use super::answers::written_out;
use super::{Now, Plans, Step};
use crate::audit::Author;
use crate::reply::Reply;
use crate::versions::{How, Last, RolloutLine, Version};

/// What of shared versions is in force here.
#[derive(Clone, Default)]
pub(super) struct Taken {
    /// Number and digest, as the versions say.
    pub(super) version: Option<(u64, String)>,
    /// A roll-out that cannot be tried here.
    pub(super) passed_over: Option<RolloutLine>,
    /// The last change of the versions that was taken in whole.
    pub(super) change: Option<u64>,
}

impl Taken {
    pub(super) fn number(&self) -> Option<u64> {
        self.version.as_ref().map(|(number, _)| *number)
    }

    pub(super) fn last(&self) -> Last<'_> {
        let version = self.version.as_ref();
        version.map(|(number, digest)| (*number, &**digest))
    }

    pub(super) fn digest(&self) -> Option<&str> {
        self.version.as_ref().map(|(_, digest)| digest.as_str())
    }
}

/// Numbers of shared versions, for who must not wait; 0 is none.
#[derive(Default)]
pub(super) struct Numbers {
    in_force: AtomicU64,
    newest: AtomicU64,
}

impl Numbers {
    /// The newest is this one: a lower one, where a database was brought back.
    pub(super) fn newest(&self, number: u64) {
        self.newest.store(number, Ordering::Relaxed);
    }
}

impl Plans {
    /// The numbers of the shared version in force here, and of the newest that
    /// is known; `None` where no replicas share them.
    pub fn numbers(&self) -> Option<(u64, u64)> {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let Numbers { in_force, newest } = &self.numbers;
        (self.versions.is_shared()).then(|| (read(in_force), read(newest)))
    }

    /// Says that this gateway starts with this of the shared versions.
    pub fn take_up(&self, version: &Version) {
        let mut now = self.lock();
        now.taken.version = Some((version.number, version.digest.clone()));
        self.tell(&now);
    }

    /// Notes that what is in force has this number and this digest, as the
    /// versions say, if it is a new one.
    pub(super) fn took(&self, now: &mut Now, number: Option<u64>, digest: &str) {
        if let Some(number) = number {
            now.taken.version = Some((number, digest.to_owned()));
        }
        self.tell(now);
    }

    /// Notes the numbers.
    pub(super) fn tell(&self, now: &Now) {
        let number = now.taken.number().unwrap_or_default();
        self.numbers.in_force.store(number, Ordering::Relaxed);
        self.numbers.newest.fetch_max(number, Ordering::Relaxed);
    }

    /// What was heard of changes may not be all: the next look takes nothing
    /// for granted. It waits for nothing.
    pub fn doubt(&self) {
        self.is_doubted.store(true, Ordering::Relaxed);
    }

    /// The first replica of all puts its document in force for all. Another
    /// one takes in what there is.
    pub(super) fn begin_shared(&self, now: &mut Now, author: &Author) -> Result<(), Reply> {
        if now.taken.version.is_some() {
            return Ok(());
        }
        // The others could not use it: a secret that is written out is not kept.
        if !now.kept.written_out.is_empty() {
            return Err(written_out(&now.kept.written_out));
        }
        let step = Step {
            how: How::Start,
            note: None,
            before: None,
            digest: now.digest(),
            diff: None,
            kept: &now.kept,
            ended: None,
            after: None,
        };
        match self.note(author, step) {
            Ok(number) => {
                let digest = now.digest().to_owned();
                self.took(now, number, &digest);
            }
            // Another one was first, and its document will be taken in.
            Err(_) if self.is_behind() => {}
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }
}

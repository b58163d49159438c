//! Roll-outs in the book of the versions: the one that is on, and
//! how those before it ended.
//!
//! Deliberately not here: which calls a roll-out concerns.

use std::io;

use plan::{Abort, Breach, Figures, Kept, Share};
use serde::{Deserialize, Serialize};

use super::{Book, Content, Draft, FORMAT, Last, NotKept, Version, Versions};

/// Most roll-outs that are listed; what is older is in the audit journal only.
pub(crate) const ROLLOUTS_MAX: usize = 100;

/// A roll-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RolloutLine {
    /// From 1.
    pub(crate) number: u64,
    /// Digest of the candidate.
    pub(crate) digest: String,
    /// Digest of the plan that was in force when it began.
    pub(crate) base: String,
    /// Who is held to the candidate, or was at the end.
    pub(crate) share: Share,
    /// When it goes by itself.
    pub(crate) abort: Option<Abort>,
    /// Who began it.
    pub(crate) author: String,
    /// When, microseconds since the Unix epoch.
    pub(crate) time_us: u64,
    /// Why.
    pub(crate) note: Option<String>,
    /// How it ended; `None` while it is on.
    pub(crate) ended: Option<Ended>,
}

/// The end of a roll-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) how: RolloutEnd,
    /// Who ended it; `gateway` if it went by itself.
    pub(crate) author: String,
    /// When, microseconds since the Unix epoch.
    pub(crate) time_us: u64,
    /// Why.
    pub(crate) note: Option<String>,
    /// The bound that was broken.
    pub(crate) breach: Option<Breach>,
    /// The figures that broke it.
    pub(crate) figures: Option<Figures>,
}

/// How a roll-out ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutEnd {
    /// The candidate came in force for all.
    Promoted,
    /// Somebody ended it.
    Aborted,
    /// Its calls broke a bound that it was begun with.
    ConditionBroken,
    /// The candidate could not be used any more after a restart.
    Lost,
}

impl RolloutEnd {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Aborted => "aborted",
            Self::ConditionBroken => "condition_broken",
            Self::Lost => "lost",
        }
    }
}

impl Versions {
    /// All roll-outs, oldest first.
    pub(crate) fn rollouts(&self) -> io::Result<Vec<RolloutLine>> {
        Ok(self.book()?.rollouts)
    }

    /// The roll-out that is on.
    pub(crate) fn rollout(&self) -> io::Result<Option<RolloutLine>> {
        let last = self.rollouts()?.pop();
        Ok(last.filter(|last| last.ended.is_none()))
    }

    /// What came in force last, and the roll-out that is on.
    pub(crate) fn latest(&self) -> io::Result<(Option<Version>, Option<RolloutLine>)> {
        let mut book = self.book()?;
        let on = book.rollouts.pop().filter(|last| last.ended.is_none());
        Ok((book.versions.pop(), on))
    }

    /// Keeps a roll-out that begins now, unless another process began one.
    /// Where replicas share the versions, `after` must be the last of them.
    pub(crate) fn begin_rollout(
        &self,
        new: &RolloutLine,
        kept: &Kept,
        after: Last<'_>,
    ) -> Result<RolloutLine, NotKept> {
        self.change(|book| {
            if self.is_shared() {
                book.must_end_with(after)?;
            }
            let last = book.rollouts.last();
            if last.is_some_and(|last| last.ended.is_none()) {
                return Err(NotKept::ChangedMeanwhile);
            }
            let number = last.map_or(1, |last| last.number + 1);
            let line = RolloutLine {
                number,
                ..new.clone()
            };
            book.rollouts.push(line.clone());
            let surplus = book.rollouts.len().saturating_sub(ROLLOUTS_MAX);
            let dropped: Vec<RolloutLine> = book.rollouts.drain(..surplus).collect();
            let gone = dropped.into_iter().map(|line| line.digest);
            let draft = Draft {
                content: Some(content(&line, kept)),
                gone: gone.filter(|digest| !book.has_version(digest)).collect(),
            };
            Ok((line, Some(draft)))
        })
    }

    /// Keeps a roll-out in the place of how it was, unless another process
    /// ended it meanwhile.
    pub(crate) fn change_rollout(
        &self,
        line: &RolloutLine,
        kept: Option<&Kept>,
    ) -> Result<(), NotKept> {
        self.change(|book| {
            let before = book.take(line).ok_or(NotKept::ChangedMeanwhile)?;
            let is_gone = before != line.digest && !book.has_version(&before);
            let draft = Draft {
                content: kept.map(|kept| content(line, kept)),
                gone: is_gone.then_some(before).into_iter().collect(),
            };
            Ok(((), Some(draft)))
        })
    }
}

impl Book {
    /// Takes a roll-out in, and gives the digest that its candidate had; none
    /// if it is not on any more.
    pub(super) fn take(&mut self, line: &RolloutLine) -> Option<String> {
        let mut on = self.rollouts.iter_mut();
        // After a restore its number may be that of another.
        let same = |it: &RolloutLine| it.number == line.number && it.time_us == line.time_us;
        let known = on.find(|it| same(it) && it.ended.is_none())?;
        let before = known.digest.clone();
        known.clone_from(line);
        Some(before)
    }

    /// Whether a version has its document still.
    fn has_version(&self, digest: &str) -> bool {
        let mut kept = self.versions.iter().filter(|version| !version.removed);
        kept.any(|version| version.digest == digest)
    }

    /// Whether a roll-out is listed with this candidate.
    pub(super) fn has_rollout(&self, digest: &str) -> bool {
        self.rollouts.iter().any(|line| line.digest == digest)
    }
}

fn content(line: &RolloutLine, kept: &Kept) -> Content {
    Content {
        format: FORMAT,
        digest: line.digest.clone(),
        document: kept.text.clone(),
        written_out: kept.written_out.clone(),
    }
}

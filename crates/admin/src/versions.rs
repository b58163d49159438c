//! Versions of the plan: which plans were put in force, by whom and why, and
//! their documents by digest, in a folder, or in a database that several
//! replicas share. No secret is in them.
//!
//! There is `book.json`, the list, and `<digest>.json` for each document.
//! Deliberately not here: putting a plan in force (`plans`).

mod rollouts;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use plan::Kept;
use serde::{Deserialize, Serialize};
use store::{Cabinet, Edit, Shelf};

pub use rollouts::RolloutEnd;
pub(crate) use rollouts::{Ended, RolloutLine};

/// Most documents that are kept; the oldest that is not in force goes first.
pub(crate) const VERSIONS_MAX: usize = 100;
/// Most lines of the list; what is older is in the audit journal only.
pub(crate) const LINES_MAX: usize = 1_000;
/// Digits of a digest.
const DIGEST_CHARS: usize = 16;
/// The list; it is there from the first change on.
const BOOK: &str = "book.json";
/// The format of the files.
const FORMAT: u32 = 1;

/// How a plan came in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// With the start of the gateway.
    Start,
    /// With the start of the gateway, as the admin API put it in force before;
    /// a secret that it refers to is another by now.
    Restart,
    /// Its file changed, or was read again.
    Reload,
    /// By the admin API.
    Apply,
    /// By the admin API, as a version from before.
    Rollback,
    /// By the admin API, at the end of its roll-out.
    Promote,
}

impl How {
    /// Whether the admin API owns such a plan.
    pub fn is_of_api(self) -> bool {
        match self {
            Self::Start | Self::Reload => false,
            Self::Restart | Self::Apply | Self::Rollback | Self::Promote => true,
        }
    }

    /// The action in the audit journal.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Start | Self::Restart => "plan.start",
            Self::Reload => "plan.reload",
            Self::Apply => "plan.apply",
            Self::Rollback => "plan.rollback",
            Self::Promote => "plan.promote",
        }
    }
}

/// One line of the list: a plan that was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// From 1, without holes.
    pub number: u64,
    /// Digest of the plan.
    pub digest: String,
    /// Digest of the plan before it.
    pub before: Option<String>,
    /// How it came in force.
    pub how: How,
    /// Credential, `file` or `environment`.
    pub author: String,
    /// Microseconds since the Unix epoch.
    pub time_us: u64,
    /// Why.
    pub note: Option<String>,
    /// Its document is not kept any more.
    #[serde(default)]
    pub removed: bool,
}

/// A document that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    format: u32,
    /// The digest of its plan.
    pub(crate) digest: String,
    /// The document, without secrets.
    pub(crate) document: String,
    /// Fields whose secrets were written out and are not kept.
    pub(crate) written_out: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Book {
    format: u32,
    versions: Vec<Version>,
    #[serde(default)]
    rollouts: Vec<RolloutLine>,
}

/// Why a change is not kept.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// They cannot be read or written.
    Failed(io::Error),
    /// Another process on this folder, or another replica, changed them.
    ChangedMeanwhile,
}

impl From<io::Error> for NotKept {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::ChangedMeanwhile => f.write_str(
                "another process or replica has changed the plan or its roll-out meanwhile",
            ),
        }
    }
}

/// Number and digest of the version that is known as the last.
pub(crate) type Last<'v> = Option<(u64, &'v str)>;

/// The versions, wherever they are kept.
pub struct Versions {
    shelf: Arc<dyn Shelf>,
    is_shared: bool,
}

/// What is written besides the book.
#[derive(Default)]
struct Draft {
    content: Option<Content>,
    /// Digests of documents that nobody may need any more.
    gone: Vec<String>,
}

impl Versions {
    /// The file that is there from the first change on.
    pub const BOOK: &str = BOOK;

    /// Opens the folder; it is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            shelf: Arc::new(Cabinet::open(dir)?),
            is_shared: false,
        })
    }

    /// Those that several replicas share: the book says what is in force on
    /// all of them.
    pub fn shared(shelf: Arc<dyn Shelf>) -> Self {
        Self {
            shelf,
            is_shared: true,
        }
    }

    /// Whether several replicas share them.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The number of the last change, where replicas share them.
    ///
    /// # Errors
    /// What decides cannot be asked, whatever a copy says.
    pub fn last_change(&self) -> io::Result<Option<u64>> {
        self.shelf.last_change()
    }

    /// All lines, oldest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn list(&self) -> io::Result<Vec<Version>> {
        Ok(self.book()?.versions)
    }

    fn book(&self) -> io::Result<Book> {
        Book::read(self.shelf.read(BOOK)?.as_deref())
    }

    /// Has `act` change the book, and writes it with what it says; without
    /// that, nothing. Asked again where somebody else was first.
    fn change<T>(
        &self,
        mut act: impl FnMut(&mut Book) -> Result<(T, Option<Draft>), NotKept>,
    ) -> Result<T, NotKept> {
        let mut told = None;
        self.shelf.change(BOOK, &mut |bytes| {
            let mut book = Book::read(bytes)?;
            let (outcome, draft) = match act(&mut book) {
                Ok((outcome, draft)) => (Ok(outcome), draft),
                Err(why) => (Err(why), None),
            };
            told = Some(outcome);
            draft.map_or(Ok(Vec::new()), |draft| book.edits(draft))
        })?;
        told.unwrap_or_else(|| Err(io::Error::other("nothing was decided").into()))
    }

    /// The document of a digest; `None` if it is not kept.
    pub(crate) fn content(&self, digest: &str) -> io::Result<Option<Content>> {
        if !is_digest(digest) {
            return Ok(None);
        }
        let Some(bytes) = self.shelf.read(&file(digest))? else {
            return Ok(None);
        };
        let content: Content = read(&bytes)?;
        sound(content.format)?;
        Ok(Some(content))
    }

    /// The document that the admin API put in force last, if it was the last
    /// that came in force; what cannot be applied again is `None` too.
    ///
    /// # Errors
    /// The versions cannot be read.
    pub fn of_api(&self) -> io::Result<Option<(Version, String)>> {
        // Where replicas share them, the book counts whoever wrote it.
        let is_meant = |last: &Version| self.is_shared || last.how.is_of_api();
        let Some(last) = self.list()?.pop().filter(is_meant) else {
            return Ok(None);
        };
        let content = self.content(&last.digest)?.ok_or_else(|| {
            io::Error::other(format!("the document of plan {} is gone", last.digest))
        })?;
        Ok(Some((last, content.document)))
    }

    /// Keeps a plan that is put in force now, and the end of the roll-out by
    /// which it comes, if that is still on. One that is in force already makes
    /// no new line. Where replicas share the versions, `after` must be the last
    /// of them. Returns the number of its line.
    pub(crate) fn keep(
        &self,
        new: &Version,
        kept: &Kept,
        ended: Option<&RolloutLine>,
        after: Last<'_>,
    ) -> Result<u64, NotKept> {
        self.change(|book| {
            if self.is_shared {
                book.must_end_with(after)?;
            }
            if let Some(ended) = ended {
                book.take(ended).ok_or(NotKept::ChangedMeanwhile)?;
            }
            let versions = &mut book.versions;
            let last = versions.last();
            if let Some(last) = last.filter(|last| last.digest == new.digest && ended.is_none()) {
                return Ok((last.number, None));
            }
            let content = Content {
                format: FORMAT,
                digest: new.digest.clone(),
                document: kept.text.clone(),
                written_out: kept.written_out.clone(),
            };
            let number = versions.last().map_or(1, |last| last.number + 1);
            for same in versions.iter_mut().filter(|old| old.digest == new.digest) {
                same.removed = false;
            }
            versions.push(Version {
                number,
                ..new.clone()
            });
            let draft = Draft {
                content: Some(content),
                gone: thin_out(versions),
            };
            Ok((number, Some(draft)))
        })
    }
}

impl Book {
    fn read(bytes: Option<&[u8]>) -> io::Result<Self> {
        let Some(bytes) = bytes else {
            return Ok(Self {
                format: FORMAT,
                versions: Vec::new(),
                rollouts: Vec::new(),
            });
        };
        let book: Self = read(bytes)?;
        sound(book.format)?;
        Ok(book)
    }

    /// Refuses where others have put a plan in force meanwhile.
    fn must_end_with(&self, known: Last<'_>) -> Result<(), NotKept> {
        let last = self.versions.last();
        match last.map(|last| (last.number, &*last.digest)) == known {
            true => Ok(()),
            false => Err(NotKept::ChangedMeanwhile),
        }
    }

    /// The document first, then the list, and then those go that the list does
    /// not promise any more.
    fn edits(&self, draft: Draft) -> io::Result<Vec<Edit>> {
        let mut edits = Vec::new();
        if let Some(content) = draft.content {
            edits.push(Edit::Write(file(&content.digest), write(&content)?));
        }
        edits.push(Edit::Write(BOOK.to_owned(), write(self)?));
        let gone = draft.gone.iter().filter(|it| !self.has_rollout(it));
        edits.extend(gone.map(|digest| Edit::Remove(file(digest))));
        Ok(edits)
    }
}

/// Marks what is too old, and returns the digests to remove.
fn thin_out(versions: &mut Vec<Version>) -> Vec<String> {
    let mut kept: Vec<&str> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    for version in versions.iter().rev().filter(|version| !version.removed) {
        if kept.contains(&version.digest.as_str()) || gone.contains(&version.digest) {
            continue;
        }
        match kept.len() < VERSIONS_MAX {
            true => kept.push(&version.digest),
            false => gone.push(version.digest.clone()),
        }
    }
    for version in versions.iter_mut() {
        version.removed |= gone.contains(&version.digest);
    }
    let surplus = versions.len().saturating_sub(LINES_MAX);
    let dropped: Vec<Version> = versions.drain(..surplus).collect();
    for old in dropped.into_iter().filter(|old| !old.removed) {
        let is_listed = versions.iter().any(|version| version.digest == old.digest);
        if !is_listed && !gone.contains(&old.digest) {
            gone.push(old.digest);
        }
    }
    gone
}

/// Whether a text is a digest, and so can be a part of a file's name.
pub(crate) fn is_digest(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == DIGEST_CHARS && text.bytes().all(is_digit)
}

fn file(digest: &str) -> String {
    format!("{digest}.json")
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(io::Error::other)
}

fn write(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

fn sound(format: u32) -> io::Result<()> {
    match format <= FORMAT {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "it has format {format}, which this version cannot read"
        ))),
    }
}

#[cfg(test)]
mod tests;

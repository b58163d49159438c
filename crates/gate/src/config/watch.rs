//! Reload on change and on call. Files are looked at once a second: that also
//! sees the swapped symlinks of mounted ConfigMaps, network file systems and
//! editors that replace a file, and costs a few system calls.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::loader::{Failure, Loaded, Loader};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What became of a reload. The last good plan stays in force on a failure.
pub(crate) type Outcome = Result<Loaded, Failure>;

/// Asks for a reload. The watch ends when this and all its triggers are
/// dropped.
pub(crate) struct Reloader {
    calls: Sender<()>,
}

impl Reloader {
    /// Loads again, whether a file changed or not. For SIGHUP and the admin
    /// API; returns at once.
    pub(crate) fn reload(&self) {
        // The thread ends only after this end is dropped.
        let _ = self.calls.send(());
    }

    /// The same as something that a thread of its own can call.
    pub(crate) fn trigger(&self) -> impl FnMut() + Send + use<> {
        let calls = self.calls.clone();
        move || {
            // As above: this end is held.
            let _ = calls.send(());
        }
    }
}

/// Watches in a thread of its own and tells `tell` of every reload.
///
/// # Errors
/// The thread cannot be started.
pub(crate) fn watch(
    loader: impl Into<Arc<Loader>>,
    files: Vec<PathBuf>,
    tell: impl FnMut(Outcome) + Send + 'static,
) -> io::Result<Reloader> {
    let (calls, heard) = channel();
    let watcher = Watcher::new(loader, files);
    std::thread::Builder::new()
        .name("config".to_owned())
        .spawn(move || run(watcher, &heard, tell))?;
    Ok(Reloader { calls })
}

fn run(mut watcher: Watcher, calls: &Receiver<()>, mut tell: impl FnMut(Outcome)) {
    loop {
        let outcome = match calls.recv_timeout(LOOK_EVERY) {
            Ok(()) => Some(watcher.load()),
            Err(RecvTimeoutError::Timeout) => watcher.look(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(outcome) = outcome {
            tell(outcome);
        }
    }
}

/// What is watched, and how it was when it was last loaded.
pub(super) struct Watcher {
    loader: Arc<Loader>,
    files: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
}

/// What tells that a file was written or replaced.
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Watcher {
    /// `files` are those of the load that is in force.
    pub(super) fn new(loader: impl Into<Arc<Loader>>, files: Vec<PathBuf>) -> Self {
        let seen = stamps(&files);
        Self {
            loader: loader.into(),
            files,
            seen,
        }
    }

    /// Loads if a file changed.
    pub(super) fn look(&mut self) -> Option<Outcome> {
        (stamps(&self.files) != self.seen).then(|| self.load())
    }

    /// Loads. Stamps are taken before the files are read, so that a change in
    /// between is seen at the next look.
    pub(super) fn load(&mut self) -> Outcome {
        let before = stamps(&self.files);
        let outcome = self.loader.load();
        let files = match &outcome {
            Ok(loaded) => &loaded.files,
            Err(failure) => &failure.files,
        };
        match *files == self.files {
            true => self.seen = before,
            false => {
                self.files.clone_from(files);
                self.seen = stamps(&self.files);
            }
        }
        outcome
    }
}

/// Links are followed, so a link that leads elsewhere is a change.
fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let facts = fs::metadata(path).ok()?;
        Some(Stamp {
            device: facts.dev(),
            inode: facts.ino(),
            length: facts.len(),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    };
    files.iter().map(stamp).collect()
}

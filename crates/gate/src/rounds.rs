//! A thread that looks after something again and again until it is dropped,
//! and at once when a bell is rung.
//!
//! Deliberately not here: what it looks after.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Wakes a thread that looks; clones are one bell.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<Stop>);

impl Bell {
    /// Has it look now. Rung before the thread is there, it looks as soon as
    /// it is; rung twice before it looks, it looks once.
    pub(crate) fn ring(&self) {
        self.0.state().is_rung = true;
        self.0.told.notify_all();
    }
}

/// Tells the thread to look or to end.
#[derive(Default)]
struct Stop {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    is_over: bool,
    is_rung: bool,
}

/// Looks for as long as it is held.
pub(crate) struct Rounds {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Rounds {
    /// Calls `look` after each of these times, and once more with `true` when
    /// it is over.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(
        name: &str,
        every: Duration,
        look: impl FnMut(bool) + Send + 'static,
    ) -> io::Result<Self> {
        Self::with_bell(name, every, &Bell::default(), look)
    }

    /// The same, and whenever this bell is rung. A bell is for one thread.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn with_bell(
        name: &str,
        every: Duration,
        bell: &Bell,
        mut look: impl FnMut(bool) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = bell.0.clone();
        let told = stop.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                loop {
                    let is_over = told.wait(every);
                    look(is_over);
                    if is_over {
                        return;
                    }
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Stop {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end, the bell, or so long; whether it is the end.
    fn wait(&self, at_most: Duration) -> bool {
        let waited = self
            .told
            .wait_timeout_while(self.state(), at_most, |state| {
                !state.is_over && !state.is_rung
            });
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_rung = false;
        state.is_over
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.stop.state().is_over = true;
        self.stop.told.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    //! Cases of the rounds.

    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_bell_has_it_look_at_once_and_the_end_is_told() {
        let bell = Bell::default();
        let (told, looks) = mpsc::channel();
        bell.ring();
        let day = Duration::from_secs(86_400);
        let rounds = Rounds::with_bell("test", day, &bell, move |is_over| {
            told.send(is_over).unwrap()
        });
        assert!(!looks.recv().unwrap(), "it was rung before");
        bell.ring();
        assert!(!looks.recv().unwrap());
        drop(rounds.unwrap());
        assert!(looks.recv().unwrap());
        assert!(looks.recv().is_err());
    }
}

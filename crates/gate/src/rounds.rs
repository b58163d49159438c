//! A thread that looks after something again and again until it is dropped.
//!
//! Deliberately not here: what it looks after.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Tells the thread to end.
#[derive(Default)]
struct Stop {
    is_over: Mutex<bool>,
    told: Condvar,
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
        mut look: impl FnMut(bool) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::<Stop>::default();
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
    /// Waits for the end, or so long; whether it is the end.
    fn wait(&self, at_most: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .told
            .wait_timeout_while(is_over, at_most, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        let is_over = self.stop.is_over.lock();
        *is_over.unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.told.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            drop(thread.join());
        }
    }
}

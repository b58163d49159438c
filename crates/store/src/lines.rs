//! Lines of text to stdout, stderr or any writer, from a thread of its own.
//! Bounded: a line that finds the buffer full is dropped and counted, because
//! a slow terminal must not slow an exchange.
//!
//! Deliberately not here: what a line says.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(20);

/// Writes lines in the background.
pub struct LineWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    bytes_max: usize,
    state: Mutex<State>,
    arrived: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Lines in `lines`.
    count: u64,
    /// The thread waits without a time limit and must be woken.
    idle: bool,
    closed: bool,
}

impl LineWriter {
    /// Starts the thread. At most `bytes_max` bytes wait in memory.
    pub fn start(out: impl Write + Send + 'static, bytes_max: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            bytes_max,
            state: Mutex::default(),
            arrived: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let thread = std::thread::Builder::new().name("log-lines".to_owned());
        let thread = thread.spawn({
            let shared = shared.clone();
            move || shared.run(out)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Hands over one line, its line end included. `false` if it was dropped.
    pub fn send(&self, line: &[u8]) -> bool {
        let mut state = self.shared.lock();
        if state.closed || state.lines.len() + line.len() > self.shared.bytes_max {
            self.shared.dropped.fetch_add(1, Relaxed);
            return false;
        }
        state.lines.extend_from_slice(line);
        state.count += 1;
        if std::mem::take(&mut state.idle) {
            self.shared.arrived.notify_one();
        }
        true
    }

    /// Lines dropped because the buffer was full or the output failed.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }
}

impl Drop for LineWriter {
    /// Writes what waits, then ends the thread.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the output has nothing left to do here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut out: impl Write) {
        let mut spare = Vec::new();
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && !state.closed {
                state.idle = true;
                state = self
                    .arrived
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.idle = false;
            if state.lines.is_empty() {
                return;
            }
            if !state.closed {
                // Others may join; only closing ends this wait early.
                let wait = self.arrived.wait_timeout(state, GATHER);
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
            let count = std::mem::take(&mut state.count);
            std::mem::swap(&mut state.lines, &mut spare);
            drop(state);
            if out.write_all(&spare).and_then(|()| out.flush()).is_err() {
                self.dropped.fetch_add(count, Relaxed);
            }
            spare.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    //! Cases of the line writer.

    use super::*;
    use std::sync::mpsc;

    /// An output that writes nothing until it is let go.
    struct Gate {
        go: mpsc::Receiver<()>,
        seen: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.go.recv();
            let _ = self.seen.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_whole_and_the_overflow_is_counted() {
        let (go, gate) = mpsc::channel();
        let (seen, written) = mpsc::channel();
        let writer = LineWriter::start(Gate { go: gate, seen }, 64).unwrap();
        // The output is stuck, so at most 64 bytes are in its hands and 64
        // more wait.
        let accepted = (0..40).filter(|_| writer.send(b"12345678\n")).count();
        assert!((7..=14).contains(&accepted), "{accepted}");
        assert_eq!(writer.dropped(), 40 - accepted as u64);
        drop(go);
        drop(writer);
        let text: Vec<u8> = written.iter().flatten().collect();
        assert_eq!(text, b"12345678\n".repeat(accepted));
    }
}

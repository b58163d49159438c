//! A PostgreSQL database that replicas share: a few connections on a thread of
//! their own, asked by callers that may wait.
//!
//! While the server is away nobody waits for it: calls fail at once until the
//! thread has reached it again. What a call that ran into its deadline came to
//! is not known, so all that is written must bear being written again.
//!
//! Deliberately not here: what is asked, which is the business of the modules
//! that ask.

mod address;
mod carry;
mod fault;
mod keys;
mod link;
mod listen;
mod migrate;
mod shelf;
mod tls;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, Error};

pub use address::{PostgresUrl, PostgresUrlFault};
pub use fault::PostgresError;
pub use keys::{KEYS_CHANNEL, PostgresKeys};
pub use listen::{Heard, Listening};
pub use shelf::{PLANS_CHANNEL, PostgresShelf};

use carry::{Haste, Order, Shared};
use listen::Listener;
use tls::Tls;

/// Most calls that wait for the thread.
const ORDERS_MAX: usize = 1_024;
/// How much later than the thread a caller gives up, so that the thread is the
/// one to say why.
const SLACK: Duration = Duration::from_millis(50);

/// How a database is reached.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Its address.
    pub url: PostgresUrl,
    /// Where the tables are; it stands in statements as it is, and so must be
    /// a plain name.
    pub schema: String,
    /// Certificate authorities beside those of the platform, PEM.
    pub ca_pem: Option<Arc<str>>,
    /// Longest wait of a call that is answered meanwhile.
    pub deadline: Duration,
}

/// How a database is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresFigures {
    /// It answers.
    pub is_up: bool,
    /// Calls that it did not answer, since the start.
    pub failed: u64,
    /// Why it cannot be used, as long as that is so.
    pub fault: Option<String>,
}

/// What a call does with a connection.
pub type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'c>>;

/// A database; its thread ends when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    shared: Arc<Shared>,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Postgres {
    /// Starts without the database, and finds it; `say` is told when it is
    /// lost and found.
    ///
    /// # Errors
    /// A certificate authority cannot be used, or no thread can be started.
    pub fn start(options: PostgresOptions, say: fn(&str)) -> io::Result<Arc<Self>> {
        let tls = Tls::new(options.ca_pem.as_deref()).map_err(io::Error::other)?;
        let shared = Arc::new(Shared::new(options, tls, say));
        let (orders, heard) = mpsc::channel(ORDERS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name("database".to_owned());
        let thread = thread.spawn({
            let shared = shared.clone();
            move || runtime.block_on(carry::carry(shared, heard))
        })?;
        Ok(Arc::new(Self {
            shared,
            orders: Mutex::new(Some(orders)),
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// The longest wait of a call that somebody waits for.
    pub fn deadline(&self) -> Duration {
        self.shared.options.deadline
    }

    /// Does `work` on a connection, and waits for it, at most so long. Not to
    /// be called on the thread of a runtime, nor by what hears pushes.
    ///
    /// `work` begins on a clean connection with the schema as its search path.
    /// It is done at most once: who wants it done again asks again.
    ///
    /// # Errors
    /// The database could not be asked, did not answer in time, or refused.
    pub fn run<T, F>(&self, at_most: Duration, work: F) -> Result<T, PostgresError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Client) -> Work<'c, T> + Send + 'static,
    {
        self.run_with(Haste::Short, at_most, work)
    }

    /// The same for what takes seconds by its nature, such as a report: one is
    /// done at a time, beside others, and one that ends in vain says nothing
    /// about the database.
    ///
    /// # Errors
    /// The database could not be asked, did not answer in time, or refused.
    pub fn run_long<T, F>(&self, at_most: Duration, work: F) -> Result<T, PostgresError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Client) -> Work<'c, T> + Send + 'static,
    {
        self.run_with(Haste::Long, at_most, work)
    }

    fn run_with<T, F>(&self, haste: Haste, at_most: Duration, work: F) -> Result<T, PostgresError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Client) -> Work<'c, T> + Send + 'static,
    {
        let until = Instant::now() + at_most;
        self.shared.is_there()?;
        let (answer, heard) = std::sync::mpsc::sync_channel(1);
        let shared = self.shared.clone();
        let order = Order::Call(Box::pin(async move {
            // Who no longer waits does not hear of it.
            let _ = answer.send(shared.call(until, haste, work).await);
        }));
        self.send(order)?;
        match heard.recv_timeout(at_most + SLACK) {
            Ok(done) => done,
            Err(_) => Err(self.shared.failed(carry::SLOW)),
        }
    }

    /// Hears what is pushed to these channels of the schema, from now on and
    /// after every reconnection. `heard` is called on the database's thread,
    /// and must neither wait nor call [`Self::run`].
    ///
    /// # Errors
    /// The thread has ended.
    pub fn listen(
        &self,
        channels: &[&str],
        heard: impl FnMut(Heard<'_>) + Send + 'static,
    ) -> Result<Listening, PostgresError> {
        let (stop, stopped) = oneshot::channel();
        let listener = Listener::new(&self.shared.options.schema, channels, heard, stopped);
        self.send(Order::Listen(Box::new(listener)))?;
        Ok(Listening::new(stop))
    }

    /// The name of a channel of the schema for `pg_notify`.
    pub fn channel(&self, name: &str) -> String {
        listen::channel(&self.shared.options.schema, name)
    }

    /// Waits until it answers; whether it does. `at_most` is the longest wait.
    pub fn wait_until_up(&self, at_most: Duration) -> bool {
        self.shared.wait_until_up(at_most)
    }

    /// How it is doing.
    pub fn figures(&self) -> PostgresFigures {
        PostgresFigures {
            is_up: self.shared.is_up(),
            failed: self.shared.failed.load(Relaxed),
            fault: self.shared.fault(),
        }
    }

    /// Ends the thread. Calls that are under way are broken off, and later
    /// ones fail.
    pub fn close(&self) {
        drop(self.orders().take());
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A thread that panicked has said so itself.
            drop(thread.join());
        }
    }

    fn orders(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Order>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, order: Order) -> Result<(), PostgresError> {
        let sent = self.orders().as_ref().map(|to| to.try_send(order).is_ok());
        match sent {
            Some(true) => Ok(()),
            Some(false) => Err(self.shared.unasked("too many calls wait for it")),
            None => Err(self.shared.unasked("its thread has ended")),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The thread of the database: it carries calls over a few connections, and
//! looks for the server again when that was lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tokio_postgres::{Client, Error, Notification};

use super::address::CONNECT_MAX;
use super::fault::{is_of_one_call, words};
use super::link::Link;
use super::listen::Listener;
use super::migrate::{Unfit, migrate};
use super::tls::Tls;
use super::{PostgresError, PostgresOptions, Work};

/// Most connections for calls. A listener has one beside them, and so has the
/// look for a server that was lost.
const LINKS_MAX: usize = 4;
/// Time between two looks at a server that is there, and the longest wait for
/// its answer.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between two attempts to reach it, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Longest time in which a call that took too long is broken off.
const CANCEL_MAX: Duration = Duration::from_secs(1);
/// Longest time in which tables are made.
const TABLES_MAX: Duration = Duration::from_secs(10);

pub(super) const SLOW: &str = "it did not answer in time";

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// A moment; if it takes longer, the server is in doubt.
    Short,
    /// Seconds, by its nature. One such call is made at a time.
    Long,
}

/// What the thread is asked.
pub(super) enum Order {
    /// A call, which answers by itself.
    Call(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Somebody listens.
    Listen(Box<Listener>),
}

/// What callers and the thread share.
pub(super) struct Shared {
    pub(super) options: PostgresOptions,
    pub(super) failed: AtomicU64,
    tls: Tls,
    say: fn(&str),
    is_up: AtomicBool,
    /// Why it is not; none before the first attempt has ended.
    fault: Mutex<Option<String>>,
    changed: Condvar,
    idle: Mutex<Vec<Link>>,
    permits: Semaphore,
    /// Beside one of `permits`, for what takes long: others are left for the
    /// path of calls.
    long: Semaphore,
    doubted: Notify,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    pub(super) fn new(options: PostgresOptions, tls: Tls, say: fn(&str)) -> Self {
        Self {
            options,
            failed: AtomicU64::new(0),
            tls,
            say,
            is_up: AtomicBool::new(false),
            fault: Mutex::default(),
            changed: Condvar::new(),
            idle: Mutex::default(),
            permits: Semaphore::new(LINKS_MAX),
            long: Semaphore::new(1),
            doubted: Notify::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.faults().clone()
    }

    /// # Errors
    /// It is not there, which is known without asking.
    pub(super) fn is_there(&self) -> Result<(), PostgresError> {
        if self.is_up() {
            return Ok(());
        }
        let why = self.fault();
        Err(self.unasked(why.as_deref().unwrap_or("it was not reached yet")))
    }

    /// A call that was not made.
    pub(super) fn unasked(&self, why: &str) -> PostgresError {
        self.failed.fetch_add(1, Relaxed);
        PostgresError::Unasked(why.to_owned())
    }

    /// A call that was not answered.
    pub(super) fn failed(&self, why: &str) -> PostgresError {
        self.failed.fetch_add(1, Relaxed);
        PostgresError::Unavailable(why.to_owned())
    }

    pub(super) fn wait_until_up(&self, at_most: Duration) -> bool {
        let guard = self.faults();
        let waited = self
            .changed
            .wait_timeout_while(guard, at_most, |_| !self.is_up());
        drop(waited);
        self.is_up()
    }

    /// Nobody waits for it until it has answered a look.
    pub(super) fn doubt(&self, why: &str) {
        let mut fault = self.faults();
        fault.get_or_insert_with(|| why.to_owned());
        self.is_up.store(false, Relaxed);
        drop(fault);
        self.idle().clear();
        self.doubted.notify_one();
    }

    pub(super) async fn open(
        &self,
        notes: Option<mpsc::Sender<Notification>>,
    ) -> Result<Link, Error> {
        Link::open(&self.options, &self.tls, notes).await
    }

    /// Does a call, until its deadline.
    pub(super) async fn call<T, F>(
        &self,
        until: Instant,
        haste: Haste,
        work: F,
    ) -> Result<T, PostgresError>
    where
        F: for<'c> FnOnce(&'c mut Client) -> Work<'c, T>,
    {
        let until = tokio::time::Instant::from_std(until);
        let places = async {
            let long = match haste {
                Haste::Long => Some(self.long.acquire().await),
                Haste::Short => None,
            };
            (long, self.permits.acquire().await)
        };
        let Ok(_places) = timeout_at(until, places).await else {
            return Err(self.unasked("all connections to it are busy"));
        };
        let began = tokio::time::Instant::now();
        let mut link = match timeout_at(until, self.link()).await {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return Err(self.not_opened(&words(&error))),
            Err(_) if began + self.options.deadline / 2 < until => {
                return Err(self.not_opened(SLOW));
            }
            // It waited for its place, and so it had no time for this.
            Err(_) => {
                self.doubted.notify_one();
                return Err(self.unasked(SLOW));
            }
        };
        let done = timeout_at(until, work(&mut link.client)).await;
        let (told, is_of_one_call) = match done {
            Ok(Ok(done)) => {
                self.put(link);
                return Ok(done);
            }
            Ok(Err(error)) => (PostgresError::of(&error), is_of_one_call(&error)),
            Err(_) => {
                self.give_up(link);
                self.lost(SLOW, haste == Haste::Long);
                return Err(self.failed(SLOW));
            }
        };
        match &told {
            PostgresError::Refused { .. } => self.put(link),
            PostgresError::Unasked(why) | PostgresError::Unavailable(why) => {
                self.failed.fetch_add(1, Relaxed);
                self.lost(why, is_of_one_call || haste == Haste::Long);
            }
        }
        Err(told)
    }

    async fn link(&self) -> Result<Link, Error> {
        match self.take() {
            Some(link) => Ok(link),
            None => self.open(None).await,
        }
    }

    fn not_opened(&self, why: &str) -> PostgresError {
        self.doubt(why);
        self.unasked(why)
    }

    /// A call was lost. Where that says little about the server, it is looked
    /// at, and others go on meanwhile.
    fn lost(&self, why: &str, is_of_the_call: bool) {
        match is_of_the_call {
            true => self.doubted.notify_one(),
            false => self.doubt(why),
        }
    }

    /// Lets go of a connection whose call took too long. The server would go
    /// on with it, so it is told not to.
    fn give_up(&self, link: Link) {
        let (token, tls) = (link.client.cancel_token(), self.tls.clone());
        tokio::spawn(async move {
            // Else the server's own limits end it.
            drop(timeout(CANCEL_MAX, token.cancel_query(tls)).await);
            drop(link);
        });
    }

    fn take(&self) -> Option<Link> {
        let mut idle = self.idle();
        while let Some(link) = idle.pop() {
            if !link.client.is_closed() {
                return Some(link);
            }
        }
        None
    }

    fn put(&self, link: Link) {
        let mut idle = self.idle();
        if idle.len() < LINKS_MAX && !link.client.is_closed() {
            idle.push(link);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Option<String>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries calls until nobody can send any more.
pub(super) async fn carry(shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>) {
    let mut going = JoinSet::new();
    let keeper = shared.clone();
    going.spawn(async move { Keeper::new(&keeper).run().await });
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Call(call)) => drop(going.spawn(call)),
                Some(Order::Listen(listener)) => {
                    let shared = shared.clone();
                    going.spawn(async move { listener.run(&shared).await });
                }
                None => break,
            },
            // Ended calls are let go of.
            Some(_) = going.join_next() => {}
        }
    }
    drop(going);
    shared.is_up.store(false, Relaxed);
    *shared.faults() = Some("its thread has ended".to_owned());
    shared.idle().clear();
}

/// Looks whether the server is there, and for it when it is not.
struct Keeper<'s> {
    shared: &'s Shared,
    /// Its tables were right once.
    is_known: bool,
    is_told: bool,
    again: Duration,
}

impl<'s> Keeper<'s> {
    fn new(shared: &'s Shared) -> Self {
        Self {
            shared,
            is_known: false,
            is_told: false,
            again: AGAIN.0,
        }
    }

    async fn run(&mut self) {
        loop {
            let looked = match self.shared.is_up() {
                true => self.look().await,
                false => self.reach().await,
            };
            match looked {
                Ok(()) => {
                    self.is_there();
                    // A doubt that came meanwhile ends the wait at once.
                    let _ = timeout(LOOK_EVERY, self.shared.doubted.notified()).await;
                }
                Err(why) => {
                    self.is_lost(why);
                    tokio::time::sleep(self.again).await;
                    self.again = (self.again * 2).min(AGAIN.1);
                }
            }
        }
    }

    fn is_there(&mut self) {
        self.again = AGAIN.0;
        let mut fault = self.shared.faults();
        *fault = None;
        self.shared.is_up.store(true, Relaxed);
        drop(fault);
        self.shared.changed.notify_all();
        if std::mem::take(&mut self.is_told) {
            (self.shared.say)("the database answers again");
        }
    }

    fn is_lost(&mut self, why: String) {
        self.shared.idle().clear();
        if !std::mem::replace(&mut self.is_told, true) {
            (self.shared.say)(&format!("the database cannot be used: {why}"));
        }
        let mut fault = self.shared.faults();
        *fault = Some(why);
        self.shared.is_up.store(false, Relaxed);
    }

    /// Whether a server that was there still is.
    async fn look(&mut self) -> Result<(), String> {
        let Some(link) = self.shared.take() else {
            // Where connections are busy, their calls look.
            return match self.shared.permits.available_permits() < LINKS_MAX {
                true => Ok(()),
                false => self.reach().await,
            };
        };
        let asked = timeout(LOOK_EVERY, link.client.batch_execute("")).await;
        match asked {
            Ok(Ok(())) => self.shared.put(link),
            Ok(Err(_)) | Err(_) => return self.reach().await,
        }
        Ok(())
    }

    /// A server that was not there: its tables are looked at too, as it may
    /// have come back as another one.
    async fn reach(&mut self) -> Result<(), String> {
        let opened = timeout(CONNECT_MAX * 2, self.shared.open(None)).await;
        let opened = opened.map_err(|_| SLOW.to_owned())?;
        let mut link = opened.map_err(|error| words(&error))?;
        let schema = &self.shared.options.schema;
        let made = timeout(TABLES_MAX, migrate(&mut link.client, schema, self.is_known)).await;
        match made {
            Ok(Ok(())) => {}
            Ok(Err(Unfit::Refused(why))) => return Err(why),
            Ok(Err(Unfit::Failed(error))) => {
                return Err(format!("its tables cannot be made: {}", words(&error)));
            }
            Err(_) => return Err(SLOW.to_owned()),
        }
        self.is_known = true;
        self.shared.put(link);
        Ok(())
    }
}

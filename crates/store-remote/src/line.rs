//! The line to the server: one thread that carries the calls of admissions and
//! of upkeep, and connects again when the server was gone.
//!
//! While the server is away nobody waits for it: calls fail at once until a
//! round of upkeep has reached it again.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::call::{Call, Status};
use crate::replica::Inner;
use crate::valkey::{Connection, LinkFault, ValkeyUrl};

/// Most calls that wait for the line.
const ORDERS_MAX: usize = 1_024;
/// Most calls that are under way at once.
const GOING_MAX: usize = 64;
/// Most calls of upkeep between two looks at admissions.
const DUE_MAX: usize = 4;
/// Time between two rounds of upkeep, and between two attempts to connect.
const ROUND: Duration = Duration::from_millis(100);
/// Rounds between two in which windows that have passed are let go of.
const SWEEP: u64 = 100;

/// A call, and who waits for it.
pub(crate) struct Order {
    pub(crate) call: Call,
    pub(crate) answer: oneshot::Sender<Option<Status>>,
}

/// The thread; it ends when it is closed or dropped, having given back what is
/// held.
pub(crate) struct Line {
    orders: mpsc::Sender<Order>,
    is_closed: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Line {
    /// Starts it.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(inner: Arc<Inner>, url: ValkeyUrl) -> io::Result<Self> {
        let (orders, heard) = mpsc::channel(ORDERS_MAX);
        let is_closed = Arc::<AtomicBool>::default();
        let told = is_closed.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("counters".to_owned())
            .spawn(move || runtime.block_on(carry(inner, url, (heard, told))))?;
        Ok(Self {
            orders,
            is_closed,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands a call over; gives it back where there is no room.
    pub(crate) fn send(&self, order: Order) -> Result<(), Call> {
        let sent = self.orders.try_send(order);
        sent.map_err(|full| full.into_inner().call)
    }

    /// Gives back what is held, and waits for it.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Relaxed);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A thread that panicked has said so itself.
            drop(thread.join());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}

async fn carry(inner: Arc<Inner>, url: ValkeyUrl, line: (mpsc::Receiver<Order>, Arc<AtomicBool>)) {
    let (mut orders, is_closed) = line;
    let mut link = Link {
        inner,
        url,
        connection: None,
        is_told: false,
        rounds: 0,
        due: VecDeque::new(),
    };
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Admissions before upkeep.
            biased;
            _ = rounds.tick() => match is_closed.load(Relaxed) {
                true => break,
                false => link.tend().await,
            },
            order = orders.recv() => match order {
                Some(first) => {
                    let mut some = vec![first];
                    while some.len() < GOING_MAX
                        && let Ok(next) = orders.try_recv()
                    {
                        some.push(next);
                    }
                    link.carry_all(some).await;
                    // Upkeep never waits for admissions to pause.
                    link.carry_due().await;
                }
                None => break,
            },
            () = std::future::ready(()), if !link.due.is_empty() => link.carry_due().await,
        }
    }
    link.leave().await;
}

struct Link {
    inner: Arc<Inner>,
    url: ValkeyUrl,
    connection: Option<Arc<Connection>>,
    /// The operator was told that the server is away.
    is_told: bool,
    rounds: u64,
    /// Upkeep that was not said yet.
    due: VecDeque<Call>,
}

impl Link {
    /// Carries calls, all at once; they are answered in their order.
    async fn carry_all(&mut self, orders: Vec<Order>) {
        let (calls, waiting): (Vec<_>, Vec<_>) =
            orders.into_iter().map(|it| (it.call, it.answer)).unzip();
        let answers = self.run(calls).await;
        for (waiter, answer) in waiting.into_iter().zip(answers) {
            // Who no longer waits has what came of it in the shares.
            let _ = waiter.send(answer);
        }
    }

    async fn run(&mut self, calls: Vec<Call>) -> Vec<Option<Status>> {
        let Some(connection) = self.connection.clone() else {
            for call in &calls {
                self.inner.shares().failed(call);
            }
            return vec![None; calls.len()];
        };
        let mut answers = vec![None; calls.len()];
        let mut going = JoinSet::new();
        for (nth, call) in calls.into_iter().enumerate() {
            let (connection, inner) = (connection.clone(), self.inner.clone());
            going.spawn(async move { (nth, ask(&connection, &inner, call).await) });
        }
        let mut fault = None;
        while let Some(done) = going.join_next().await {
            match done {
                Ok((nth, Ok(status))) => answers[nth] = Some(status),
                Ok((_, Err(why))) => fault = Some(why),
                Err(panicked) => fault = Some(LinkFault::Answer(panicked.to_string())),
            }
        }
        if let Some(fault) = fault {
            self.lost(&fault);
        }
        answers
    }

    fn lost(&mut self, fault: &LinkFault) {
        self.connection = None;
        self.inner.is_up.store(false, Relaxed);
        let mut shares = self.inner.shares();
        for call in self.due.drain(..) {
            shares.failed(&call);
        }
        drop(shares);
        if !self.is_told {
            self.is_told = true;
            (self.inner.say)(&fault.to_string());
        }
    }

    /// Connects where that is needed, and says what is due.
    async fn tend(&mut self) {
        if self.connection.is_none() {
            let options = &self.inner.options;
            let opened = Connection::open(&self.url, &options.group, options.deadline).await;
            match opened {
                Ok(connection) => self.connection = Some(Arc::new(connection)),
                Err(fault) => return self.lost(&fault),
            }
        }
        if self.due.is_empty() {
            let at = self.inner.at();
            let mut shares = self.inner.shares();
            self.rounds = self.rounds.wrapping_add(1);
            if self.rounds.is_multiple_of(SWEEP) {
                shares.sweep(at.now_us);
            }
            self.due.extend(shares.tend(at));
        }
        if self.due.is_empty() {
            self.is_reached();
        }
    }

    /// Says a little of what is due.
    async fn carry_due(&mut self) {
        if self.due.is_empty() {
            return;
        }
        let some = self.due.len().min(DUE_MAX);
        let some = self.due.drain(..some).collect();
        self.run(some).await;
        if self.connection.is_some() {
            self.is_reached();
        }
    }

    fn is_reached(&mut self) {
        self.inner.is_up.store(true, Relaxed);
        if std::mem::take(&mut self.is_told) {
            (self.inner.say)("the server of the counters answers again");
        }
    }

    /// Gives back what is held, as far as the server can be reached.
    async fn leave(&mut self) {
        let calls = self.inner.shares().leave(self.inner.at());
        self.run(calls).await;
    }
}

async fn ask(connection: &Connection, inner: &Inner, call: Call) -> Result<Status, LinkFault> {
    let sent = inner.at();
    let told = connection.call(&call).await;
    let mut shares = inner.shares();
    match told {
        Ok(told) => {
            let at = inner.at();
            inner.asked(at.mono_us.saturating_sub(sent.mono_us));
            shares.apply(&call, &told, sent, at);
            Ok(told.status)
        }
        Err(fault) => {
            inner.failed.fetch_add(1, Relaxed);
            shares.failed(&call);
            Err(fault)
        }
    }
}

//! The runtime of the edge: one acceptor, and worker threads with a
//! single-threaded runtime each, so that a connection never changes threads
//! and its parts need no locks between them.
//!
//! The acceptor gives each socket to the worker with the fewest open ones.
//! Draining: readiness goes first, then the sockets, then idle connections,
//! then those whose exchange ends, and at the deadline the rest.
//! Deliberately not here: what one connection does (`serve`), signals.

#![expect(
    clippy::disallowed_methods,
    reason = "the edge owns its tasks and their deadlines"
)]

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use access::certificate::Peer;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::TlsAcceptor;

use super::accept::{Acceptor, Newcomer, Slot};
use super::conn::{ConnFacts, TlsFacts};
use super::control::{Control, Phase, Plan};
use super::listen::{Address, Listener};
use super::serve::{Door, Host, serve_h1, serve_h2, serve_plain};
use super::tls::Tls;

/// Sockets that wait for one worker.
const QUEUE_MAX: usize = 1024;
/// How the edge ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DrainReport {
    /// Connections that ended by themselves after the drain began.
    pub(crate) finished: u64,
    /// Connections that were cut at the deadline or by order.
    pub(crate) cut: u64,
}

/// The running edge.
pub(crate) struct Running {
    control: Control,
    addresses: Vec<(Arc<str>, Address)>,
    acceptor: JoinHandle<()>,
    workers: Vec<JoinHandle<DrainReport>>,
}

impl Running {
    /// The handle for signals and readiness.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Listeners by name, with the ports they have.
    pub(crate) fn addresses(&self) -> &[(Arc<str>, Address)] {
        &self.addresses
    }

    /// Waits for the end, which somebody must order through [`Control`].
    pub(crate) fn join(self) -> DrainReport {
        let mut whole = DrainReport::default();
        // A thread that panicked took its connections with it; the others
        // must still be waited for.
        let _ = self.acceptor.join();
        for worker in self.workers {
            let part = worker.join().unwrap_or_default();
            whole.finished += part.finished;
            whole.cut += part.cut;
        }
        if !self.control.is_handed_over() {
            for (_, address) in &self.addresses {
                if let Address::Unix { path, .. } = address {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
        whole
    }
}

/// Starts acceptor and workers. `make_door` is called once on each worker's
/// thread, inside its runtime, with the worker's number.
///
/// # Errors
/// When a thread or a runtime cannot be made.
pub(crate) fn start<D: Door>(
    plan: Plan,
    listeners: Vec<Listener>,
    make_door: impl Fn(usize) -> D + Send + Sync + 'static,
) -> io::Result<Running> {
    let control = Control::new(listeners.iter().map(|l| Arc::clone(&l.name)));
    let make_door = Arc::new(make_door);
    let mut slots = Vec::new();
    let mut workers = Vec::new();
    for index in 0..plan.workers.max(1) {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let open = Arc::new(AtomicUsize::new(0));
        let slot = Slot {
            queue: sender,
            open: Arc::clone(&open),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (plan, control, make_door) = (plan.clone(), control.clone(), Arc::clone(&make_door));
        let work = move || {
            runtime.block_on(async move {
                let worker = Worker::new(make_door(index), &plan, control, open);
                worker.run(queue, plan.drain_max).await
            })
        };
        workers.push(
            std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(work)?,
        );
        slots.push(slot);
    }
    let addresses = listeners
        .iter()
        .map(|l| (Arc::clone(&l.name), l.address.clone()))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let acceptor = Acceptor {
        control: control.clone(),
        slots,
        plan,
    };
    let acceptor = std::thread::Builder::new()
        .name("acceptor".to_owned())
        .spawn(move || runtime.block_on(acceptor.run(listeners)))?;
    Ok(Running {
        control,
        addresses,
        acceptor,
        workers,
    })
}

/// One worker's side.
struct Worker<D> {
    host: Arc<Host<D>>,
    control: Control,
    open: Arc<AtomicUsize>,
    tick: Duration,
}

impl<D: Door> Worker<D> {
    fn new(door: D, plan: &Plan, control: Control, open: Arc<AtomicUsize>) -> Self {
        Self {
            tick: plan.settings.timeouts.tick(),
            host: Arc::new(Host {
                door: Arc::new(door),
                roster: Arc::default(),
                settings: Arc::new(plan.settings.clone()),
            }),
            control,
            open,
        }
    }

    /// Serves newcomers until no more come and the last has ended, the
    /// deadline of the drain has passed, or the order to cut.
    async fn run(self, mut queue: mpsc::Receiver<Newcomer>, drain_max: Duration) -> DrainReport {
        let mut connections = JoinSet::new();
        let mut walks = tokio::time::interval(self.tick);
        walks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut phases = self.control.follow();
        let mut is_queue_open = true;
        let mut deadline: Option<Instant> = None;
        let mut report = DrainReport::default();
        loop {
            let until = deadline.unwrap_or_else(|| Instant::now() + drain_max);
            tokio::select! {
                newcomer = queue.recv(), if is_queue_open => match newcomer {
                    Some(newcomer) => { connections.spawn(self.serve(newcomer)); }
                    None => is_queue_open = false,
                },
                _ = connections.join_next(), if !connections.is_empty() => {
                    report.finished += u64::from(deadline.is_some());
                }
                _ = walks.tick() => {
                    self.host.roster.walk(&self.host.settings.timeouts, self.tick);
                }
                Ok(()) = phases.changed() => match *phases.borrow_and_update() {
                    Phase::Serving | Phase::Leaving => {}
                    Phase::Draining => {
                        self.host.roster.drain();
                        deadline = Some(Instant::now() + drain_max);
                    }
                    Phase::Cut => break,
                },
                () = tokio::time::sleep_until(until), if deadline.is_some() => break,
            }
            if !is_queue_open && connections.is_empty() {
                break;
            }
        }
        report.cut = connections.len() as u64;
        connections.shutdown().await;
        report
    }

    /// One connection as a task.
    fn serve(&self, newcomer: Newcomer) -> impl Future<Output = ()> + Send + 'static {
        let host = Arc::clone(&self.host);
        let seat = Seat {
            open: Arc::clone(&self.open),
            control: self.control.clone(),
            listener: Arc::clone(newcomer.listener()),
        };
        async move {
            match newcomer {
                Newcomer::Unix { socket, listener } => {
                    let facts = ConnFacts {
                        listener,
                        peer: None,
                        tls: None,
                    };
                    if let Ok(socket) = UnixStream::from_std(socket) {
                        Box::pin(serve_plain(&host, socket, facts)).await;
                    }
                }
                Newcomer::Tcp {
                    socket,
                    peer,
                    listener,
                    tls,
                } => {
                    let facts = ConnFacts {
                        listener,
                        peer: Some(peer),
                        tls: None,
                    };
                    let Ok(socket) = TcpStream::from_std(socket) else {
                        return;
                    };
                    // Without it an answer in two writes waits for an ACK.
                    let _ = socket.set_nodelay(true);
                    match tls {
                        None => serve_plain(&host, socket, facts).await,
                        // Boxed, or each plain connection would hold its room, too.
                        Some(tls) => {
                            let served = serve_tls(&host, socket, facts, &tls, &seat.control);
                            Box::pin(served).await;
                        }
                    }
                }
            }
        }
    }
}

/// A connection's share in the counts of open ones.
struct Seat {
    open: Arc<AtomicUsize>,
    control: Control,
    listener: Arc<str>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
        self.control.counts().closed(&self.listener);
    }
}

async fn serve_tls<D: Door>(
    host: &Host<D>,
    socket: TcpStream,
    mut facts: ConnFacts,
    tls: &Tls,
    control: &Control,
) {
    let handshake = TlsAcceptor::from(tls.current()).accept(socket);
    let stream = match tokio::time::timeout(host.settings.timeouts.head, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) | Err(_) => {
            control.counts().tls_failed.fetch_add(1, Relaxed);
            return;
        }
    };
    let session = stream.get_ref().1;
    let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
    let is_h2 = alpn.as_deref() == Some(b"h2");
    let server_name = session.server_name().map(str::to_owned);
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = match shown.map(|certificate| Peer::read(certificate)).transpose() {
        Ok(peer) => peer.map(Arc::new),
        // It is genuine, but nobody could say whose: as good as none.
        Err(_) => {
            control.counts().tls_failed.fetch_add(1, Relaxed);
            return;
        }
    };
    facts.tls = Some(TlsFacts {
        alpn,
        server_name,
        certificate,
    });
    if is_h2 {
        serve_h2(host, stream, facts).await;
    } else {
        serve_h1(host, stream, &[], facts).await;
    }
}

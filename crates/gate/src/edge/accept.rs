//! The acceptor: takes connections from all listening sockets and gives each
//! to the worker with the fewest; turns away those above the limit; looks
//! after certificates.
//!
//! Deliberately not here: anything that happens on a connection (`serve`).

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::control::{Control, Notice, Phase, Plan};
use super::listen::{Listener, Socket};
use super::tls::Tls;

/// Connections above the limit that are told so at the same time; those above
/// this are closed without a word.
const TURNED_AWAY_MAX: usize = 256;
/// Connections accepted at most between the decision to drain and the closing
/// of a socket, so that none that the kernel has completed is lost.
const LAST_SWEEP_MAX: usize = 4096;
/// Pause after an accept that failed for want of file handles or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time between two looks at certificate files.
const TLS_LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a refused connection is read off.
const TURN_AWAY_LINGER: Duration = Duration::from_secs(1);

/// Told to connections above the limit. Both families of SDKs find their
/// error object in it.
const OVERLOADED: &str = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
    \"code\":\"overloaded\",\"message\":\"The gateway has as many open connections as it may \
    have. Try again in a second, and reuse connections.\"}}";

/// A connection on its way to a worker.
pub(super) enum Newcomer {
    Tcp {
        socket: StdTcpStream,
        peer: SocketAddr,
        listener: Arc<str>,
        tls: Option<Arc<Tls>>,
    },
    Unix {
        socket: StdUnixStream,
        listener: Arc<str>,
    },
}

impl Newcomer {
    /// The name of the listener that accepted it.
    pub(super) fn listener(&self) -> &Arc<str> {
        match self {
            Self::Tcp { listener, .. } | Self::Unix { listener, .. } => listener,
        }
    }
}

/// A worker as the acceptor sees it.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) queue: mpsc::Sender<Newcomer>,
    pub(super) open: Arc<AtomicUsize>,
}

/// Accepts on all sockets.
pub(super) struct Acceptor {
    pub(super) control: Control,
    pub(super) slots: Vec<Slot>,
    pub(super) plan: Plan,
}

impl Acceptor {
    /// Accepts on all sockets until the drain, then closes them and, with the
    /// end of the queues, tells the workers that nobody else comes.
    pub(super) async fn run(self, listeners: Vec<Listener>) {
        let this = Arc::new(self);
        let mut tasks = JoinSet::new();
        let secure = listeners
            .iter()
            .filter_map(|l| Some((Arc::clone(&l.name), Arc::clone(l.tls.as_ref()?))))
            .collect();
        for listener in listeners {
            tasks.spawn(Arc::clone(&this).accept_on(listener));
        }
        tokio::select! {
            () = this.control.reached(Phase::Leaving) => {}
            () = this.look_after_tls(secure) => {}
        }
        tokio::select! {
            () = this.control.reached(Phase::Draining) => {}
            () = tokio::time::sleep(this.plan.unready_before_drain) => {
                this.control.advance(Phase::Draining);
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Reads certificates again when their files change. Does not end.
    async fn look_after_tls(&self, secure: Vec<(Arc<str>, Arc<Tls>)>) {
        let mut looks = tokio::time::interval(TLS_LOOK_EVERY);
        loop {
            looks.tick().await;
            for (listener, tls) in &secure {
                let listener = Arc::clone(listener);
                match tls.reload_if_changed() {
                    None => {}
                    Some(Ok(())) => (self.plan.notices)(Notice::TlsReloaded { listener }),
                    Some(Err(why)) => {
                        let why = why.to_string();
                        (self.plan.notices)(Notice::TlsReloadFailed { listener, why });
                    }
                }
            }
        }
    }

    async fn accept_on(self: Arc<Self>, listener: Listener) {
        let Listener {
            name, socket, tls, ..
        } = listener;
        let source = match socket {
            Socket::Tcp(socket) => TcpListener::from_std(socket).map(Source::Tcp),
            Socket::Unix(socket) => UnixListener::from_std(socket).map(Source::Unix),
        };
        let source = match source {
            Ok(source) => source,
            Err(why) => {
                return (self.plan.notices)(Notice::AcceptFailed {
                    listener: name,
                    why,
                });
            }
        };
        let mut turned_away = JoinSet::new();
        let mut draining = std::pin::pin!(self.control.reached(Phase::Draining));
        loop {
            tokio::select! {
                biased;
                () = &mut draining => break,
                accepted = source.accept(&name, &tls) => match accepted {
                    Ok(newcomer) => self.place(newcomer, &mut turned_away).await,
                    Err(why) => self.accept_failed(&name, why).await,
                },
            }
            while turned_away.try_join_next().is_some() {}
        }
        // Connections that the kernel completed before the socket closes would
        // be reset. With a successor, they are the successor's.
        for _ in 0..LAST_SWEEP_MAX {
            if self.control.is_handed_over() || self.control.phase() == Phase::Cut {
                break;
            }
            match poll_once(source.accept(&name, &tls)).await {
                Some(Ok(newcomer)) => self.place(newcomer, &mut turned_away).await,
                Some(Err(_)) | None => break,
            }
        }
        drop(source);
        while turned_away.join_next().await.is_some() {}
    }

    /// A client that left before it was accepted is no news; anything else is,
    /// and is not tried again at once.
    async fn accept_failed(&self, name: &Arc<str>, why: io::Error) {
        if matches!(
            why.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        ) {
            return;
        }
        (self.plan.notices)(Notice::AcceptFailed {
            listener: Arc::clone(name),
            why,
        });
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    /// Gives a connection to the worker with the fewest, or turns it away.
    async fn place(&self, newcomer: Newcomer, turned_away: &mut JoinSet<()>) {
        let counts = self.control.counts();
        if counts.open.load(Relaxed) >= self.plan.settings.connections_max {
            counts.turned_away.fetch_add(1, Relaxed);
            if turned_away.len() < TURNED_AWAY_MAX {
                turned_away.spawn(turn_away(newcomer));
            }
            return;
        }
        counts.accepted.fetch_add(1, Relaxed);
        let listener = Arc::clone(newcomer.listener());
        counts.opened(&listener);
        let slot = self.slots.iter().min_by_key(|slot| slot.open.load(Relaxed));
        let slot = slot.expect("there is at least one worker");
        slot.open.fetch_add(1, Relaxed);
        if slot.queue.send(newcomer).await.is_err() {
            // The worker has ended by order; the socket closes here.
            slot.open.fetch_sub(1, Relaxed);
            counts.closed(&listener);
        }
    }
}

enum Source {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Source {
    async fn accept(&self, name: &Arc<str>, tls: &Option<Arc<Tls>>) -> io::Result<Newcomer> {
        let listener = Arc::clone(name);
        match self {
            Self::Tcp(source) => {
                let (socket, peer) = source.accept().await?;
                let socket = socket.into_std()?;
                Ok(Newcomer::Tcp {
                    socket,
                    peer,
                    listener,
                    tls: tls.clone(),
                })
            }
            Self::Unix(source) => {
                let (socket, _) = source.accept().await?;
                Ok(Newcomer::Unix {
                    socket: socket.into_std()?,
                    listener,
                })
            }
        }
    }
}

/// What a future gives when it is polled once.
async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

/// Says 503 on plain text, then reads off what the client sends, so that it
/// can read the answer. TLS would cost a handshake, so it is only closed.
async fn turn_away(newcomer: Newcomer) {
    let length = OVERLOADED.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         retry-after: 1\r\nx-should-retry: true\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{OVERLOADED}"
    );
    let said = async {
        match newcomer {
            Newcomer::Tcp { tls: Some(_), .. } => Ok(()),
            Newcomer::Tcp { socket, .. } => {
                say_and_drain(TcpStream::from_std(socket)?, answer.as_bytes()).await
            }
            Newcomer::Unix { socket, .. } => {
                say_and_drain(UnixStream::from_std(socket)?, answer.as_bytes()).await
            }
        }
    };
    // Whether the client hears it is its own affair.
    let _ = tokio::time::timeout(TURN_AWAY_LINGER, said).await;
}

async fn say_and_drain<S>(mut io: S, answer: &[u8]) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    io.write_all(answer).await?;
    io.shutdown().await?;
    let mut off = [0u8; 1024];
    while io.read(&mut off).await? > 0 {}
    Ok(())
}

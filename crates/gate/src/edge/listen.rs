//! Listening sockets: bound here, handed in by the service manager, or taken
//! over from the process before.
//!
//! Deliberately not here: accepting (`workers`), the conversation with the
//! process before (`handover`).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};

use super::tls::Tls;

/// Connections that the kernel keeps until they are accepted. The kernel cuts
/// it down to its own limit.
const BACKLOG: i32 = 4096;

/// Quiet time after which the kernel asks whether the peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// Time between two such questions.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Permission bits, such as `0o600`.
        mode: u32,
    },
}

/// A listener as configured.
#[derive(Clone, Debug)]
pub(crate) struct ListenerSpec {
    /// Its name, unique; hand-over matches by it.
    pub(crate) name: String,
    /// Where.
    pub(crate) address: Address,
    /// TLS, for TCP only.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

impl Socket {
    /// Another handle of the same socket.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }

    /// Whether it listens at `address`.
    fn is_at(&self, address: &Address) -> bool {
        match (self, address) {
            (Self::Tcp(socket), Address::Tcp(wanted)) => {
                socket.local_addr().is_ok_and(|own| own == *wanted)
            }
            (Self::Unix(socket), Address::Unix { path, .. }) => socket
                .local_addr()
                .is_ok_and(|own| own.as_pathname() == Some(path.as_path())),
            (Self::Tcp(_), Address::Unix { .. }) | (Self::Unix(_), Address::Tcp(_)) => false,
        }
    }
}

/// Sockets that came with the process.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    named: Vec<(String, Socket)>,
    unnamed: Vec<Socket>,
}

impl Inherited {
    /// Sockets of the service manager (`LISTEN_FDS`, meant for this process by
    /// `LISTEN_PID`), told apart by address. To be called once, early: it
    /// takes the variables out of the environment.
    pub(crate) fn from_service_manager() -> Self {
        let mut handed = listenfd::ListenFd::from_env();
        let mut unnamed = Vec::new();
        for index in 0..handed.len() {
            if let Ok(Some(socket)) = handed.take_tcp_listener(index) {
                unnamed.push(Socket::Tcp(socket));
            } else if let Ok(Some(socket)) = handed.take_unix_listener(index) {
                unnamed.push(Socket::Unix(socket));
            }
        }
        Self {
            named: Vec::new(),
            unnamed,
        }
    }

    /// Adds sockets known by the names of their listeners.
    pub(crate) fn extend(&mut self, named: Vec<(String, Socket)>) {
        self.named.extend(named);
    }

    /// The socket of this listener, if there is one.
    fn take(&mut self, spec: &ListenerSpec) -> Option<Socket> {
        let fits = |socket: &Socket| match (&spec.address, socket) {
            // A listener that moved must be bound anew; port 0 is any port.
            (Address::Tcp(wanted), Socket::Tcp(_)) if wanted.port() == 0 => true,
            (Address::Tcp(_), Socket::Tcp(_)) => socket.is_at(&spec.address),
            (Address::Unix { path, .. }, Socket::Unix(_)) => path.exists(),
            (Address::Tcp(_), Socket::Unix(_)) | (Address::Unix { .. }, Socket::Tcp(_)) => false,
        };
        let mut named = self.named.iter();
        if let Some(at) = named.position(|(name, socket)| *name == spec.name && fits(socket)) {
            return Some(self.named.swap_remove(at).1);
        }
        let at = self
            .unnamed
            .iter()
            .position(|socket| socket.is_at(&spec.address))?;
        Some(self.unnamed.swap_remove(at))
    }
}

/// A listener with its socket.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its socket, non-blocking.
    pub(crate) socket: Socket,
    /// TLS.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Where it listens; with the real port.
    pub(crate) address: Address,
}

impl Listener {
    /// Takes the inherited socket of this listener, or binds one.
    ///
    /// # Errors
    /// With a text that names listener and address.
    pub(crate) fn open(spec: &ListenerSpec, inherited: &mut Inherited) -> io::Result<Self> {
        let opened = match inherited.take(spec) {
            Some(socket) => Ok(socket),
            None => match &spec.address {
                Address::Tcp(address) => bind_tcp(*address).map(Socket::Tcp),
                Address::Unix { path, mode } => bind_unix(path, *mode).map(Socket::Unix),
            },
        };
        opened
            .and_then(|socket| Self::adopt(spec, socket))
            .map_err(|e| {
                let place = match &spec.address {
                    Address::Tcp(address) => address.to_string(),
                    Address::Unix { path, .. } => path.display().to_string(),
                };
                let advice = advice(&e, &spec.name);
                let text = format!(
                    "The listener `{}` cannot listen on {place}: {e}. {advice}",
                    spec.name
                );
                io::Error::new(e.kind(), text)
            })
    }

    fn adopt(spec: &ListenerSpec, socket: Socket) -> io::Result<Self> {
        let address = match &socket {
            Socket::Tcp(tcp) => {
                tcp.set_nonblocking(true)?;
                // Accepted sockets inherit this on Linux.
                let keepalive = TcpKeepalive::new()
                    .with_time(KEEPALIVE_AFTER)
                    .with_interval(KEEPALIVE_EVERY);
                SockRef::from(tcp).set_tcp_keepalive(&keepalive)?;
                Address::Tcp(tcp.local_addr()?)
            }
            Socket::Unix(unix) => {
                unix.set_nonblocking(true)?;
                spec.address.clone()
            }
        };
        Ok(Self {
            name: spec.name.as_str().into(),
            socket,
            tls: spec.tls.clone(),
            address,
        })
    }
}

/// What to do about an address that cannot be had.
fn advice(error: &io::Error, name: &str) -> String {
    let flag = match name {
        "admin" => "`--admin-listen`",
        _ => "`--listen`",
    };
    let elsewhere = format!("choose another address with {flag} or `listen:` in the configuration");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("Another program listens there: stop it, or {elsewhere}.")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("This machine has no such address: {elsewhere}.")
        }
        io::ErrorKind::PermissionDenied => {
            format!("Ports below 1024 need a privilege: grant it, or {elsewhere}.")
        }
        _ => format!("If it cannot be had, {elsewhere}."),
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for old connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    clear_stale(path)?;
    bind_over(path, mode)
}

/// Binds beside the path, sets the mode and then moves the socket there, over
/// whatever was there: at no moment can anyone connect whom the mode does not
/// allow.
pub(super) fn bind_over(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    clear_stale(&beside)?;
    let socket = UnixListener::bind(&beside)?;
    let moved = std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(mode))
        .and_then(|()| std::fs::rename(&beside, path));
    if moved.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    moved.map(|()| socket)
}

/// Removes a socket file that nobody listens on; refuses to touch anything
/// else.
fn clear_stale(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if !metadata.file_type().is_socket() {
        let text = "there is a file that is not a socket; move it away";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Ok(_) | Err(_) => {
            let text = "another process listens there; stop it first";
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
    }
}

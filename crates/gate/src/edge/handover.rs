//! A new process takes over the listening sockets of the one before, through
//! a control socket in the data directory. Both accept on the same sockets for
//! a moment, so no connection is lost; the old one drains once the new one
//! says that it is ready.
//!
//! The conversation, each step bounded in time and length:
//! new: `tollgate-handover 1`; old: lines `tcp <name>` or `unix <name>` with
//! one descriptor each, and an empty line; new, when it serves: `ready`;
//! old: `draining`. If the new one dies before `ready`, nothing has happened.
//! Deliberately not here: starting the new process.

use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::control::{Control, Phase};
use super::listen::{Listener, Socket, bind_over};

const GREETING: &str = "tollgate-handover 1\n";
const READY: &str = "ready\n";
const DRAINING: &str = "draining\n";
/// Sockets that one hand-over can carry.
const SOCKETS_MAX: usize = 16;
/// Bytes of the list of names.
const NAMES_BYTES_MAX: usize = 4096;
/// Longest wait for one step of the conversation.
const STEP_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the new process to become ready.
const READY_MAX: Duration = Duration::from_secs(120);
/// Time between two looks whether the edge is leaving.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The old side: offers the sockets until they are taken or the edge leaves.
#[derive(Debug)]
pub(crate) struct Offer {
    path: PathBuf,
    thread: JoinHandle<()>,
    controls: Vec<Control>,
}

impl Offer {
    /// Puts a control socket at `path`, with mode 0600, in place of the one of
    /// the process before. All `controls` yield to a successor; the offer ends
    /// with the first.
    ///
    /// # Errors
    /// When the socket or its thread cannot be made, or there are more than 16
    /// listeners.
    pub(crate) fn open(path: &Path, goods: Goods, controls: Vec<Control>) -> io::Result<Self> {
        let socket = bind_over(path, 0o600)?;
        socket.set_nonblocking(true)?;
        let own = controls.clone();
        let thread = std::thread::Builder::new()
            .name("handover".to_owned())
            .spawn(move || offer(&socket, &goods, &own))?;
        Ok(Self {
            path: path.to_owned(),
            thread,
            controls,
        })
    }

    /// Waits until the edge leaves, and removes the control socket unless it
    /// is the successor's now.
    pub(crate) fn close(self) {
        let _ = self.thread.join();
        if !self.controls.iter().any(Control::is_handed_over) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The sockets on offer: second handles, made before the edge takes the first.
#[derive(Debug)]
pub(crate) struct Goods(NamedSockets);

impl Goods {
    /// Second handles of all listeners.
    ///
    /// # Errors
    /// When there are more than 16, or the process is out of descriptors.
    pub(crate) fn of<'a>(listeners: impl Iterator<Item = &'a Listener>) -> io::Result<Self> {
        let pair = |l: &Listener| Ok((l.name.to_string(), l.socket.try_clone()?));
        let sockets = listeners.map(pair).collect::<io::Result<NamedSockets>>()?;
        if sockets.len() > SOCKETS_MAX {
            let text = format!("at most {SOCKETS_MAX} listeners can be handed over");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self(sockets))
    }
}

fn offer(socket: &UnixListener, goods: &Goods, controls: &[Control]) {
    let is_on = || {
        controls
            .first()
            .is_some_and(|control| control.phase() < Phase::Draining)
    };
    while is_on() {
        let mut waits = [PollFd::new(socket, PollFlags::IN)];
        if !matches!(poll(&mut waits, Some(&LOOK_EVERY)), Ok(1..)) {
            continue;
        }
        let Ok((stream, _)) = socket.accept() else {
            continue;
        };
        // A conversation that fails leaves everything as it was.
        if converse(&stream, goods).is_ok() {
            controls.iter().for_each(Control::yield_to_successor);
            let _ = (&stream).write_all(DRAINING.as_bytes());
        }
    }
}

/// The old side of one conversation. Ends well only with `ready`.
fn converse(stream: &UnixStream, goods: &Goods) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    // The mode of the socket keeps others out; this holds even if it was changed.
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if peer.uid != rustix::process::geteuid() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    expect_line(stream, GREETING)?;
    let mut names = String::new();
    for (name, socket) in &goods.0 {
        let kind = match socket {
            Socket::Tcp(_) => "tcp",
            Socket::Unix(_) => "unix",
        };
        names.push_str(&format!("{kind} {name}\n"));
    }
    names.push('\n');
    let descriptors: Vec<BorrowedFd<'_>> = goods
        .0
        .iter()
        .map(|(_, socket)| match socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        })
        .collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(names.as_bytes())],
        &mut control,
        SendFlags::empty(),
    )?;
    // The descriptors went with the first byte; the rest is plain text.
    let mut writer = stream;
    writer.write_all(&names.as_bytes()[sent..])?;
    stream.set_read_timeout(Some(READY_MAX))?;
    expect_line(stream, READY)
}

/// Reads exactly this line.
fn expect_line(mut stream: &UnixStream, line: &str) -> io::Result<()> {
    let mut read = vec![0u8; line.len()];
    stream.read_exact(&mut read)?;
    if read != line.as_bytes() {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    Ok(())
}

/// Sockets by the names of their listeners.
pub(crate) type NamedSockets = Vec<(String, Socket)>;

/// The new side: sockets in hand, the old process still serving.
#[derive(Debug)]
pub(crate) struct Succession {
    stream: UnixStream,
}

/// Asks the process before for its sockets; none when there is no such process.
///
/// # Errors
/// When there is one but the conversation fails. Then nothing has changed for
/// it, and binding the addresses will fail while it runs.
pub(crate) fn take_over(path: &Path) -> io::Result<Option<(Succession, NamedSockets)>> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    (&stream).write_all(GREETING.as_bytes())?;
    let (names, descriptors) = receive(&stream)?;
    let malformed = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the list of sockets is malformed",
        )
    };
    let lines: Vec<&str> = names.lines().filter(|line| !line.is_empty()).collect();
    if lines.len() != descriptors.len() {
        return Err(malformed());
    }
    let mut sockets = Vec::new();
    for (line, descriptor) in lines.into_iter().zip(descriptors) {
        let (kind, name) = line.split_once(' ').ok_or_else(malformed)?;
        let socket = match kind {
            "tcp" => Socket::Tcp(TcpListener::from(descriptor)),
            "unix" => Socket::Unix(UnixListener::from(descriptor)),
            _ => return Err(malformed()),
        };
        sockets.push((name.to_owned(), socket));
    }
    Ok(Some((Succession { stream }, sockets)))
}

/// The list of names, and the descriptors that came with it.
fn receive(stream: &UnixStream) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0u8; NAMES_BYTES_MAX];
    let mut into = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg(stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for piece in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = piece {
            descriptors.extend(came);
        }
    }
    bytes.truncate(message.bytes);
    let mut reader = BufReader::new(stream).take(NAMES_BYTES_MAX as u64);
    while !bytes.ends_with(b"\n\n") && bytes != b"\n" {
        if reader.read_until(b'\n', &mut bytes)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
    }
    let names = String::from_utf8(bytes).map_err(io::Error::other)?;
    Ok((names, descriptors))
}

impl Succession {
    /// Tells the old process that this one serves, and waits until it drains.
    ///
    /// # Errors
    /// When the old process is gone, which does no harm.
    pub(crate) fn ready(self) -> io::Result<()> {
        (&self.stream).write_all(READY.as_bytes())?;
        expect_line(&self.stream, DRAINING)
    }
}

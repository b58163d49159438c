//! Where to listen.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use access::identity::{Anonymous, Standing};

use super::Findings;
use super::identity::addresses;
use crate::document::{ClientAuth, Document, ListenerEntry, Listeners, TlsEntry};

mod observe;

/// Permissions of a unix socket, unless configured.
const UNIX_MODE: u32 = 0o600;

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique name: `data`, `data-2`, `admin`..
    pub name: String,
    /// Where.
    pub at: Where,
    /// Certificate and key files; TCP only.
    pub tls: Option<TlsFiles>,
    /// What it says about its callers.
    pub standing: Arc<Standing>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
}

/// Files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM with the certificate and its chain.
    pub cert: PathBuf,
    /// PEM with the private key.
    pub key: PathBuf,
    /// Authorities of client certificates, if callers are asked for one.
    pub client_ca: Option<ClientCa>,
}

/// Who vouches for client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCa {
    /// PEM with their certificates.
    pub file: PathBuf,
    /// Callers may come without one.
    pub optional: bool,
}

pub(super) fn compile(
    document: &Document,
    findings: &mut Findings,
) -> (Vec<Listener>, Vec<Listener>) {
    let listen = &document.listen;
    if listen.data.0.is_empty() {
        findings.error(
            "listen.data",
            "there is no listener for calls",
            "write `address: 127.0.0.1:4100`",
        );
    }
    let mut seen: Vec<(Where, String)> = Vec::new();
    let mut data = group("data", &listen.data, &mut seen, findings);
    observe::compile(document, &mut data, findings);
    let admin = group("admin", &listen.admin, &mut seen, findings);
    for (nth, listener) in admin.iter().enumerate() {
        if let Where::Tcp(address) = listener.at
            && !address.ip().is_loopback()
            && listener.tls.is_none()
        {
            findings.warn(
                format!("{}.address", path("admin", &listen.admin, nth)),
                format!("the admin listener {address} is open to other machines without TLS"),
                "listen on 127.0.0.1, or add `tls: {cert: .., key: ..}`",
            );
        }
    }
    (data, admin)
}

fn path(group: &str, listeners: &Listeners, nth: usize) -> String {
    match listeners.0.len() {
        1 => format!("listen.{group}"),
        _ => format!("listen.{group}[{nth}]"),
    }
}

fn group(
    group: &str,
    listeners: &Listeners,
    seen: &mut Vec<(Where, String)>,
    findings: &mut Findings,
) -> Vec<Listener> {
    let mut compiled = Vec::new();
    for (nth, entry) in listeners.0.iter().enumerate() {
        let path = path(group, listeners, nth);
        let Some(at) = address(entry, &path, findings) else {
            continue;
        };
        let field = match at {
            Where::Tcp(_) => format!("{path}.address"),
            Where::Unix { .. } => format!("{path}.unix"),
        };
        let twice = seen.iter().find(|(known, _)| same(known, &at));
        if let Some((_, first)) = twice {
            findings.error(
                field,
                format!("this address is taken by `{first}`"),
                "give each listener an address of its own",
            );
            continue;
        }
        let tls = entry.tls.as_ref().map(|tls| files(tls, &path, findings));
        let standing = Arc::new(standing(group, entry, &path, findings));
        seen.push((at.clone(), path));
        compiled.push(Listener {
            name: match nth {
                0 => group.to_owned(),
                nth => format!("{group}-{}", nth + 1),
            },
            at,
            tls,
            standing,
        });
    }
    compiled
}

fn files(tls: &TlsEntry, path: &str, findings: &mut Findings) -> TlsFiles {
    if tls.client_auth.is_some() && tls.client_ca.is_none() {
        findings.error(
            format!("{path}.tls.client_auth"),
            "no authority of client certificates is named, so none could be shown",
            "add `client_ca: <file>`",
        );
    }
    TlsFiles {
        cert: PathBuf::from(&tls.cert),
        key: PathBuf::from(&tls.key),
        client_ca: tls.client_ca.as_ref().map(|file| ClientCa {
            file: PathBuf::from(file),
            optional: tls.client_auth == Some(ClientAuth::Optional),
        }),
    }
}

fn standing(group: &str, entry: &ListenerEntry, path: &str, findings: &mut Findings) -> Standing {
    let given = [
        ("anonymous", entry.anonymous.is_some()),
        ("addresses", entry.addresses.is_some()),
        ("observe", entry.observe.is_some()),
    ];
    for (field, _) in given.iter().filter(|(_, given)| *given && group == "admin") {
        findings.error(
            format!("{path}.{field}"),
            "this is for listeners for calls only",
            "take it out; operators always need a credential",
        );
    }
    if entry.addresses.is_some() && entry.unix.is_some() {
        findings.error(
            format!("{path}.addresses"),
            "callers on a unix socket have no address",
            "take it out; the permissions of the socket say who may connect",
        );
    }
    let anonymous = entry.anonymous.as_ref();
    for (field, name) in anonymous
        .iter()
        .flat_map(|it| [("tenant", &it.tenant), ("app", &it.app)])
    {
        if name.trim().is_empty() {
            findings.error(
                format!("{path}.anonymous.{field}"),
                format!("this {field} is empty"),
                "name it",
            );
        }
    }
    Standing {
        anonymous: anonymous.map(|who| Anonymous {
            tenant: who.tenant.as_str().into(),
            app: who.app.as_str().into(),
        }),
        addresses: addresses(
            entry.addresses.as_ref(),
            &format!("{path}.addresses"),
            findings,
        ),
        // Filled in once all listeners are known.
        observe: None,
    }
}

/// Port 0 is a new port each time, so two of them do not collide.
fn same(a: &Where, b: &Where) -> bool {
    match (a, b) {
        (Where::Tcp(a), Where::Tcp(b)) => a == b && a.port() != 0,
        (Where::Unix { path: a, .. }, Where::Unix { path: b, .. }) => a == b,
        (Where::Tcp(_), Where::Unix { .. }) | (Where::Unix { .. }, Where::Tcp(_)) => false,
    }
}

fn address(entry: &ListenerEntry, path: &str, findings: &mut Findings) -> Option<Where> {
    match (&entry.address, &entry.unix) {
        (Some(address), None) => {
            if entry.unix_mode.is_some() {
                findings.error(
                    format!("{path}.unix_mode"),
                    "an address has no permissions",
                    "remove it, or listen on a `unix` socket",
                );
            }
            tcp(address, &format!("{path}.address"), findings).map(Where::Tcp)
        }
        (None, Some(socket)) => unix(entry, socket, path, findings),
        (Some(_), Some(_)) => {
            findings.error(
                format!("{path}.unix"),
                "a listener has either an address or a unix socket",
                "write two listeners, as a list",
            );
            None
        }
        (None, None) => {
            findings.error(
                path,
                "this listener has no address",
                "write `address: 127.0.0.1:4100` or `unix: <path of the socket>`",
            );
            None
        }
    }
}

fn tcp(text: &str, path: &str, findings: &mut Findings) -> Option<SocketAddr> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let digits: String = text
                .chars()
                .rev()
                .take_while(char::is_ascii_digit)
                .collect();
            let port: String = digits.chars().rev().collect();
            let port = if port.is_empty() { "4100" } else { &port };
            findings.error(
                path,
                format!("`{text}` is not an address and port"),
                format!(
                    "write `127.0.0.1:{port}` for this machine only, or `0.0.0.0:{port}` (or \
                     `[::]:{port}`) for all interfaces"
                ),
            );
            None
        }
    }
}

fn unix(entry: &ListenerEntry, socket: &str, path: &str, findings: &mut Findings) -> Option<Where> {
    if entry.tls.is_some() {
        findings.error(
            format!("{path}.tls"),
            "a unix socket has no TLS",
            "remove it; the permissions of the socket say who may connect",
        );
    }
    if socket.is_empty() {
        findings.error(
            format!("{path}.unix"),
            "this path is empty",
            "write the path of the socket",
        );
        return None;
    }
    let mode = match &entry.unix_mode {
        None => UNIX_MODE,
        Some(text) => match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
            Ok(mode) if mode <= 0o777 => mode,
            Ok(_) | Err(_) => {
                findings.error(
                    format!("{path}.unix_mode"),
                    format!("`{text}` are no permissions"),
                    "write them octal: `0600` for the gateway's user, `0660` for its group too",
                );
                return None;
            }
        },
    };
    Some(Where::Unix {
        path: PathBuf::from(socket),
        mode,
    })
}

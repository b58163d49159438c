//! Who a client certificate stands for: its names, and the entries that map
//! them to consumers.
//!
//! Deliberately not here: whether the certificate is genuine. The edge checks
//! its signature, chain and purpose in the handshake; what is left is that a
//! connection can outlive it.

use std::sync::Arc;

use contract::{Fault, FaultKind, Origin, glob};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::consumer::{Consumer, public_id};

/// Most names that are read of a certificate.
const NAMES_MAX: usize = 64;
/// Longest name that is read.
const NAME_BYTES_MAX: usize = 2_048;

/// The certificate of a peer: what of it identifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Common name of the subject, if it has exactly one.
    pub subject_cn: Option<Box<str>>,
    /// DNS names, in lower case.
    pub dns: Vec<Box<str>>,
    /// URIs.
    pub uris: Vec<Box<str>>,
    /// First second at which it is valid, Unix time.
    pub from_s: i64,
    /// Last second at which it is valid, Unix time.
    pub until_s: i64,
}

impl Peer {
    /// Reads a DER certificate.
    ///
    /// # Errors
    /// It is not one, or has more or longer names than are read.
    pub fn read(der: &[u8]) -> Result<Self, &'static str> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| "it cannot be read")?;
        if !rest.is_empty() {
            return Err("something follows it");
        }
        let mut peer = Self {
            from_s: certificate.validity().not_before.timestamp(),
            until_s: certificate.validity().not_after.timestamp(),
            ..Self::default()
        };
        let mut names = certificate.subject().iter_common_name();
        if let (Some(name), None) = (names.next(), names.next()) {
            peer.subject_cn = Some(bounded(
                name.as_str().map_err(|_| "its subject is no text")?,
            )?);
        }
        let alternatives = certificate
            .subject_alternative_name()
            .map_err(|_| "its alternative names cannot be read")?;
        for name in alternatives.iter().flat_map(|it| &it.value.general_names) {
            match name {
                GeneralName::DNSName(name) => {
                    peer.dns.push(bounded(&name.to_ascii_lowercase())?);
                }
                GeneralName::URI(uri) => peer.uris.push(bounded(uri)?),
                _ => {}
            }
            if peer.dns.len() + peer.uris.len() > NAMES_MAX {
                return Err("it has too many names");
            }
        }
        Ok(peer)
    }

    /// Its SPIFFE id: the one URI that a certificate of SPIFFE has.
    pub fn spiffe(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [one] if one.starts_with("spiffe://") => Some(one),
            _ => None,
        }
    }
}

fn bounded(name: &str) -> Result<Box<str>, &'static str> {
    if name.len() > NAME_BYTES_MAX {
        return Err("one of its names is too long");
    }
    match name.chars().any(char::is_control) {
        true => Err("one of its names holds a control character"),
        false => Ok(name.into()),
    }
}

/// Which certificates an entry is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// By SPIFFE id; `*` is any text.
    Spiffe(String),
    /// By a DNS name among the alternative names, in lower case; `*.` at the
    /// beginning stands for one label.
    Dns(String),
    /// By the common name of the subject; `*` is any text.
    SubjectCn(String),
}

impl Match {
    /// The name by which a certificate matches, if it does.
    fn of<'a>(&self, peer: &'a Peer) -> Option<&'a str> {
        match self {
            Self::Spiffe(pattern) => peer.spiffe().filter(|id| glob::matches(pattern, id)),
            Self::Dns(pattern) => {
                let mut names = peer.dns.iter().map(|name| &**name);
                names.find(|name| dns_matches(pattern, name))
            }
            Self::SubjectCn(pattern) => {
                let name = peer.subject_cn.as_deref();
                name.filter(|name| glob::matches(pattern, name))
            }
        }
    }
}

fn dns_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == name,
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
    }
}

/// One entry: certificates, and the consumer that they stand for.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Which certificates.
    pub matches: Match,
    /// The consumer; its `key_id` is that of the certificate in each case.
    pub consumer: Consumer,
}

/// All entries; the first that matches counts.
#[derive(Clone, Debug, Default)]
pub struct Holders(pub Vec<Holder>);

impl Holders {
    /// Who a certificate stands for; `None` if no entry is for it.
    ///
    /// # Errors
    /// `Unauthenticated`: the certificate is not valid at this time.
    pub fn identify(&self, peer: &Peer, now_s: u64) -> Result<Option<Arc<Consumer>>, Fault> {
        let now_s = i64::try_from(now_s).unwrap_or(i64::MAX);
        if !(peer.from_s..=peer.until_s).contains(&now_s) {
            return Err(refused(
                "The client certificate of this connection is not valid at this time. Renew it, \
                 and connect again.",
            ));
        }
        let mut found = self
            .0
            .iter()
            .filter_map(|holder| Some((holder, holder.matches.of(peer)?)));
        Ok(found.next().map(|(holder, name)| {
            Arc::new(Consumer {
                key_id: public_id("certificate", name),
                ..holder.consumer.clone()
            })
        }))
    }
}

/// There is a certificate, but no entry is for it, and no key came with it.
pub(crate) fn unmapped() -> Fault {
    refused(
        "The client certificate is genuine, but the gateway does not know whom it stands for. Ask \
         the people who run the gateway to add it to `identity.certificates`, or send a key as \
         well.",
    )
}

fn refused(public: &'static str) -> Fault {
    Fault::new(FaultKind::Unauthenticated, Origin::Client, public)
}

#[cfg(test)]
mod tests;

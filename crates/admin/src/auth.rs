//! Who asks: the credentials of the admin listener and their roles.
//!
//! Deliberately not here: patience with wrong ones (`throttle`), and where the
//! gateway's own key is kept (room `gate`).

use std::net::IpAddr;
use std::sync::Arc;

use contract::Secret;
use evidence::RequestId;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use plan::{Operator, Role};

use crate::Call;
use crate::reply::Reply;

/// Longest credential that is looked at, bytes.
const SECRET_BYTES_MAX: usize = 512;
/// By this name the audit journal calls the gateway's own key.
const OWN_KEY: &str = "admin.key";

/// Headers by which a proxy says that it speaks for somebody else.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// The digest of the gateway's own admin key; the key itself is not kept.
#[derive(Clone, Debug)]
pub struct AdminKey(blake3::Hash);

impl AdminKey {
    /// The digest of this key.
    pub fn new(key: &Secret<String>) -> Self {
        Self(digest(key.expose()))
    }
}

fn digest(key: &str) -> blake3::Hash {
    blake3::hash(key.as_bytes())
}

/// The holder of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Public name of the credential.
    pub id: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// The one tenant that it sees; `None` for all.
    pub tenant: Option<Arc<str>>,
}

impl Actor {
    /// Whether what belongs to this tenant is shown to it.
    pub fn sees(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant)
    }
}

/// Who asks, from where, in which call.
#[derive(Clone, Debug)]
pub struct By {
    /// The credential.
    pub actor: Actor,
    /// The peer; none on a unix socket.
    pub peer: Option<IpAddr>,
    /// Id of the call.
    pub request_id: RequestId,
    /// Wall time, microseconds since the Unix epoch.
    pub now_us: u64,
}

/// The holder of what a call presents. Every credential is compared, and by
/// digests in constant time, so that the time of an answer says nothing.
pub(crate) fn holder(call: &Call, own: &AdminKey, operators: &[Operator]) -> Option<Actor> {
    let presented = presented(call.headers).filter(|key| key.len() <= SECRET_BYTES_MAX);
    let digest = digest(presented.unwrap_or_default());
    let is_near = operators.is_empty() || is_local(call);
    let is_own = own.0 == digest;
    let mut found = (is_own && is_near).then(|| Actor {
        id: OWN_KEY.into(),
        role: Role::Admin,
        tenant: None,
    });
    for operator in operators {
        if digest == operator.digest {
            found = Some(Actor {
                id: operator.id.clone(),
                role: operator.role,
                tenant: operator.tenant.clone(),
            });
        }
    }
    found.filter(|_| presented.is_some())
}

/// Whether the request comes from this machine for sure: from a unix socket or
/// a loopback address, not through a proxy, and to a name of this machine. The
/// last keeps out pages of a browser that point a name of theirs at loopback.
pub(crate) fn is_local(call: &Call) -> bool {
    let near = call
        .peer
        .is_none_or(|peer| peer.to_canonical().is_loopback());
    let direct = FORWARDED
        .iter()
        .all(|name| !call.headers.contains_key(*name));
    near && direct
        && call
            .headers
            .get(HOST)
            .is_none_or(|host| is_own_name(host.as_bytes()))
}

/// An IP address or `localhost`, with or without a port.
fn is_own_name(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// The credential that a call sends.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// No credential, or none that is known.
pub(crate) fn refused(was_sent: bool) -> Reply {
    let what = if was_sent {
        "This is not a credential of the admin API."
    } else {
        "The admin API needs a key."
    };
    let message = format!(
        "{what} Send `Authorization: Bearer ..` with one of `admin.credentials` of the \
         configuration, or, on the gateway's machine, with the key in the file `admin.key` of its \
         data folder. Keys of applications do not work here."
    );
    Reply::fault(401, "unauthenticated", &message).with("www-authenticate", "Bearer")
}

/// A credential that may not do this.
pub(crate) fn forbidden(actor: &Actor, roles: &[Role]) -> Reply {
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    let message = format!(
        "The credential `{}` has the role `{}`; this needs {}. Use another credential, or have \
         its role changed in `admin.credentials` of the configuration.",
        actor.id,
        actor.role.name(),
        names.join(" or ")
    );
    Reply::fault(403, "role_needed", &message)
}

/// A credential of one tenant, where all are concerned.
pub(crate) fn too_narrow(actor: &Actor) -> Reply {
    let message = format!(
        "The credential `{}` sees one tenant only, and this concerns all of them. Use a credential \
         without `tenant`.",
        actor.id
    );
    Reply::fault(403, "tenant_scope", &message)
}

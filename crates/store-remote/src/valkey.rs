//! The way to a Valkey or Redis server: one connection, one script.
//!
//! Deliberately not here: what is asked (`shares`), and when another
//! connection is tried (`line`).

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Script};

use crate::call::{Call, Told};

/// Longest time to connect, whatever the deadline of calls: a name has to be
/// looked up and TLS agreed on.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// The address of a server, which may hold a password: never shown.
#[derive(Clone)]
pub struct ValkeyUrl(Client);

/// A text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of a Valkey or Redis server")]
pub struct UrlFault;

impl ValkeyUrl {
    /// Reads `redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` and
    /// `unix://` addresses.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, UrlFault> {
        Client::open(text).map(Self).map_err(|_| UrlFault)
    }
}

impl std::fmt::Debug for ValkeyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ValkeyUrl")
    }
}

/// A connection that is there.
pub(crate) struct Connection {
    connection: MultiplexedConnection,
    script: Script,
    register: String,
    tag: String,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkFault {
    #[error("the server of the counters cannot be reached: {0}")]
    Connect(String),
    #[error("the server of the counters does not answer as it should: {0}")]
    Answer(String),
}

impl Connection {
    /// Connects. Keys of a group share the hash tag `{tollgate:GROUP}`, so all
    /// keys of a call lie in one slot of a cluster.
    pub(crate) async fn open(
        url: &ValkeyUrl,
        group: &str,
        deadline: Duration,
    ) -> Result<Self, LinkFault> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(deadline));
        let opened = url.0.get_multiplexed_async_connection_with_config(&config);
        let connection = opened.await;
        let connection = connection.map_err(|fault| LinkFault::Connect(fault.to_string()))?;
        let tag = format!("{{tollgate:{group}}}");
        Ok(Self {
            connection,
            script: Script::new(include_str!("lease.lua")),
            register: format!("{tag}:register"),
            tag,
        })
    }

    /// Runs a call.
    pub(crate) async fn call(&self, call: &Call) -> Result<Told, LinkFault> {
        let mut invocation = self.script.key(&self.register);
        for item in &call.items {
            invocation.key(format!("{}:c:{:032x}", self.tag, item.counter));
        }
        invocation
            .arg(&*call.replica)
            .arg(call.seq)
            .arg(call.lease_us);
        for item in &call.items {
            invocation.arg(item.kind.letter()).arg(item.slot);
            let numbers = [
                item.ends, item.limit, item.held, item.used, item.need, item.low, item.high,
                item.acked,
            ];
            for number in numbers {
                invocation.arg(number);
            }
        }
        let mut connection = self.connection.clone();
        let answer: Result<Vec<i64>, _> = invocation.invoke_async(&mut connection).await;
        let numbers = answer.map_err(|fault| LinkFault::Answer(fault.to_string()))?;
        Told::read(&numbers).ok_or_else(|| LinkFault::Answer("another form".to_owned()))
    }
}

#[cfg(test)]
pub(crate) mod tests;

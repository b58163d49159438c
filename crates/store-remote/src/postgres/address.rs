//! The address of a PostgreSQL server, and how it is spoken to.
//!
//! Deliberately not here: connecting (`link`).

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// Longest time to connect to one host, whatever the deadline of calls.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A silent peer is asked after this time, so often in such steps.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);
/// What was sent and is not acknowledged for so long ends a connection.
const UNANSWERED_MAX: Duration = Duration::from_secs(15);
/// Words of `sslmode` that are held as the strictest of them.
const VERIFIED: [&str; 3] = ["require", "verify-ca", "verify-full"];

/// The address of a server, which may hold a password: never shown.
#[derive(Clone)]
pub struct PostgresUrl(Config);

/// A text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no address of a PostgreSQL server: write `postgres://user:password@host:5432/name`, \
     all hosts over TCP or all over Unix sockets"
)]
pub struct PostgresUrlFault;

impl PostgresUrl {
    /// Reads `postgres://` and `postgresql://` addresses. TLS is used and
    /// verified, except over Unix sockets and where it says
    /// `sslmode=disable`.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, PostgresUrlFault> {
        let (text, mode) = without_mode(text);
        let mut config: Config = text.parse().map_err(|_| PostgresUrlFault)?;
        let is_local = |host: &Host| match host {
            Host::Tcp(_) => false,
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        let hosts = config.get_hosts();
        let locals = hosts.iter().filter(|host| is_local(host)).count();
        let mode = match mode.as_deref() {
            _ if hosts.is_empty() || (locals > 0 && locals < hosts.len()) => {
                return Err(PostgresUrlFault);
            }
            Some("disable") => SslMode::Disable,
            Some(mode) if !VERIFIED.contains(&mode) => return Err(PostgresUrlFault),
            _ if locals > 0 => SslMode::Disable,
            Some(_) | None => SslMode::Require,
        };
        config
            .ssl_mode(mode)
            // A copy that only reads is no place for a ledger.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .application_name("tollgate")
            .connect_timeout(CONNECT_MAX)
            .tcp_user_timeout(UNANSWERED_MAX)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE.0)
            .keepalives_interval(KEEPALIVE.1)
            .keepalives_retries(KEEPALIVE.2);
        Ok(Self(config))
    }

    pub(super) fn config(&self) -> &Config {
        &self.0
    }
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresUrl")
    }
}

/// The address without `sslmode`, whose words the client does not all know,
/// and the last of these words.
fn without_mode(text: &str) -> (String, Option<String>) {
    let Some((address, parameters)) = text.split_once('?') else {
        return (text.to_owned(), None);
    };
    let mut mode = None;
    let mut kept: Vec<&str> = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.strip_prefix("sslmode=") {
            Some(word) => mode = Some(word.to_owned()),
            None => kept.push(parameter),
        }
    }
    match kept.is_empty() {
        true => (address.to_owned(), mode),
        false => (format!("{address}?{}", kept.join("&")), mode),
    }
}

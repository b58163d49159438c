//! One connection, and the task that drives it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_postgres::{AsyncMessage, Client, Error, Notification};

use super::PostgresOptions;
use super::tls::Tls;

/// The server ends a statement that takes longer.
pub(super) const STATEMENT_MAX: Duration = Duration::from_secs(10);
/// The server ends a statement that waits longer for others, and a transaction
/// in which nothing happens for so long.
const LOCK_MAX: Duration = Duration::from_secs(1);
const IDLE_MAX: Duration = Duration::from_secs(2);
/// Pushes that wait to be heard.
const NOTES_MAX: usize = 1_024;

/// A connection; it ends when this is dropped.
pub(super) struct Link {
    pub(super) client: Client,
    _driver: JoinSet<()>,
}

impl Link {
    /// Connects.
    pub(super) async fn open(
        options: &PostgresOptions,
        tls: &Tls,
        notes: Option<mpsc::Sender<Notification>>,
    ) -> Result<Self, Error> {
        let connected = options.url.config().connect(tls.clone()).await;
        let (client, mut connection) = connected?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            loop {
                let next = std::future::poll_fn(|cx| connection.poll_message(cx)).await;
                match (next, &notes) {
                    (Some(Ok(AsyncMessage::Notification(note))), Some(notes)) => {
                        if notes.send(note).await.is_err() {
                            return;
                        }
                    }
                    (Some(Ok(_)), _) => {}
                    // The client is told by its own calls.
                    (Some(Err(_)) | None, _) => return,
                }
            }
        });
        let this = Self {
            client,
            _driver: driver,
        };
        let milliseconds = STATEMENT_MAX.as_millis();
        let settings = format!(
            "SET search_path TO \"{}\";
             SET statement_timeout TO {milliseconds};
             SET lock_timeout TO {};
             SET idle_in_transaction_session_timeout TO {};
             SET default_transaction_isolation TO 'read committed';
             SELECT set_config('synchronous_commit', 'on', false)
               WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')",
            options.schema,
            LOCK_MAX.as_millis(),
            IDLE_MAX.as_millis(),
        );
        this.client.batch_execute(&settings).await?;
        Ok(this)
    }

    /// A way for pushes.
    pub(super) fn notes() -> (mpsc::Sender<Notification>, mpsc::Receiver<Notification>) {
        mpsc::channel(NOTES_MAX)
    }
}

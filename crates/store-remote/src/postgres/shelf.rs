//! Small files in PostgreSQL that change together: the versions of the plan,
//! for all replicas of a schema. A change says which state it was decided on,
//! and is decided again where that is not the state any more; it is pushed
//! with the commit.
//!
//! Deliberately not here: what the files say.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use store::cabinet::{FILE_BYTES_MAX, is_plain, not_plain};
use store::shelf::{Decide, Edit, Shelf};
use tokio_postgres::{Client, Error};

use super::{Postgres, PostgresError, Work};

/// The channel on which changes of plans are pushed.
pub const PLANS_CHANNEL: &str = "plans";
/// Longest wait for a look or a change: operators and the tender wait, calls
/// never do.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How often a change is decided again that others came before.
const TRIES_MAX: usize = 50;

/// Files in PostgreSQL.
pub struct PostgresShelf {
    postgres: Arc<Postgres>,
}

impl PostgresShelf {
    /// The files of a database.
    pub fn new(postgres: Arc<Postgres>) -> Self {
        Self { postgres }
    }

    fn ask<T, F>(&self, work: F) -> io::Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Client) -> Work<'c, T> + Send + 'static,
    {
        let done = self.postgres.run(WAIT_MAX, work);
        done.map_err(|error: PostgresError| io::Error::other(error))
    }

    fn numbered(&self, name: &str) -> io::Result<(i64, Option<Vec<u8>>)> {
        let name = name.to_owned();
        self.ask(move |client| {
            Box::pin(async move {
                // In this order: what was changed in between is noticed later.
                let state = client.query_one("SELECT change FROM plan_state", &[]);
                let change = state.await?.try_get(0)?;
                Ok((change, file(client, &name).await?))
            })
        })
    }
}

async fn file(client: &Client, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let sql = "SELECT bytes FROM plan_files WHERE name = $1";
    let row = client.query_opt(sql, &[&name]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Whether nobody had changed anything since.
async fn write(
    client: &mut Client,
    since: i64,
    edits: Vec<Edit>,
    channel: String,
) -> Result<bool, Error> {
    let transaction = client.transaction().await?;
    let sql = "UPDATE plan_state SET change = change + 1 WHERE change = $1";
    if transaction.execute(sql, &[&since]).await? == 0 {
        return Ok(false);
    }
    for edit in &edits {
        match edit {
            Edit::Write(name, bytes) => {
                let sql = "INSERT INTO plan_files (name, bytes) VALUES ($1, $2)
                           ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes";
                transaction.execute(sql, &[name, bytes]).await?;
            }
            Edit::Remove(name) => {
                let sql = "DELETE FROM plan_files WHERE name = $1";
                transaction.execute(sql, &[name]).await?;
            }
        }
    }
    let sql = "SELECT pg_notify($1, '')";
    transaction.execute(sql, &[&channel]).await?;
    transaction.commit().await?;
    Ok(true)
}

fn sound(edits: &[Edit]) -> io::Result<()> {
    for edit in edits {
        let (name, bytes) = match edit {
            Edit::Write(name, bytes) => (name, bytes.len()),
            Edit::Remove(name) => (name, 0),
        };
        if !is_plain(name) {
            return Err(not_plain());
        }
        if bytes as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("the file would be larger than 8 MiB"));
        }
    }
    Ok(())
}

impl Shelf for PostgresShelf {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        if !is_plain(name) {
            return Err(not_plain());
        }
        let name = name.to_owned();
        self.ask(move |client| Box::pin(async move { file(client, &name).await }))
    }

    fn change(&self, name: &str, decide: &mut Decide<'_>) -> io::Result<()> {
        if !is_plain(name) {
            return Err(not_plain());
        }
        for _ in 0..TRIES_MAX {
            let (since, bytes) = self.numbered(name)?;
            let edits = decide(bytes.as_deref())?;
            if edits.is_empty() {
                return Ok(());
            }
            sound(&edits)?;
            let channel = self.postgres.channel(PLANS_CHANNEL);
            let done = self.ask(move |client| Box::pin(write(client, since, edits, channel)))?;
            if done {
                return Ok(());
            }
        }
        Err(io::Error::other(
            "others change the plan all the time; try again",
        ))
    }

    fn last_change(&self) -> io::Result<Option<u64>> {
        let change: i64 = self.ask(|client| {
            Box::pin(async move {
                let sql = "SELECT change FROM plan_state";
                client.query_one(sql, &[]).await?.try_get(0)
            })
        })?;
        Ok(Some(change.max(0) as u64))
    }
}

#[cfg(test)]
mod tests {
    //! Cases of files in a real server.

    use std::sync::mpsc::channel;

    use store::shelf::conformance;

    use super::super::Heard;
    use super::super::tests::{HANG, Server, reached};
    use super::*;

    #[test]
    fn a_real_server_passes_the_suite() {
        let Some(server) = Server::start() else {
            return;
        };
        let made = std::cell::Cell::new(0);
        conformance::check(&|| {
            made.set(made.get() + 1);
            let schema = format!("files_{}", made.get());
            Arc::new(PostgresShelf::new(reached(&server, &schema)))
        });
    }

    #[test]
    fn a_change_that_another_replica_came_before_is_decided_again_and_pushed() {
        let Some(server) = Server::start() else {
            return;
        };
        let shelf = || PostgresShelf::new(reached(&server, "both"));
        let (one, other) = (shelf(), shelf());
        let (to, heard) = channel();
        let listening = other.postgres.listen(&[PLANS_CHANNEL], move |it| {
            // The test may be over.
            let _ = to.send(it == Heard::Began);
        });
        assert_eq!(heard.recv_timeout(HANG), Ok(true));
        let write = |text: &str| {
            let edit = Edit::Write("book.json".to_owned(), text.as_bytes().to_vec());
            Ok(vec![edit])
        };
        let mut told = Vec::new();
        let done = one.change("book.json", &mut |bytes| {
            told.push(bytes.map(<[u8]>::to_vec));
            if told.len() == 1 {
                other.change("book.json", &mut |_| write("theirs")).unwrap();
            }
            write("ours")
        });
        done.unwrap();
        assert_eq!(told, [None, Some(b"theirs".to_vec())]);
        assert_eq!(other.read("book.json").unwrap().unwrap(), b"ours");
        assert_eq!(heard.recv_timeout(HANG), Ok(false));
        assert_eq!(heard.recv_timeout(HANG), Ok(false));
        drop(listening);
    }

    #[test]
    fn a_server_that_is_away_changes_nothing() {
        let Some(mut server) = Server::start() else {
            return;
        };
        let shelf = PostgresShelf::new(reached(&server, "away"));
        server.kill();
        let edit = Edit::Write("book.json".to_owned(), Vec::new());
        let failed = shelf.change("book.json", &mut |_| Ok(vec![edit.clone()]));
        assert!(failed.is_err());
        assert!(shelf.last_change().is_err());
        server.start_again();
        assert!(shelf.postgres.wait_until_up(HANG));
        assert_eq!(shelf.read("book.json").unwrap(), None);
    }
}

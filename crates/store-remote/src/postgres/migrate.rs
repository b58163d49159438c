//! The tables, made in steps: each is done once for a schema, in one
//! transaction, whoever of the replicas comes first.
//!
//! A step that is here is never changed. A new one gets the next number.

use tokio_postgres::{Client, Error, Transaction};

use super::link::STATEMENT_MAX;

/// All steps: number, name, statements. They run with the schema as the search
/// path, so no name in them is qualified.
pub(super) const STEPS: [(i32, &str, &str); 3] = [
    (1, "ledger", include_str!("sql/001_ledger.sql")),
    (
        2,
        "keys_and_plans",
        include_str!("sql/002_keys_and_plans.sql"),
    ),
    (3, "replies", include_str!("sql/003_replies.sql")),
];

/// One lock for all who make tables in a database.
const LOCK: i64 = 0x746f_6c6c_6761_7465;

/// Why tables are not as they must be.
pub(super) enum Unfit {
    /// The server could not do it.
    Failed(Error),
    /// It may not be done.
    Refused(String),
}

impl From<Error> for Unfit {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Makes what is missing. Where `is_known`, this process has found them right
/// before, and newer steps of others do not stop it.
pub(super) async fn migrate(
    client: &mut Client,
    schema: &str,
    is_known: bool,
) -> Result<(), Unfit> {
    if is_done(client, schema, is_known).await? {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    // Another one makes them for longer than calls wait for each other.
    let patience = format!("SET LOCAL lock_timeout TO {}", STATEMENT_MAX.as_millis());
    transaction.batch_execute(&patience).await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    // Whoever held the lock may have done it.
    if !has_schema(&transaction, schema).await? {
        let make = format!("CREATE SCHEMA \"{schema}\"");
        transaction.batch_execute(&make).await?;
    }
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS steps (
               step integer PRIMARY KEY,
               name text NOT NULL,
               done_at timestamptz NOT NULL DEFAULT now()
             )",
        )
        .await?;
    let done = transaction.query("SELECT step FROM steps", &[]).await?;
    let done: Vec<i32> = done.iter().map(|row| row.get(0)).collect();
    for (step, name, statements) in STEPS.iter().filter(|it| !done.contains(&it.0)) {
        transaction.batch_execute(statements).await?;
        let note = "INSERT INTO steps (step, name) VALUES ($1, $2)";
        transaction.execute(note, &[step, name]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Whether all is there, looked at without changing anything.
async fn is_done(client: &mut Client, schema: &str, is_known: bool) -> Result<bool, Unfit> {
    let table = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'steps'";
    if client.query_opt(table, &[&schema]).await?.is_none() {
        return Ok(false);
    }
    let rows = client.query("SELECT step, name FROM steps", &[]).await?;
    let done: Vec<(i32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let is_ours = |step: &i32, name: &str| STEPS.iter().any(|it| it.0 == *step && it.1 == name);
    let foreign = done.iter().find(|(step, name)| !is_ours(step, name));
    if let Some((step, name)) = foreign.filter(|_| !is_known) {
        return Err(Unfit::Refused(format!(
            "the schema `{schema}` of the database was made by a newer version of Tollgate (its \
             step {step}, `{name}`, is not known here): start that version, or name another \
             schema"
        )));
    }
    let has = |it: &(i32, &str, &str)| done.iter().any(|(step, _)| *step == it.0);
    Ok(STEPS.iter().all(has))
}

async fn has_schema(transaction: &Transaction<'_>, schema: &str) -> Result<bool, Error> {
    let found = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    Ok(transaction.query_opt(found, &[&schema]).await?.is_some())
}

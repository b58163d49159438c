//! The database that replicas share: opening it, and how it is doing.
//!
//! Deliberately not here: what is kept there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use evidence::{Meter, Sample};
use plan::SharedDatabase;
use store_remote::postgres::{Postgres, PostgresFigures, PostgresOptions, PostgresUrl};

/// The database, and what is configured of it.
pub(crate) struct Database {
    /// The database.
    pub(crate) postgres: Arc<Postgres>,
    /// What is configured of it.
    pub(crate) settings: SharedDatabase,
}

/// The database, if one is configured. It need not be there yet.
///
/// # Errors
/// The address or a certificate authority cannot be used, or no thread can be
/// started.
pub(crate) fn open(
    settings: Option<&SharedDatabase>,
    meter: &Meter,
) -> io::Result<Option<Database>> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let database = Postgres::start(options(settings)?, crate::say)?;
    one(
        meter,
        &database,
        "tollgate_database_up",
        "Whether the database that replicas share answers",
        |figures| f64::from(u8::from(figures.is_up)),
    );
    one(
        meter,
        &database,
        "tollgate_database_calls_failed",
        "Calls that the database did not answer, since the start",
        |figures| figures.failed as f64,
    );
    Ok(Some(Database {
        postgres: database,
        settings: settings.clone(),
    }))
}

/// How it is reached.
///
/// # Errors
/// The address cannot be used. The fault never quotes it, as it may hold a
/// password.
pub(crate) fn options(settings: &SharedDatabase) -> io::Result<PostgresOptions> {
    let url = PostgresUrl::read(settings.url.expose())
        .map_err(|fault| io::Error::other(format!("database.url: {fault}")))?;
    Ok(PostgresOptions {
        url,
        schema: settings.schema.clone(),
        ca_pem: settings.ca_pem.clone(),
        deadline: Duration::from_millis(settings.deadline_ms),
    })
}

fn one(
    meter: &Meter,
    database: &Arc<Postgres>,
    name: &'static str,
    help: &'static str,
    read: fn(&PostgresFigures) -> f64,
) {
    // Metrics keep nothing alive.
    let database = Arc::downgrade(database);
    meter.watch(name, help, move || {
        let figures = database.upgrade().map(|database| database.figures());
        let sample = |figures: PostgresFigures| Sample {
            labels: Vec::new(),
            value: read(&figures),
        };
        figures.into_iter().map(sample).collect()
    });
}

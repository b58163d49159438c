//! `tollgate ledger verify --database`: whether each record of the journal is
//! in the database that replicas share as it is here, with its rows of limits
//! and budgets.
//!
//! Deliberately not here: what is brought there (`records::bringing`).

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use store::Cursor as _;
use store_remote::ledger::{Differing, Position, SharedLedger, Wanted};
use store_remote::postgres::Postgres;

use super::checkpoint;
use crate::config::Place;
use crate::records::{bringing, node};

/// Longest wait for the database.
const REACH_MAX: Duration = Duration::from_secs(10);
/// Records that are compared at once.
const PAGE: usize = 500;
/// Most differences that are listed.
const LISTED_MAX: usize = 1_000;

/// What a comparison came to.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Records that are equal.
    equal: u64,
    /// Records that the database will get.
    waiting: u64,
    /// How many are not as they should be.
    differing: u64,
    /// The first of them: the exchange, and what of it differs.
    listed: Vec<(String, &'static str)>,
}

/// Compares.
///
/// # Errors
/// The journal or the database cannot be read.
pub(super) fn compare(config: Option<&Path>, place: &Place) -> Result<Compared, String> {
    let settings = crate::config::database(config)?.ok_or(
        "the configuration names no database: name the one of the gateway with --config, or \
         leave --database out",
    )?;
    let mut compared = Compared::default();
    let node = node::find(&place.data_dir).map_err(|error| error.to_string())?;
    let options = crate::database::options(&settings).map_err(|error| error.to_string())?;
    let postgres = Postgres::start(options, |_| ()).map_err(|error| error.to_string())?;
    if !postgres.wait_until_up(REACH_MAX) {
        let fault = postgres.figures().fault.unwrap_or_default();
        return Err(format!("the database cannot be used: {fault}"));
    }
    let ledger = SharedLedger::new(postgres, node.unwrap_or_default());
    // Before the journal is read: what is beyond it may come meanwhile.
    let position = match node {
        Some(_) => ledger.position().map_err(|error| error.to_string())?,
        None => Position::default(),
    };
    let mut reader = checkpoint::reader(&place.journal, 1).map_err(|error| error.to_string())?;
    let mut page = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(|error| error.to_string())? {
        let is_brought = entry.sequence <= position.sequence;
        let Some(wanted) = bringing::wanted(entry) else {
            continue;
        };
        match is_brought {
            true => page.push(wanted),
            false => compared.waiting += 1,
        }
        if page.len() == PAGE {
            compared.add(&ledger, std::mem::take(&mut page))?;
        }
    }
    compared.add(&ledger, page)?;
    Ok(compared)
}

impl Compared {
    fn add(&mut self, ledger: &SharedLedger, page: Vec<Wanted>) -> Result<(), String> {
        let records = page.len() as u64;
        let found = ledger.differing(page).map_err(|error| error.to_string())?;
        self.equal += records - found.len() as u64;
        self.differing += found.len() as u64;
        let room = LISTED_MAX - self.listed.len();
        let listed = found.into_iter().take(room).map(|it| match it {
            Differing::Missing(id) => (id, "missing"),
            Differing::Record(id) => (id, "record"),
            Differing::Ledger(id) => (id, "ledger"),
        });
        let named = listed.map(|(id, what)| {
            let id = evidence::RequestId::from_bytes(id);
            (id.to_string(), what)
        });
        self.listed.extend(named);
        Ok(())
    }

    pub(super) fn is_good(&self) -> bool {
        self.differing == 0
    }

    pub(super) fn as_text(&self, shown_max: usize) -> String {
        let Self {
            equal,
            waiting,
            differing,
            listed,
        } = self;
        if self.is_good() {
            return format!(
                "database    agrees with the journal in {equal} records, {waiting} wait\n"
            );
        }
        let mut out = format!(
            "database    DIFFERS from the journal in {differing} records, agrees in {equal}, \
             {waiting} wait\n"
        );
        for (id, what) in listed.iter().take(shown_max) {
            let what = match *what {
                "missing" => "is not in the database",
                "record" => "is another one in the database",
                _ => "has other rows of limits and budgets in the database",
            };
            out.push_str(&format!("  {id} {what}\n"));
        }
        if listed.len() > shown_max {
            out.push_str("  more of them: --json\n");
        }
        out
    }

    pub(super) fn as_value(&self) -> Value {
        let listed = self.listed.iter();
        let listed = listed.map(|(id, what)| json!({"request_id": id, "what": what}));
        json!({
            "equal": self.equal, "waiting": self.waiting, "differing": self.differing,
            "listed": listed.collect::<Vec<_>>(),
        })
    }
}

//! `tollgate ledger verify`: adds up the whole journal of a data folder and
//! compares the checkpoint with it, without a gateway. Exit codes: 0 they
//! agree or there is no checkpoint, 1 they differ, 2 could not be read.
//!
//! Deliberately not here: whether the journal was altered (`logs verify`).

mod database;

use std::io::{self, Write};
use std::process::ExitCode;

use cli::LedgerVerifyArgs;
use evidence::{Ledger, LedgerTotal, LedgerWindow};
use serde_json::{Value, json};
use store::{Cursor as _, ReadError};

use super::checkpoint::{self, Unusable};
use super::unix_us;
use crate::config::Place;

const DIFFERS: u8 = 1;
const UNREADABLE: u8 = 2;
/// Most windows that are shown to a person.
const SHOWN_MAX: usize = 20;

/// Carries out the command.
pub(crate) fn run(all: &LedgerVerifyArgs) -> ExitCode {
    let args = &all.journal;
    let place = crate::config::place(args.config.as_deref(), args.data_dir.as_deref());
    let code = place.and_then(|place| {
        let mut found = check(&place).map_err(|why| {
            format!(
                "The journal in {} cannot be read: {why}. Name the gateway's folder with \
                 --data-dir or its configuration with --config, run as the gateway's user, and \
                 see `tollgate logs verify`.",
                place.journal.display()
            )
        })?;
        if all.database {
            found.database = Some(database::compare(args.config.as_deref(), &place)?);
        }
        let text = match args.json {
            true => format!("{:#}\n", found.as_value()),
            false => found.as_text(),
        };
        // A reader that went away (`| head`) changes nothing about the ledger.
        let _ = io::stdout().lock().write_all(text.as_bytes());
        Ok(if found.is_good() { 0 } else { DIFFERS })
    });
    match code {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            crate::say(&why);
            ExitCode::from(UNREADABLE)
        }
    }
}

/// What came of it.
struct Found {
    ledger: Ledger,
    /// The first entry that is kept.
    first: u64,
    verdict: Verdict,
    /// Where the database was asked too.
    database: Option<database::Compared>,
}

enum Verdict {
    /// There is no checkpoint.
    Absent,
    /// It says what the journal says.
    Agrees(u64),
    /// It says something else of so many windows.
    Differs(u64, usize),
    /// It cannot be used; the next start reads the whole journal.
    Unusable(String),
    /// The journal does not reach back to its first entry.
    Partial(u64),
}

/// Adds up the journal, and compares on the way.
fn check(place: &Place) -> Result<Found, ReadError> {
    let now_us = unix_us();
    let path = place.data_dir.join(checkpoint::FILE);
    let loaded = checkpoint::load(&path, &place.journal).map(|(mut ledger, _)| {
        ledger.prune(now_us);
        ledger
    });
    let mut reader = checkpoint::reader(&place.journal, 1)?;
    let mut ledger = Ledger::default();
    let (mut first, mut differing) = (0, None);
    let kept = loaded.as_ref().ok();
    loop {
        if let Some(kept) = kept.filter(|kept| kept.head() == ledger.head()) {
            differing = Some(differences(kept, &ledger));
        }
        let Some(entry) = reader.next_entry()? else {
            break;
        };
        if first == 0 {
            first = entry.sequence;
        }
        ledger.take(&entry, now_us);
    }
    let verdict = match (&loaded, differing) {
        (Err(Unusable::Absent), _) => Verdict::Absent,
        (Err(Unusable::Wrong(why)), _) => Verdict::Unusable(why.clone()),
        (Ok(kept), _) if first > 1 => Verdict::Partial(kept.head().sequence),
        (Ok(kept), Some(0)) => Verdict::Agrees(kept.head().sequence),
        (Ok(kept), Some(differing)) => Verdict::Differs(kept.head().sequence, differing),
        (Ok(_), None) => Verdict::Unusable("it is not of this journal".to_owned()),
    };
    Ok(Found {
        ledger,
        first,
        verdict,
        database: None,
    })
}

/// How many windows the two do not say the same of.
fn differences(one: &Ledger, other: &Ledger) -> usize {
    let is_missing = |of: &Ledger, it: &(&LedgerWindow, &LedgerTotal)| {
        of.total(it.0).map(|total| total.settled) != Some(it.1.settled)
    };
    let here = one.totals().filter(|it| is_missing(other, it)).count();
    let there = other
        .totals()
        .filter(|(window, _)| one.total(window).is_none());
    here + there.count()
}

impl Found {
    fn is_good(&self) -> bool {
        let is_database_good = self.database.as_ref().is_none_or(|it| it.is_good());
        is_database_good
            && match &self.verdict {
                Verdict::Absent | Verdict::Agrees(_) | Verdict::Partial(_) => true,
                Verdict::Differs(..) | Verdict::Unusable(_) => false,
            }
    }

    /// Windows in an order that stays.
    fn windows(&self) -> Vec<(&LedgerWindow, &LedgerTotal)> {
        let mut all: Vec<_> = self.ledger.totals().collect();
        all.sort_by_key(|(window, total)| (&total.quota, &total.scope, **window));
        all
    }

    fn as_text(&self) -> String {
        let head = self.ledger.head().sequence;
        let verdict = match &self.verdict {
            Verdict::Absent => "there is none; the next start reads the whole journal".to_owned(),
            Verdict::Agrees(at) => format!("agrees with the journal, up to record {at}"),
            Verdict::Differs(at, windows) => format!(
                "DIFFERS from the journal in {windows} windows, up to record {at}; remove it, and \
                 the next start reads the whole journal"
            ),
            Verdict::Unusable(why) => {
                format!("CANNOT BE USED: {why}; the next start reads the whole journal")
            }
            Verdict::Partial(at) => format!(
                "goes up to record {at}; it cannot be compared, since older records were removed"
            ),
        };
        let mut out = format!(
            "journal     records {} to {head}, {} unreadable\ncheckpoint  {verdict}\nwindows     \
             {}\n",
            self.first,
            self.ledger.unreadable(),
            self.ledger.len()
        );
        let windows = self.windows();
        let database = self.database.as_ref();
        let database = database.map_or_else(String::new, |it| it.as_text(SHOWN_MAX));
        for (_, total) in windows.iter().take(SHOWN_MAX) {
            let of = match total.scope.is_empty() {
                true => "all calls",
                false => &total.scope,
            };
            let (quota, measure, settled) = (&total.quota, &total.measure, total.settled);
            out.push_str(&format!("  {quota} ({of}): {settled} {measure}\n"));
        }
        if windows.len() > SHOWN_MAX {
            out.push_str("  all of them: --json\n");
        }
        out.push_str(&database);
        out
    }

    fn as_value(&self) -> Value {
        let (state, at, differing) = match &self.verdict {
            Verdict::Absent => ("absent", None, 0),
            Verdict::Agrees(at) => ("agrees", Some(*at), 0),
            Verdict::Differs(at, windows) => ("differs", Some(*at), *windows),
            Verdict::Unusable(_) => ("unusable", None, 0),
            Verdict::Partial(at) => ("partial", Some(*at), 0),
        };
        let why = match &self.verdict {
            Verdict::Unusable(why) => Some(why),
            Verdict::Absent | Verdict::Agrees(_) | Verdict::Differs(..) | Verdict::Partial(_) => {
                None
            }
        };
        let windows = self.windows().into_iter().map(|(window, total)| {
            json!({
                "quota": &*total.quota, "kind": total.kind, "measure": total.measure,
                "scope": &*total.scope, "counter": format!("{:032x}", window.counter),
                "from_us": window.from_us,
                "until_us": (window.until_us != u64::MAX).then_some(window.until_us),
                "settled": total.settled,
            })
        });
        json!({
            "good": self.is_good(),
            "journal": {
                "first": self.first, "last": self.ledger.head().sequence,
                "unreadable": self.ledger.unreadable(),
            },
            "database": self.database.as_ref().map(database::Compared::as_value),
            "checkpoint": {"state": state, "at": at, "differing": differing, "why": why},
            "windows": windows.collect::<Vec<_>>(),
        })
    }
}

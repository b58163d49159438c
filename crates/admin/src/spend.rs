//! Reports about money: reading what they need, for those who may see it.
//!
//! Deliberately not here: adding up (`store`) and showing (`insight`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use insight::budgets::Counted;
use insight::reconcile::read::{Columns, read};
use insight::{Repricing, Table, focus, reconcile, reprice};
use serde::Deserialize;
use serde_json::{Value, json};
use store::index::spend::{DIMENSIONS_MAX, Dimension, GROUPS_MAX, Question, Spent, Within};
use store::{Filter, IndexError, RecordIndex};

use crate::AdminState;
use crate::auth::{self, Actor, By};
use crate::params::{Params, bad, time};
use crate::reading;
use crate::reply::Reply;
use crate::routes::Report;

/// What the counters say, for budgets.
pub type TakeCounted = Arc<dyn Fn() -> Counted + Send + Sync>;

/// Adds up what all replicas spent; the text of an error is for operators.
pub type SpentByAll = Arc<dyn Fn(&Question) -> Result<Spent, String> + Send + Sync>;

const DAY_US: u64 = 86_400_000_000;
/// How far a report goes back unless the caller says otherwise.
const DAYS: u64 = 30;
/// The longest time of a report.
const DAYS_MAX: u64 = 400;
/// Rows of JSON unless the caller says otherwise.
const ROWS: u32 = 100;
/// Most rows of JSON.
const ROWS_MAX: u32 = 1_000;
/// Most records of one look at history.
const RECORDS_MAX: usize = 100_000;
/// Longest wait for the index.
const CATCH_UP_MS: u64 = 2_000;
const CSV: &str = "text/csv; charset=utf-8";

/// One request for a report.
pub(crate) struct Asked<'a> {
    pub(crate) state: &'a AdminState,
    pub(crate) by: &'a By,
    pub(crate) params: &'a Params,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Focus,
}

/// The answer to a request for a report.
pub(crate) fn answer(report: Report, asked: &Asked<'_>, body: &[u8]) -> Reply {
    let made = match report {
        Report::Spend => asked.spend(),
        Report::Refusals => asked.refusals(),
        Report::Models => asked.models(),
        Report::Budgets => asked.budgets(),
        Report::Reconcile => asked.reconcile(body),
        Report::Reprice => asked.reprice(body),
    };
    made.unwrap_or_else(|fault| fault)
}

impl Asked<'_> {
    fn spend(&self) -> Result<Reply, Reply> {
        let format = self.format(true)?;
        let by = match format {
            Format::Focus if self.params.get("group_by").is_some() => {
                return Err(bad(
                    "group_by",
                    "the format focus has a grouping of its own",
                ));
            }
            Format::Focus => focus::BY.to_vec(),
            Format::Json | Format::Csv => dimensions(self.params.get("group_by"))?,
        };
        let question = Question {
            within: self.within(format)?,
            by,
        };
        let (spent, lag) = self.spent(&question)?;
        match format {
            Format::Json => {
                let told = insight::spend::report(&question.by, &spent, &question.within);
                Ok(Reply::json(&with(told, "records_to_come", lag.into())))
            }
            Format::Csv => file(insight::spend::table(&question.by, &spent), spent.more, lag),
            Format::Focus => file(focus::table(&spent), spent.more, lag),
        }
    }

    /// The sums, and how many records are not in them yet, where one gateway
    /// can tell.
    fn spent(&self, question: &Question) -> Result<(Spent, Option<u64>), Reply> {
        match self.params.get("replicas") {
            None | Some("this") => {
                let index = self.index()?;
                let lag = index.status().lag();
                let spent = index.spend(question).map_err(|error| fault(&error))?;
                Ok((spent, Some(lag)))
            }
            Some("all") => {
                let by_all = self.state.spent_by_all.as_ref().ok_or_else(|| {
                    let said = "this gateway shares no database with others";
                    let advice = "Leave `replicas` out, or configure `database` \
                                  (`docs/replicas.md`) and restart.";
                    Reply::failed((422, "no_database"), said, advice)
                })?;
                let spent = by_all(question).map_err(|why| {
                    let advice = "Try again shortly, or ask each gateway for its own part.";
                    Reply::failed((503, "database_unavailable"), &why, advice)
                })?;
                Ok((spent, None))
            }
            Some(_) => Err(bad("replicas", "write this or all")),
        }
    }

    fn refusals(&self) -> Result<Reply, Reply> {
        let format = self.format(false)?;
        let within = self.within(format)?;
        let index = self.index()?;
        let lag = index.status().lag();
        let found = index.refusals(&within).map_err(|error| fault(&error))?;
        let table = insight::spend::refusals(&found);
        listed(table, found.more, lag, format)
    }

    fn models(&self) -> Result<Reply, Reply> {
        let format = self.format(false)?;
        let within = self.within(format)?;
        let index = self.index()?;
        let lag = index.status().lag();
        let found = index.models(&within).map_err(|error| fault(&error))?;
        let table = insight::spend::models(&found);
        listed(table, found.more, lag, format)
    }

    fn budgets(&self) -> Result<Reply, Reply> {
        let format = self.format(false)?;
        let counted = (self.state.counted)();
        let plan = self.state.plan.load();
        let tenant = self.by.actor.tenant.as_deref();
        let budgets = insight::budgets(&counted, &plan.quotas, tenant, self.by.now_us);
        match format {
            Format::Json => Ok(Reply::json(&budgets.report())),
            Format::Csv | Format::Focus => file(budgets.table, budgets.more, Some(0)),
        }
    }

    fn reconcile(&self, body: &[u8]) -> Result<Reply, Reply> {
        let wanted: Reconciling = parse(body)?;
        let refuse = |why: String| {
            let said = format!("the export cannot be read: {why}");
            let advice =
                "`docs/spend.md` shows the forms that can; name its columns with `columns`";
            Reply::failed((422, "export_refused"), &said, advice)
        };
        let lines = read(&wanted.export, &wanted.columns.named()).map_err(refuse)?;
        let (from_us, until_us) =
            reconcile::range(&lines).ok_or_else(|| refuse("it holds no line".to_owned()))?;
        if until_us.saturating_sub(from_us) > DAYS_MAX * DAY_US {
            return Err(refuse(format!("it is of more than {DAYS_MAX} days")));
        }
        let question = Question {
            within: Within {
                from_us,
                until_us,
                provider: wanted.provider.clone(),
                ..Within::default()
            },
            by: reconcile::BY.to_vec(),
        };
        let index = self.index()?;
        let lag = index.status().lag();
        let spent = index.spend(&question).map_err(|error| fault(&error))?;
        if spent.more {
            return Err(too_many());
        }
        let told = reconcile::compare(&spent.groups, &lines, &wanted.models);
        Ok(Reply::json(&with(told, "records_to_come", lag.into())))
    }

    fn reprice(&self, body: &[u8]) -> Result<Reply, Reply> {
        let wanted: RepriceWanted = match body {
            [] => RepriceWanted::default(),
            body => parse(body)?,
        };
        let plan = self.state.plan.load();
        let prices = match &wanted.prices {
            None => plan.prices.clone(),
            Some(text) => insight::prices_of(text).map_err(|why| {
                let said = format!("the file of prices cannot be read: {why}");
                Reply::failed(
                    (422, "prices_refused"),
                    &said,
                    "`docs/prices.md` shows the form",
                )
            })?,
        };
        let within = self.within(Format::Json)?;
        let index = self.index()?;
        let lag = index.status().lag();
        let mut repricing = Repricing::default();
        let walk = walk(&index, &within, |record| {
            repricing.add(record, &plan, &prices);
        })?;
        let table = repricing.table();
        let told = json!({
            "from": insight::cell::moment(within.from_us),
            "to": insight::cell::moment(within.until_us),
            "prices": &**prices.book.version(),
            "rows": table.objects(),
            "total": Table::new(&reprice::COLUMNS).object(&repricing.total()),
            "records": walk.read,
            "unreadable": walk.unreadable,
            "more": walk.more,
        });
        Ok(Reply::json(&with(told, "records_to_come", lag.into())))
    }
}

impl Asked<'_> {
    fn format(&self, has_focus: bool) -> Result<Format, Reply> {
        match (self.params.get("format"), has_focus) {
            (None | Some("json"), _) => Ok(Format::Json),
            (Some("csv"), _) => Ok(Format::Csv),
            (Some("focus"), true) => Ok(Format::Focus),
            (Some(_), true) => Err(bad("format", "write json, csv or focus")),
            (Some(_), false) => Err(bad("format", "write json or csv")),
        }
    }

    /// Which records: those of the time that was asked for, of a tenant that
    /// the asker sees.
    fn within(&self, format: Format) -> Result<Within, Reply> {
        let now_us = self.by.now_us;
        let until_us = time(self.params, "to", now_us)?.unwrap_or(now_us.saturating_add(1));
        let from_us = time(self.params, "from", now_us)?;
        let from_us = from_us.unwrap_or(until_us.saturating_sub(DAYS * DAY_US));
        if from_us >= until_us {
            return Err(bad("from", "it must be before `to`"));
        }
        if until_us - from_us > DAYS_MAX * DAY_US {
            return Err(bad(
                "from",
                "a report is of 400 days at most; ask for parts",
            ));
        }
        let limit = match (self.params.number("limit")?, format) {
            (None, Format::Json) => ROWS,
            (None, Format::Csv | Format::Focus) => GROUPS_MAX,
            (Some(_), Format::Csv | Format::Focus) => {
                return Err(bad("limit", "a file holds every row or is refused"));
            }
            (Some(limit), Format::Json) => u32::try_from(limit)
                .ok()
                .filter(|limit| (1..=ROWS_MAX).contains(limit))
                .ok_or_else(|| bad("limit", "it must be from 1 to 1000"))?,
        };
        Ok(Within {
            from_us,
            until_us,
            tenant: tenant(&self.by.actor, self.params.get("tenant"))?,
            provider: self.params.get("provider").map(str::to_owned),
            limit,
        })
    }

    /// The index, with the records that were in the journal when this was
    /// asked, as far as they come within [`CATCH_UP_MS`].
    fn index(&self) -> Result<Arc<RecordIndex>, Reply> {
        let index = self.state.index.load_full();
        if let Some(index) = &index {
            // What is not in it by then is told as records to come.
            let _ = index.catch_up(Duration::from_millis(CATCH_UP_MS));
        }
        index.ok_or_else(|| {
            Reply::fault(
                503,
                "no_index",
                "Reports are made from the index of records, which is switched off or not open \
                 yet. Set `evidence.index` and restart, or try again shortly.",
            )
        })
    }
}

/// The one tenant of a report: the asker's own, if it has one.
fn tenant(actor: &Actor, asked: Option<&str>) -> Result<Option<String>, Reply> {
    match (&actor.tenant, asked) {
        (Some(_), Some(asked)) if !actor.sees(asked) => Err(auth::too_narrow(actor)),
        (Some(own), _) => Ok(Some(own.to_string())),
        (None, asked) => Ok(asked.map(str::to_owned)),
    }
}

fn dimensions(text: Option<&str>) -> Result<Vec<Dimension>, Reply> {
    let mut by: Vec<Dimension> = Vec::new();
    for name in text.unwrap_or("tenant").split(',') {
        let name = name.trim();
        let Some(dimension) = Dimension::named(name) else {
            let names = Dimension::ALL.map(Dimension::name).join(", ");
            return Err(bad("group_by", &format!("write some of {names}")));
        };
        if by.contains(&dimension) {
            return Err(bad("group_by", "it names one of them twice"));
        }
        by.push(dimension);
    }
    match by.len() {
        ..=DIMENSIONS_MAX => Ok(by),
        _ => Err(bad("group_by", "it names more than 10")),
    }
}

/// Rows as JSON, or as a file.
fn listed(table: Table, more: bool, lag: u64, format: Format) -> Result<Reply, Reply> {
    match format {
        Format::Json => Ok(Reply::json(&json!({
            "rows": table.objects(), "more": more, "records_to_come": lag,
        }))),
        Format::Csv | Format::Focus => file(table, more, Some(lag)),
    }
}

/// A file, which is whole or is none.
fn file(table: Table, more: bool, lag: Option<u64>) -> Result<Reply, Reply> {
    if more {
        return Err(too_many());
    }
    let reply = Reply::text(CSV, table.csv());
    Ok(match lag {
        Some(lag) => reply.with("tollgate-records-to-come", lag.to_string()),
        None => reply,
    })
}

fn too_many() -> Reply {
    let message = format!(
        "The report has more rows than a file may have ({GROUPS_MAX}). Ask for a shorter time, \
         for one tenant, or group by less."
    );
    Reply::fault(422, "too_many_rows", &message)
}

fn with(mut told: Value, name: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut told {
        fields.insert(name.to_owned(), value);
    }
    told
}

fn fault(error: &IndexError) -> Reply {
    reading::index_fault(error)
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("The body cannot be used: {error}.");
        Reply::fault(400, "bad_body", &message)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reconciling {
    export: String,
    provider: Option<String>,
    #[serde(default)]
    columns: Named,
    #[serde(default)]
    models: BTreeMap<String, String>,
}

/// Columns that were named; the others have their usual names.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    date: Option<String>,
    model: Option<String>,
    input: Option<String>,
    output: Option<String>,
    cost: Option<String>,
}

impl Named {
    fn named(&self) -> Columns {
        let usual = Columns::default();
        let or = |named: &Option<String>, usual: String| named.clone().unwrap_or(usual);
        Columns {
            date: or(&self.date, usual.date),
            model: or(&self.model, usual.model),
            input: or(&self.input, usual.input),
            output: or(&self.output, usual.output),
            cost: or(&self.cost, usual.cost),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepriceWanted {
    prices: Option<String>,
}

/// What became of a walk through records.
struct Walk {
    read: usize,
    unreadable: usize,
    more: bool,
}

/// Shows records, newest first, at most [`RECORDS_MAX`] of them.
fn walk(
    index: &RecordIndex,
    within: &Within,
    mut show: impl FnMut(&evidence::Record),
) -> Result<Walk, Reply> {
    let mut filter = Filter {
        since_us: Some(within.from_us),
        until_us: Some(within.until_us),
        tenant: within.tenant.clone(),
        ..Filter::default()
    };
    let mut walk = Walk {
        read: 0,
        unreadable: 0,
        more: false,
    };
    loop {
        let page = index.find(&filter).map_err(|error| fault(&error))?;
        let Some(last) = page.last() else {
            return Ok(walk);
        };
        filter.before = Some(last.sequence);
        for found in &page {
            if walk.read + walk.unreadable == RECORDS_MAX {
                walk.more = true;
                return Ok(walk);
            }
            let entry = index.entry(found).map_err(|error| fault(&error))?;
            match reading::record(&entry) {
                Some(record) => {
                    show(&record);
                    walk.read += 1;
                }
                None => walk.unreadable += 1,
            }
        }
    }
}

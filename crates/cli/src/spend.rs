//! `tollgate spend` and `tollgate budgets`: what was spent and on what, what
//! limits refused, how models compare, a provider's own figures beside ours,
//! history at other prices, and when budgets run out.
//!
//! Deliberately not here: adding up, which the gateway does.

mod show;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::admin::{self, ANSWER_BYTES_MAX, AdminArgs, Client, Ended, Setting, Trouble, escape};

/// Largest file that is sent.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What was spent, and how to print it.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Dimensions: tenant, cost_center, app, use_case, user, key, model, provider, \
    price_version, operation, day, hour.\n\nExamples:\n  \
    tollgate spend                              the last 30 days by tenant\n  \
    tollgate spend --by app,model --tenant acme --from 7d\n  \
    tollgate spend --by day --format csv > spend.csv\n  \
    tollgate spend --format focus --from 2026-10-01 --to 2026-11-01 > focus.csv\n  \
    tollgate spend --all-replicas               what all gateways of a database spent\n  \
    tollgate spend refusals                     what limits and budgets refused\n  \
    tollgate spend models                       models compared for each use case\n  \
    tollgate spend reconcile usage.json         a provider's export beside our figures",
    args_conflicts_with_subcommands = true
)]
pub struct SpendArgs {
    /// What to group by, with commas between.
    #[arg(long, value_name = "DIMENSIONS", default_value = "tenant")]
    pub by: String,
    /// Only calls to this provider.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Of all replicas that share a database, not of this gateway alone.
    #[arg(long)]
    pub all_replicas: bool,
    /// Which calls.
    #[command(flatten)]
    pub within: WithinArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: SpendFormat,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
    /// Another report.
    #[command(subcommand)]
    pub command: Option<SpendCommand>,
}

/// Another report about spending.
#[derive(Clone, Debug, Subcommand)]
pub enum SpendCommand {
    /// Calls that a limit or budget refused, or would have, by consumer.
    Refusals(ReportArgs),
    /// Models for each use case: cost, time to the first token, success.
    Models(ReportArgs),
    /// A provider's export of usage or cost beside our figures, by day and
    /// model.
    #[command(after_help = "Examples:\n  \
        tollgate spend reconcile usage.json --provider eu\n  \
        tollgate spend reconcile bill.csv --columns date=day,model=sku,input=fresh+cached,cost=usd\n  \
        tollgate spend reconcile usage.json --model gpt-5-2025-08-07=gpt-5")]
    Reconcile(ReconcileArgs),
}

impl SpendArgs {
    /// Which gateway.
    pub fn at(&self) -> &AdminArgs {
        match &self.command {
            None => &self.at,
            Some(SpendCommand::Refusals(args) | SpendCommand::Models(args)) => &args.at,
            Some(SpendCommand::Reconcile(args)) => &args.at,
        }
    }
}

/// Which calls.
#[derive(Clone, Debug, Default, Args)]
pub struct WithinArgs {
    /// Not older than this: an age (90s, 15m, 2h, 7d) or a UTC time
    /// (2026-11-21) [default: 30d].
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Older than this [default: now].
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only of this tenant.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
}

impl WithinArgs {
    fn pairs(&self) -> Vec<(&'static str, Option<&str>)> {
        vec![
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("tenant", self.tenant.as_deref()),
        ]
    }
}

/// How spending is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SpendFormat {
    /// For people.
    #[default]
    Table,
    /// The answer of the admin API.
    Json,
    /// For spreadsheets.
    Csv,
    /// For finance: CSV in the columns of FOCUS 1.2, by day.
    Focus,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Table,
    /// The answer of the admin API.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Which calls a report is about.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Which calls.
    #[command(flatten)]
    pub within: WithinArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
}

/// Which export to compare.
#[derive(Clone, Debug, Args)]
pub struct ReconcileArgs {
    /// The export: CSV or JSON.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only our calls to this provider.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Names of its columns: date, model, input, output, cost; `a+b` is a sum.
    #[arg(long, value_name = "WHAT=COLUMN", value_delimiter = ',', value_parser = pair)]
    pub columns: Vec<(String, String)>,
    /// Our name of one of its models; may come several times.
    #[arg(long = "model", value_name = "THEIRS=OURS", value_parser = pair)]
    pub models: Vec<(String, String)>,
    /// Print the answer of the admin API as JSON.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
}

/// Which history to price, and at which prices.
#[derive(Clone, Debug, Args)]
pub struct RepriceArgs {
    /// A file of prices [default: the prices in force].
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Which calls.
    #[command(flatten)]
    pub within: WithinArgs,
    /// Print the answer of the admin API as JSON.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
}

/// How budgets are printed.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The forecast is a straight line: what is settled and reserved since the \
    window began goes on.\n\nExamples:\n  \
    tollgate budgets\n  \
    tollgate budgets --format json | jq '.rows[] | select(.forecast == \"runs_out\")'"
)]
pub struct BudgetsArgs {
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let pair = pair.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    let (name, value) = pair.ok_or_else(|| format!("`{text}` is not written as `name=value`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Asks a gateway what was spent and prints it.
///
/// # Errors
/// The gateway cannot be reached or refuses, or a file cannot be read.
pub fn run(args: &SpendArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let client = Client::new(args.at(), setting)?;
    let told = match &args.command {
        None => spend(&client, args, out),
        Some(SpendCommand::Refusals(args)) => listed(
            &client,
            &target("/v1/spend/refusals", &args.within.pairs()),
            args.format,
            out,
        ),
        Some(SpendCommand::Models(args)) => listed(
            &client,
            &target("/v1/spend/models", &args.within.pairs()),
            args.format,
            out,
        ),
        Some(SpendCommand::Reconcile(args)) => {
            let body = json!({
                "export": read(&args.file)?, "provider": args.provider,
                "columns": object(&args.columns), "models": object(&args.models),
            });
            send(&client, "/v1/spend/reconcile", &body, args.json, out)
        }
    };
    told.or_else(Ended::told)
}

/// Has a gateway price recorded usage anew and prints what differs.
///
/// # Errors
/// The gateway cannot be reached or refuses, or a file cannot be read.
pub fn reprice(args: &RepriceArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let client = Client::new(&args.at, setting)?;
    let text = args.prices.as_deref().map(read).transpose()?;
    let target = target("/v1/spend/reprice", &args.within.pairs());
    let told = send(&client, &target, &json!({"prices": text}), args.json, out);
    told.or_else(Ended::told)
}

/// Asks a gateway how its budgets and limits stand and prints it.
///
/// # Errors
/// The gateway cannot be reached or refuses.
pub fn budgets(args: &BudgetsArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let client = Client::new(&args.at, setting)?;
    listed(&client, "/v1/budgets", args.format, out).or_else(Ended::told)
}

fn spend(client: &Client, args: &SpendArgs, out: &mut dyn Write) -> Result<(), Ended> {
    let mut pairs = args.within.pairs();
    pairs.push(("provider", args.provider.as_deref()));
    pairs.push(("replicas", args.all_replicas.then_some("all")));
    match args.format {
        SpendFormat::Focus => {
            pairs.push(("format", Some("focus")));
            raw(client, &target("/v1/spend", &pairs), out)
        }
        SpendFormat::Csv | SpendFormat::Json | SpendFormat::Table => {
            pairs.push(("group_by", Some(&args.by)));
            let format = match args.format {
                SpendFormat::Csv => ReportFormat::Csv,
                SpendFormat::Json => ReportFormat::Json,
                SpendFormat::Table | SpendFormat::Focus => ReportFormat::Table,
            };
            listed(client, &target("/v1/spend", &pairs), format, out)
        }
    }
}

/// A path with those parameters that have a value.
fn target(path: &str, pairs: &[(&str, Option<&str>)]) -> String {
    let pairs = pairs.iter().filter_map(|(name, value)| {
        let value = escape::query((*value)?);
        Some(format!("{name}={value}"))
    });
    match pairs.collect::<Vec<_>>().join("&") {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

fn listed(
    client: &Client,
    target: &str,
    format: ReportFormat,
    out: &mut dyn Write,
) -> Result<(), Ended> {
    if format == ReportFormat::Csv {
        let joint = if target.contains('?') { '&' } else { '?' };
        return raw(client, &format!("{target}{joint}format=csv"), out);
    }
    let told = client.ask(target)?;
    show_answer(client, &told, format == ReportFormat::Json, out)
}

fn send(
    client: &Client,
    target: &str,
    body: &Value,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Ended> {
    match client.send("POST", target, body)? {
        (200, told) => show_answer(client, &told, as_json, out),
        (status, told) => Err(client.refused(status, &told)),
    }
}

fn show_answer(
    client: &Client,
    told: &Value,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Ended> {
    if !told["rows"].is_array() {
        return Err(client.no_gateway());
    }
    let text = match as_json {
        true => format!("{}\n", escape::json(&told.to_string())),
        false => show::report(told),
    };
    admin::print(out, &text)
}

/// A file that the gateway makes, as it comes.
fn raw(client: &Client, target: &str, out: &mut dyn Write) -> Result<(), Ended> {
    let response = client.open(target)?;
    let mut text = String::new();
    let mut body = response.body.take(ANSWER_BYTES_MAX);
    let read = body.read_to_string(&mut text);
    if read.is_err() || text.len() as u64 == ANSWER_BYTES_MAX {
        return Err(client.cut_off());
    }
    admin::print(out, &text)
}

fn object(pairs: &[(String, String)]) -> Value {
    let pairs = pairs.iter();
    let pairs = pairs.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn read(path: &Path) -> Result<String, Trouble> {
    let shown = path.display();
    let trouble = |why: String| Trouble(format!("{shown} cannot be read: {why}."));
    let file = File::open(path).map_err(|error| trouble(error.to_string()))?;
    let mut text = String::new();
    let mut file = file.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text)
        .map_err(|error| trouble(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let why = format!("it is longer than {FILE_BYTES_MAX} bytes; split it by month");
        return Err(trouble(why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;

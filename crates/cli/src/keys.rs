//! `tollgate keys`: virtual keys of a running gateway, made, shown, rotated and
//! revoked by its admin API.
//!
//! Deliberately not here: what a key may do, which the gateway decides.

mod limits;
mod show;

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

pub use limits::LimitArgs;

use crate::admin::{self, AdminArgs, Client, Ended, Setting, Trouble, escape};

/// Most keys of one page of the admin API.
const PAGE_MAX: u32 = 1_000;

/// What to do with keys.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate keys create --name 'night batch' --tenant acme --app batch --expires 30d\n  \
    tollgate keys list --tenant acme\n  \
    tollgate keys rotate k7m2p9qa --overlap 24h\n  \
    tollgate keys limit k7m2p9qa --limit requests=60/1m --budget 100.00/month\n  \
    tollgate keys revoke k7m2p9qa --on-revoke cut")]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key. Its secret is printed once and cannot be shown again.
    #[command(after_help = "Examples:\n  \
        tollgate keys create --tenant acme --app shop\n  \
        tollgate keys create --tenant acme --model 'fast-*' --expires 30d --group night\n  \
        tollgate keys create --tenant acme --json | jq -r .secret")]
    Create(CreateArgs),
    /// List keys, newest first.
    List(ListArgs),
    /// Show one key.
    Show(OneArgs),
    /// Give a key a new secret. Those before it work on for the overlap.
    Rotate(RotateArgs),
    /// Give a key these limits and budgets of its own, instead of those it has.
    #[command(after_help = "Examples:\n  \
        tollgate keys limit k7m2p9qa --limit requests=60/1m --limit concurrency=4\n  \
        tollgate keys limit k7m2p9qa --budget 100.00/month --budget tokens=1000000/day\n  \
        tollgate keys limit k7m2p9qa --none")]
    Limit(KeyLimitArgs),
    /// End a key, at once and for good.
    Revoke(RevokeArgs),
}

/// A key to be made.
#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    /// What people call it.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Tenant it belongs to [default: default].
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Application it belongs to [default: the key's id].
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Group it belongs to; may be repeated.
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// Pattern (`*` is any text) of models it may use; may be repeated
    /// [default: all].
    #[arg(long = "model", value_name = "PATTERN")]
    pub models: Vec<String>,
    /// When it ends: a time from now (`12h`, `30d`) or in UTC
    /// (`2027-01-31T10:00:00Z`) [default: never].
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// What becomes of its open streams when it is revoked [default: finish].
    #[arg(long, value_name = "CHOICE")]
    pub on_revoke: Option<OnRevoke>,
    /// Limits of its own.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How to print, and which gateway.
    #[command(flatten)]
    pub at: KeyAt,
}

/// Which key, and its limits.
#[derive(Clone, Debug, Args)]
pub struct KeyLimitArgs {
    /// Public id of the key.
    pub id: String,
    /// Limits of its own.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// It has none of its own any more.
    #[arg(long, required_unless_present_any = ["limits", "budgets"])]
    #[arg(conflicts_with_all = ["limits", "budgets"])]
    pub none: bool,
    /// How to print, and which gateway.
    #[command(flatten)]
    pub at: KeyAt,
}

/// How to print, and which gateway.
#[derive(Clone, Debug, Args)]
pub struct KeyAt {
    /// Print the answer of the admin API as JSON.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Which keys to list.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only this tenant.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Only this app.
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Only keys in this state: active, expired or revoked.
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Most keys to print.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    pub limit: u32,
    /// How to print, and which gateway. JSON has one key a line.
    #[command(flatten)]
    pub at: KeyAt,
}

/// Which key.
#[derive(Clone, Debug, Args)]
pub struct OneArgs {
    /// Public id of the key.
    pub id: String,
    /// How to print, and which gateway.
    #[command(flatten)]
    pub at: KeyAt,
}

/// Which key, and for how long its old secrets work.
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// Public id of the key.
    pub id: String,
    /// How long the secrets before it work on: `0s`, `90s`, `24h`, `7d`.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub overlap: String,
    /// How to print, and which gateway.
    #[command(flatten)]
    pub at: KeyAt,
}

/// Which key, and what becomes of its open streams.
#[derive(Clone, Debug, Args)]
pub struct RevokeArgs {
    /// Public id of the key.
    pub id: String,
    /// What becomes of its open streams [default: what the key says].
    #[arg(long, value_name = "CHOICE")]
    pub on_revoke: Option<OnRevoke>,
    /// How to print, and which gateway.
    #[command(flatten)]
    pub at: KeyAt,
}

/// What becomes of the open streams of a key that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnRevoke {
    /// They finish.
    Finish,
    /// They end with an error.
    Cut,
}

impl OnRevoke {
    fn name(self) -> &'static str {
        match self {
            Self::Finish => "finish",
            Self::Cut => "cut",
        }
    }
}

impl KeysArgs {
    /// Which gateway.
    pub fn at(&self) -> &AdminArgs {
        &self.key_at().admin
    }

    fn key_at(&self) -> &KeyAt {
        match &self.command {
            KeysCommand::Create(args) => &args.at,
            KeysCommand::List(args) => &args.at,
            KeysCommand::Show(args) => &args.at,
            KeysCommand::Rotate(args) => &args.at,
            KeysCommand::Limit(args) => &args.at,
            KeysCommand::Revoke(args) => &args.at,
        }
    }
}

/// Asks a gateway about its keys and prints the answer.
///
/// # Errors
/// The gateway cannot be reached or refuses.
pub fn keys(args: &KeysArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let client = Client::new(args.at(), setting)?;
    let told = match &args.command {
        KeysCommand::List(list) => every(&client, list, out),
        KeysCommand::Create(create) => post(&client, "/v1/keys", &create.body()),
        KeysCommand::Show(one) => client.ask(&path(&one.id, "")),
        KeysCommand::Rotate(rotate) => post(
            &client,
            &path(&rotate.id, "/rotate"),
            &json!({"overlap": rotate.overlap}),
        ),
        KeysCommand::Limit(limit) => post(
            &client,
            &path(&limit.id, "/limits"),
            &Value::Object(limit.limits.body()),
        ),
        KeysCommand::Revoke(revoke) => post(&client, &path(&revoke.id, "/revoke"), &revoke.body()),
    };
    told.and_then(|answer| {
        let text = match (&args.command, args.key_at().json) {
            // It was printed page by page.
            (KeysCommand::List(_), _) => return Ok(()),
            (_, true) => format!("{}\n", escape::json(&answer.to_string())),
            (_, false) => show::one(&answer),
        };
        admin::print(out, &text)
    })
    .or_else(Ended::told)
}

/// Sends a change; a refusal is told in the gateway's own words.
fn post(client: &Client, path: &str, body: &Value) -> Result<Value, Ended> {
    match client.send("POST", path, body)? {
        (200..300, answer) => Ok(answer),
        (status, told) => Err(client.refused(status, &told)),
    }
}

/// Prints keys, page by page.
fn every(client: &Client, args: &ListArgs, out: &mut dyn Write) -> Result<Value, Ended> {
    let mut left = args.limit;
    let mut before = None;
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let answer = client.ask(&args.page(left.min(PAGE_MAX), before))?;
        let keys = answer["keys"].as_array().map_or(&[][..], Vec::as_slice);
        left = left.saturating_sub(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        if args.at.json {
            let line = |key: &Value| format!("{}\n", escape::json(&key.to_string()));
            admin::print(out, &keys.iter().map(line).collect::<String>())?;
        } else {
            rows.extend_from_slice(keys);
        }
        before = answer["next"].as_u64();
        if before.is_none() || left == 0 {
            break;
        }
    }
    if !args.at.json {
        admin::print(out, &show::table(&rows, before.is_some()))?;
    }
    Ok(Value::Null)
}

impl CreateArgs {
    fn body(&self) -> Value {
        let mut body = Map::new();
        let texts = [
            ("name", &self.name),
            ("tenant", &self.tenant),
            ("app", &self.app),
        ];
        for (name, text) in texts {
            body.extend(text.as_ref().map(|text| (name.to_owned(), json!(text))));
        }
        if !self.groups.is_empty() {
            body.insert("groups".to_owned(), json!(self.groups));
        }
        if !self.models.is_empty() {
            body.insert("models".to_owned(), json!(self.models));
        }
        body.extend(self.expires.as_ref().map(|text| {
            // A date has hyphens, a time from now has none.
            let field = if text.contains('-') {
                "expires_at"
            } else {
                "expires_in"
            };
            (field.to_owned(), json!(text))
        }));
        body.extend(self.on_revoke.map(of_streams));
        let limits = self.limits.body();
        if !limits.is_empty() {
            body.insert("limits".to_owned(), Value::Object(limits));
        }
        Value::Object(body)
    }
}

impl RevokeArgs {
    fn body(&self) -> Value {
        Value::Object(self.on_revoke.map(of_streams).into_iter().collect())
    }
}

fn of_streams(choice: OnRevoke) -> (String, Value) {
    ("on_revoke".to_owned(), json!(choice.name()))
}

impl ListArgs {
    fn page(&self, limit: u32, before: Option<u64>) -> String {
        let filters = [
            ("tenant", self.tenant.clone()),
            ("app", self.app.clone()),
            ("state", self.state.clone()),
            ("before", before.map(|before| before.to_string())),
        ];
        let mut path = format!("/v1/keys?limit={}", limit.max(1));
        for (name, value) in filters {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", escape::query(&value)));
            }
        }
        path
    }
}

fn path(id: &str, what: &str) -> String {
    format!("/v1/keys/{}{what}", escape::query(id))
}

#[cfg(test)]
mod tests;

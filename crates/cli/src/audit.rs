//! `tollgate audit`: the journal of changes, for people or as JSON.
//!
//! Deliberately not here: the journal, which the gateway keeps.

use std::fmt::Write as _;
use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::admin::{self, AdminArgs, Client, Ended, Setting, Trouble, escape};

/// Most entries of one page of the admin API.
const PAGE_MAX: u32 = 1_000;
/// Longest text of a field, characters.
const FIELD_CHARS: usize = 200;

/// Which changes, and how to print them.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate audit list                        the last changes\n  \
    tollgate audit list --actor alice          those of one credential\n  \
    tollgate audit list --action plan.apply --since 7d\n  \
    tollgate audit list --json | jq .after")]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

impl AuditArgs {
    /// Which gateway.
    pub fn at(&self) -> &AdminArgs {
        let AuditCommand::List(filter) = &self.command;
        &filter.at
    }
}

/// What can be done with the journal.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// The last changes, oldest of them first.
    List(Box<AuditFilter>),
}

/// Which changes.
#[derive(Clone, Debug, Default, Args)]
pub struct AuditFilter {
    /// Of this credential, or `file`.
    #[arg(long, value_name = "ID")]
    pub actor: Option<String>,
    /// Of credentials of this role.
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Of this kind, such as plan.apply.
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Of this object, such as key/k1.
    #[arg(long, value_name = "OBJECT")]
    pub object: Option<String>,
    /// That concern this tenant.
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// Not older than this: an age (90s, 15m, 2h, 7d) or a UTC time.
    #[arg(long, value_name = "AGE")]
    pub since: Option<String>,
    /// Older than this.
    #[arg(long, value_name = "AGE")]
    pub until: Option<String>,
    /// Most entries.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    pub limit: u32,
    /// Print entries as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub at: AdminArgs,
}

/// Asks a gateway for changes and prints them.
///
/// # Errors
/// The gateway cannot be reached or refuses.
pub fn read(args: &AuditArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let AuditCommand::List(filter) = &args.command;
    let client = Client::new(&filter.at, setting)?;
    list(&client, filter, out).or_else(Ended::told)
}

fn list(client: &Client, filter: &AuditFilter, out: &mut dyn Write) -> Result<(), Ended> {
    let mut entries: Vec<Value> = Vec::new();
    let mut before = None;
    while (entries.len() as u64) < u64::from(filter.limit) {
        let room = filter.limit - u32::try_from(entries.len()).unwrap_or(filter.limit);
        let page = client.ask(&path(filter, room, before))?;
        entries.extend(page["entries"].as_array().into_iter().flatten().cloned());
        before = page["next"].as_u64();
        if before.is_none() {
            break;
        }
    }
    for entry in entries.iter().rev() {
        let text = match filter.json {
            true => format!("{}\n", escape::json(&entry.to_string())),
            false => line(entry),
        };
        admin::print(out, &text)?;
    }
    if entries.is_empty() && !filter.json {
        admin::print(out, "No change matches.\n")?;
    }
    Ok(())
}

fn path(filter: &AuditFilter, room: u32, before: Option<u64>) -> String {
    let texts = [
        ("actor", &filter.actor),
        ("role", &filter.role),
        ("action", &filter.action),
        ("object", &filter.object),
        ("tenant", &filter.tenant),
        ("since", &filter.since),
        ("until", &filter.until),
    ];
    let mut path = format!("/v1/audit?limit={}", room.clamp(1, PAGE_MAX));
    for (name, value) in texts {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", escape::query(value));
        }
    }
    if let Some(before) = before {
        let _ = write!(path, "&before={before}");
    }
    path
}

/// An entry for people, on one line, and its note below it.
fn line(entry: &Value) -> String {
    let text = |name: &str| match entry[name].as_str() {
        Some(text) => escape::plain(text, FIELD_CHARS),
        None => "-".to_owned(),
    };
    let time = text("time");
    let time = time.split('.').next().unwrap_or_default();
    let mut line = format!(
        "{:>5} {time} {:<16} {:<10} {:<16} {}",
        entry["sequence"].as_u64().unwrap_or_default(),
        text("actor"),
        text("role"),
        text("action"),
        text("object"),
    );
    if entry["tenant"].is_string() {
        let _ = write!(line, " of {}", text("tenant"));
    }
    if entry["peer"].is_string() {
        let _ = write!(line, " from {}", text("peer"));
    }
    line.push('\n');
    if entry["note"].is_string() {
        let _ = writeln!(line, "      {}", text("note"));
    }
    line
}

#[cfg(test)]
mod tests {
    //! Cases of what is asked and printed.

    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_typed_cannot_become_another_parameter() {
        let filter = AuditFilter {
            actor: Some("a&limit=1#x\r\nhost: y".to_owned()),
            since: Some("7d".to_owned()),
            ..AuditFilter::default()
        };
        assert_eq!(
            path(&filter, 5_000, Some(9)),
            "/v1/audit?limit=1000&actor=a%26limit%3D1%23x%0D%0Ahost%3A%20y&since=7d&before=9"
        );
    }

    #[test]
    fn an_entry_is_a_line_that_a_terminal_does_not_obey() {
        let entry = json!({
            "sequence": 7, "time": "2025-11-21T10:00:00.000000Z", "actor": "al\u{1b}[2Jice",
            "role": null, "action": "plan.apply", "object": "plan/x", "tenant": "acme",
            "peer": "127.0.0.1", "note": "because\nso"
        });
        assert_eq!(
            line(&entry),
            "    7 2025-11-21T10:00:00 al\\u{1b}[2Jice   -          plan.apply       plan/x of acme \
             from 127.0.0.1\n      because\\u{a}so\n"
        );
    }
}

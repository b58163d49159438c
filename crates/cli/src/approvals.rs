//! `tollgate approvals`: calls that wait for people, listed, shown, approved
//! and denied through the admin API of a running gateway.
//!
//! Deliberately not here: who may approve, which the gateway decides.

use std::fmt::Write as _;
use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::admin::{self, AdminArgs, Client, Ended, Setting, Trouble, escape};

/// Longest text of a field, characters.
const FIELD_CHARS: usize = 200;

/// What to do with approvals.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate approvals list --state pending\n  \
    tollgate approvals show apr-0123456789abcdef\n  \
    tollgate approvals approve apr-0123456789abcdef --note 'seen with legal'\n  \
    tollgate approvals deny apr-0123456789abcdef")]
pub struct ApprovalsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ApprovalsCommand,
}

/// What can be done with approvals.
#[derive(Clone, Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// List approvals, newest first.
    List(ApprovalsListArgs),
    /// Show one approval.
    Show(ApprovalArgs),
    /// Approve a call. Whoever asked for it cannot.
    Approve(VoteArgs),
    /// Deny a call its approval, or withdraw one that no call has used, for
    /// good.
    Deny(VoteArgs),
}

/// Which approvals to list.
#[derive(Clone, Debug, Args)]
pub struct ApprovalsListArgs {
    /// Only this tenant.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Only in this state: pending, approved, denied, expired or used.
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Most approvals to print, up to 1000.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    pub limit: u32,
    /// Print approvals as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Which approval.
#[derive(Clone, Debug, Args)]
pub struct ApprovalArgs {
    /// Id of the approval.
    pub id: String,
    /// Print the answer of the admin API as JSON.
    #[arg(long)]
    pub json: bool,
    /// Which gateway.
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Which approval, and why.
#[derive(Clone, Debug, Args)]
pub struct VoteArgs {
    /// Why, for the audit journal.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Which approval.
    #[command(flatten)]
    pub one: ApprovalArgs,
}

impl ApprovalsArgs {
    /// Which gateway.
    pub fn at(&self) -> &AdminArgs {
        match &self.command {
            ApprovalsCommand::List(args) => &args.admin,
            ApprovalsCommand::Show(args) => &args.admin,
            ApprovalsCommand::Approve(args) | ApprovalsCommand::Deny(args) => &args.one.admin,
        }
    }
}

/// Asks a gateway about its approvals and prints the answer.
///
/// # Errors
/// The gateway cannot be reached or refuses.
pub fn run(args: &ApprovalsArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let client = Client::new(args.at(), setting)?;
    let told = match &args.command {
        ApprovalsCommand::List(list) => client
            .ask(&list.path())
            .map(|answer| table(&answer, list.json)),
        ApprovalsCommand::Show(one) => client
            .ask(&path(&one.id, ""))
            .map(|answer| shown(&answer, one.json)),
        ApprovalsCommand::Approve(vote) => vote.send(&client, "/approve"),
        ApprovalsCommand::Deny(vote) => vote.send(&client, "/deny"),
    };
    told.and_then(|text| admin::print(out, &text))
        .or_else(Ended::told)
}

impl VoteArgs {
    fn send(&self, client: &Client, what: &str) -> Result<String, Ended> {
        let body = json!({"note": self.note});
        match client.send("POST", &path(&self.one.id, what), &body)? {
            (200..300, answer) => Ok(shown(&answer, self.one.json)),
            (status, told) => Err(client.refused(status, &told)),
        }
    }
}

impl ApprovalsListArgs {
    fn path(&self) -> String {
        let mut path = format!("/v1/approvals?limit={}", self.limit.clamp(1, 1_000));
        for (name, value) in [("tenant", &self.tenant), ("state", &self.state)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", escape::query(value)));
            }
        }
        path
    }
}

fn path(id: &str, what: &str) -> String {
    format!("/v1/approvals/{}{what}", escape::query(id))
}

fn text(value: &Value) -> String {
    escape::plain(value.as_str().unwrap_or("-"), FIELD_CHARS)
}

fn things(approval: &Value) -> String {
    let needs = approval["needs"].as_array().into_iter().flatten();
    let things: Vec<String> = needs.map(|need| text(&need["what"])).collect();
    things.join(", ")
}

fn table(answer: &Value, as_json: bool) -> String {
    let rows = answer["approvals"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mut out = String::new();
    if as_json {
        for row in rows {
            let _ = writeln!(out, "{}", escape::json(&row.to_string()));
        }
        return out;
    }
    if rows.is_empty() {
        return "No approvals.\n".to_owned();
    }
    for row in rows {
        let _ = writeln!(
            out,
            "{}  {:<8}  {}  {}  {}",
            text(&row["id"]),
            text(&row["state"]),
            text(&row["tenant"]),
            text(&row["key"]),
            things(row)
        );
    }
    if answer["next"].is_u64() {
        out.push_str("There are more; use --state, --tenant or --limit.\n");
    }
    out
}

fn shown(answer: &Value, as_json: bool) -> String {
    if as_json {
        return format!("{}\n", escape::json(&answer.to_string()));
    }
    let approval = &answer["approval"];
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<9} {text}");
    };
    for name in ["id", "state", "tenant", "app", "key"] {
        line(name, text(&approval[name]));
    }
    for name in ["user", "owner"] {
        if approval[name].is_string() {
            line(name, text(&approval[name]));
        }
    }
    for name in ["operation", "dialect", "model"] {
        line(name, text(&approval[name]));
    }
    line("for", things(approval));
    line("needs", format!("{} to approve", approval["approvers"]));
    line("asked", text(&approval["asked_at"]));
    line("expires", text(&approval["expires_at"]));
    for vote in approval["votes"].as_array().into_iter().flatten() {
        let what = match vote["approves"].as_bool() {
            Some(true) => "approved",
            Some(false) | None => "denied",
        };
        let note = match vote["note"].as_str() {
            Some(note) => format!(": {}", escape::plain(note, FIELD_CHARS)),
            None => String::new(),
        };
        line(
            what,
            format!("by {} at {}{note}", text(&vote["by"]), text(&vote["at"])),
        );
    }
    if approval["used_at"].is_string() {
        let (at, by) = (text(&approval["used_at"]), text(&approval["used_by"]));
        line("used", format!("at {at} by call {by}"));
    }
    out
}

#[cfg(test)]
mod tests;

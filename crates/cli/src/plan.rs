//! `tollgate plan`: versions of the plan of a running gateway, compared,
//! applied and rolled back by its admin API.
//!
//! Deliberately not here: checking a document without a gateway (`config`).

pub(crate) mod rollout;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::admin::{self, AdminArgs, Client, Ended, Setting, Trouble, escape};

pub use rollout::{EndArgs, RolloutCommand, ShareArgs, TrialArgs};

/// Longest text of a field, characters.
const FIELD_CHARS: usize = 200;
/// Longest document that is sent, bytes.
const DOCUMENT_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// What to do with the plan, and of which gateway.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tollgate plan list                         what was in force, and by whom\n  \
    tollgate plan diff --file tollgate.yaml    what a document would change\n  \
    tollgate plan apply tollgate.yaml --note 'new model'\n  \
    tollgate plan apply new.yaml --percent 10  try it on a tenth of the callers\n  \
    tollgate plan rollout promote              and then on all\n  \
    tollgate plan rollback 0123456789abcdef    a version again, at once")]
pub struct PlanArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PlanCommand,
}

impl PlanArgs {
    /// Which gateway.
    pub fn at(&self) -> &AdminArgs {
        match &self.command {
            PlanCommand::List { at, .. }
            | PlanCommand::Show { at, .. }
            | PlanCommand::Diff { at, .. }
            | PlanCommand::Apply { at, .. }
            | PlanCommand::Rollback { at, .. } => at,
            PlanCommand::Rollout { command } => command.at(),
        }
    }
}

/// What can be done with the plan.
#[derive(Clone, Debug, Subcommand)]
pub enum PlanCommand {
    /// The plans that were put in force, oldest of them first.
    List {
        /// Most of them.
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print the answer of the admin API as JSON.
        #[arg(long)]
        json: bool,
        /// Which gateway.
        #[command(flatten)]
        at: Box<AdminArgs>,
    },
    /// The document of a version, without secrets.
    Show {
        /// Digest [default: the plan in force].
        digest: Option<String>,
        /// Print the answer of the admin API as JSON.
        #[arg(long)]
        json: bool,
        /// Which gateway.
        #[command(flatten)]
        at: Box<AdminArgs>,
    },
    /// What differs between two versions, or between the plan in force and a
    /// file.
    Diff {
        /// Digest of the version.
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        digest: Option<String>,
        /// Digest to compare it with [default: the plan in force].
        #[arg(long, value_name = "DIGEST", conflicts_with = "file")]
        against: Option<String>,
        /// A document to compare the plan in force with; `-` for standard
        /// input.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Which gateway.
        #[command(flatten)]
        at: Box<AdminArgs>,
    },
    /// Put a document in force, for all or for a share of the callers first.
    /// Needs a gateway whose plan the admin API owns.
    Apply {
        /// The document; `-` for standard input.
        file: PathBuf,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Digest of the plan that the document was made from; if another is in
        /// force, nothing changes [default: the plan in force now].
        #[arg(long, value_name = "DIGEST")]
        expected: Option<String>,
        /// Only say what would change.
        #[arg(long)]
        dry_run: bool,
        /// Not for all at once.
        #[command(flatten)]
        trial: Box<TrialArgs>,
        /// Which gateway.
        #[command(flatten)]
        at: Box<AdminArgs>,
    },
    /// Put a version in force again.
    Rollback {
        /// Its digest.
        digest: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// If another plan than this is in force, nothing changes.
        #[arg(long, value_name = "DIGEST")]
        expected: Option<String>,
        /// Which gateway.
        #[command(flatten)]
        at: Box<AdminArgs>,
    },
    /// The plan that a share of the callers is held to: look, change, end.
    Rollout {
        /// What to do.
        #[command(subcommand)]
        command: RolloutCommand,
    },
}

/// Carries out a command.
///
/// # Errors
/// The gateway cannot be reached or refuses, or the file cannot be read.
pub fn run(args: &PlanArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    let client = Client::new(args.at(), setting)?;
    let text = match &args.command {
        PlanCommand::List { limit, json, .. } => list(&client, *limit, *json),
        PlanCommand::Show { digest, json, .. } => show(&client, digest.as_deref(), *json),
        PlanCommand::Diff {
            file: Some(file), ..
        } => {
            let document = document(file)?;
            changed(
                &client,
                "/v1/plans",
                &json!({"document": document, "dry_run": true}),
            )
        }
        PlanCommand::Diff {
            digest,
            against,
            file: None,
            ..
        } => compare(
            &client,
            digest.as_deref().unwrap_or_default(),
            against.as_deref(),
        ),
        PlanCommand::Apply {
            file,
            note,
            expected,
            dry_run,
            trial,
            ..
        } => {
            let (document, trial) = (document(file)?, trial.wish()?);
            expected_or_now(&client, expected.as_deref()).and_then(|expected| {
                let mut wish = json!({
                    "document": document, "note": note, "expected": expected, "dry_run": dry_run,
                });
                if let Some(trial) = trial {
                    wish["rollout"] = trial;
                }
                changed(&client, "/v1/plans", &wish)
            })
        }
        PlanCommand::Rollout { command } => rollout::run(&client, command),
        PlanCommand::Rollback {
            digest,
            note,
            expected,
            ..
        } => {
            let path = format!("/v1/plans/{}/rollback", escape::query(digest));
            changed(&client, &path, &json!({"note": note, "expected": expected}))
        }
    };
    text.and_then(|text| admin::print(out, &text))
        .or_else(Ended::told)
}

fn document(path: &Path) -> Result<String, Trouble> {
    let cannot = |why: String| Trouble(format!("{} cannot be read: {why}.", path.display()));
    let source: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(|error| cannot(error.to_string()))?),
    };
    let mut text = String::new();
    source
        .take(DOCUMENT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| cannot(error.to_string()))?;
    match text.len() as u64 > DOCUMENT_BYTES_MAX {
        true => Err(cannot("it is larger than 2 MiB".to_owned())),
        false => Ok(text),
    }
}

fn expected_or_now(client: &Client, expected: Option<&str>) -> Result<String, Ended> {
    match expected {
        Some(expected) => Ok(expected.to_owned()),
        None => in_force(client),
    }
}

fn in_force(client: &Client) -> Result<String, Ended> {
    let plan = client.ask("/v1/plan")?;
    let digest = plan["digest"].as_str().ok_or_else(|| client.no_gateway())?;
    Ok(digest.to_owned())
}

fn list(client: &Client, limit: u32, as_json: bool) -> Result<String, Ended> {
    let list = client.ask(&format!("/v1/plans?limit={limit}"))?;
    if as_json {
        return Ok(format!("{}\n", escape::json(&list.to_string())));
    }
    let mut text = String::new();
    let of = |name: &str| list[name].as_array().into_iter().flatten();
    let mut lines: Vec<(String, String)> = of("rollouts")
        .map(|it| (field(&it["time"]), rollout::line(it)))
        .chain(of("versions").map(|it| (field(&it["time"]), line(it))))
        .collect();
    // Times of one form are in the order of their text. A roll-out begins
    // before the version that it becomes.
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    for (_, line) in lines {
        text.push_str(&line);
    }
    let owner = match list["owner"].as_str() {
        Some("api") => "the admin API",
        Some(_) | None => "the configuration file",
    };
    let _ = writeln!(text, "in force: {}; owned by {owner}", field(&list["plan"]));
    Ok(text)
}

/// A version for people: a line, and its note below it.
fn line(version: &Value) -> String {
    let time = field(&version["time"]);
    let time = time.split('.').next().unwrap_or_default();
    let mut line = format!(
        "{:>5} {time} {:<16} {:<9} {}",
        version["number"].as_u64().unwrap_or_default(),
        field(&version["digest"]),
        field(&version["how"]),
        field(&version["author"]),
    );
    if version["removed"].as_bool() == Some(true) {
        line.push_str("  (document removed)");
    }
    line.push('\n');
    if version["note"].is_string() {
        let _ = writeln!(line, "      {}", field(&version["note"]));
    }
    line
}

fn show(client: &Client, digest: Option<&str>, as_json: bool) -> Result<String, Ended> {
    let digest = expected_or_now(client, digest)?;
    let version = client.ask(&format!("/v1/plans/{}", escape::query(&digest)))?;
    if as_json {
        return Ok(format!("{}\n", escape::json(&version.to_string())));
    }
    let mut text = format!("# plan {}\n", field(&version["plan"]));
    for path in version["written_out"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "# cannot be applied again: the secret at {} was written out and is not kept",
            field(path)
        );
    }
    text.push_str(&lines(&version["document"]));
    Ok(text)
}

fn compare(client: &Client, digest: &str, against: Option<&str>) -> Result<String, Ended> {
    let mut path = format!("/v1/plans/{}/diff", escape::query(digest));
    if let Some(against) = against {
        let _ = write!(path, "?against={}", escape::query(against));
    }
    let told = client.ask(&path)?;
    Ok(diff(&told))
}

/// Asks for a change and says what became of it.
fn changed(client: &Client, path: &str, wish: &Value) -> Result<String, Ended> {
    let (status, told) = client.send("POST", path, wish)?;
    if status != 200 {
        let more = &told["error"]["diff"];
        return Err(match (client.refused(status, &told), more.is_string()) {
            (Ended::Refused(Trouble(text)), true) => {
                Ended::Refused(Trouble(format!("{text}\n{}", lines(more))))
            }
            (refused, _) => refused,
        });
    }
    if told["rollout"].is_object() {
        return Ok(rollout::begun(&told));
    }
    let mut text = diff(&told);
    for section in told["restart_needed"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "{} takes effect at the next start", field(section));
    }
    let _ = match told["dry_run"].as_bool() {
        Some(true) => writeln!(
            text,
            "nothing was changed; it would be plan {}",
            field(&told["plan"])
        ),
        Some(false) | None => writeln!(text, "plan {} is in force", field(&told["plan"])),
    };
    Ok(text)
}

fn diff(told: &Value) -> String {
    match told["diff"].as_str() {
        None | Some("") => "no line differs\n".to_owned(),
        Some(_) => lines(&told["diff"]),
    }
}

/// A text of several lines that can do nothing but be read.
fn lines(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.lines()
        .map(|line| format!("{}\n", escape::plain(line, usize::MAX)))
        .collect()
}

fn field(value: &Value) -> String {
    match value.as_str() {
        Some(text) => escape::plain(text, FIELD_CHARS),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    //! Cases of what is printed.

    use super::*;

    #[test]
    fn a_version_is_a_line_that_a_terminal_does_not_obey() {
        let version = json!({
            "number": 12, "digest": "0123456789abcdef", "how": "apply", "author": "alice",
            "time": "2025-11-21T10:00:00.000000Z", "note": "new\u{1b}[2J model", "removed": true
        });
        assert_eq!(
            line(&version),
            "   12 2025-11-21T10:00:00 0123456789abcdef apply     alice  (document removed)\n      \
             new\\u{1b}[2J model\n"
        );
    }

    #[test]
    fn a_diff_keeps_its_lines_and_nothing_else() {
        let told = json!({"diff": "-a: \u{1b}]0;x\u{7}\n+b: 1\n"});
        assert_eq!(diff(&told), "-a: \\u{1b}]0;x\\u{7}\n+b: 1\n");
        assert_eq!(diff(&json!({"diff": ""})), "no line differs\n");
    }
}

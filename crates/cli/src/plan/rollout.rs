//! `tollgate plan rollout`, and the part of `tollgate plan apply` that begins
//! one.
//!
//! Deliberately not here: who is held to which plan, and when a roll-out goes
//! by itself, which the gateway decides.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{changed, diff, field};
use crate::admin::{AdminArgs, Client, Ended, Trouble, escape};

/// Whom a document is tried on first.
#[derive(Clone, Debug, Default, Args)]
pub struct ShareArgs {
    /// Hold only this percentage of the callers to it, each of them always or
    /// never.
    #[arg(long, value_name = "PERCENT")]
    pub percent: Option<f64>,
    /// Hold this tenant to it; may be repeated.
    #[arg(long = "tenant", value_name = "TENANT")]
    pub tenants: Vec<String>,
}

impl ShareArgs {
    fn is_given(&self) -> bool {
        self.percent.is_some() || !self.tenants.is_empty()
    }
}

/// How a document is tried before it is in force for all.
#[derive(Clone, Debug, Default, Args)]
pub struct TrialArgs {
    /// On whom.
    #[command(flatten)]
    pub share: ShareArgs,
    /// End the roll-out once this is above the number: `deny_rate=0.05`,
    /// `error_rate_over=0.01` (above that of the plan in force),
    /// `cancelled_rate=0.2`, `latency_p95_ms=2000`, `latency_p95_times=1.5`;
    /// may be repeated.
    #[arg(long, value_name = "NAME=NUMBER", value_parser = bound)]
    pub abort_if: Vec<(String, f64)>,
    /// Seconds over which that is counted [default: 300].
    #[arg(long, value_name = "SECONDS", requires = "abort_if")]
    pub abort_window: Option<u64>,
    /// Fewest calls that are judged [default: 50].
    #[arg(long, value_name = "CALLS", requires = "abort_if")]
    pub abort_calls_min: Option<u64>,
}

fn bound(text: &str) -> Result<(String, f64), String> {
    let pair = text
        .split_once('=')
        .and_then(|(name, number)| Some((name.trim().to_owned(), number.trim().parse().ok()?)));
    pair.ok_or_else(|| "write a name, `=` and a number, such as deny_rate=0.05".to_owned())
}

impl TrialArgs {
    /// What is sent of it; `None` if the document is for all at once.
    pub(super) fn wish(&self) -> Result<Option<Value>, Trouble> {
        if !self.share.is_given() {
            return match self.abort_if.is_empty() {
                true => Ok(None),
                false => Err(Trouble(
                    "`--abort-if` ends a roll-out, so it needs `--percent` or `--tenant`."
                        .to_owned(),
                )),
            };
        }
        let numbers = self.abort_if.iter().cloned();
        let mut abort: Map<String, Value> = numbers.map(|(name, n)| (name, json!(n))).collect();
        if let Some(seconds) = self.abort_window {
            abort.insert("window_s".to_owned(), json!(seconds));
        }
        if let Some(calls) = self.abort_calls_min {
            abort.insert("calls_min".to_owned(), json!(calls));
        }
        let mut wish = share(&self.share);
        if !abort.is_empty() {
            wish["abort"] = Value::Object(abort);
        }
        Ok(Some(wish))
    }
}

fn share(args: &ShareArgs) -> Value {
    let mut wish = json!({});
    if let Some(percent) = args.percent {
        wish["percent"] = json!(percent);
    }
    if !args.tenants.is_empty() {
        wish["tenants"] = json!(args.tenants);
    }
    wish
}

/// What can be done with a roll-out.
#[derive(Clone, Debug, Subcommand)]
pub enum RolloutCommand {
    /// The roll-out that is on, and what its calls came to.
    Show {
        /// Print the answer of the admin API as JSON.
        #[arg(long)]
        json: bool,
        /// Which gateway.
        #[command(flatten)]
        at: Box<AdminArgs>,
    },
    /// Give it another share of the callers. What is not given stays.
    Set {
        /// On whom.
        #[command(flatten)]
        share: ShareArgs,
        /// Name no tenant any more.
        #[arg(long, conflicts_with = "tenants")]
        no_tenants: bool,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Which gateway.
        #[command(flatten)]
        at: Box<AdminArgs>,
    },
    /// Put its plan in force for all.
    Promote(EndArgs),
    /// End it, at once: all callers are held to the plan in force again.
    Abort(EndArgs),
}

/// The end of a roll-out.
#[derive(Clone, Debug, Args)]
pub struct EndArgs {
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// If another plan than this is rolled out, nothing changes.
    #[arg(long, value_name = "DIGEST")]
    pub expected: Option<String>,
    /// Which gateway.
    #[command(flatten)]
    pub at: Box<AdminArgs>,
}

impl EndArgs {
    fn wish(&self) -> Value {
        json!({"note": self.note, "expected": self.expected})
    }
}

impl RolloutCommand {
    pub(super) fn at(&self) -> &AdminArgs {
        match self {
            Self::Show { at, .. } | Self::Set { at, .. } => at,
            Self::Promote(end) | Self::Abort(end) => &end.at,
        }
    }
}

pub(super) fn run(client: &Client, command: &RolloutCommand) -> Result<String, Ended> {
    match command {
        RolloutCommand::Show { json, .. } => {
            let told = client.ask("/v1/rollout")?;
            Ok(match json {
                true => format!("{}\n", escape::json(&told.to_string())),
                false => page(&told),
            })
        }
        RolloutCommand::Set {
            share: args,
            no_tenants,
            note,
            ..
        } => {
            let mut wish = share(args);
            if *no_tenants {
                wish["tenants"] = json!([]);
            }
            wish["note"] = json!(note);
            ask(client, "/v1/rollout", &wish).map(|told| page(&told))
        }
        RolloutCommand::Promote(end) => changed(client, "/v1/rollout/promote", &end.wish()),
        RolloutCommand::Abort(end) => {
            let told = ask(client, "/v1/rollout/abort", &end.wish())?;
            Ok(format!(
                "the roll-out of plan {} has ended; plan {} is in force for all\n",
                field(&told["rollout"]["candidate"]),
                field(&told["plan"])
            ))
        }
    }
}

fn ask(client: &Client, path: &str, wish: &Value) -> Result<Value, Ended> {
    let (status, told) = client.send("POST", path, wish)?;
    match status {
        200 => Ok(told),
        _ => Err(client.refused(status, &told)),
    }
}

/// What is said about a document that is tried from now on.
pub(super) fn begun(told: &Value) -> String {
    format!("{}{}", diff(told), page(told))
}

/// The roll-out that is on, for people.
fn page(told: &Value) -> String {
    let rollout = &told["rollout"];
    let in_force = field(&told["plan"]);
    if !rollout.is_object() {
        return format!("no plan is being rolled out; plan {in_force} is in force for all\n");
    }
    let mut text = format!(
        "plan {} is rolled out to {}; plan {in_force} is in force for the others\n",
        field(&rollout["candidate"]),
        whom(rollout)
    );
    if let Some(bounds) = rollout["abort"].as_object() {
        let bounds: Vec<String> = bounds
            .iter()
            .map(|(name, number)| {
                let number = number.as_f64().unwrap_or_default();
                format!("{}={number}", escape::plain(name, 40))
            })
            .collect();
        let _ = writeln!(text, "it ends by itself: {}", bounds.join(" "));
    }
    if rollout["calls"].is_object() {
        for side in ["candidate", "in_force"] {
            let calls = &rollout["calls"][side];
            let number = |name: &str| calls[name].as_u64().unwrap_or_default();
            let _ = writeln!(
                text,
                "{side:<10} {} calls, {} denied, {} errors, {} cancelled, p95 {} ms",
                number("calls"),
                number("denied"),
                number("errors"),
                number("cancelled"),
                calls["latency"]["p95"]["to_us"]
                    .as_u64()
                    .unwrap_or_default()
                    / 1_000
            );
        }
    }
    text
}

/// The callers of a roll-out, for people.
pub(crate) fn whom(rollout: &Value) -> String {
    let percent = rollout["percent"].as_f64().unwrap_or_default();
    let tenants = rollout["tenants"].as_array().into_iter().flatten();
    let tenants: Vec<String> = tenants.map(field).collect();
    match (percent, &*tenants) {
        (percent, []) => format!("{percent} % of the callers"),
        (0.0, tenants) => format!("tenants {}", tenants.join(", ")),
        (percent, tenants) => {
            format!(
                "{percent} % of the callers and tenants {}",
                tenants.join(", ")
            )
        }
    }
}

/// A roll-out among the versions: a line, and why it ended below it.
pub(super) fn line(rollout: &Value) -> String {
    let ended = &rollout["ended"];
    let how = match ended["how"].as_str() {
        None => "on".to_owned(),
        Some(_) => format!("{} by {}", field(&ended["how"]), field(&ended["author"])),
    };
    let time = field(&rollout["time"]);
    let mut line = format!(
        "      {} {:<16} roll-out  {}: {}; {how}\n",
        time.split('.').next().unwrap_or_default(),
        field(&rollout["candidate"]),
        field(&rollout["author"]),
        whom(rollout),
    );
    for note in [&rollout["note"], &ended["note"]] {
        if note.is_string() {
            let _ = writeln!(line, "      {}", field(note));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    //! Cases of what is printed, and of what is sent.

    use super::*;

    #[test]
    fn a_roll_out_is_told_in_words() {
        let told = json!({"plan": "0123456789abcdef", "rollout": {
            "candidate": "fedcba9876543210", "percent": 10.0, "tenants": ["ac\u{1b}me"],
            "abort": {"deny_rate": 0.05, "window_s": 60.0},
            "calls": {
                "candidate": {"calls": 9, "denied": 1, "errors": 2, "cancelled": 3,
                              "latency": {"p95": {"from_us": 1, "to_us": 2_047_999}}},
                "in_force": {}
            }
        }});
        assert_eq!(
            page(&told),
            "plan fedcba9876543210 is rolled out to 10 % of the callers and tenants ac\\u{1b}me; \
             plan 0123456789abcdef is in force for the others\n\
             it ends by itself: deny_rate=0.05 window_s=60\n\
             candidate  9 calls, 1 denied, 2 errors, 3 cancelled, p95 2047 ms\n\
             in_force   0 calls, 0 denied, 0 errors, 0 cancelled, p95 0 ms\n"
        );
        let none = json!({"plan": "0123456789abcdef", "rollout": null});
        assert!(page(&none).starts_with("no plan is being rolled out"));
    }

    #[test]
    fn one_that_ended_says_why() {
        let rollout = json!({
            "candidate": "fedcba9876543210", "percent": 0.0, "tenants": ["acme"],
            "author": "alice", "time": "2025-11-21T10:00:00.000000Z", "note": null,
            "ended": {"how": "condition_broken", "author": "gateway", "note": "too\u{7} many"}
        });
        assert_eq!(
            line(&rollout),
            "      2025-11-21T10:00:00 fedcba9876543210 roll-out  alice: tenants acme; \
             condition_broken by gateway\n      too\\u{7} many\n"
        );
    }

    #[test]
    fn only_what_is_given_is_sent() {
        let all = TrialArgs::default();
        assert_eq!(all.wish().unwrap(), None);
        let bounds = vec![bound("deny_rate=0.05").unwrap()];
        let without = TrialArgs {
            abort_if: bounds.clone(),
            ..TrialArgs::default()
        };
        assert!(without.wish().unwrap_err().0.contains("needs `--percent`"));
        let some = TrialArgs {
            share: ShareArgs {
                percent: Some(2.5),
                tenants: Vec::new(),
            },
            abort_if: bounds,
            abort_window: Some(60),
            abort_calls_min: None,
        };
        let wish = json!({"percent": 2.5, "abort": {"deny_rate": 0.05, "window_s": 60}});
        assert_eq!(some.wish().unwrap(), Some(wish));
        assert!(bound("deny_rate").is_err() && bound("deny_rate=much").is_err());
    }
}

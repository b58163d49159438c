//! `tollgate policy ..`: the effective policy of a call, and cases for users'
//! own CI; what the running gateway says of a call is decided here too. No
//! provider is called and nothing is written.

mod cases;
mod print;
mod running;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use access::{Consumer, Content, Facts, Given, Metadata, ToolFact};
use admin::CallFacts;
use cli::{ExplainArgs, PolicyArgs, PolicyCommand, PolicyTestArgs};
use judge::Explanation;
use plan::Plan;
use serde_json::Value;

use crate::config;
use cases::Case;

pub(crate) use running::find_key;

const DENIED: u8 = 1;
const UNREADABLE: u8 = 2;

/// Carries out a command.
pub(crate) fn run(args: &PolicyArgs) -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match &args.command {
        PolicyCommand::Explain(args) => explain(args, &mut out),
        PolicyCommand::Test(args) => test(args, &mut out),
        PolicyCommand::Kinds { format } => print::kinds(*format, &mut out).map_err(unprinted),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            crate::say(&why);
            ExitCode::from(UNREADABLE)
        }
    }
}

fn explain(args: &ExplainArgs, out: &mut dyn Write) -> Result<u8, String> {
    let told = match args.running {
        true => crate::setting(&args.at).and_then(|setting| {
            cli::explain_running(args, &setting).map_err(|trouble| trouble.to_string())
        })?,
        false => here(args)?,
    };
    cli::print_explanation(&told, args.format, out).map_err(unprinted)?;
    Ok(if told["allowed"] == true { 0 } else { DENIED })
}

/// Explains a call by the configuration of this machine.
fn here(args: &ExplainArgs) -> Result<Value, String> {
    let plan = load(args.at.config.as_deref())?;
    let case = Case::of(&CallFacts {
        key: args.key.clone(),
        model: args.model.clone(),
        use_case: args.use_case.clone(),
        data_class: args.data_class.clone(),
        stream: args.stream,
        tools: args.tools.clone(),
        input_tokens: args.input_tokens,
        output_tokens: args.output_tokens,
    });
    let consumer = of_document(&plan, &case.key).map_err(|why| {
        format!(
            "{why}. Virtual keys, and plans that the admin API put in force, are known to the \
             running gateway: add `--running` to ask it"
        )
    })?;
    let told = decide(&plan, consumer, &case)?;
    Ok(print::explanation(None, &case, &told))
}

fn test(args: &PolicyTestArgs, out: &mut dyn Write) -> Result<u8, String> {
    let plan = load(args.config.as_deref())?;
    let name = args.cases.display();
    let text = std::fs::read_to_string(&args.cases)
        .map_err(|error| format!("{name} could not be read: {error}"))?;
    let cases = cases::read(&text).map_err(|why| format!("{name}: {why}"))?;
    let mut results = Vec::with_capacity(cases.len());
    for case in &cases {
        let told = decide(&plan, of_document(&plan, &case.key)?, case)?;
        results.push((case, case.differs(&told)));
    }
    print::results(&results, args.format, out).map_err(unprinted)?;
    let good = results.iter().all(|(_, wrong)| wrong.is_none());
    Ok(if good { 0 } else { DENIED })
}

fn load(path: Option<&Path>) -> Result<Plan, String> {
    config::plan_of(path)
}

/// Whose key of the document this is.
fn of_document<'p>(plan: &'p Plan, key: &str) -> Result<&'p Consumer, String> {
    let mut consumers = plan.keys.consumers();
    consumers
        .find(|consumer| *consumer.key_id == *key)
        .ok_or_else(|| {
            let mut known: Vec<&str> = plan.keys.consumers().map(|it| &*it.key_id).collect();
            known.sort_unstable();
            format!(
                "there is no key `{key}` in the configuration; there are: {}",
                known.join(", ")
            )
        })
}

/// Decides a case as the gateway would.
fn decide(plan: &Plan, consumer: &Consumer, case: &Case) -> Result<Explanation, String> {
    let metadata: Metadata = case.metadata()?;
    let content = Content {
        tools: case
            .tools
            .iter()
            .map(|name| ToolFact {
                name: name.as_str().into(),
                kind: "function",
            })
            .collect(),
        servers: Vec::new(),
        system: case.system,
        urls: case.urls.iter().map(|url| url.as_str().into()).collect(),
    };
    let facts = Facts {
        tenant: &consumer.tenant,
        app: &consumer.app,
        key_id: &consumer.key_id,
        groups: &consumer.groups,
        metadata: &metadata,
        operation: case.operation()?,
        model: &case.model,
        stream: case.stream,
        input_tokens: case.input_tokens,
        output_tokens_max: case.output_tokens_max,
        address: case.address,
        now_s: case.at_s,
        content: Some(&content),
    };
    let given: Vec<Given<'_>> = case
        .calls
        .iter()
        .map(|name| Given::ToolCall(name))
        .chain(case.answer.iter().map(|text| Given::Text(text.into())))
        .collect();
    let chain = judge::chain(plan, consumer, case.use_case.as_deref());
    Ok(judge::explain(plan, consumer, &chain, &facts, &given))
}

fn unprinted(error: io::Error) -> String {
    format!("the result could not be printed: {error}")
}

#[cfg(test)]
mod tests;

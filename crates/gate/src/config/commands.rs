//! `tollgate config ..`. Exit codes: 0 usable, 1 not usable, 2 could not be
//! read.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use cli::{ConfigArgs, ConfigCommand, Format, Source};
use plan::{Diagnostic, Severity, show, show_json, to_json};

use super::loader::{Failure, Loaded, Loader, Origin, locate};

const UNUSABLE: u8 = 1;
const UNREADABLE: u8 = 2;

/// Carries out a command, on standard output and standard error.
pub(crate) fn run(args: &ConfigArgs) -> ExitCode {
    let mut out = io::stdout().lock();
    let mut err = io::stderr().lock();
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut desk = Desk {
        out: &mut out,
        err: &mut err,
        colour,
    };
    let code = match &args.command {
        ConfigCommand::Check(source) => desk.check(source),
        ConfigCommand::Show(source) => desk.show(source),
        ConfigCommand::Schema => desk.schema(),
    };
    // A reader that went away (`| head`) is no fault of the configuration.
    ExitCode::from(code.unwrap_or(0))
}

/// Where to print.
pub(super) struct Desk<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) err: &'a mut dyn Write,
    pub(super) colour: bool,
}

impl Desk<'_> {
    pub(super) fn check(&mut self, source: &Source) -> io::Result<u8> {
        let origin = locate(source.path().map(|path| path.as_path()));
        let name = origin.name();
        let loaded = Loader::dry(origin)?.load();
        let (diagnostics, code) = match &loaded {
            Ok(loaded) => (&loaded.compiled.warnings, 0),
            Err(failure) => (&failure.diagnostics, code_of(failure)),
        };
        match source.format {
            Format::Json => {
                let answer = serde_json::json!({
                    "file": name,
                    "usable": code == 0,
                    "diagnostics": to_json(diagnostics),
                });
                writeln!(self.out, "{answer:#}")?;
            }
            Format::Text => {
                write!(
                    self.err,
                    "{}",
                    plan::render(diagnostics, &name, self.colour)
                )?;
                match &loaded {
                    Ok(loaded) => writeln!(self.out, "{}", praise(&name, loaded))?,
                    Err(_) => writeln!(self.err, "{}", count(&name, diagnostics))?,
                }
            }
        }
        Ok(code)
    }

    pub(super) fn show(&mut self, source: &Source) -> io::Result<u8> {
        let origin = locate(source.path().map(|path| path.as_path()));
        let name = origin.name();
        let discovered = origin == Origin::Environment;
        let completed = match Loader::dry(origin)?.complete() {
            Ok(completed) => completed,
            Err(failure) => {
                write!(self.err, "{}", failure.render(&name, self.colour))?;
                return Ok(code_of(&failure));
            }
        };
        let document = &completed.draft.document;
        match source.format {
            Format::Json => writeln!(self.out, "{:#}", show_json(document))?,
            Format::Text => {
                if discovered {
                    writeln!(self.out, "# Found in the environment; no file was read.")?;
                }
                for note in completed.discovery.iter().flat_map(|found| &found.notes) {
                    writeln!(self.out, "# {note}")?;
                }
                write!(self.out, "{}", show(document))?;
            }
        }
        Ok(0)
    }

    pub(super) fn schema(&mut self) -> io::Result<u8> {
        writeln!(self.out, "{:#}", plan::schema())?;
        Ok(0)
    }
}

fn code_of(failure: &Failure) -> u8 {
    match failure.is_unreadable {
        true => UNREADABLE,
        false => UNUSABLE,
    }
}

fn praise(name: &str, loaded: &Loaded) -> String {
    let plan = &loaded.compiled.plan;
    let providers: Vec<&str> = plan
        .providers
        .iter()
        .map(|provider| &*provider.name)
        .collect();
    let keys = match loaded.development_key {
        Some(_) => "no keys, so a development key for this machine only".to_owned(),
        None if !loaded.document.keys_from.has(plan::KeySource::Document) => {
            "keys by the admin API only".to_owned()
        }
        None => format!("{} keys", loaded.document.keys.len()),
    };
    let providers = match providers.as_slice() {
        [] => "no providers".to_owned(),
        some => format!("providers {}", some.join(", ")),
    };
    format!(
        "{name} is usable: {providers}; {} named models; {keys}.",
        plan.models.names().count(),
    )
}

fn count(name: &str, diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .count();
    let noun = if errors == 1 { "error" } else { "errors" };
    format!("{name} cannot be used: {errors} {noun}.")
}

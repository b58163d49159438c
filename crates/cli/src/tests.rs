//! Cases of the command line: what is typed, what it means.

use clap::{CommandFactory, Parser};

use crate::*;

fn typed(words: &[&str]) -> Result<Command, String> {
    let words = std::iter::once(&"tollgate").chain(words);
    Cli::try_parse_from(words)
        .map(Cli::command)
        .map_err(|error| error.to_string())
}

#[test]
fn the_definitions_hold_together() {
    <Cli as CommandFactory>::command().debug_assert();
}

#[test]
fn without_a_command_it_serves() {
    for words in [
        &["--config", "a.yaml"][..],
        &["serve", "--config", "a.yaml"],
    ] {
        match typed(words) {
            Ok(Command::Serve(args)) => {
                assert_eq!(args.config.expect("a file").to_str(), Some("a.yaml"))
            }
            other => panic!("{words:?}: {other:?}"),
        }
    }
}

#[test]
fn config_takes_its_file_in_both_ways() {
    for words in [
        &["config", "check", "a.yaml"][..],
        &["config", "check", "--config", "a.yaml"],
    ] {
        match typed(words) {
            Ok(Command::Config(ConfigArgs {
                command: ConfigCommand::Check(source),
            })) => {
                assert_eq!(source.path().and_then(|path| path.to_str()), Some("a.yaml"));
                assert_eq!(source.format, Format::Text);
            }
            other => panic!("{words:?}: {other:?}"),
        }
    }
}

#[test]
fn filters_of_logs() {
    let words = [
        "logs",
        "-f",
        "--status",
        "5xx",
        "--since",
        "15m",
        "-n",
        "3",
        "--admin-key",
        "tg-hidden",
    ];
    match typed(&words) {
        Ok(Command::Logs(args)) => {
            assert!(args.follow);
            assert!(!format!("{args:?}").contains("tg-hidden"));
            assert_eq!(args.status, Some(StatusFilter { from: 500, to: 599 }));
            assert_eq!(args.since, Some(900_000));
            assert_eq!(args.limit, 3);
        }
        other => panic!("{other:?}"),
    }
    for (words, says) in [
        (["logs", "--status", "6xx"], "is no status"),
        (["logs", "--status", "42"], "is no status"),
        (["logs", "--since", "15"], "is no age"),
        (["logs", "--since", "xm"], "is no age"),
    ] {
        let said = typed(&words).expect_err("refused");
        assert!(said.contains(says), "{words:?}: {said}");
    }
}

#[test]
fn every_shell_gets_a_script() {
    for shell in [
        clap_complete::Shell::Bash,
        clap_complete::Shell::Zsh,
        clap_complete::Shell::Fish,
    ] {
        let mut script = Vec::new();
        completion(shell, &mut script);
        let script = String::from_utf8(script).expect("text");
        assert!(
            script.contains("tollgate") && script.contains("schema"),
            "{shell}"
        );
    }
}

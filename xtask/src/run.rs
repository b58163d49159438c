//! Running other programs: shown before they start, watched while they run, explained when they
//! fail. Not here: which program, which is each chore's own business.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::Outcome;

/// What was left out so far, and why.
static SKIPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Says that a part is left out, and why; the end of the gate says it again.
pub(crate) fn skip(part: &str, why: &str) {
    let line = format!("SKIPPED  {part}: {why}");
    println!("{line}");
    let mut skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    skipped.push(line);
}

/// What was left out since the last call.
pub(crate) fn skipped() -> Vec<String> {
    let mut skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut skipped)
}

/// A cargo command at the root of the workspace.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(args);
    // Cargo set these for xtask itself; left in place they would rebuild crates that watch them.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command in the foreground.
pub(crate) fn pass(mut command: Command) -> Outcome {
    let shown = show(&command);
    let status = command
        .status()
        .map_err(|e| format!("`{shown}` did not start: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{shown}` failed ({status})"))
    }
}

/// How a watched command ended, with all it said on both streams.
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) text: String,
}

/// Runs a command, shows its output as it comes and keeps it for counting.
pub(crate) fn watch(mut command: Command) -> Result<Said, String> {
    let shown = show(&command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|e| format!("`{shown}` did not start: {e}"))?;
    let out = child.stdout.take().expect("stdout is piped above");
    let err = child.stderr.take().expect("stderr is piped above");
    let (out, err) = std::thread::scope(|scope| {
        let err = scope.spawn(|| echo(err));
        (
            echo(out),
            err.join().expect("the reader of a stream does not panic"),
        )
    });
    let status = child
        .wait()
        .map_err(|e| format!("`{shown}` was lost: {e}"))?;
    Ok(Said {
        success: status.success(),
        text: out + &err,
    })
}

/// Whether a program is there and answers to `args`.
pub(crate) fn answers(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A program by name with arguments.
pub(crate) fn program(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args);
    command
}

/// Installs Debian packages where that is possible; else says what the reader should install.
pub(crate) fn apt_install(packages: &[&str], why: &str) -> Outcome {
    let list = packages.join(" ");
    let by_hand = format!("{why}: install `{list}` (as root: apt-get install -y {list})");
    let is_root = std::process::Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    if !is_root || !answers(program("apt-get", &["--version"])) {
        return Err(by_hand);
    }
    println!("{why}: installing {list}");
    let install = || {
        let mut command = program("apt-get", &["install", "-y", "--no-install-recommends"]);
        command
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // A fresh image has no package lists; a machine in use has them and need not wait for more.
    pass(install())
        .or_else(|_| pass(program("apt-get", &["update", "-q"])).and_then(|()| pass(install())))
        .map_err(|failure| format!("{by_hand}; the attempt to do so failed: {failure}"))
}

fn show(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    let shown: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    println!("$ {}", shown.join(" "));
    shown.join(" ")
}

fn echo(stream: impl Read) -> String {
    let mut kept = String::new();
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        kept.push_str(&text);
        line.clear();
    }
    kept
}

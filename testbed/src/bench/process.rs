//! Child processes: pinned to a core, with many file descriptors, read through `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Linux reports CPU time in these ticks a second, on every architecture that matters here.
const TICKS_PER_SECOND: f64 = 100.0;
/// Open files a proxy may need: two for each of thousands of streams.
const FILES: usize = 65_536;
/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// Where each role runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    pub(super) proxy: usize,
    pub(super) load: usize,
}

/// A child that is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts `program` on `core`; its output goes to `log`.
    pub(super) fn start(
        program: &Path,
        args: &[String],
        core: usize,
        log: &Path,
    ) -> Result<Self, String> {
        let file = || fs::File::create(log).map_err(|e| format!("{}: {e}", log.display()));
        let child = command(program, args, core)
            .stdin(Stdio::null())
            .stdout(file()?)
            .stderr(file()?)
            .spawn();
        Ok(Self {
            child: child.map_err(|e| format!("{}: {e}", program.display()))?,
        })
    }

    /// Starts `program` and reads its first line of output.
    pub(super) fn start_with_line(
        program: &Path,
        args: &[String],
        core: usize,
    ) -> Result<(Self, String), String> {
        let spawned = command(program, args, core)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|e| format!("{}: {e}", program.display()))?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output of the child")?;
        BufReader::new(out)
            .read_line(&mut line)
            .map_err(|e| e.to_string())?;
        match line.trim() {
            "" => Err(format!(
                "{} ended before it said where it listens",
                program.display()
            )),
            said => Ok((Self { child }, said.to_owned())),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGHUP: a gateway loads its configuration again.
    pub(super) fn hang_up(&self) {
        signal("-HUP", &[self.child.id()]);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pids = tree(self.child.id());
        signal("-TERM", &pids[..1]);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(20));
        }
        // What did not end by itself, workers included, is ended.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal("-KILL", &pids);
            // Reaping can only fail when there is nothing left to reap.
            let _ = self.child.wait();
        }
    }
}

fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    // A process that is gone already needs no signal.
    let _ = Command::new("kill")
        .arg(name)
        .args(pids)
        .stderr(Stdio::null())
        .status();
}

/// `program` under `taskset`, with the file limit raised as far as it goes.
pub(super) fn command(program: &Path, args: &[String], core: usize) -> Command {
    let mut c = Command::new("bash");
    let script = format!("ulimit -n {FILES} 2>/dev/null || ulimit -n $(ulimit -Hn); exec \"$@\"");
    c.args(["-c", &script, "bash", "taskset", "-c", &core.to_string()])
        .arg(program)
        .args(args);
    c
}

/// A process and its descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        if let Some(parent) = stat(pid).and_then(|f| f.get(1).and_then(|p| p.parse().ok())) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut at = 0;
    while at < all.len() {
        all.extend(children.get(&all[at]).into_iter().flatten());
        at += 1;
    }
    all
}

/// Fields of `/proc/<pid>/stat` after the name: state, parent, ...
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// CPU and memory of a process tree at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// User and system time so far.
    pub(super) cpu_seconds: f64,
    /// Resident memory now.
    pub(super) rss_kib: f64,
}

pub(super) fn read(root: u32) -> Reading {
    let mut sum = Reading::default();
    for pid in tree(root) {
        let Some(fields) = stat(pid) else { continue };
        // Fields 14 and 15 of the file are 11 and 12 after the name.
        let ticks: f64 = fields
            .iter()
            .skip(11)
            .take(2)
            .filter_map(|t| t.parse::<f64>().ok())
            .sum();
        sum.cpu_seconds += ticks / TICKS_PER_SECOND;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let rss = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .and_then(|v| {
                v.split_whitespace()
                    .next()
                    .and_then(|n| n.parse::<f64>().ok())
            });
        sum.rss_kib += rss.unwrap_or(0.0);
    }
    sum
}

//! What the operating system says of this process. Read on demand.
//!
//! Deliberately not here: anything off Linux; there every fact is `None`.

use std::fs;

/// Kernel ticks per second in `/proc`, fixed at 100 by the Linux user ABI.
const TICKS_PER_S: u64 = 100;

/// Facts of this process; `None` where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// Start time in milliseconds since the Unix epoch.
    pub started_unix_ms: Option<u64>,
}

/// Reads them now.
pub fn facts() -> Facts {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the command in brackets and may hold anything, so
    // fields are counted after the last bracket; the first there is number 3.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks_ms = |ticks: u64| ticks * 1_000 / TICKS_PER_S;
    let cpu = field(14).zip(field(15));
    let started = boot_unix_s().zip(field(22));
    Facts {
        resident_bytes: resident_bytes(),
        cpu_ms: cpu.map(|(user, system)| ticks_ms(user + system)),
        open_fds: fs::read_dir("/proc/self/fd")
            .ok()
            .map(|fds| fds.count() as u64),
        started_unix_ms: started.map(|(boot_s, ticks)| boot_s * 1_000 + ticks_ms(ticks)),
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

fn boot_unix_s() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    //! The facts of the test process itself.

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_knows_itself() {
        let facts = facts();
        assert!(facts.resident_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(facts.open_fds.is_some_and(|fds| fds >= 3));
        assert!(facts.cpu_ms.is_some());
        // Later than 2020, so the fields were counted right.
        assert!(
            facts
                .started_unix_ms
                .is_some_and(|ms| ms > 1_577_836_800_000)
        );
    }
}

//! Counting tests from what their runners say at the end.
//!
//! A suite that failed without a count still counts as one failure: a broken build must never look
//! like a run without failures.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::AddAssign;

use crate::run::Said;

/// Tests that passed and tests that did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// A suite that could not even start.
    pub(crate) const BROKEN: Tally = Tally {
        passed: 0,
        failed: 1,
    };

    /// The count of a suite from its output: nextest's `Summary` line; else the sum of libtest's
    /// `test result:` lines; else the last line of the form `3 passed, 0 failed`. The order
    /// matters, because nextest repeats what libtest said about each failed test.
    pub(crate) fn of(said: &Said) -> Tally {
        let lines = || said.text.lines().map(str::trim);
        let summary = lines().rfind(|line| line.starts_with("Summary") && line.contains(" run: "));
        let results: Vec<&str> = lines()
            .filter(|line| line.starts_with("test result:"))
            .collect();
        let mut tally = Tally::default();
        if let Some(line) = summary {
            tally = Tally::of_line(line);
        } else if results.is_empty() {
            tally = lines()
                .rfind(|line| is_plain(line))
                .map_or(tally, Tally::of_line);
        } else {
            for line in results {
                tally += Tally::of_line(line);
            }
        }
        if !said.success && tally.failed == 0 {
            tally.failed = 1;
        }
        tally
    }

    fn of_line(line: &str) -> Tally {
        let count = |what: &str| number_before(line, what);
        Tally {
            passed: count("passed"),
            failed: count("failed") + count("timed out"),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Exactly `N passed, N failed`.
fn is_plain(line: &str) -> bool {
    Tally::of_line(line).to_string() == line.trim()
}

/// The number written before the first occurrence of `what` that has one; zero if none has.
fn number_before(line: &str, what: &str) -> usize {
    let numbers = line.match_indices(what).filter_map(|(at, _)| {
        line[..at]
            .trim_end()
            .rsplit(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    });
    numbers.into_iter().next().unwrap_or(0)
}

//! Reading records from a running gateway and printing them.
//!
//! Deliberately not here: how a record looks (`show`), and the wire (`admin`).

use std::io::{BufRead, Read, Write};
use std::time::Duration;

use serde_json::Value;

use super::show::Lines;
use super::{LogsArgs, query};
use crate::admin::http::Response;
use crate::admin::{self, ANSWER_BYTES_MAX, Client, Ended, Setting, Trouble, escape};

/// How long a gateway that went away is looked for.
const PATIENCE: Patience = Patience {
    retries_max: 60,
    retry_every: Duration::from_secs(1),
};

/// Reads what was asked for and prints it. It ends quietly when nobody reads
/// the output any more.
///
/// # Errors
/// The gateway cannot be reached or refuses.
pub fn read(args: &LogsArgs, setting: &Setting, out: &mut dyn Write) -> Result<(), Trouble> {
    read_with(args, setting, PATIENCE, out)
}

/// Most attempts to reach a gateway again that went away while we followed,
/// and the pause before each.
#[derive(Clone, Copy)]
struct Patience {
    retries_max: u32,
    retry_every: Duration,
}

fn read_with(
    args: &LogsArgs,
    setting: &Setting,
    patience: Patience,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let mut reader = Reader {
        args,
        client: Client::new(&args.at, setting)?,
        patience,
        lines: Lines {
            colours: setting.colours && !args.json,
        },
        out,
    };
    reader.run().or_else(Ended::told)
}

struct Reader<'a> {
    args: &'a LogsArgs,
    client: Client,
    patience: Patience,
    lines: Lines,
    out: &'a mut dyn Write,
}

impl Reader<'_> {
    fn run(&mut self) -> Result<(), Ended> {
        if let Some(path) = query::one(self.args) {
            let record = self.client.ask(&path)?;
            let text = match self.args.json {
                true => format!("{}\n", escape::json(&record.to_string())),
                false => self.lines.whole(&record),
            };
            return self.print(&text);
        }
        let head = self.list()?;
        if self.args.follow {
            return self.follow(head);
        }
        Ok(())
    }

    /// Prints the newest records, oldest of them first. Returns the journal's
    /// head at that time.
    fn list(&mut self) -> Result<u64, Ended> {
        let mut records: Vec<Value> = Vec::new();
        let (mut before, mut head, mut unsearched) = (None, None, 0);
        while (records.len() as u64) < u64::from(self.args.limit) {
            let room = self.args.limit - u32::try_from(records.len()).unwrap_or(self.args.limit);
            let page = self.client.ask(&query::page(self.args, room, before))?;
            records.extend(page["records"].as_array().into_iter().flatten().cloned());
            head = head.or(page["head"].as_u64());
            unsearched = page["unsearched"].as_u64().unwrap_or(unsearched);
            before = page["next"].as_u64();
            if before.is_none() {
                break;
            }
        }
        for record in records.iter().rev() {
            self.one(record)?;
        }
        if !self.args.json {
            if unsearched > 0 {
                self.print(&format!(
                    "({unsearched} records were not searched: the index is still being built)\n"
                ))?;
            }
            if records.is_empty() && !self.args.follow {
                self.print("No record matches. Make a call, or ask for less.\n")?;
            }
        }
        Ok(head.unwrap_or_default())
    }

    /// Prints records as they come. A gateway that goes away is looked for
    /// again; what it wrote meanwhile is not missed.
    fn follow(&mut self, mut after: u64) -> Result<(), Ended> {
        let mut was_there = false;
        let mut retries = 0;
        loop {
            let gone = match self.client.open(&query::follow(self.args, after)) {
                Ok(response) => {
                    was_there = true;
                    if self.stream(response, &mut after)? > 1 {
                        retries = 0;
                    }
                    self.client.cut_off()
                }
                Err(Ended::Gone(trouble)) => Ended::Gone(trouble),
                Err(ended) => return Err(ended),
            };
            if !was_there || retries == self.patience.retries_max {
                return Err(gone);
            }
            retries += 1;
            std::thread::sleep(self.patience.retry_every);
        }
    }

    /// Prints a stream to its end and returns its lines, the empty ones by
    /// which it shows that it is alive included.
    fn stream(&mut self, mut response: Response, after: &mut u64) -> Result<u64, Ended> {
        let mut line = Vec::new();
        let mut lines = 0;
        loop {
            line.clear();
            let mut limited = response.body.by_ref().take(ANSWER_BYTES_MAX);
            match limited.read_until(b'\n', &mut line) {
                Ok(count) if count > 0 && line.ends_with(b"\n") => lines += 1,
                // The gateway drains, or is gone.
                Ok(_) | Err(_) => return Ok(lines),
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let record: Value =
                serde_json::from_slice(text).map_err(|_| self.client.no_gateway())?;
            if record["error"].is_object() {
                return Err(self.client.refused(503, &record));
            }
            *after = record["sequence"].as_u64().unwrap_or(*after);
            self.one(&record)?;
        }
    }

    fn one(&mut self, record: &Value) -> Result<(), Ended> {
        let line = match self.args.json {
            true => escape::json(&record.to_string()),
            false => self.lines.line(record),
        };
        self.print(&format!("{line}\n"))
    }

    fn print(&mut self, text: &str) -> Result<(), Ended> {
        admin::print(self.out, text)
    }
}

#[cfg(test)]
mod tests;

//! Reading records from a running gateway and printing them.
//!
//! Deliberately not here: how a record looks (`show`), and the wire (`http`).

use std::fmt;
use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use contract::Secret;
use serde_json::Value;

use super::http::{self, Response, Target};
use super::show::Lines;
use super::{LogsArgs, escape, query};

/// Longest answer or line of a stream, bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest key file, bytes.
const KEY_BYTES_MAX: u64 = 1_024;
/// How long a gateway that went away is looked for.
const PATIENCE: Patience = Patience {
    retries_max: 60,
    retry_every: Duration::from_secs(1),
};

/// What the surroundings say.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Where the gateway of this machine keeps its admin key.
    pub key_file: Option<PathBuf>,
    /// The output is a terminal that shows colours.
    pub colours: bool,
}

/// Why nothing more could be read; the text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

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
    let target = Target::parse(&args.admin).ok_or_else(|| {
        Trouble(format!(
            "`{}` is no address of an admin listener. Write http://127.0.0.1:4101, https://.. or \
             unix:/path/of/the/socket.",
            escape::plain(&args.admin, 200)
        ))
    })?;
    let (key, key_file) = find_key(args, setting, &target);
    let mut reader = Reader {
        args,
        target,
        key,
        key_file,
        patience,
        lines: Lines {
            colours: setting.colours && !args.json,
        },
        out,
    };
    match reader.run() {
        Ok(()) | Err(Ended::Unread) => Ok(()),
        Err(Ended::Refused(trouble) | Ended::Gone(trouble)) => Err(trouble),
    }
}

/// The key, and the file that was tried. The key of this machine's gateway is
/// never sent to another machine.
fn find_key(
    args: &LogsArgs,
    setting: &Setting,
    target: &Target,
) -> (Option<Secret<String>>, Option<PathBuf>) {
    if let Some(key) = &args.admin_key {
        return (Some(key.clone()), None);
    }
    let own = args.data_dir.as_ref().map(|dir| dir.join("admin.key"));
    let file = own
        .or_else(|| setting.key_file.clone())
        .filter(|_| target.is_local());
    let key = file.as_ref().and_then(|file| {
        let mut text = String::new();
        let reading = fs::File::open(file)
            .ok()?
            .take(KEY_BYTES_MAX)
            .read_to_string(&mut text);
        reading.ok().map(|_| Secret::new(text.trim().to_owned()))
    });
    (key.filter(|key| !key.expose().is_empty()), file)
}

/// Why it ended early.
enum Ended {
    /// Nobody reads the output.
    Unread,
    /// The gateway said no, or something else answered.
    Refused(Trouble),
    /// Nothing answered, or no longer.
    Gone(Trouble),
}

struct Reader<'a> {
    args: &'a LogsArgs,
    target: Target,
    key: Option<Secret<String>>,
    key_file: Option<PathBuf>,
    patience: Patience,
    lines: Lines,
    out: &'a mut dyn Write,
}

impl Reader<'_> {
    fn run(&mut self) -> Result<(), Ended> {
        if let Some(path) = query::one(self.args) {
            let record = self.ask(&path)?;
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
            let page = self.ask(&query::page(self.args, room, before))?;
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
            let gone = match self.open(&query::follow(self.args, after)) {
                Ok(response) => {
                    was_there = true;
                    if self.stream(response, &mut after)? > 1 {
                        retries = 0;
                    }
                    self.cut_off()
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
            let record: Value = serde_json::from_slice(text).map_err(|_| self.no_gateway())?;
            if record["error"].is_object() {
                return Err(self.refused(503, &record));
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
        let written = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Ended::Unread,
            _ => Ended::Refused(Trouble(format!("The output cannot be written: {error}."))),
        })
    }

    fn ask(&self, path: &str) -> Result<Value, Ended> {
        let response = self.open(path)?;
        body(response)
            .map_err(|error| self.unreachable(&error))?
            .ok_or_else(|| self.no_gateway())
    }

    /// A good answer's head; a refusal is told in the gateway's own words.
    fn open(&self, path: &str) -> Result<Response, Ended> {
        let response = http::get(&self.target, path, self.key.as_ref());
        let response = response.map_err(|error| self.unreachable(&error))?;
        if response.status == 200 {
            return Ok(response);
        }
        let status = response.status;
        let told = body(response).ok().flatten().unwrap_or_default();
        Err(self.refused(status, &told))
    }

    fn unreachable(&self, error: &io::Error) -> Ended {
        Ended::Gone(Trouble(format!(
            "No gateway answers at {}: {error}.\nCheck that it runs (`tollgate`), that its admin \
             listener is there (its start says `admin ..`), and that --admin or TOLLGATE_ADMIN \
             names it.",
            escape::plain(&self.args.admin, 200)
        )))
    }

    fn cut_off(&self) -> Ended {
        Ended::Gone(Trouble(format!(
            "The gateway at {} ended the stream and did not come back.",
            escape::plain(&self.args.admin, 200)
        )))
    }

    fn no_gateway(&self) -> Ended {
        refusal(format!(
            "What answers at {} is not the admin listener of a gateway. Calls go to another port; \
             --admin must name the admin listener, by default http://127.0.0.1:4101.",
            escape::plain(&self.args.admin, 200)
        ))
    }

    fn refused(&self, status: u16, told: &Value) -> Ended {
        let Some(message) = told["error"]["message"].as_str() else {
            return self.no_gateway();
        };
        let message = escape::plain(message, 2_000);
        let key = match (&self.key, &self.key_file) {
            _ if status != 401 => String::new(),
            (Some(_), Some(file)) => format!(
                "\nThe key came from {}; the gateway may use another data folder (--data-dir).",
                file.display()
            ),
            (Some(_), None) => "\nThe key came from --admin-key or TOLLGATE_ADMIN_KEY.".to_owned(),
            (None, Some(file)) => format!(
                "\nThere is no readable key in {}. Name the gateway's folder with --data-dir, or \
                 give the key with TOLLGATE_ADMIN_KEY.",
                file.display()
            ),
            (None, None) => "\nGive the key with TOLLGATE_ADMIN_KEY.".to_owned(),
        };
        refusal(format!("{message}{key}"))
    }
}

fn refusal(text: String) -> Ended {
    Ended::Refused(Trouble(text))
}

/// The body as JSON; `None` if it is none.
fn body(response: Response) -> io::Result<Option<Value>> {
    let mut bytes = Vec::new();
    response
        .body
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes).ok())
}

#[cfg(test)]
mod tests;

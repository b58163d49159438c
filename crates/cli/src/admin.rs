//! The admin API of a gateway, as the commands ask it: where it is, with
//! which key, and what is said when it does not answer.
//!
//! Deliberately not here: what is asked for, and how it is printed.

pub(crate) mod escape;
pub(crate) mod http;

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use contract::Secret;
use serde_json::Value;

use http::{Asked, Response, Target};

/// Longest answer or line of a stream, bytes.
pub(crate) const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest key file, bytes.
const KEY_BYTES_MAX: u64 = 1_024;
/// Characters of an address that a message repeats.
const ADDRESS_CHARS: usize = 200;
/// The admin listener where nothing else is said.
const ADMIN_DEFAULT: &str = "http://127.0.0.1:4101";

/// Which gateway, and with which key.
#[derive(Clone, Debug, Default, Args)]
pub struct AdminArgs {
    /// Configuration file of the gateway, which names its admin listener and
    /// its data folder [default: what `tollgate serve` would use].
    #[arg(short, long, value_name = "FILE", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// The admin listener of the gateway [default: that of the configuration,
    /// else http://127.0.0.1:4101].
    #[arg(long, value_name = "URL", env = "TOLLGATE_ADMIN")]
    pub admin: Option<String>,
    /// Key of the admin listener [default: the one in the data folder, if the
    /// listener is on this machine].
    #[arg(long, value_name = "KEY", env = "TOLLGATE_ADMIN_KEY", hide_env_values = true, value_parser = secret)]
    pub admin_key: Option<Secret<String>>,
    /// Data folder of the gateway, where it keeps its admin key [default: that
    /// of the configuration, else the platform's data folder].
    #[arg(long, value_name = "DIR", env = "TOLLGATE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

fn secret(text: &str) -> Result<Secret<String>, String> {
    match text.trim() {
        "" => Err("the key is empty".to_owned()),
        key => Ok(Secret::new(key.to_owned())),
    }
}

/// What the surroundings say.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The admin listener that the configuration names.
    pub admin: Option<String>,
    /// Where the gateway of this machine keeps its admin key.
    pub key_file: Option<PathBuf>,
    /// The output is a terminal that shows colours.
    pub colours: bool,
}

/// Why nothing more could be read; the text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(pub(crate) String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

/// Why it ended early.
pub(crate) enum Ended {
    /// Nobody reads the output.
    Unread,
    /// The gateway said no, or something else answered.
    Refused(Trouble),
    /// Nothing answered, or no longer.
    Gone(Trouble),
}

impl Ended {
    /// What the person is told: nothing, if nobody reads.
    pub(crate) fn told(self) -> Result<(), Trouble> {
        match self {
            Self::Unread => Ok(()),
            Self::Refused(trouble) | Self::Gone(trouble) => Err(trouble),
        }
    }
}

/// A gateway that can be asked.
pub(crate) struct Client {
    target: Target,
    /// The address as it was written.
    address: String,
    key: Option<Secret<String>>,
    key_file: Option<PathBuf>,
}

impl Client {
    /// The gateway that was named, else that of the configuration.
    pub(crate) fn new(args: &AdminArgs, setting: &Setting) -> Result<Self, Trouble> {
        let named = args.admin.as_ref().or(setting.admin.as_ref());
        let address = named.map_or(ADMIN_DEFAULT, String::as_str);
        let address = escape::plain(address, ADDRESS_CHARS);
        let target = Target::parse(&address).ok_or_else(|| {
            Trouble(format!(
                "`{address}` is no address of an admin listener. Write http://127.0.0.1:4101, \
                 https://.. or unix:/path/of/the/socket."
            ))
        })?;
        let (key, key_file) = find_key(args, setting, &target);
        Ok(Self {
            target,
            address,
            key,
            key_file,
        })
    }

    /// A whole answer.
    pub(crate) fn ask(&self, path: &str) -> Result<Value, Ended> {
        let response = self.open(path)?;
        body(response)
            .map_err(|error| self.unreachable(&error))?
            .ok_or_else(|| self.no_gateway())
    }

    /// Sends JSON and gives the answer whole, a refusal as well.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        json: &Value,
    ) -> Result<(u16, Value), Ended> {
        let text = json.to_string();
        let asked = Asked {
            method,
            path,
            body: Some(&text),
        };
        let response = http::send(&self.target, asked, self.key.as_ref())
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status;
        let told = body(response).map_err(|error| self.unreachable(&error))?;
        Ok((status, told.ok_or_else(|| self.no_gateway())?))
    }

    /// A good answer's head; a refusal is told in the gateway's own words.
    pub(crate) fn open(&self, path: &str) -> Result<Response, Ended> {
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
             listener is there (its start says `admin ..`), and that --admin, TOLLGATE_ADMIN or \
             the configuration (--config) names it.",
            self.address
        )))
    }

    pub(crate) fn cut_off(&self) -> Ended {
        Ended::Gone(Trouble(format!(
            "The gateway at {} ended the stream and did not come back.",
            self.address
        )))
    }

    pub(crate) fn no_gateway(&self) -> Ended {
        refusal(format!(
            "What answers at {} is not the admin listener of a gateway. Calls go to another port; \
             --admin must name the admin listener, by default {ADMIN_DEFAULT}.",
            self.address
        ))
    }

    pub(crate) fn refused(&self, status: u16, told: &Value) -> Ended {
        let Some(message) = told["error"]["message"].as_str() else {
            return self.no_gateway();
        };
        let message = escape::plain(message, 2_000);
        let key = match (&self.key, &self.key_file) {
            _ if status != 401 => String::new(),
            (Some(_), Some(file)) => format!(
                "\nThe key came from {}; the gateway may use another data folder (--data-dir, or \
                 --config).",
                file.display()
            ),
            (Some(_), None) => "\nThe key came from --admin-key or TOLLGATE_ADMIN_KEY.".to_owned(),
            (None, Some(file)) => format!(
                "\nThere is no readable key in {}. Name the gateway's folder with --data-dir or \
                 its configuration with --config, or give the key with TOLLGATE_ADMIN_KEY.",
                file.display()
            ),
            (None, None) => "\nGive the key with TOLLGATE_ADMIN_KEY.".to_owned(),
        };
        refusal(format!("{message}{key}"))
    }
}

/// The key, and the file that was tried. The key of this machine's gateway is
/// never sent to another machine.
fn find_key(
    args: &AdminArgs,
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

/// Prints, and says whether anybody reads it.
pub(crate) fn print(out: &mut dyn io::Write, text: &str) -> Result<(), Ended> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ended::Unread,
        _ => refusal(format!("The output cannot be written: {error}.")),
    })
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

//! Where the gateway of a configuration is to be found: its folders and its
//! admin listener, for commands that ask it. Only the document is read: no
//! provider is looked for, and a secret that this shell does not have is not
//! missed.
//!
//! Deliberately not here: anything that a gateway needs to run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use plan::{Document, ListenerEntry, SharedDatabase, Sources, read, shared_database};

use super::keys::default_data_dir;
use super::loader::{Origin, locate};
use super::sources::{Machine, read_text, variable};

/// Where a gateway keeps its things, and where it answers operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its data folder.
    pub(crate) data_dir: PathBuf,
    /// The folder of its journal.
    pub(crate) journal: PathBuf,
    /// Its admin listener; none if the configuration names none that can be
    /// asked.
    pub(crate) admin: Option<String>,
}

/// The place of the gateway that `tollgate serve` would be with the same
/// arguments. A file that was named must be usable; one that merely lies here
/// is told about and passed over, since the gateway may run with its last good
/// version.
///
/// # Errors
/// The file that was named cannot be used; what to do.
pub(crate) fn place(config: Option<&Path>, data_dir: Option<&Path>) -> Result<Place, String> {
    let origin = locate(config);
    let document = match &origin {
        Origin::Environment => Document::default(),
        Origin::File(path) => match document(path) {
            Ok(document) => document,
            Err(why) if config.is_some() => {
                return Err(format!("{} cannot be used:\n{why}", origin.name()));
            }
            Err(why) => {
                crate::say(&format!(
                    "{} cannot be used, so the default data folder and admin address are \
                     tried:\n{why}",
                    origin.name()
                ));
                Document::default()
            }
        },
    };
    let configured = document.data_dir.as_ref().map(PathBuf::from);
    let data_dir = data_dir
        .map(Path::to_owned)
        .or(configured)
        .unwrap_or_else(|| default_data_dir(&variable));
    let own = document.evidence.dir.as_ref().map(PathBuf::from);
    Ok(Place {
        journal: own.unwrap_or_else(|| data_dir.join("journal")),
        data_dir,
        admin: document.listen.admin.0.iter().find_map(url),
    })
}

/// The database of the gateway that `tollgate serve` would be.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn database(config: Option<&Path>) -> Result<Option<SharedDatabase>, String> {
    let Origin::File(path) = locate(config) else {
        return Ok(None);
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let sources = Machine::new(folder);
    let found =
        read(&read_text(&path)?, &sources).and_then(|draft| shared_database(&draft, &sources));
    found.map_err(|diagnostics| plan::render(&diagnostics, &path.display().to_string(), false))
}

fn document(path: &Path) -> Result<Document, String> {
    let text = read_text(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let sources = Lenient(Machine::new(folder));
    match read(&text, &sources) {
        Ok(draft) => Ok(draft.document),
        Err(diagnostics) => Err(plan::render(
            &diagnostics,
            &path.display().to_string(),
            false,
        )),
    }
}

/// What this shell may not read is the gateway's business alone.
struct Lenient(Machine);

impl Sources for Lenient {
    fn env(&self, name: &str) -> Option<String> {
        self.0.env(name).or_else(|| Some(String::new()))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Ok(self.0.file(path).unwrap_or_default())
    }
}

/// The address of a listener as the command line writes it. Port 0 says
/// nothing about the port it will be.
fn url(entry: &ListenerEntry) -> Option<String> {
    if let Some(path) = &entry.unix {
        let path = std::path::absolute(path).ok()?;
        return Some(format!("unix:{}", path.display()));
    }
    let mut address: SocketAddr = entry.address.as_ref()?.parse().ok()?;
    if address.port() == 0 {
        return None;
    }
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if entry.tls.is_some() { "https" } else { "http" };
    Some(format!("{scheme}://{address}"))
}

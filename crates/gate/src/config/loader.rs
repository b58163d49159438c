//! One load: find, read, complete and compile.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use contract::Secret;
use plan::{
    Compiled, DatabaseEntry, Diagnostic, Discovery, Document, Draft, Given, Kept, Listen,
    ListenerEntry, Listeners, Owner, Providers, compile, discover, keep, read,
};

use super::engines;
use super::keys::{self, default_data_dir};
use super::sources::{Fenced, Machine, read_text, variable};
use crate::key_file::DEVELOPMENT;

/// Looked for in the working folder.
const DEFAULT_FILE: &str = "tollgate.yaml";
/// Names the file where no argument does.
const CONFIG_ENV: &str = "TOLLGATE_CONFIG";

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file.
    File(PathBuf),
    /// No file: what the environment gives.
    Environment,
}

impl Origin {
    /// Its name in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Environment => "environment".to_owned(),
        }
    }
}

/// The first of: the argument, `$TOLLGATE_CONFIG`, `./tollgate.yaml`, the
/// environment. A file that was named need not exist; loading says so.
pub(crate) fn locate(argument: Option<&Path>) -> Origin {
    let named = argument.map(Path::to_owned).or_else(|| {
        variable(CONFIG_ENV)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    });
    match named {
        Some(path) => Origin::File(path),
        None if Path::new(DEFAULT_FILE).exists() => Origin::File(PathBuf::from(DEFAULT_FILE)),
        None => Origin::Environment,
    }
}

/// What arguments say over the document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// Data folder.
    pub(crate) data_dir: Option<PathBuf>,
    /// The one listener for calls.
    pub(crate) listen: Option<String>,
    /// The one listener for operators.
    pub(crate) admin_listen: Option<String>,
    /// Who owns the plan.
    pub(crate) plan_owner: Option<Owner>,
}

/// Loads a configuration, again and again.
pub(crate) struct Loader {
    /// Where from.
    pub(crate) origin: Origin,
    overrides: Overrides,
    ring_key: Secret<[u8; 32]>,
    development_key: OnceLock<Secret<String>>,
    digest_key: OnceLock<Secret<[u8; 32]>>,
}

/// What the first document decides for all that come by the admin API.
#[derive(Clone, Debug)]
pub(crate) struct First {
    /// The data folder.
    pub(crate) data_dir: Option<String>,
    /// Who owns the plan.
    pub(crate) owner: Owner,
    /// Where replicas share the plan: what stays each one's own.
    pub(crate) own: Option<Box<Own>>,
}

/// What a replica takes from its own configuration, whatever plan the others
/// put in force.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    /// Where it listens.
    pub(crate) listen: Listen,
    /// How it reaches the database.
    pub(crate) database: DatabaseEntry,
}

/// A configuration that can be used.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Plan and settings.
    pub(crate) compiled: Compiled,
    /// What it came from, for the admin API.
    pub(crate) document: Document,
    /// The same in the form in which it is kept, without the development key.
    pub(crate) kept: Kept,
    /// The data folder, absolute or relative to the working folder.
    pub(crate) data_dir: PathBuf,
    /// The key that was made because there are none.
    pub(crate) development_key: Option<Secret<String>>,
    /// What was found in the environment, where that was asked for.
    pub(crate) discovery: Option<Discovery>,
    /// Files it was made from.
    pub(crate) files: Vec<PathBuf>,
}

/// Why a configuration cannot be used.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Everything that is wrong.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The file itself could not be read (exit code 2, not 1).
    pub(crate) is_unreadable: bool,
    /// Files whose change may mend it.
    pub(crate) files: Vec<PathBuf>,
}

impl Failure {
    /// The failure as text; `name` is what to call the source.
    pub(crate) fn render(&self, name: &str, colour: bool) -> String {
        plan::render(&self.diagnostics, name, colour)
    }
}

/// A document with everything but its plan.
pub(super) struct Completed {
    pub(super) draft: Draft,
    pub(super) discovery: Option<Discovery>,
    pub(super) machine: Machine,
}

impl Loader {
    /// A loader. The keys that last are those of the data folder.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn new(origin: Origin, overrides: Overrides) -> io::Result<Self> {
        Ok(Self {
            origin,
            overrides,
            ring_key: Secret::new(keys::random()?),
            development_key: OnceLock::new(),
            digest_key: OnceLock::new(),
        })
    }

    /// A loader that leaves no trace on disk; its digests mean nothing.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub(super) fn dry(origin: Origin) -> io::Result<Self> {
        let loader = Self::new(origin, Overrides::default())?;
        let unkept = DEVELOPMENT.fresh()?;
        loader.digest_key.get_or_init(|| Secret::new([0; 32]));
        loader.development_key.get_or_init(|| unkept);
        Ok(loader)
    }

    /// Loads.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        self.finish(self.complete()?)
    }

    /// Loads a document that came by the admin API. Where the gateway keeps its
    /// things, and who owns the plan, is what the first document says.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn load_text(&self, text: &str, first: &First) -> Result<Loaded, Failure> {
        let machine = Machine::new(&self.folder());
        let mut draft = match read(text, &Fenced(&machine)) {
            Ok(draft) => draft,
            Err(diagnostics) => return Err(failure(diagnostics, Vec::new())),
        };
        draft.document.data_dir.clone_from(&first.data_dir);
        draft.document.plans.owner = first.owner;
        if let Some(own) = &first.own {
            draft.document.listen.clone_from(&own.listen);
            draft.document.database.clone_from(&own.database);
        }
        self.finish(self.fill_in(draft, machine))
    }

    fn finish(&self, completed: Completed) -> Result<Loaded, Failure> {
        let Completed {
            mut draft,
            discovery,
            machine,
        } = completed;
        let kept = keep(&draft.document);
        let data_dir = self.data_dir(&draft.document);
        let (development_key, digest_key) = match self.keys(&draft.document, &data_dir) {
            Ok(keys) => keys,
            Err(error) => {
                let what = format!(
                    "the data folder {} cannot be used: {error}",
                    data_dir.display()
                );
                let instead = "give a folder that the gateway may write: `--data-dir`";
                return Err(failure(
                    vec![Diagnostic::of_file(what, instead)],
                    self.files(machine),
                ));
            }
        };
        if let Some(key) = &development_key {
            draft.document.add_development_key(key.expose());
        }
        let given = Given {
            sources: &machine,
            ring_key: *self.ring_key.expose(),
            digest_key,
        };
        let compiled = compile(&draft, &given);
        let files = self.files(machine);
        Ok(Loaded {
            compiled: compiled.map_err(|diagnostics| failure(diagnostics, files.clone()))?,
            document: draft.document,
            kept,
            data_dir,
            development_key,
            discovery,
            files,
        })
    }

    /// Reads the document and fills in what is left to the environment.
    pub(super) fn complete(&self) -> Result<Completed, Failure> {
        let machine = Machine::new(&self.folder());
        let draft = match &self.origin {
            Origin::Environment => Draft::from(Document {
                providers: Providers::Auto,
                ..Document::default()
            }),
            Origin::File(path) => {
                let text = read_text(path).map_err(|why| unreadable(path, &why))?;
                match read(&text, &machine) {
                    Ok(draft) => draft,
                    Err(diagnostics) => return Err(failure(diagnostics, self.files(machine))),
                }
            }
        };
        Ok(self.fill_in(draft, machine))
    }

    /// The folder at which relative paths start.
    fn folder(&self) -> PathBuf {
        match &self.origin {
            Origin::File(path) => path.parent().unwrap_or(Path::new("")).to_owned(),
            Origin::Environment => PathBuf::new(),
        }
    }

    fn fill_in(&self, mut draft: Draft, machine: Machine) -> Completed {
        let discovery =
            matches!(draft.document.providers, Providers::Auto).then(|| look_around(&machine));
        if let Some(discovery) = &discovery {
            draft.document.fill_auto(discovery.clone());
        }
        self.override_in(&mut draft.document);
        Completed {
            draft,
            discovery,
            machine,
        }
    }

    fn override_in(&self, document: &mut Document) {
        let at = |address: &String| {
            Listeners(vec![ListenerEntry {
                address: Some(address.clone()),
                ..ListenerEntry::default()
            }])
        };
        if let Some(address) = &self.overrides.listen {
            document.listen.data = at(address);
        }
        if let Some(address) = &self.overrides.admin_listen {
            document.listen.admin = at(address);
        }
        if let Some(folder) = &self.overrides.data_dir {
            document.data_dir = Some(folder.display().to_string());
        }
        if let Some(owner) = self.overrides.plan_owner {
            document.plans.owner = owner;
        }
    }

    fn data_dir(&self, document: &Document) -> PathBuf {
        let configured = document.data_dir.as_ref().map(PathBuf::from);
        configured.unwrap_or_else(|| default_data_dir(&variable))
    }

    /// The development key, if the document has no keys, and that of digests.
    fn keys(
        &self,
        document: &Document,
        data_dir: &Path,
    ) -> io::Result<(Option<Secret<String>>, [u8; 32])> {
        let digest_key = self.digest_key(document, data_dir)?;
        if !document.wants_development_key() {
            return Ok((None, digest_key));
        }
        let key = match self.development_key.get() {
            Some(key) => key.clone(),
            None => {
                let key = DEVELOPMENT.load_or_make(data_dir)?;
                self.development_key.get_or_init(|| key).clone()
            }
        };
        Ok((Some(key), digest_key))
    }

    fn digest_key(&self, document: &Document, data_dir: &Path) -> io::Result<[u8; 32]> {
        if let Some(key) = self.digest_key.get() {
            return Ok(*key.expose());
        }
        let key = match &document.database.shared_secret {
            Some(secret) => keys::shared_digest_key(secret.secret(), data_dir)?,
            None => keys::digest_key(data_dir)?,
        };
        Ok(*self.digest_key.get_or_init(|| Secret::new(key)).expose())
    }

    fn files(&self, machine: Machine) -> Vec<PathBuf> {
        let mut files = machine.into_asked();
        if let Origin::File(path) = &self.origin {
            files.push(path.clone());
        }
        files
    }
}

/// Providers of the environment; engines of this machine only where there are
/// none, so that nobody's port is knocked at without need.
fn look_around(machine: &Machine) -> Discovery {
    let found = discover(machine, &[]);
    if !found.is_sandbox {
        return found;
    }
    let ports = providers::kinds().iter().filter_map(|kind| kind.local_port);
    discover(machine, &engines::answering(ports))
}

fn failure(diagnostics: Vec<Diagnostic>, files: Vec<PathBuf>) -> Failure {
    Failure {
        diagnostics,
        is_unreadable: false,
        files,
    }
}

fn unreadable(path: &Path, why: &str) -> Failure {
    let what = format!("the file cannot be read: {why}");
    let instead = "check the path; without a file, `tollgate` uses what the environment gives";
    Failure {
        diagnostics: vec![Diagnostic::of_file(what, instead)],
        is_unreadable: true,
        files: vec![path.to_owned()],
    }
}

/// The plan of a configuration, compiled without a trace on disk.
///
/// # Errors
/// Everything that is wrong, as text.
pub(crate) fn plan_of(argument: Option<&Path>) -> Result<plan::Plan, String> {
    let origin = locate(argument);
    let name = origin.name();
    let loader = Loader::dry(origin).map_err(|error| error.to_string())?;
    match loader.load() {
        Ok(loaded) => Ok(loaded.compiled.plan),
        Err(failure) => Err(failure.render(&name, false)),
    }
}

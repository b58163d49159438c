//! The plan from the first moment on: which document the gateway starts with,
//! where its versions and the audit journal lie, and how a document that comes
//! by the admin API is compiled.
//!
//! Deliberately not here: what must hold before a plan is in force (room
//! `admin`).

use std::io;
use std::path::Path;
use std::sync::Arc;

use admin::{Audit, Author, Compile, Plans, Reply, Version, Versions};
use contract::seams::Clock as _;
use plan::{Kept, Owner, Plan};
use store::Shelf;
use transport::RealClock;

use crate::config::{First, Loaded, Loader, Origin, Own};
use crate::records::node_id;
use crate::reload::Maker;

/// Folder of the audit journal in the data folder.
pub(crate) const AUDIT_DIR: &str = "audit";
/// Folder of the versions in the data folder.
const PLANS_DIR: &str = "plans";
/// Who takes in what another process changed.
const AUTHOR: &str = "gateway";

/// Where versions and audit journal lie, and what the first document decided.
pub(crate) struct Keeping {
    /// The audit journal.
    pub(crate) audit: Audit,
    versions: Versions,
    /// The version of all replicas that this one starts with.
    taken: Option<Version>,
    first: First,
    author: &'static str,
}

impl Keeping {
    /// Opens versions and audit journal in the data folder of what was loaded,
    /// and says what to start with: that, or what the admin API put in force
    /// last, if it owns the plan. `shelf` has the versions of all replicas, if
    /// they share them.
    ///
    /// # Errors
    /// They cannot be opened, or that plan cannot be used any more.
    pub(crate) fn open(
        loader: &Loader,
        shelf: Option<Arc<dyn Shelf>>,
        loaded: Loaded,
    ) -> io::Result<(Loaded, Self)> {
        let own = Versions::open(&loaded.data_dir.join(PLANS_DIR))
            .map_err(|error| cannot(&loaded.data_dir, &error))?;
        let owner = loaded.document.plans.owner;
        let is_shared = shelf.is_some();
        let (versions, last) = match shelf {
            Some(shelf) => shared(shelf, &loaded.data_dir, &own)?,
            None => {
                let last = match owner {
                    Owner::File => None,
                    Owner::Api => own
                        .of_api()
                        .map_err(|error| cannot(&loaded.data_dir, &error))?,
                };
                (own, last)
            }
        };
        let mut keeping = Self {
            audit: Audit::new(&loaded.data_dir.join(AUDIT_DIR), node_id()),
            versions,
            taken: None,
            first: First {
                data_dir: loaded.document.data_dir.clone(),
                owner,
                own: is_shared.then(|| {
                    Box::new(Own {
                        listen: loaded.document.listen.clone(),
                        database: loaded.document.database.clone(),
                    })
                }),
            },
            author: match loader.origin {
                Origin::File(_) => "file",
                Origin::Environment => "environment",
            },
        };
        let Some((version, document)) = last else {
            return Ok((loaded, keeping));
        };
        match loader.load_text(&document, &keeping.first) {
            Ok(loaded) => {
                // Number 0 is of this folder alone, and new to the others.
                keeping.taken =
                    Some(version).filter(|it| keeping.versions.is_shared() && it.number > 0);
                Ok((loaded, keeping))
            }
            Err(failure) => Err(io::Error::other(format!(
                "plan {}, which the admin API put in force last, cannot be used:\n{}Mend what it \
                 refers to, or start once with `--plan-owner file`, which puts the configuration \
                 file in force",
                version.digest,
                failure.render("document", false)
            ))),
        }
    }

    /// Who the audit journal says the first document is from.
    pub(crate) fn author(&self) -> &'static str {
        self.author
    }

    /// Who owns the plan.
    pub(crate) fn owner(&self) -> Owner {
        self.first.owner
    }

    /// The one way by which a plan comes in force, of which this is the first.
    /// A roll-out that was on goes on.
    ///
    /// # Errors
    /// The first plan cannot be noted.
    pub(crate) fn plans(
        self,
        loader: Arc<Loader>,
        maker: Arc<Maker>,
        now: (Arc<Plan>, Kept),
    ) -> io::Result<Arc<Plans>> {
        let Self {
            audit,
            versions,
            taken,
            first,
            author,
        } = self;
        let owner = first.owner;
        let making = maker.clone();
        let compile: Compile = Arc::new(move |text| match loader.load_text(text, &first) {
            Ok(loaded) => Ok(making.candidate(loaded)),
            Err(failure) => Err(failure.diagnostics),
        });
        let plans = Plans::new(versions, audit, owner, maker.hands(compile), now);
        if let Some(version) = &taken {
            plans.take_up(version);
        }
        let author = Author::itself(author, RealClock::new().unix_us());
        let told = |reply: Reply| io::Error::other(message(&reply));
        plans.begin(&author).map_err(told)?;
        if let Some(text) = plans.resume(&author).map_err(told)? {
            crate::say(&text);
        }
        Ok(Arc::new(plans))
    }
}

/// The versions that replicas share, and what to start with: their last, or
/// what this folder had before there were any.
fn shared(
    shelf: Arc<dyn Shelf>,
    data_dir: &Path,
    own: &Versions,
) -> io::Result<(Versions, Option<(Version, String)>)> {
    let versions = Versions::shared(shelf);
    let last = versions.of_api().map_err(|error| {
        io::Error::other(format!(
            "the plan that replicas share cannot be read, and this data folder has no copy of it: \
             {error}. Start again once the database answers"
        ))
    })?;
    if last.is_some() {
        return Ok((versions, last));
    }
    let before = own.of_api().map_err(|error| cannot(data_dir, &error))?;
    let brought = before.map(|(version, document)| {
        crate::say(&format!(
            "plan {} of this data folder is the first that replicas share",
            version.digest
        ));
        let version = Version {
            number: 0,
            ..version
        };
        (version, document)
    });
    Ok((versions, brought))
}

/// Says trouble with what others changed, once, and its end.
#[derive(Default)]
pub(crate) struct Told(Option<String>);

impl Told {
    pub(crate) fn of(&mut self, outcome: io::Result<()>) {
        let trouble = outcome.err().map(|error| error.to_string());
        if trouble == self.0 {
            return;
        }
        match &trouble {
            Some(why) => crate::say(&format!("{why}; the plan in force stays")),
            None => crate::say("changes of the plan by others are taken in again"),
        }
        self.0 = trouble;
    }
}

/// Takes in what another process on the data folder changed, or another
/// replica, and says so: the process before this one answers operators until
/// this one is ready.
///
/// # Errors
/// It cannot be read or used; what is in force stays.
pub(crate) fn catch_up(plans: &Plans) -> io::Result<()> {
    let author = Author::itself(AUTHOR, RealClock::new().unix_us());
    let told = plans.catch_up(&author);
    let told = told.map_err(|reply| {
        io::Error::other(format!(
            "what another process or replica put in force cannot be taken in: {}",
            message(&reply)
        ))
    })?;
    if let Some(text) = told {
        crate::say(&text);
    }
    Ok(())
}

fn cannot(data_dir: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!(
        "the versions of the plan in {} cannot be read: {error}. Move the folder aside to begin \
         anew",
        data_dir.join(PLANS_DIR).display()
    ))
}

/// What an answer says to people.
fn message(reply: &Reply) -> String {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    body["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

//! What replicas share by the database: virtual keys, and plans that the admin
//! API owns. Each replica hears of a change by push, and looks for itself
//! behind that.
//!
//! Deliberately not here: the keys in force (`virtual_keys`), putting plans in
//! force (room `admin`), and the ledger.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin::{Plans, Versions};
use evidence::{Meter, Sample};
use plan::{Owner, SharedDatabase};
use store::shelf::COPY_DIR;
use store::{Cabinet, MirroredShelf, Shelf};
use store_remote::postgres::{
    Heard, KEYS_CHANNEL, Listening, PLANS_CHANNEL, Postgres, PostgresKeys, PostgresShelf,
};

use crate::config::Loaded;
use crate::plans::{Told, catch_up};
use crate::rounds::{Bell, Rounds};
use crate::serve::House;
use crate::virtual_keys::{SharedKey, VirtualKeys};

/// Longest time until a plan of another replica is in force, if the word of it
/// is lost.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest wait for the database at the start.
const START_WAIT: Duration = Duration::from_secs(5);
/// Time between two looks whether it was tried in vain.
const START_LOOK: Duration = Duration::from_millis(50);

/// The database, as keys and plans use it: on connections of their own, so
/// that they neither wait for the ledger nor hold it up.
pub(crate) struct Replicas {
    postgres: Arc<Postgres>,
    secret: Arc<contract::Secret<String>>,
}

impl Replicas {
    /// The database, if keys and plans are shared.
    ///
    /// # Errors
    /// The address or a certificate authority cannot be used, or no thread can
    /// be started.
    fn open(settings: Option<&SharedDatabase>) -> io::Result<Option<Self>> {
        let Some(settings) = settings else {
            return Ok(None);
        };
        let Some(secret) = &settings.shared_secret else {
            crate::say(
                "database.shared_secret is not set, so virtual keys, and plans of the admin API, \
                 are of this gateway alone",
            );
            return Ok(None);
        };
        // The ledger's handle tells people how the database is doing.
        let postgres = Postgres::start(crate::database::options(settings)?, |_| {})?;
        let mut waited = Duration::ZERO;
        while !postgres.wait_until_up(START_LOOK) && waited < START_WAIT {
            if postgres.figures().fault.is_some() {
                break;
            }
            waited += START_LOOK;
        }
        Ok(Some(Self {
            postgres,
            secret: secret.clone(),
        }))
    }

    /// The virtual keys of all replicas.
    ///
    /// # Errors
    /// They cannot be used; what to do.
    fn keys(&self, data_dir: &Path) -> io::Result<VirtualKeys> {
        let key = SharedKey::of(&self.secret)?;
        let store = PostgresKeys::new(self.postgres.clone(), key.mark());
        VirtualKeys::shared(data_dir, Arc::new(store), key)
    }

    /// Follows the changes of other replicas for as long as it is held.
    ///
    /// # Errors
    /// No thread can be started.
    fn follow(
        &self,
        keys: &VirtualKeys,
        plans: &Arc<Plans>,
        meter: &Meter,
    ) -> io::Result<Following> {
        let of_plans = Bell::default();
        let (heard_keys, heard_plans) = (keys.clone(), of_plans.clone());
        let of_began = Arc::downgrade(plans);
        let listening = self
            .postgres
            .listen(&[KEYS_CHANNEL, PLANS_CHANNEL], move |heard| match heard {
                Heard::Began => {
                    heard_keys.doubt();
                    if let Some(plans) = of_began.upgrade() {
                        plans.doubt();
                    }
                    heard_plans.ring();
                }
                Heard::Note { channel, .. } => match channel == KEYS_CHANNEL {
                    true => heard_keys.bell().ring(),
                    false => heard_plans.ring(),
                },
            })
            .map_err(io::Error::other)?;
        let rounds = match plans.numbers() {
            None => None,
            Some(_) => {
                show(plans, meter);
                Some(follow_plans(plans.clone(), &of_plans)?)
            }
        };
        Ok(Following {
            _rounds: rounds,
            _listening: listening,
        })
    }
}

/// What is shared, and where the versions of the plan are, if that is.
type Opened = (Option<Replicas>, Option<Arc<dyn Shelf>>);

/// The database of this configuration, if keys and plans are shared, and the
/// versions of the plan of all replicas, with a copy, if it owns none: a plan
/// that a file owns is the business of its gateway.
///
/// # Errors
/// The address or a certificate authority cannot be used, no thread can be
/// started, or the folder of the copy cannot be made.
pub(crate) fn open(loaded: &Loaded) -> io::Result<Opened> {
    let replicas = Replicas::open(loaded.compiled.database.as_ref())?;
    let is_ours = loaded.document.plans.owner == Owner::Api;
    let Some(sharing) = replicas.as_ref().filter(|_| is_ours) else {
        return Ok((replicas, None));
    };
    let copy = Cabinet::open(&loaded.data_dir.join(COPY_DIR))?;
    let truth = Arc::new(PostgresShelf::new(sharing.postgres.clone()));
    let shelf: Arc<dyn Shelf> = Arc::new(MirroredShelf::new(truth, copy, Versions::BOOK));
    Ok((replicas, Some(shelf)))
}

/// The virtual keys of this gateway, those of all replicas or its own, shown
/// in the metrics, and what keeps them in step.
///
/// # Errors
/// They cannot be used; what to do.
pub(crate) fn keys(
    replicas: Option<&Replicas>,
    data_dir: &Path,
    meter: &Meter,
) -> io::Result<(VirtualKeys, Rounds)> {
    let keys = match replicas {
        Some(replicas) => replicas.keys(data_dir)?,
        None => VirtualKeys::open(data_dir)?,
    };
    keys.show(meter);
    let rounds = keys.tend()?;
    Ok((keys, rounds))
}

/// Takes in what others changed since the plan was read, and follows what
/// replicas share.
///
/// # Errors
/// What another process on the data folder changed cannot be used, or no
/// thread can be started.
pub(crate) fn catch_up_and_follow(
    replicas: Option<&Replicas>,
    house: &House,
    plans: &Arc<Plans>,
) -> io::Result<Option<Following>> {
    let caught_up = catch_up(plans);
    let Some(replicas) = replicas else {
        return caught_up.map(|()| None);
    };
    if let Err(error) = caught_up {
        // Without the database it starts with what it has.
        crate::say(&error.to_string());
    }
    let following = replicas.follow(&house.keys, plans, house.evidence.meter());
    following.map(Some)
}

/// Follows for as long as it is held.
pub(crate) struct Following {
    _rounds: Option<Rounds>,
    _listening: Listening,
}

fn follow_plans(plans: Arc<Plans>, bell: &Bell) -> io::Result<Rounds> {
    let mut told = Told::default();
    Rounds::with_bell("plans", LOOK_EVERY, bell, move |is_over| {
        if !is_over {
            told.of(catch_up(&plans));
        }
    })
}

fn show(plans: &Arc<Plans>, meter: &Meter) {
    let gauge = |name: &'static str, help: &'static str, read: fn((u64, u64)) -> u64| {
        // Metrics keep nothing alive.
        let plans = Arc::downgrade(plans);
        meter.watch(name, help, move || {
            let numbers = plans.upgrade().and_then(|plans| plans.numbers());
            let sample = |numbers| Sample {
                labels: Vec::new(),
                value: read(numbers) as f64,
            };
            numbers.map(sample).into_iter().collect()
        });
    };
    gauge(
        "tollgate_plan_number",
        "Number of the version of the plan that is in force on this replica",
        |(in_force, _)| in_force,
    );
    gauge(
        "tollgate_plan_number_newest",
        "Number of the newest version of the plan that this replica knows of; above the one in \
         force, this replica cannot use it",
        |(_, newest)| newest,
    );
}

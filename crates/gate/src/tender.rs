//! A tender: one thread that keeps up, for each thing a plan wants kept
//! current (keys of an issuer, temporary credentials), a task of its own. It
//! starts with the first thing that is wanted and ends with its last handle.
//!
//! Deliberately not here: what is fetched, when it is due, and where it is
//! published, which the upkeep says that each tender is given.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use contract::seams::{Clock, Dice, Wire};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use transport::{HttpWire, RealClock, RealDice, WireOptions};

/// Something that is kept current.
pub(crate) trait Ward: Send + Sync + 'static {
    /// What it is known by: the same id is the same work.
    fn id(&self) -> &Arc<str>;
}

/// What an upkeep needs of the world.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) wire: Arc<dyn Wire>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
}

/// The work of one ward, for as long as it is wanted.
pub(crate) type Upkeep = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Begins the work of a ward.
type Begin<W> = Arc<dyn Fn(World, Arc<W>) -> Upkeep + Send + Sync>;

/// The tender.
pub(crate) struct Tender<W> {
    /// Of its thread.
    name: &'static str,
    begin: Begin<W>,
    wanted: Mutex<Option<watch::Sender<Vec<Arc<W>>>>>,
}

impl<W: Ward> Tender<W> {
    /// A tender whose thread has this name, and that keeps wards up so.
    pub(crate) fn new(
        name: &'static str,
        begin: impl Fn(World, Arc<W>) -> Upkeep + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            begin: Arc::new(begin),
            wanted: Mutex::default(),
        }
    }

    /// From now on these are wanted, and no others.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn want(&self, wards: Vec<Arc<W>>) -> io::Result<()> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wanted) = &*wanted {
            wanted.send_replace(wards);
            return Ok(());
        }
        if wards.is_empty() {
            return Ok(());
        }
        let (sender, heard) = watch::channel(wards);
        let begin = self.begin.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || runtime.block_on(tend(heard, begin)))?;
        *wanted = Some(sender);
        Ok(())
    }
}

/// Tends the wards that are wanted, until nobody can want any.
async fn tend<W: Ward>(mut wanted: watch::Receiver<Vec<Arc<W>>>, begin: Begin<W>) {
    let world = World {
        wire: Arc::new(HttpWire::new(WireOptions::default())),
        clock: Arc::new(RealClock::new()),
        dice: Arc::new(RealDice::new()),
    };
    let mut tasks = JoinSet::new();
    let mut running: HashMap<Arc<str>, AbortHandle> = HashMap::new();
    loop {
        let wards = wanted.borrow_and_update().clone();
        running.retain(|id, task| {
            let stays = wards.iter().any(|ward| ward.id() == id);
            if !stays {
                task.abort();
            }
            stays
        });
        for ward in wards {
            let id = ward.id().clone();
            running
                .entry(id)
                .or_insert_with(|| tasks.spawn(begin(world.clone(), ward)));
        }
        // Those that ended are forgotten.
        while tasks.try_join_next().is_some() {}
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

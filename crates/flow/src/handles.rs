//! Metric handles, resolved once for each route and kept by the worker.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use evidence::{Meter, RouteHandles, RouteKey};

/// Most routes that are kept; beyond it the memory is given back and built
/// anew, so that hostile model names cannot make it grow.
const ROUTES_MAX: usize = 1_024;

/// The handles that a worker has resolved. Only its own thread uses the lock.
#[derive(Default)]
pub struct Handles {
    hasher: RandomState,
    known: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The route of the exchange before: most often that of this one, too.
    recent: Option<Known>,
    all: HashMap<u64, Known>,
}

#[derive(Clone)]

struct Known {
    names: Arc<[Box<str>; 6]>,
    handles: Arc<RouteHandles>,
}

impl Known {
    fn is_of(&self, names: &[&str; 6]) -> bool {
        let mut pairs = self.names.iter().zip(names);
        pairs.all(|(kept, name)| **kept == **name)
    }
}

impl Handles {
    /// The handles of a route.
    pub(crate) fn of(&self, meter: &Meter, key: &RouteKey<'_>) -> Arc<RouteHandles> {
        let names = [
            key.dialect,
            key.operation,
            key.provider,
            key.model,
            key.tenant,
            key.use_case,
        ];
        let mut memory = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = memory.recent.as_ref().filter(|known| known.is_of(&names)) {
            return recent.handles.clone();
        }
        let hash = self.hasher.hash_one(names);
        if let Some(found) = memory.all.get(&hash).filter(|known| known.is_of(&names)) {
            let found = found.clone();
            let handles = found.handles.clone();
            memory.recent = Some(found);
            return handles;
        }
        let handles = meter.route(key);
        if memory.all.len() >= ROUTES_MAX {
            memory.all.clear();
        }
        let known = Known {
            names: Arc::new(names.map(Into::into)),
            handles: handles.clone(),
        };
        memory.recent = Some(known.clone());
        memory.all.insert(hash, known);
        handles
    }
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handles")
    }
}

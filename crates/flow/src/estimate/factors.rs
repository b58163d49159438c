//! The factors that were learned, by provider and model there: a bounded
//! table of atomics that all workers share. It is no part of a plan, so it
//! survives a reload; a process that starts learns anew.
//!
//! Deliberately not here: the arithmetic (`meter::learned`), and which calls
//! teach something.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use meter::learned::COUNTED_MIN;
use meter::{Learned, TokenFactor};

/// Most models of providers that have factors. Beyond it a model has none:
/// its estimates are what they are without.
const MODELS_MAX: usize = 1_024;
/// Places that are looked at for one model.
const PROBES_MAX: usize = 16;

/// How tokens are counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Estimator {
    /// Input by classes of bytes.
    #[default]
    Bytes,
    /// Texts by their words.
    Words,
    /// Output by what was seen of a stream.
    Seen,
    /// Texts by the model's own vocabulary, which the plan names.
    Vocabulary,
}

impl Estimator {
    /// The name in records, with the version of what it counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes/1",
            Self::Words => "words/1",
            Self::Seen => "seen/1",
            Self::Vocabulary => "vocabulary/1",
        }
    }
}

/// A model at a provider.
struct Place {
    /// What it goes by; 0 where nobody is.
    tag: AtomicU64,
    /// By [`Estimator`].
    learned: [AtomicU64; 4],
}

/// Learned factors of all models.
pub struct Factors {
    hasher: RandomState,
    places: Box<[Place]>,
}

impl Default for Factors {
    /// Nothing is learned yet.
    fn default() -> Self {
        let place = |_| Place {
            tag: AtomicU64::new(0),
            learned: Default::default(),
        };
        Self {
            hasher: RandomState::new(),
            places: (0..MODELS_MAX).map(place).collect(),
        }
    }
}

impl Factors {
    /// The factor of a model for counts of this kind, if it was learned.
    pub(crate) fn of(&self, model: (&str, &str), by: Estimator) -> Option<TokenFactor> {
        let tag = self.tag(model);
        let tag_of = |place: &Place| place.tag.load(Ordering::Relaxed);
        let mut taken = self.probes(tag).take_while(|place| tag_of(place) != 0);
        taken
            .find(|place| tag_of(place) == tag)?
            .learned(by)
            .factor()
    }

    /// Learns from a call.
    pub(crate) fn learn(&self, model: (&str, &str), by: Estimator, told: u64, counted: u64) {
        if counted < COUNTED_MIN {
            return;
        }
        let tag = self.tag(model);
        let Some(place) = self.probes(tag).find(|place| place.take(tag)) else {
            return;
        };
        // A factor that has settled is read and not written.
        let cell = &place.learned[by as usize];
        let after = |bits| {
            let after = Learned::from_bits(bits).after(told, counted).to_bits();
            (after != bits).then_some(after)
        };
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
    }

    fn tag(&self, model: (&str, &str)) -> u64 {
        self.hasher.hash_one(model).max(1)
    }

    fn probes(&self, tag: u64) -> impl Iterator<Item = &Place> {
        let first = tag as usize % self.places.len();
        let places = self.places[first..].iter().chain(&self.places[..first]);
        places.take(PROBES_MAX)
    }
}

impl Place {
    /// Whether it is, or becomes, that of a model.
    fn take(&self, tag: u64) -> bool {
        let (free, relaxed) = (0, Ordering::Relaxed);
        match self.tag.compare_exchange(free, tag, relaxed, relaxed) {
            Ok(_) => true,
            Err(there) => there == tag,
        }
    }

    fn learned(&self, by: Estimator) -> Learned {
        Learned::from_bits(self.learned[by as usize].load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for Factors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Factors")
    }
}

#[cfg(test)]
mod tests;
